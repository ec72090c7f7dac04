"""Calibrate an exposure band by band: raw samples to ramps, flags and rates in bounded memory.

Steps in the order of ``calwebb_detector1``: group_scale, dq_init, saturation, superbias, refpix,
linearity, jump with snowballs, ramp_fit. A first look at every group gives the reference-pixel
signal; then each band of rows, cut with as many more as its flags depend on, goes from raw samples
to a ramp that is fitted and written, in memory that the next band uses again. Snowballs are found
on whole frames, hence last; pixels whose flags they change are fitted again, from the ramps that
were written.

Bands are independent of each other: each is worked on by one thread, several at a time, and no
value depends on how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration._regions import load_measures
from nrsdark_xr.calibration._threads import starting
from nrsdark_xr.calibration.bands import (
    MIN_GROUPS_FOR_JUMPS,
    BandCalibration,
)
from nrsdark_xr.calibration.irs2_samples import Irs2Samples
from nrsdark_xr.calibration.jump import good_groups
from nrsdark_xr.calibration.parameters import CalibrationParameters, SnowballParameters
from nrsdark_xr.calibration.protocols import (
    JUMP_HALO,
    LinearizedSamples,
    RampBuffer,
    RawSamples,
)
from nrsdark_xr.calibration.rows import cut
from nrsdark_xr.calibration.saturation import usable_thresholds
from nrsdark_xr.calibration.snowballs import flag_snowballs
from nrsdark_xr.calibration.traditional import TraditionalSamples
from nrsdark_xr.calibration.workspace import Pool
from nrsdark_xr.detector import DETECTOR_SIZE, is_irs2
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References

BAND_ROWS = 128
"""Rows calibrated at a time: whole chunks of the ramp store."""


@dataclass(frozen=True, slots=True)
class CalibratedMaps:
    """What calibration gives for one integration, besides the ramp.

    Attributes
    ----------
    groupdq : ndarray of uint8, shape (group, y, x)
        As after the jump step.
    pixeldq : ndarray of uint32, shape (y, x)
        As after the jump step.
    rate, rate_err : ndarray of float32, shape (y, x)
        DN/s; NaN where the rate's own DQ has DO_NOT_USE.
    good_groups : ndarray of uint16, shape (y, x)
        Groups before the first one flagged JUMP_DET, SATURATED or DO_NOT_USE.
    negative_jumps : ndarray of uint16, shape (y, x)
        Groups in which the two-point test itself fired on a difference below the pixel's median.
    cds_noise : ndarray of float32, shape (y, x)
        Noise of the difference of two frames, in DN (`nrsdark_xr.calibration.cds_noise`); NaN where
        it cannot be told.
    """

    groupdq: NDArray[np.uint8]
    pixeldq: NDArray[np.uint32]
    rate: NDArray[np.float32]
    rate_err: NDArray[np.float32]
    good_groups: NDArray[np.uint16]
    negative_jumps: NDArray[np.uint16]
    cds_noise: NDArray[np.float32]


def calibrate_exposure(
    raw: RawSamples,
    exposure: Exposure,
    references: References,
    parameters: CalibrationParameters,
    ramps: Sequence[RampBuffer],
    *,
    quantum: float | None = None,
    band_rows: int = BAND_ROWS,
    threads: int = 1,
) -> list[CalibratedMaps]:
    """Calibrate all integrations of an exposure, as the stock pipeline does.

    The integrations of an exposure share the median difference of the jump test, and one masks the
    snowball cores of the next. Each is fitted by itself, as an exposure of its own.

    Parameters
    ----------
    raw : RawSamples
    exposure : Exposure
    references : References
        With the mask as it shall be used (`nrsdark_xr.references.clear_hot`). Without a superbias
        none is subtracted.
    parameters : CalibrationParameters
    ramps : sequence of RampBuffer
        Takes the linearized ramp of each integration by bands of rows, and gives back what of it
        is fitted again.
    quantum : float, optional
        Round ramps to whole multiples of this many DN, a power of two, as soon as they are
        linearized: jumps and rates are those of the ramps that are kept.
    band_rows : int, optional
        Rows calibrated at a time. Results do not depend on it.
    threads : int, optional
        Threads to use, and one more while snowballs are found. Results do not depend on it, memory
        does: the ramp, flags and raw samples of a band for each.

    Returns
    -------
    list of CalibratedMaps
        One for each integration.

    Raises
    ------
    NrsdarkError
        If the exposure was read in a way that is not calibrated here.

    Notes
    -----
    Equal to jwst 3.0.0 bit for bit: ramps, DQ, and rates and their errors as in the ``rate``
    product of an exposure of one integration. Of several integrations, ``rateints`` has the same
    rates and DQ; its errors differ, since jwst takes the Poisson variance from the median rate of
    all integrations together. IRS2 ramps agree to float32 rounding, so that jumps right at their
    threshold may differ, and rates with them; all other flags are equal.
    """
    check_supported(exposure)
    threshold, saturation_dq = usable_thresholds(references.saturation, references.saturation_dq)
    references = references.replace(saturation=threshold, saturation_dq=saturation_dq)
    rows_at_once = min(band_rows + 2 * JUMP_HALO, exposure.ysize)
    samples: LinearizedSamples
    if is_irs2(exposure.readpatt):
        samples, pixeldq = Irs2Samples.look(raw, exposure, references, parameters, threads=threads)
    else:
        pixeldq = _pixeldq_before_refpix(references)
        samples = TraditionalSamples.look(
            raw,
            exposure,
            references,
            pixeldq,
            parameters,
            rows_at_once=rows_at_once,
            threads=threads,
        )
    cube = (exposure.n_integrations, exposure.n_groups, exposure.ysize, exposure.xsize)
    image = (cube[0], *cube[2:])
    largest_band = prod(cube[:2]) * rows_at_once * cube[3]
    calibration = BandCalibration(
        samples=samples,
        exposure=exposure,
        references=references,
        parameters=parameters,
        ramps=ramps,
        quantum=quantum,
        memory=Pool(lambda: (np.empty(largest_band, np.float32), np.empty(largest_band, np.uint8))),
        groupdq=np.empty(cube, np.uint8),
        pixeldq=pixeldq,
        rate=np.empty(image, np.float32),
        rate_err=np.empty(image, np.float32),
        negative_jumps=np.zeros(image, np.uint16),
        cds_noise=np.empty(image, np.float32),
    )
    bands = list(cut(slice(0, exposure.ysize), band_rows))
    with starting(threads) as start:
        # Snowballs need the flags of all bands, and one thread only: what is fitted and written
        # meanwhile are the last bands, as many as there is memory for.
        calibrated = [start(calibration.calibrate, rows) for rows in bands[:-threads]]
        flagged = [start(calibration.flag, rows) for rows in bands[-threads:]]
        load_measures()
        for done in calibrated:
            done.result()
        for band in flagged:
            start(calibration.keep, band.result())
        changed = _flag_snowballs(calibration.groupdq, exposure, parameters.snowballs)
    with starting(threads) as start:
        for integration, rows in product(range(cube[0]), bands):
            start(calibration.fit_again, integration, rows, changed[integration])
    return [
        CalibratedMaps(
            groupdq=flags,
            pixeldq=pixeldq,
            rate=calibration.rate[integration],
            rate_err=calibration.rate_err[integration],
            good_groups=good_groups(flags),
            negative_jumps=calibration.negative_jumps[integration],
            cds_noise=calibration.cds_noise[integration],
        )
        for integration, flags in enumerate(calibration.groupdq)
    ]


def check_supported(exposure: Exposure) -> None:
    """Refuse what is not calibrated here.

    Raises
    ------
    NrsdarkError
        For a subarray in IRS2 or read through four outputs, which NIRSpec does not have.
    """
    full_frame = (exposure.ysize, exposure.xsize) == (DETECTOR_SIZE, DETECTOR_SIZE)
    if is_irs2(exposure.readpatt) and not full_frame:
        raise NrsdarkError(
            f"a subarray read out as {exposure.readpatt}",
            file=exposure.url,
            remedy="check READPATT, SUBSIZE1 and SUBSIZE2 in its header",
        )
    if exposure.n_outputs != 1 and not full_frame:
        raise NrsdarkError(
            f"a subarray read through {exposure.n_outputs} outputs",
            file=exposure.url,
            remedy="check NOUTPUTS, SUBSIZE1 and SUBSIZE2 in its header",
        )


def _pixeldq_before_refpix(references: References) -> NDArray[np.uint32]:
    """PIXELDQ after dq_init, saturation and superbias."""
    pixeldq = references.mask | references.saturation_dq
    if references.superbias_dq is not None:
        pixeldq |= references.superbias_dq
    return pixeldq


def _flag_snowballs(
    groupdq: NDArray[np.uint8], exposure: Exposure, parameters: SnowballParameters
) -> list[NDArray[np.bool_]]:
    """Flag the snowballs of each integration in `groupdq` itself, to save a copy of it.

    Returns
    -------
    list of ndarray of bool, shape (y, x)
        Pixels of each integration whose flags have changed.
    """
    if exposure.n_groups < MIN_GROUPS_FOR_JUMPS:
        return [np.zeros(flags.shape[1:], np.bool_) for flags in groupdq]
    cores = None
    changed = []
    for flags in groupdq:
        found = flag_snowballs(
            flags,
            parameters=parameters,
            group_time=exposure.group_time,
            previous_cores=cores,
            overwrite=True,
        )
        cores = found.cores
        changed.append(found.changed)
    return changed
