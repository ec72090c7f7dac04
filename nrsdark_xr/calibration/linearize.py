"""From raw samples to linearized ramps: the steps from group_scale to linearity on one band."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import _linearize_kernels, refpix
from nrsdark_xr.calibration.dq_init import init_dq
from nrsdark_xr.calibration.group_scale import group_scale, scale_groups
from nrsdark_xr.calibration.linearity import (
    correct_averaged_linearity,
    correct_linearity,
    usable_coefficients,
)
from nrsdark_xr.calibration.parameters import SaturationParameters
from nrsdark_xr.calibration.rows import cut, widen, within
from nrsdark_xr.calibration.saturation import flag_saturation, halo_rows
from nrsdark_xr.calibration.superbias import subtract_bias
from nrsdark_xr.detector import DQ
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References

Linearize = Callable[[NDArray[np.float32], NDArray[np.uint8]], NDArray[np.float32]]
"""Data and group DQ of a band to its linearized data."""
ROWS_AT_ONCE = 8
"""Rows of averaged frames that are worked on together: each step makes arrays of its own."""


def rows_around(
    rows: slice, exposure: Exposure, parameters: SaturationParameters
) -> tuple[slice, slice]:
    """Tell which raw rows `linearize_band` needs.

    Parameters
    ----------
    rows : slice
        The band.
    exposure : Exposure
    parameters : SaturationParameters

    Returns
    -------
    around : slice
        Rows to read.
    inner : slice
        The band, counted from the first of them.
    """
    halo = halo_rows(n_frames=exposure.n_frames, parameters=parameters)
    around = widen(rows, halo, exposure.ysize)
    return around, within(rows, around)


def linearize_band(
    raw: NDArray[np.uint16],
    rows: slice,
    exposure: Exposure,
    references: References,
    signal: refpix.ReferenceSignal,
    parameters: SaturationParameters,
    *,
    ramp: NDArray[np.float32],
    groupdq: NDArray[np.uint8],
) -> NDArray[np.uint32]:
    """Calibrate a band of one integration up to linearity, in one pass over its samples.

    Groups that are averages of frames go by `linearize_by_steps`.

    Parameters
    ----------
    raw : ndarray of uint16, shape (group, row, x)
        Samples of the band and the rows around it that `rows_around` tells.
    rows : slice
        The band.
    exposure : Exposure
    references : References
        With thresholds from `nrsdark_xr.calibration.saturation.usable_thresholds`.
    signal : ReferenceSignal
    parameters : SaturationParameters
    ramp : ndarray of float32, shape (group, y, x)
        Filled with the ramp [DN].
    groupdq : ndarray of uint8, shape (group, y, x)
        Filled with its flags.

    Returns
    -------
    ndarray of uint32, shape (y, x)
        Pixel DQ of the linearity step.

    Notes
    -----
    Equal to `linearize_by_steps` bit for bit.
    """
    around, inner = rows_around(rows, exposure, parameters)
    if exposure.n_frames > 1:
        found = []
        for part in cut(rows, ROWS_AT_ONCE):
            inside, needed = within(part, rows), rows_around(part, exposure, parameters)[0]
            ramp[:, inside], groupdq[:, inside], linearity_dq = linearize_by_steps(
                raw[:, within(needed, around)], part, exposure, references, signal, parameters
            )
            found.append(linearity_dq)
        return np.concatenate(found)
    coefficients, linearity_dq = usable_coefficients(
        references.linearity[:, rows], references.linearity_dq[rows]
    )
    bias = references.superbias
    _linearize_kernels.linearize(
        raw,
        inner.start,
        group_scale(n_frames=exposure.n_frames, frame_divisor=exposure.frame_divisor),
        parameters.n_pix_grow_sat,
        _linearize_kernels.Pixels(
            (references.mask[around] & np.uint32(DQ.DO_NOT_USE)) != 0,
            np.ascontiguousarray(references.saturation[around]),
            np.zeros(raw.shape[1:], np.float32) if bias is None else bias[around].copy(),
        ),
        _linearize_kernels.Signal(
            signal.levels[:, around].copy(),
            np.empty((len(raw), 1, 0)) if signal.side is None else signal.side,
            signal.parts(around),
            signal.single_precision,
        ),
        coefficients,
        ramp,
        groupdq,
    )
    return linearity_dq


def linearize_by_steps(
    raw: NDArray[np.uint16],
    rows: slice,
    exposure: Exposure,
    references: References,
    signal: refpix.ReferenceSignal,
    parameters: SaturationParameters,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint32]]:
    """Calibrate a band of one integration up to linearity, step by step.

    Parameters
    ----------
    raw, rows, exposure, references, signal, parameters
        As `linearize_band` takes them.

    Returns
    -------
    ramp : ndarray of float32, shape (group, y, x)
    groupdq : ndarray of uint8, shape (group, y, x)
    linearity_dq : ndarray of uint32, shape (y, x)
    """
    around, inner = rows_around(rows, exposure, parameters)
    data = scale_groups(raw, n_frames=exposure.n_frames, frame_divisor=exposure.frame_divisor)
    _, flags = init_dq(references.mask[around], exposure.n_groups)
    flags = flag_saturation(
        data,
        flags,
        threshold=references.saturation[around],
        dq=references.saturation_dq[around],
        n_frames=exposure.n_frames,
        bias=None if references.superbias is None else references.superbias[around],
        parameters=parameters,
    )[:, inner]
    data = data[:, inner]
    if references.superbias is not None:
        data = subtract_bias(data, references.superbias[rows])
    data = refpix.apply(data, signal, first_row=rows.start)
    linearize, linearity_dq = choose_linearity(exposure, references, rows)
    return linearize(data, flags), flags, linearity_dq


def choose_linearity(
    exposure: Exposure, references: References, rows: slice
) -> tuple[Linearize, NDArray[np.uint32]]:
    """Choose the correction of a band.

    Parameters
    ----------
    exposure : Exposure
    references : References
    rows : slice
        The band.

    Returns
    -------
    linearize : callable
        Turns data and group DQ of the band into linearized data.
    dq : ndarray of uint32, shape (y, x)
        Pixel DQ that comes with it.
    """
    coefficients, dq = usable_coefficients(
        references.linearity[:, rows], references.linearity_dq[rows]
    )
    if references.inverse_linearity is None or exposure.n_frames == 1 or exposure.n_groups == 1:
        # No line goes through a single group; stcal fails there.
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
