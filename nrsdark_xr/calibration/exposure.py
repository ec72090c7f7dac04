"""Calibrate an exposure band by band: raw samples to ramps, flags and rates in bounded memory.

Steps in the order of ``calwebb_detector1``: group_scale, dq_init, saturation, superbias, refpix,
linearity, jump with snowballs, ramp_fit. A first look at every group gives the reference-pixel
signal; then each band of rows goes from raw to linearized ramp with its jumps, cut with as many
more rows as its flags depend on; then, snowballs found on whole frames, the ramps are read back and
fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import refpix
from nrsdark_xr.calibration.dq_init import init_dq
from nrsdark_xr.calibration.group_scale import scale_groups
from nrsdark_xr.calibration.jump import find_jumps, flag_bad_gain, good_groups
from nrsdark_xr.calibration.linearity import (
    correct_averaged_linearity,
    correct_linearity,
    usable_coefficients,
)
from nrsdark_xr.calibration.parameters import (
    CalibrationParameters,
    RefpixParameters,
    SnowballParameters,
)
from nrsdark_xr.calibration.ramp_fit import fit_ramps
from nrsdark_xr.calibration.saturation import flag_saturation, halo_rows, usable_thresholds
from nrsdark_xr.calibration.snowballs import flag_snowballs
from nrsdark_xr.calibration.superbias import subtract_bias
from nrsdark_xr.detector import DETECTOR_SIZE, DQ, is_irs2
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References

BAND_ROWS = 128
"""Rows calibrated at a time: whole chunks of the ramp store."""
JUMP_HALO = 1
"""Rows on each side of a band whose jumps flag its pixels."""
MIN_GROUPS_FOR_JUMPS = 3
"""``JumpStep`` leaves shorter ramps alone."""


Linearize = Callable[[NDArray[np.float32], NDArray[np.uint8]], NDArray[np.float32]]
"""Data and group DQ of a band to its linearized data."""


class RawSamples(Protocol):
    """Where raw samples come from."""

    def read(self, integration: int, groups: slice, rows: slice) -> NDArray[np.uint16]:
        """Return samples of shape (group, row, x)."""


class RampBuffer(Protocol):
    """Where the ramp of one integration is kept."""

    def write(self, rows: slice, ramp: NDArray[np.float32]) -> None:
        """Keep rows of a ramp, shape (group, row, x)."""

    def read(self, rows: slice) -> NDArray[np.float32]:
        """Return rows written before."""


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
    """

    groupdq: NDArray[np.uint8]
    pixeldq: NDArray[np.uint32]
    rate: NDArray[np.float32]
    rate_err: NDArray[np.float32]
    good_groups: NDArray[np.uint16]
    negative_jumps: NDArray[np.uint16]


def calibrate_exposure(
    raw: RawSamples,
    exposure: Exposure,
    references: References,
    parameters: CalibrationParameters,
    ramps: Sequence[RampBuffer],
    *,
    band_rows: int = BAND_ROWS,
) -> list[CalibratedMaps]:
    """Calibrate all integrations of an exposure, as the stock pipeline does.

    The integrations of an exposure share the median difference of the jump test, and one masks the
    snowball cores of the next. Each is fitted by itself, as an exposure of its own.

    Parameters
    ----------
    raw : object with ``read(integration, groups, rows)``
        Raw samples.
    exposure : Exposure
    references : References
        With the mask as it shall be used (`nrsdark_xr.references.clear_hot`). Without a superbias
        none is subtracted.
    parameters : CalibrationParameters
    ramps : sequence of object with ``write(rows, ramp)`` and ``read(rows)``
        Takes the linearized ramp of each integration by bands of rows, and gives them back.
    band_rows : int, optional
        Rows calibrated at a time. Results do not depend on it.

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
    all integrations together.
    """
    check_supported(exposure)
    threshold, saturation_dq = usable_thresholds(references.saturation, references.saturation_dq)
    references = references.replace(saturation=threshold, saturation_dq=saturation_dq)
    groupdq, pixeldq, negative_jumps = _calibrate_ramps(
        raw, exposure, references, parameters, ramps, band_rows
    )
    if exposure.n_groups >= MIN_GROUPS_FOR_JUMPS:
        pixeldq = flag_bad_gain(pixeldq, references.gain)
        _flag_snowballs(groupdq, exposure, parameters.snowballs)
    rate, rate_err = _fit(ramps, exposure, references, groupdq, pixeldq, parameters, band_rows)
    return [
        CalibratedMaps(
            groupdq=flags,
            pixeldq=pixeldq,
            rate=rate[integration],
            rate_err=rate_err[integration],
            good_groups=good_groups(flags),
            negative_jumps=negative_jumps[integration],
        )
        for integration, flags in enumerate(groupdq)
    ]


def check_supported(exposure: Exposure) -> None:
    """Refuse what is not calibrated here.

    Raises
    ------
    NrsdarkError
        For IRS2 readout, and for a subarray read through four outputs, which NIRSpec does not have.
    """
    full_frame = (exposure.ysize, exposure.xsize) == (DETECTOR_SIZE, DETECTOR_SIZE)
    if is_irs2(exposure.readpatt):
        raise NrsdarkError(
            f"read out as {exposure.readpatt}, which is not calibrated yet",
            file=exposure.url,
            remedy="leave it out of the inputs",
        )
    if exposure.n_outputs != 1 and not full_frame:
        raise NrsdarkError(
            f"a subarray read through {exposure.n_outputs} outputs",
            file=exposure.url,
            remedy="check NOUTPUTS, SUBSIZE1 and SUBSIZE2 in its header",
        )


def _calibrate_ramps(
    raw: RawSamples,
    exposure: Exposure,
    references: References,
    parameters: CalibrationParameters,
    ramps: Sequence[RampBuffer],
    band_rows: int,
) -> tuple[NDArray[np.uint8], NDArray[np.uint32], NDArray[np.uint16]]:
    """Write the ramps; give group DQ with two-point jumps, pixel DQ and negative jumps."""
    pixeldq = _pixeldq_before_refpix(references)
    signals, usable_groups = _look_at_groups(raw, exposure, references, pixeldq, parameters.refpix)
    shape = (exposure.n_integrations, exposure.n_groups, exposure.ysize, exposure.xsize)
    groupdq = np.empty(shape, dtype=np.uint8)
    negative_jumps = np.zeros((shape[0], *shape[2:]), dtype=np.uint16)
    for rows in _bands(exposure.ysize, band_rows):
        around = _widen(rows, JUMP_HALO, exposure.ysize)
        inner = _within(rows, around)
        ramp, flags, linearity_dq = _linearize_band(
            raw, exposure, around, references, signals, parameters
        )
        pixeldq[rows] |= linearity_dq[inner]
        for integration, buffer in enumerate(ramps):
            buffer.write(rows, ramp[integration, :, inner])
        if exposure.n_groups >= MIN_GROUPS_FOR_JUMPS:
            flags, negative = find_jumps(
                ramp,
                flags,
                gain=references.gain[around],
                readnoise=references.readnoise[around],
                n_frames=exposure.n_frames,
                parameters=parameters.jump,
                usable_groups=usable_groups,
            )
            negative_jumps[:, rows] = negative[:, inner]
        groupdq[:, :, rows] = flags[:, :, inner]
        del ramp, flags  # before the next band takes as much
    return groupdq, pixeldq, negative_jumps


def _pixeldq_before_refpix(references: References) -> NDArray[np.uint32]:
    """PIXELDQ after dq_init, saturation and superbias."""
    pixeldq = references.mask | references.saturation_dq
    if references.superbias_dq is not None:
        pixeldq |= references.superbias_dq
    return pixeldq


def _look_at_groups(
    raw: RawSamples,
    exposure: Exposure,
    references: References,
    pixeldq: NDArray[np.uint32],
    parameters: RefpixParameters,
) -> tuple[list[refpix.ReferenceSignal], int]:
    """Measure the reference signal of each integration, and count its usable groups.

    The jump test asks in how many groups any sample is usable, that is forbidden neither by the
    mask nor by the A/D floor; the number is that of the worst integration.
    """
    pixels = refpix.find_reference_pixels(
        pixeldq,
        detector=exposure.detector,
        subarray=exposure.subarray,
        ystart=exposure.ystart,
        parameters=parameters,
    )
    allowed = (references.mask & np.uint32(DQ.DO_NOT_USE)) == 0
    signals, usable_groups = [], []
    for integration in range(exposure.n_integrations):
        samples = np.empty((exposure.n_groups, len(pixels.positions)), dtype=np.float32)
        usable = 0
        for group in range(exposure.n_groups):
            plane = raw.read(integration, slice(group, group + 1), slice(0, exposure.ysize))[0]
            usable += bool(plane[allowed].any())
            samples[group] = scale_groups(
                plane.ravel()[pixels.positions],
                n_frames=exposure.n_frames,
                frame_divisor=exposure.frame_divisor,
            )
        if references.superbias is not None:
            samples = subtract_bias(samples, references.superbias.ravel()[pixels.positions])
        single = refpix.single_precision_groups(
            pixels, n_groups=exposure.n_groups, first_integration=integration == 0
        )
        signals.append(
            refpix.measure(samples, pixels, single_precision=single, parameters=parameters)
        )
        usable_groups.append(usable)
    return signals, min(usable_groups)


def _linearize_band(
    raw: RawSamples,
    exposure: Exposure,
    rows: slice,
    references: References,
    signals: Sequence[refpix.ReferenceSignal],
    parameters: CalibrationParameters,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint32]]:
    """Ramps and group DQ (integration, group, y, x) after linearity, and its pixel DQ (y, x)."""
    halo = halo_rows(n_frames=exposure.n_frames, parameters=parameters.saturation)
    around = _widen(rows, halo, exposure.ysize)
    inner = _within(rows, around)
    linearize, linearity_dq = _choose_linearity(exposure, references, rows)
    shape = (len(signals), exposure.n_groups, rows.stop - rows.start, exposure.xsize)
    ramp = np.empty(shape, dtype=np.float32)
    groupdq = np.empty(shape, dtype=np.uint8)
    for integration, signal in enumerate(signals):
        data = scale_groups(
            raw.read(integration, slice(0, exposure.n_groups), around),
            n_frames=exposure.n_frames,
            frame_divisor=exposure.frame_divisor,
        )
        _, flags = init_dq(references.mask[around], exposure.n_groups)
        flags = flag_saturation(
            data,
            flags,
            threshold=references.saturation[around],
            dq=references.saturation_dq[around],
            n_frames=exposure.n_frames,
            bias=None if references.superbias is None else references.superbias[around],
            parameters=parameters.saturation,
        )[:, inner]
        data = data[:, inner]
        if references.superbias is not None:
            data = subtract_bias(data, references.superbias[rows])
        data = refpix.apply(data, signal, first_row=rows.start)
        ramp[integration] = linearize(data, flags)
        groupdq[integration] = flags
    return ramp, groupdq, linearity_dq


def _choose_linearity(
    exposure: Exposure, references: References, rows: slice
) -> tuple[Linearize, NDArray[np.uint32]]:
    """Correction of a band, and the pixel DQ that comes with it."""
    coefficients, dq = usable_coefficients(
        references.linearity[:, rows], references.linearity_dq[rows]
    )
    if references.inverse_linearity is None or exposure.n_frames == 1:
        return partial(correct_linearity, coefficients=coefficients), dq
    inverse, inverse_dq = usable_coefficients(
        references.inverse_linearity[:, rows], references.linearity_dq[rows]
    )
    averaged = partial(
        correct_averaged_linearity,
        coefficients=coefficients,
        inverse_coefficients=inverse,
        n_frames=exposure.n_frames,
    )
    return averaged, dq | inverse_dq


def _flag_snowballs(
    groupdq: NDArray[np.uint8], exposure: Exposure, parameters: SnowballParameters
) -> None:
    """Flag the snowballs of each integration in `groupdq` itself, the largest array here."""
    cores = None
    for flags in groupdq:
        cores = flag_snowballs(
            flags,
            parameters=parameters,
            group_time=exposure.group_time,
            previous_cores=cores,
            overwrite=True,
        ).cores


def _fit(
    ramps: Sequence[RampBuffer],
    exposure: Exposure,
    references: References,
    groupdq: NDArray[np.uint8],
    pixeldq: NDArray[np.uint32],
    parameters: CalibrationParameters,
    band_rows: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rate and its error (integration, y, x), NaN where DO_NOT_USE."""
    shape = (exposure.n_integrations, *pixeldq.shape)
    rate, rate_err = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    for integration, buffer in enumerate(ramps):
        for rows in _bands(exposure.ysize, band_rows):
            fit = fit_ramps(
                buffer.read(rows),
                groupdq[integration, :, rows],
                pixeldq[rows],
                gain=references.gain[rows],
                readnoise=references.readnoise[rows],
                frame_time=exposure.frame_time,
                group_time=exposure.group_time,
                group_gap=exposure.group_gap,
                n_frames=exposure.n_frames,
                parameters=parameters.ramp_fit,
            )
            unusable = (fit.dq & np.uint32(DQ.DO_NOT_USE)) != 0
            rate[integration, rows] = np.where(unusable, np.nan, fit.rate)
            rate_err[integration, rows] = np.where(unusable, np.nan, fit.rate_err)
    return rate, rate_err


def _bands(n_rows: int, band_rows: int) -> Iterator[slice]:
    """Cut `n_rows` into bands."""
    for start in range(0, n_rows, band_rows):
        yield slice(start, min(start + band_rows, n_rows))


def _widen(rows: slice, halo: int, n_rows: int) -> slice:
    """`rows` and up to `halo` more on each side."""
    return slice(max(0, rows.start - halo), min(n_rows, rows.stop + halo))


def _within(rows: slice, around: slice) -> slice:
    """`rows` counted from the start of `around`."""
    return slice(rows.start - around.start, rows.stop - around.start)
