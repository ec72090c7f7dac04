"""Calibrate with jwst's own steps: `engine: jwst`, for those who want to check us.

The steps run one after another on the whole exposure, with every parameter and reference file given
explicitly: CRDS is never asked, neither for files nor for parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import CalibratedMaps, CalibrationParameters, good_groups
from nrsdark_xr.calibration.bands import MIN_GROUPS_FOR_JUMPS
from nrsdark_xr.calibration.cds_noise import cds_noise
from nrsdark_xr.detector import DQ
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import ReferencePaths, clear_hot

if TYPE_CHECKING:
    from jwst.pipeline import Detector1Pipeline
    from stdatamodels.jwst.datamodels import RampModel

BEFORE_JUMP = ("group_scale", "dq_init", "saturation", "superbias", "refpix", "linearity")
"""Steps up to the linearized ramp, in order."""


def calibrate_with_jwst(
    exposure: Exposure, paths: ReferencePaths, parameters: CalibrationParameters
) -> list[tuple[NDArray[np.float32], CalibratedMaps]]:
    """Calibrate an exposure with the stock steps.

    Parameters
    ----------
    exposure : Exposure
        Of a local file.
    paths : ReferencePaths
        Local files. The mask is used without HOT (JWST-STScI-009226 §4.1.2); without a superbias
        none is subtracted.
    parameters : CalibrationParameters

    Returns
    -------
    list of (ramp, CalibratedMaps)
        For each integration the ramp after linearity, float32 (group, y, x) in DN, and what our own
        calibration gives besides. `negative_jumps`, which jwst does not tell, follow from a jump
        step without neighbours and snowballs and the sign of the differences in its ramp.

    Raises
    ------
    NrsdarkError
        If the exposure or a reference is not a local file.
    """
    for url in (exposure.url, *paths.given().values()):
        if "://" in url:
            raise NrsdarkError(
                "the stock engine reads local files only",
                file=url,
                remedy="fetch it, or leave out `engine: jwst`",
            )
    pipeline = configure_steps(paths, parameters)
    model: Any = exposure.url
    for name in BEFORE_JUMP:
        if name == "superbias" and paths.superbias is None:
            continue
        model = getattr(pipeline, name).process(model)
    negative_jumps = _find_jumps(pipeline, model, parameters)
    gain = _gain(model, paths.gain)
    return [
        (
            model.data[integration],
            CalibratedMaps(
                groupdq=model.groupdq[integration],
                pixeldq=model.pixeldq,
                rate=rate,
                rate_err=rate_err,
                good_groups=good_groups(model.groupdq[integration]),
                negative_jumps=negative_jumps[integration],
                cds_noise=cds_noise(
                    model.data[integration],
                    model.groupdq[integration],
                    gain=gain,
                    n_frames=exposure.n_frames,
                    group_gap=exposure.group_gap,
                    parameters=parameters.readnoise,
                ),
            ),
        )
        for integration, (rate, rate_err) in enumerate(_fit_each(pipeline, model))
    ]


def _gain(model: RampModel, path: str) -> NDArray[np.float32]:
    """Gain of the pixels of an exposure, cut as the jump step cuts it."""
    from jwst.lib.reffile_utils import get_subarray_model, ref_matches_sci
    from stdatamodels.jwst.datamodels import GainModel

    with GainModel(path) as gain:
        same = ref_matches_sci(model, gain)
        return np.array(gain.data if same else get_subarray_model(model, gain).data, np.float32)


def configure_steps(paths: ReferencePaths, parameters: CalibrationParameters) -> Detector1Pipeline:
    """Make a pipeline whose steps have our parameters and files.

    Steps that belong to a pipeline do not copy their input.
    """
    from jwst.pipeline import Detector1Pipeline

    superbias = paths.superbias or "N/A"
    settings: dict[str, dict[str, Any]] = {
        "dq_init": {"override_mask": _mask_without_hot(paths.mask)},
        "saturation": {
            **parameters.saturation.model_dump(),
            "override_saturation": paths.saturation,
            "override_superbias": superbias,
        },
        "superbias": {"override_superbias": superbias},
        "refpix": {
            **parameters.refpix.model_dump(),
            "override_sirskernel": paths.sirskernel or "N/A",
            "override_refpix": paths.refpix or "N/A",
        },
        "linearity": {"override_linearity": paths.linearity},
        "jump": {
            **parameters.jump.model_dump(),
            **parameters.snowballs.model_dump(),
            "override_gain": paths.gain,
            "override_readnoise": paths.readnoise,
        },
        "ramp_fit": {
            **parameters.ramp_fit.model_dump(),
            "override_gain": paths.gain,
            "override_readnoise": paths.readnoise,
        },
    }
    pipeline = Detector1Pipeline()
    for step, values in settings.items():
        for name, value in values.items():
            setattr(getattr(pipeline, step), name, value)
    return pipeline


def _mask_without_hot(path: str) -> Any:
    """Mask in memory; it has no DQ_DEF, so its bits stand for themselves."""
    from stdatamodels.jwst import datamodels

    with datamodels.MaskModel(path) as original:
        mask = datamodels.MaskModel(dq=clear_hot(original.dq))
        mask.update(original)
    return mask


def _find_jumps(
    pipeline: Detector1Pipeline, model: RampModel, parameters: CalibrationParameters
) -> NDArray[np.uint16]:
    """Flag jumps in `model`, and count the negative ones (integration, y, x)."""
    n_integrations, n_groups, n_rows, n_columns = model.data.shape
    if n_groups < MIN_GROUPS_FOR_JUMPS:
        return np.zeros((n_integrations, n_rows, n_columns), dtype=np.uint16)
    before = model.groupdq.copy()
    jump = pipeline.jump
    jump.flag_4_neighbors, jump.expand_large_events = False, False
    model = jump.process(model)
    negative = _negative_jumps(model.data, model.groupdq)
    model.groupdq = before
    jump.flag_4_neighbors = parameters.jump.flag_4_neighbors
    jump.expand_large_events = parameters.snowballs.expand_large_events
    jump.process(model)
    return negative


def _negative_jumps(ramp: NDArray[np.float32], groupdq: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Count JUMP_DET on differences below the pixel's median usable difference."""
    counts = np.zeros((ramp.shape[0], *ramp.shape[2:]), dtype=np.uint16)
    for row in range(ramp.shape[2]):  # differences of the whole frame would double the memory
        unusable = (groupdq[:, :, row] & np.uint8(DQ.DO_NOT_USE | DQ.SATURATED)) != 0
        differences = np.diff(np.where(unusable, np.nan, ramp[:, :, row]), axis=1)
        ordered = np.sort(differences.reshape(-1, differences.shape[-1]), axis=0)  # NaN last
        number = np.isfinite(ordered).sum(axis=0)
        columns = np.arange(len(number))
        median = 0.5 * (
            ordered[np.maximum(number - 1, 0) // 2, columns] + ordered[number // 2, columns]
        )
        fired = (groupdq[:, 1:, row] & np.uint8(DQ.JUMP_DET)) != 0
        counts[:, row] = (fired & (differences < median)).sum(axis=1)
    return counts


def _fit_each(
    pipeline: Detector1Pipeline, model: RampModel
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Rate and error of each integration, fitted as an exposure of its own.

    NaN where its DQ has DO_NOT_USE or nothing at all was fitted.
    """
    from stdatamodels.jwst import datamodels

    for integration in range(len(model.data)):
        one = datamodels.RampModel(
            data=model.data[integration, np.newaxis],
            groupdq=model.groupdq[integration, np.newaxis].copy(),  # the step flags in it
            pixeldq=model.pixeldq.copy(),
        )
        one.update(model)
        one.meta.exposure.nints = 1
        rate, _ = pipeline.ramp_fit.process(one)
        if rate is None:
            nothing = np.full(model.pixeldq.shape, np.nan, dtype=np.float32)
            yield nothing, nothing
            continue
        unusable = (rate.dq & np.uint32(DQ.DO_NOT_USE)) != 0
        yield (
            np.where(unusable, np.float32(np.nan), rate.data),
            np.where(unusable, np.float32(np.nan), rate.err),
        )
