"""Reference-pixel correction from the reference samples alone (``refpix``).

The correction of a sample is a level, which depends on its amplifier and on the parity of its
detector column and so on its row y in the DMS frame, plus in full frame a side signal, which
depends on its detector row and so on its column x: a running median, or with ``refpix_algorithm:
sirs`` what `nrsdark_xr.calibration.sirs` makes of it for each amplifier. `find_reference_pixels`
says which samples these follow from, `measure` derives them for all groups, `apply` subtracts them
from any band of rows. Rules and rounding are those of ``jwst.refpix``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.parameters import RefpixParameters
from nrsdark_xr.calibration.refpix_statistics import clipped_mean, running_median
from nrsdark_xr.calibration.sirs import filter_side_pixels, make_kernels
from nrsdark_xr.detector import (
    AMPLIFIER_WIDTH,
    DETECTOR_SIZE,
    DQ,
    REFERENCE_BORDER,
    to_detector_frame,
)
from nrsdark_xr.errors import NrsdarkError

EDGELESS_SUBARRAYS = ("SUB512", "SUB512S", "SUB32")
"""Subarrays whose first and last four columns (x) stand in for reference pixels."""

_Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Section:
    """Reference samples that share a level with some rows.

    Attributes
    ----------
    edges : tuple of ndarray of int
        Indices into the samples, one array per detector edge; the level is the mean over edges of
        their clipped means. An edge without usable samples has an empty array.
    rows : ndarray of int
        Rows y of the exposure that take the level.
    """

    edges: tuple[_Indices, ...]
    rows: _Indices


@dataclass(frozen=True, slots=True)
class SidePixels:
    """Side reference pixels of a full frame.

    Attributes
    ----------
    samples : ndarray of int, shape (2, 2048, 4)
        Indices into the samples: left and right edge, detector row, detector column.
    rows : ndarray of int, shape (2, 1, 4)
        Rows y of the exposure in which they lie.
    usable : ndarray of bool, shape (2, 2048, 4)
        Without DO_NOT_USE.
    columns : ndarray of int, shape (2048,)
        Column x of the exposure of each detector row.
    kernels : ndarray of float, shape (2, part, tap), or None
        Kernels of the left and right edge for each part of the exposure (amplifiers in the order of
        rows y); None for the running median.
    """

    samples: _Indices
    rows: _Indices
    usable: NDArray[np.bool_]
    columns: _Indices
    kernels: NDArray[np.floating] | None


@dataclass(frozen=True, slots=True)
class ReferencePixels:
    """Which samples of an exposure the correction follows from.

    Attributes
    ----------
    shape : tuple of int
        (y, x) of the exposure.
    positions : ndarray of int, shape (sample,)
        Flat index of each sample in an array of `shape`.
    sections : tuple of tuple of Section
        Sections of each amplifier; where one of them has no usable sample, the amplifier is not
        corrected.
    side : SidePixels or None
        None if there is no side correction.
    """

    shape: tuple[int, int]
    positions: _Indices
    sections: tuple[tuple[Section, ...], ...]
    side: SidePixels | None


@dataclass(frozen=True, slots=True)
class ReferenceSignal:
    """What the reference-pixel correction subtracts.

    Attributes
    ----------
    levels : ndarray of float64, shape (group, y)
        DN.
    side : ndarray of float64, shape (group, part, x), or None
        DN, side gain applied. Rows y are divided evenly into parts: one for all, or one for each
        amplifier.
    single_precision : ndarray of bool, shape (group,)
        Groups whose level is subtracted in float32 before the side signal.
    """

    levels: NDArray[np.float64]
    side: NDArray[np.float64] | None
    single_precision: NDArray[np.bool_]

    def parts(self, rows: slice) -> NDArray[np.intp]:
        """Part of the side signal that each of some rows y takes."""
        n_parts = 1 if self.side is None else self.side.shape[1]
        return np.arange(rows.start, rows.stop) * n_parts // self.levels.shape[1]


def find_reference_pixels(
    pixeldq: NDArray[np.uint32],
    *,
    detector: str,
    subarray: str,
    ystart: int,
    parameters: RefpixParameters,
    sirskernel: NDArray[np.complexfloating] | None = None,
) -> ReferencePixels:
    """Choose the samples from which the correction follows.

    In full frame these are the detector's border by position. A subarray, which is read through one
    output, uses the pixels that its DQ calls REFERENCE_PIXEL, and its first and last four columns
    if it is one of `EDGELESS_SUBARRAYS`. Pixels with DO_NOT_USE are left out.

    Parameters
    ----------
    pixeldq : ndarray of uint32, shape (y, x)
        After the superbias step.
    detector : str
        "NRS1" or "NRS2".
    subarray : str
        SUBARRAY keyword.
    ystart : int
        1-based detector pixel of the first row (SUBSTRT2).
    parameters : RefpixParameters
    sirskernel : ndarray of complex, shape (side, amplifier, frequency), optional
        For ``refpix_algorithm: sirs`` in full frame.

    Returns
    -------
    ReferencePixels

    Raises
    ------
    NrsdarkError
        If SIRS is asked for without kernels, or with some that are too short.
    """
    if pixeldq.shape == (DETECTOR_SIZE, DETECTOR_SIZE):
        return _full_frame_pixels(pixeldq, detector, parameters, sirskernel)
    return _subarray_pixels(pixeldq, detector, subarray, ystart, parameters)


def measure(
    samples: NDArray[np.float32] | NDArray[np.float64],
    pixels: ReferencePixels,
    *,
    single_precision: Sequence[bool] | NDArray[np.bool_],
    parameters: RefpixParameters,
) -> ReferenceSignal:
    """Derive the signal to subtract from each group.

    Parameters
    ----------
    samples : ndarray of float, shape (group, sample)
        Bias-subtracted samples at ``pixels.positions``, DN.
    pixels : ReferencePixels
    single_precision : sequence of bool, length group
        Which groups to reckon in float32. In full frame jwst does so in the first group of an
        exposure only, for subarrays in all groups: see `single_precision_groups`.
    parameters : RefpixParameters

    Returns
    -------
    ReferenceSignal
    """
    single = np.asarray(single_precision, dtype=bool)
    levels, side = [], []
    for raw_values, in_single in zip(samples, single, strict=True):
        values = raw_values.astype(np.float32 if in_single else np.float64)
        levels.append(_levels(values, pixels, parameters))
        if pixels.side is not None:
            side.append(_side_signal(values, levels[-1], pixels.side, parameters))
    return ReferenceSignal(np.array(levels), np.array(side) if side else None, single)


def join_groups(signals: Sequence[ReferenceSignal]) -> ReferenceSignal:
    """Put the signals of successive groups of an integration together."""
    sides = [signal.side for signal in signals if signal.side is not None]
    return ReferenceSignal(
        np.concatenate([signal.levels for signal in signals]),
        np.concatenate(sides) if sides else None,
        np.concatenate([signal.single_precision for signal in signals]),
    )


def single_precision_groups(
    pixels: ReferencePixels, *, n_groups: int, first_integration: bool
) -> NDArray[np.bool_]:
    """Tell which groups jwst 3.0.0 reckons in float32.

    Its working array starts as float32 and becomes float64 with the first side correction.

    Parameters
    ----------
    pixels : ReferencePixels
    n_groups : int
    first_integration : bool
        Whether this is the first integration of the exposure.

    Returns
    -------
    ndarray of bool, shape (group,)
    """
    single = np.full(n_groups, pixels.side is None)
    single[0] |= first_integration
    return single


def apply(
    data: NDArray[np.float32], signal: ReferenceSignal, *, first_row: int = 0
) -> NDArray[np.float32]:
    """Subtract the reference signal from a band of rows.

    Parameters
    ----------
    data : ndarray of float32, shape (group, y, x)
        Bias-subtracted, DN.
    signal : ReferenceSignal
    first_row : int, optional
        Row of the exposure at which the band begins.

    Returns
    -------
    ndarray of float32, shape (group, y, x)
    """
    rows = slice(first_row, first_row + data.shape[1])
    parts = signal.parts(rows)
    corrected = np.empty(data.shape, dtype=np.float32)
    for group, plane in enumerate(data):  # float64 planes one at a time
        work = plane - signal.levels[group, rows, np.newaxis]
        if signal.side is not None:
            if signal.single_precision[group]:
                work = work.astype(np.float32)
            work = work - signal.side[group, parts]
        corrected[group] = work
    return corrected


def _full_frame_pixels(
    pixeldq: NDArray[np.uint32],
    detector: str,
    parameters: RefpixParameters,
    sirskernel: NDArray[np.complexfloating] | None,
) -> ReferencePixels:
    """Bottom, top, left and right border of the detector frame, in this order."""
    flat = np.arange(pixeldq.size, dtype=np.intp).reshape(pixeldq.shape)
    flat = to_detector_frame(flat, detector)
    first, last = slice(None, REFERENCE_BORDER), slice(-REFERENCE_BORDER, None)
    borders = (flat[first], flat[last], flat[:, first], flat[:, last])
    positions = np.concatenate([border.ravel() for border in borders])
    usable = (pixeldq.ravel()[positions] & np.uint32(DQ.DO_NOT_USE)) == 0
    offsets = np.cumsum([0, *(border.size for border in borders)])
    indices = [
        np.arange(offset, offset + border.size, dtype=np.intp).reshape(border.shape)
        for offset, border in zip(offsets, borders, strict=False)
    ]
    edges = indices[:2]
    row_of_column = flat[0] // DETECTOR_SIZE  # a detector column is a row y of the DMS frame
    parities = (
        (slice(0, None, 2), slice(1, None, 2)) if parameters.odd_even_columns else (slice(None),)
    )
    sections = []
    for start in range(0, DETECTOR_SIZE, AMPLIFIER_WIDTH):
        amplifier = slice(start, start + AMPLIFIER_WIDTH)
        sections.append(
            tuple(
                Section(
                    tuple(
                        picked[usable[picked]]
                        for picked in (edge[:, amplifier][:, parity].ravel() for edge in edges)
                    ),
                    row_of_column[amplifier][parity],
                )
                for parity in parities
            )
        )
    side = None
    if parameters.use_side_ref_pixels:
        side = SidePixels(
            samples=np.stack(indices[2:]),
            rows=np.stack([row_of_column[first], row_of_column[last]])[:, np.newaxis, :],
            usable=usable[np.stack(indices[2:])],
            columns=flat[:, 0] % DETECTOR_SIZE,
            kernels=_kernels(row_of_column, parameters, sirskernel),
        )
    return ReferencePixels((DETECTOR_SIZE, DETECTOR_SIZE), positions, tuple(sections), side)


def _kernels(
    row_of_column: _Indices,
    parameters: RefpixParameters,
    sirskernel: NDArray[np.complexfloating] | None,
) -> NDArray[np.floating] | None:
    """Kernels of the amplifiers in the order of rows y; None for the running median."""
    if parameters.refpix_algorithm == "median":
        return None
    if sirskernel is None:
        raise NrsdarkError(
            "`refpix_algorithm: sirs` needs a sirskernel among the references",
            remedy="give one, or take `median`",
        )
    by_amplifier = make_kernels(
        sirskernel, gaussmooth=parameters.gaussmooth, halfwidth=parameters.halfwidth
    )
    return by_amplifier[:, np.argsort(row_of_column[::AMPLIFIER_WIDTH])]


def _subarray_pixels(
    pixeldq: NDArray[np.uint32],
    detector: str,
    subarray: str,
    ystart: int,
    parameters: RefpixParameters,
) -> ReferencePixels:
    """All usable reference pixels, in the order of the detector frame, as jwst sums them."""
    n_rows, n_columns = pixeldq.shape
    reference = (pixeldq & np.uint32(DQ.REFERENCE_PIXEL)) != 0
    if subarray in EDGELESS_SUBARRAYS:
        reference[:, :REFERENCE_BORDER] = True
        reference[:, -REFERENCE_BORDER:] = True
    usable = reference & ((pixeldq & np.uint32(DQ.DO_NOT_USE)) == 0)
    flat = np.arange(pixeldq.size, dtype=np.intp).reshape(pixeldq.shape)
    positions = to_detector_frame(flat, detector)[to_detector_frame(usable, detector)]
    detector_columns = np.arange(ystart - 1, ystart - 1 + n_rows)
    if detector == "NRS2":
        detector_columns = DETECTOR_SIZE - 1 - detector_columns
    parity = detector_columns % 2 if parameters.odd_even_columns else np.zeros(n_rows, dtype=int)
    sections = tuple(
        Section(
            (np.flatnonzero(parity[positions // n_columns] == value),),
            np.flatnonzero(parity == value),
        )
        for value in np.unique(parity)
    )
    return ReferencePixels((n_rows, n_columns), positions, (sections,), None)


def _levels(
    values: NDArray[np.floating], pixels: ReferencePixels, parameters: RefpixParameters
) -> NDArray[np.float64]:
    """Level of each row y of the exposure."""
    levels = np.zeros(pixels.shape[0])
    for amplifier in pixels.sections:
        found = [_section_level(values, section, parameters.siglimit) for section in amplifier]
        if any(level is None for level in found):
            continue
        for section, level in zip(amplifier, found, strict=True):
            levels[section.rows] = level
    return levels


def _section_level(
    values: NDArray[np.floating], section: Section, siglimit: float
) -> np.floating | None:
    """Mean over edges of their clipped means; None without any usable sample."""
    means = [clipped_mean(values[edge], siglimit) for edge in section.edges if edge.size]
    if len(means) < 2:
        return means[0] if means else None
    return 0.5 * (means[0] + means[1])


def _side_signal(
    values: NDArray[np.floating],
    levels: NDArray[np.float64],
    side: SidePixels,
    parameters: RefpixParameters,
) -> NDArray[np.float64]:
    """Side signal (part, x) of a full frame."""
    corrected = (values[side.samples] - levels[side.rows]).astype(values.dtype)
    if side.kernels is None:
        found = _median_signal(corrected, side.usable, parameters)[np.newaxis]
    else:
        found = filter_side_pixels(corrected, side.kernels, sigreject=parameters.sigreject)
    signal = np.empty_like(found)
    signal[:, side.columns] = found
    return signal


def _median_signal(
    values: NDArray[np.floating], usable: NDArray[np.bool_], parameters: RefpixParameters
) -> NDArray[np.float64]:
    """Mean of both sides' running medians in each detector row, 0 where there is none."""
    left, right = running_median(values, usable, parameters.side_smoothing_length)
    one = np.where(np.isnan(left), right, left)
    other = np.where(np.isnan(right), left, right)
    return parameters.side_gain * np.nan_to_num(0.5 * (one + other), nan=0.0)
