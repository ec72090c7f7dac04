"""Groups 1 and 2 as the superbias is made of them (JWST-STScI-009226 §4.1.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import refpix
from nrsdark_xr.calibration.exposure import check_supported
from nrsdark_xr.calibration.group_scale import scale_groups
from nrsdark_xr.calibration.irs2_bias import irs2_bias_groups
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.calibration.protocols import RawSamples
from nrsdark_xr.detector import is_irs2
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References

BIAS_GROUPS = 2


def bias_groups(
    raw: RawSamples,
    exposure: Exposure,
    integration: int,
    references: References,
    parameters: CalibrationParameters,
    *,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Correct raw groups 1 and 2 by the reference pixels, and keep the level of group 1.

    No superbias is subtracted. The level that the correction takes from group 1, per amplifier and
    parity of the detector column, is added back to both groups, so that bias = 2 G1 - G2 keeps it.
    IRS2 groups keep their reference samples (`nrsdark_xr.calibration.irs2_bias`).

    Parameters
    ----------
    raw : RawSamples
        Raw samples.
    exposure : Exposure
    integration : int
        From 0.
    references : References
        The mask alone is used: which reference pixels are good; for IRS2 the weights as well.
    parameters : CalibrationParameters
    threads : int, optional
        Threads to use; only IRS2 exposures are looked at as a whole.

    Returns
    -------
    ndarray of float32, shape (2, y_raw, x)
        DN.

    Raises
    ------
    NrsdarkError
        If there are fewer than two groups, the exposure was read in a way that is not calibrated
        here, or it is IRS2 and there are no weights.
    """
    check_supported(exposure)
    if exposure.n_groups < BIAS_GROUPS:
        raise NrsdarkError(
            "has one group; a superbias needs two",
            file=exposure.url,
            remedy="leave it out of the inputs",
        )
    if is_irs2(exposure.readpatt):
        return irs2_bias_groups(
            raw, exposure, integration, references, parameters,
            n_groups=BIAS_GROUPS, threads=threads,
        )  # fmt: skip
    pixels = refpix.find_reference_pixels(
        references.mask,
        detector=exposure.detector,
        subarray=exposure.subarray,
        ystart=exposure.ystart,
        parameters=parameters.refpix,
        sirskernel=references.sirskernel,
    )
    data = scale_groups(
        raw.read(integration, slice(0, BIAS_GROUPS), slice(0, exposure.ysize)),
        n_frames=exposure.n_frames,
        frame_divisor=exposure.frame_divisor,
    )
    # Float64 throughout: the levels are those of the bias, a thousand times the signal to keep.
    signal = refpix.measure(
        data.reshape(BIAS_GROUPS, -1)[:, pixels.positions],
        pixels,
        single_precision=[False] * BIAS_GROUPS,
        parameters=parameters.refpix,
    )
    relative = refpix.ReferenceSignal(
        signal.levels - signal.levels[0], signal.side, signal.single_precision
    )
    return refpix.apply(data, relative)
