"""What the reference samples and the reference output of IRS2 are like, in the detector frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DETECTOR_SIZE, DETECTORS
from nrsdark_xr.detector.irs2 import (
    IRS2_RAW_ROWS,
    OUTPUT_ROWS,
    OUTPUTS,
    REFERENCE_RUN,
    SCIENCE_RUN,
    VISITS,
    is_reference_sample,
    science_rows,
)
from nrsdark_xr.simulate.parameters import SimulationParameters
from nrsdark_xr.simulate.pixels import BoolImage, FloatImage, Index, Telegraph

_SAMPLES = 3
"""First word of the spawn keys of everything about reference samples."""
_READS = 2
"""Times that a reference pixel is read on a visit."""
PAIRS = VISITS * REFERENCE_RUN // _READS
"""Reference pixels of one line of an output."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceSamples:
    """Raw columns of the detector frame (raw rows of the DMS frame) that are no pixels.

    A bad one is bad in all lines.

    Attributes
    ----------
    column : ndarray of int, shape (1152,)
        Where they are among the 3200.
    bias : ndarray of float32, shape (2048, 1152)
        DN at reset.
    noise_factor : ndarray of float32, shape (3200,)
        White noise in terms of that of a normal pixel; 1 for pixels.
    intermittent : Telegraph
        Those with an offset that comes and goes; the index is that of the first read of a pair
        among the 3200.
    bad, known : ndarray of bool, shape (3200,)
        All bad ones, and those that the REFPIX file lists.
    coupling : ndarray, shape (5,)
        Share of the common 1/f noise that each output sees.
    """

    column: Index
    bias: FloatImage
    noise_factor: NDArray[np.float32]
    intermittent: Telegraph
    bad: BoolImage
    known: BoolImage
    coupling: NDArray[np.float64]


def pixel_columns() -> NDArray[np.intp]:
    """Raw column of each of the 2048 columns of pixels in the detector frame."""
    return science_rows("NRS1")  # whose raw rows are the columns of the detector frame


def pair_columns() -> NDArray[np.int64]:
    """Raw column of the first read of each reference pixel, shape (5, 64), and as they lie."""
    within = np.flatnonzero(is_reference_sample())[::_READS]
    return np.arange(OUTPUTS)[:, np.newaxis] * OUTPUT_ROWS + within


def draw_samples(parameters: SimulationParameters, detector: str) -> ReferenceSamples:
    """Draw the reference samples of a detector."""
    rng = _random(parameters.seed, detector)
    column = np.setdiff1d(np.arange(IRS2_RAW_ROWS), pixel_columns())
    irs2, common = parameters.irs2, parameters.reference_pixels
    coupling = 1 + irs2.coupling_scatter * rng.standard_normal(OUTPUTS)
    coupling[0] = 1.0

    pairs = pair_columns()
    number = round(irs2.bad_fraction * pairs.size)
    first = np.sort(rng.permutation(pairs.ravel())[:number])
    is_noisy = rng.permutation(number) % 2 == 0
    in_amplifiers = first >= OUTPUT_ROWS
    known = in_amplifiers & (rng.random(number) < irs2.known)
    noise_factor = np.ones(IRS2_RAW_ROWS, np.float32)
    noise_factor[column] = common.noise_ratio
    factor = rng.uniform(*common.bad_noise_factor, number) * common.noise_ratio
    offset = rng.uniform(*common.bad_offset, number) * rng.choice([-1, 1], number)
    shortest, longest = np.log(common.bad_dwell_time)
    dwell = np.exp(rng.uniform(shortest, longest, (2, number)))
    for read in range(_READS):
        noise_factor[first[is_noisy] + read] = factor[is_noisy]
    return ReferenceSamples(
        column=column,
        bias=_bias(rng, parameters, column),
        noise_factor=noise_factor,
        intermittent=Telegraph(first[~is_noisy], offset[~is_noisy], dwell[:, ~is_noisy]),
        bad=_both_reads(first),
        known=_both_reads(first[known]),
        coupling=coupling,
    )


def add_intermittent(noise: FloatImage, first: Index, levels: NDArray[np.float32]) -> None:
    """Add the present level of each intermittent reference pixel to both reads, in all lines.

    Parameters
    ----------
    noise : ndarray of float32, shape (2048, 3200)
        Changed in place.
    first : ndarray of int, shape (n,)
        Raw columns of the first reads.
    levels : ndarray of float32, shape (n,)
    """
    for read in range(_READS):
        noise[:, first + read] += levels


def interleave(pixels: NDArray, samples: NDArray | int, column: Index) -> NDArray:
    """Raw image in the detector frame, of those of the pixels and of the other samples.

    Parameters
    ----------
    pixels : ndarray, shape (2048, 2048)
    samples : ndarray, shape (2048, 1152) or (1152,), or int
    column : ndarray of int, shape (1152,)
        See `ReferenceSamples`.

    Returns
    -------
    ndarray, shape (2048, 3200)
    """
    raw = np.empty((DETECTOR_SIZE, IRS2_RAW_ROWS), pixels.dtype)
    raw[:, pixel_columns()] = pixels
    raw[:, column] = samples
    return raw


def known_bad_table(known: BoolImage) -> list[tuple[int, int, int]]:
    """Rows OUTPUT, ODD_EVEN, MASK of the DQ table of a REFPIX file.

    Parameters
    ----------
    known : ndarray of bool, shape (3200,)
        Bad reference samples, in pairs, by raw column of the detector frame.

    Returns
    -------
    list of tuple
        Eight rows: amplifiers 1 to 4, each with ODD_EVEN 1 and 2. Bit k of MASK stands for the
        k-th visit in increasing column, of whose two reference pixels ODD_EVEN names the first or
        second as they are read: even outputs are read backwards (``clobber_ref`` and
        ``decode_mask`` of `jwst.refpix.irs2_subtract_reference`).
    """
    rows = []
    for output in range(1, OUTPUTS):
        for odd_even in (1, 2):
            second = odd_even - 1 if output % 2 else 2 - odd_even
            bits = 0
            for visit in range(VISITS):
                start = output * OUTPUT_ROWS + SCIENCE_RUN // 2
                place = start + visit * (SCIENCE_RUN + REFERENCE_RUN) + _READS * second
                bits |= int(known[place]) << visit
            rows.append((output, odd_even, bits))
    return rows


def _both_reads(first: Index) -> BoolImage:
    marked = np.zeros(IRS2_RAW_ROWS, np.bool_)
    for read in range(_READS):
        marked[first + read] = True
    return marked


def _bias(rng: np.random.Generator, parameters: SimulationParameters, column: Index) -> FloatImage:
    """Level of each reference pixel, the same in both reads, and of the reference output."""
    p = parameters.bias
    raw = np.empty((DETECTOR_SIZE, IRS2_RAW_ROWS), np.float32)
    levels = p.full_frame_level + p.amplifier_offset * rng.standard_normal(OUTPUTS)
    raw[:] = np.repeat(levels, OUTPUT_ROWS)
    scatter = np.float32(p.reference_pixel_scatter)
    raw += scatter * rng.standard_normal(raw.shape, dtype=np.float32)
    first = pair_columns().ravel()
    raw[:, first] += scatter * rng.standard_normal(first.size, dtype=np.float32)
    raw[:, first + 1] = raw[:, first]
    return np.ascontiguousarray(raw[:, column])


def _random(seed: int, detector: str) -> np.random.Generator:
    key = (_SAMPLES, DETECTORS.index(detector))
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))
