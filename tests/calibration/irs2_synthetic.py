"""IRS2 exposures full of awkward samples, in memory and as files."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from nrsdark_xr.detector import DETECTOR_SIZE, DQ, irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References
from nrsdark_xr.references.irs2 import Irs2Weights
from tests.calibration.synthetic import Case, label, make_case, write_case

FRAME = (irs2.IRS2_RAW_ROWS, DETECTOR_SIZE)
BAD_PAIRS = ((1, 1, 0x80000001), (2, 2, 0x30), (3, 1, 0), (4, 2, 0x7), (4, 1, 0x7))
"""OUTPUT, ODD_EVEN, MASK of the REFPIX reference: at both ends, in a row, and a whole visit."""


def make_irs2_case(
    detector: str,
    *,
    n_groups: int = 4,
    n_integrations: int = 1,
    n_frames: int = 1,
    seed: int = 0,
) -> Case:
    """Make an exposure whose pixels are those of a traditional case, with IRS2 noise and rows."""
    rng = np.random.default_rng(seed + 100)
    plain = make_case(
        detector, "FULL", n_groups=n_groups, n_integrations=n_integrations, n_frames=1, seed=seed
    )
    rows = irs2.science_rows(detector)
    divisor = 8 if n_frames == 5 else n_frames
    scale = divisor / n_frames
    raw = np.empty((n_integrations, n_groups, *FRAME), np.uint16)
    level = rng.normal(9000.0, 40.0, (irs2.IRS2_RAW_ROWS, 1)).astype(np.float32)
    for integration in range(n_integrations):
        for group in range(n_groups):
            noise = _common_noise(rng, detector)
            frame = level + noise
            frame[rows] = plain.raw[integration, group] + noise[rows]
            frame[rows][plain.raw[integration, group] == 0] = 0
            raw[integration, group] = np.clip(np.rint(frame / scale), 0, 65535)
            raw[integration, group, rows] *= plain.raw[integration, group] > 0
    raw[:, :, _bad_rows(detector)] += rng.integers(
        0, 400, (n_integrations, n_groups, len(_bad_rows(detector)), DETECTOR_SIZE), np.uint16
    )
    exposure = replace(
        plain.exposure,
        readpatt="NRSIRS2" if n_frames == 5 else "NRSIRS2RAPID",
        n_frames=n_frames,
        frame_divisor=divisor,
        n_outputs=5,
        frame_time=14.58889,
        group_time=14.58889 * n_frames,
        raw_shape=raw.shape,
    )
    return Case(exposure, raw, _references(plain.references, detector, rng))


def _common_noise(rng: np.random.Generator, detector: str) -> np.ndarray:
    """Drift in time that all outputs share, and noise of each sample."""
    ticks = rng.normal(0, 0.4, irs2.FRAME_TICKS).cumsum().reshape(DETECTOR_SIZE, irs2.LINE_TICKS)
    ticks -= ticks.mean()
    lines = ticks[:, irs2.sample_ticks()]
    ordered = np.stack([strength * lines for strength in (1.0, 0.9, 1.1, 1.0, 0.8)])
    own = rng.standard_normal(FRAME, np.float32) * np.float32(6)
    return irs2.from_reading_order(ordered.astype(np.float32), detector) + own


def _bad_rows(detector: str) -> np.ndarray:
    """Pairs that stand out: in the reference output, and two visits next to each other."""
    reference = irs2.reference_rows(detector)
    output = irs2.reference_output_rows(detector).start + 28
    return np.array([output, reference[8], reference[12], reference[200], reference[201]])


def _references(plain: References, detector: str, rng: np.random.Generator) -> References:
    rows = irs2.science_rows(detector)

    def interleaved(image: np.ndarray, fill: float) -> np.ndarray:
        frame = np.full(FRAME, fill, image.dtype)
        frame[rows] = image
        return frame

    mask = interleaved(plain.mask, 0)
    mask[irs2.reference_rows(detector)] |= np.uint32(DQ.REFERENCE_PIXEL)
    mask[irs2.reference_rows(detector)[300], 7] |= np.uint32(DQ.BAD_REF_PIXEL)
    mask[rows[700], 2000] |= np.uint32(DQ.BAD_REF_PIXEL)  # a row of pixels counts as well
    bias = interleaved(plain.superbias, 8990.0)
    bias[irs2.reference_rows(detector)[5], 100:110] = np.nan
    return plain.replace(
        mask=mask,
        superbias=bias,
        superbias_dq=interleaved(plain.superbias_dq, 0),
        irs2=make_weights(),
    )


@cache
def make_weights() -> Irs2Weights:
    """Weights that fall off with frequency, with phases, neither of them of a real filter."""
    rng = np.random.default_rng(3)
    frequency = np.abs(np.fft.fftfreq(irs2.FRAME_TICKS))
    shape = (4, irs2.FRAME_TICKS)

    def weights(strength: float, knee: float) -> np.ndarray:
        fall = strength / (1 + (frequency / knee) ** 2)
        phase = rng.normal(0, 0.2, shape) * fall
        return (fall * np.exp(1j * phase) + 0.01 * rng.standard_normal(shape)).astype(np.complex64)

    output, odd_even, mask = (np.array(column) for column in zip(*BAD_PAIRS, strict=True))
    return Irs2Weights(
        weights(0.5, 0.01), weights(0.9, 0.002), output, odd_even, mask.astype(np.uint32)
    )


def irs2_model(weights: Irs2Weights, exposure: Exposure) -> object:
    """Put the weights into the data model of jwst."""
    from stdatamodels.jwst import datamodels

    names = [f"{kind}_{i}" for kind in ("alpha", "beta") for i in range(4)]
    table = np.empty(2 * irs2.FRAME_TICKS, [(name, np.float32) for name in names])
    for name in names:
        table[name] = getattr(weights, name[:-2])[int(name[-1])].view(np.float32)
    dq = np.empty(
        len(weights.output), [("output", np.int16), ("odd_even", np.int16), ("mask", np.uint32)]
    )
    for name in dq.dtype.names:
        dq[name] = getattr(weights, name)
    model = datamodels.IRS2Model(irs2_table=table, dq_table=dq)
    model.meta.telescope = "JWST"
    model.meta.instrument.name = "NIRSPEC"
    model.meta.instrument.detector = exposure.detector
    model.meta.exposure.readpatt = exposure.readpatt
    return model


def write_irs2_case(case: Case, directory: Path) -> dict[str, Path]:
    """Write the exposure and its references, REFPIX included, as the JWST data models do."""
    from stdatamodels.jwst import datamodels

    paths = write_case(case, directory)
    with datamodels.Level1bModel(paths["uncal"]) as uncal:
        uncal.meta.exposure.nrs_normal = irs2.SCIENCE_RUN
        uncal.meta.exposure.nrs_reference = irs2.REFERENCE_RUN
        uncal.save(paths["uncal"])
    model = irs2_model(case.references.irs2, case.exposure)
    paths["refpix"] = directory / f"{case.exposure.name}_refpix.fits"
    model.save(paths["refpix"])
    model.close()
    return paths


def ramp_model(case: Case) -> object:
    """Put the exposure into a ramp model, as after the superbias step."""
    from stdatamodels.jwst import datamodels

    scale = np.float32(case.exposure.frame_divisor / case.exposure.n_frames)
    data = case.raw.astype(np.float32) * scale
    if case.references.superbias is not None:
        data -= np.nan_to_num(case.references.superbias, nan=0.0)
    model = datamodels.RampModel(data=data)
    model.pixeldq = case.references.mask.copy()
    label(model, case.exposure)
    model.meta.exposure.nrs_normal = irs2.SCIENCE_RUN
    model.meta.exposure.nrs_reference = irs2.REFERENCE_RUN
    return model
