"""What the weights of the IRS2 correction are made of: spectra of one exposure, summed over groups.

The weights are those that leave the least noise (Moseley et al. 2010, doi:10.1117/12.866773;
Rauscher et al. 2017, doi:10.1088/1538-3873/aa83fd): least squares of the pixels N of an amplifier,
as a signal in time, on its interleaved reference samples R and on the reference output O. All that
needs to be known of an exposure are its sums of N R*, N O*, R O*, |R|^2 and |O|^2 over groups, at
each frequency. Sums of several exposures add up.

R and O are the signals that the correction works with. Here they are those of differences of
consecutive groups, 1 and 2, 3 and 4, ...: level, dark signal and the charge of earlier particle
hits fall out, and what hit the pixels in between is cut out.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration._cross_spectra_kernels import add_products
from nrsdark_xr.calibration._irs2_kernels import NO_ROW
from nrsdark_xr.calibration._threads import in_threads
from nrsdark_xr.calibration.group_scale import group_scale
from nrsdark_xr.calibration.irs2_bad_reference import flag_bad_rows, replacements
from nrsdark_xr.calibration.irs2_look import look_at_levels
from nrsdark_xr.calibration.irs2_output import fill_output
from nrsdark_xr.calibration.irs2_signals import (
    REFERENCE_OUTPUT,
    output_spectrum,
    reading_order,
    reference_spectrum,
    subtract_line,
)
from nrsdark_xr.calibration.irs2_transform import FREQUENCIES
from nrsdark_xr.calibration.parameters import CrossSpectraParameters
from nrsdark_xr.calibration.protocols import RawSamples
from nrsdark_xr.detector import DETECTOR_SIZE, irs2
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure

CROSS_SPECTRA: Final = (
    "nr_real", "nr_imag", "no_real", "no_imag", "ro_real", "ro_imag", "rr", "oo"
)  # fmt: skip
"""The sums of each amplifier: pixels n, reference samples r, reference output o; the second one of
a product is conjugated."""
GROUPS_OF_PAIR = 2
_MAD_TO_STD = 1.4826
_EVERY = 7
"""Of the pixels of an amplifier, which tell the scatter: every so many."""


class CrossSpectra(NamedTuple):
    """What one integration tells of the weights.

    Attributes
    ----------
    sums : ndarray of float32, shape (4, 8, 729089)
        Of amplifiers A to D, `CROSS_SPECTRA`, at k periods in a frame [DN^2].
    bad_rows : ndarray of bool, shape (3200,)
        Raw rows of reference samples that stand out, which others stood in for.
    """

    sums: NDArray[np.float32]
    bad_rows: NDArray[np.bool_]


def measure_cross_spectra(
    raw: RawSamples,
    exposure: Exposure,
    integration: int,
    parameters: CrossSpectraParameters,
    *,
    threads: int = 1,
) -> CrossSpectra:
    """Sum up the spectra of an integration.

    Parameters
    ----------
    raw : RawSamples
    exposure : Exposure
        In IRS2 readout.
    integration : int
        From 0.
    parameters : CrossSpectraParameters
    threads : int, optional
        Amplifiers worked on at once. Results do not depend on it.

    Returns
    -------
    CrossSpectra

    Raises
    ------
    NrsdarkError
        If there are fewer than two groups.
    """
    if exposure.n_groups < GROUPS_OF_PAIR:
        raise NrsdarkError(
            "has one group; weights of the reference samples need two",
            file=exposure.url,
            remedy="leave it out of the inputs",
        )
    no_bias = np.zeros((irs2.IRS2_RAW_ROWS, exposure.xsize), np.float32)
    levels = look_at_levels(raw, exposure, integration, no_bias, threads=threads)
    bad = flag_bad_rows(
        [levels.pairs], np.zeros(irs2.IRS2_RAW_ROWS, bool), n_sigma=parameters.bad_sigma
    )
    first, second = replacements(bad, None, exposure.detector)
    frames = np.zeros(
        (irs2.OUTPUTS - 1, len(CROSS_SPECTRA), irs2.LINE_TICKS, FREQUENCIES), np.float32
    )
    for group in chosen_groups(exposure.n_groups, parameters.max_pairs):

        def difference(output: int, group: int = group) -> NDArray[np.float32]:
            return _difference(raw, exposure, integration, group, output, first, second)

        reference_output = output_spectrum(fill_output(difference(REFERENCE_OUTPUT)))

        def add(amplifier: int, reference_output: NDArray[np.complex64] = reference_output) -> None:
            samples = difference(amplifier)
            reference = reference_spectrum(samples)
            pixels = output_spectrum(fill_output(_pixels(samples, parameters.rejection_threshold)))
            add_products(frames[amplifier - 1], pixels, reference, reference_output)

        in_threads(add, range(1, irs2.OUTPUTS), threads=threads)
    return CrossSpectra(np.stack([_in_order(frame) for frame in frames]), bad)


def chosen_groups(n_groups: int, max_pairs: int) -> list[int]:
    """First group, from 0, of each pair that is used: all, or evenly spaced ones."""
    n_pairs = n_groups // GROUPS_OF_PAIR
    chosen = np.linspace(0, n_pairs - 1, min(n_pairs, max_pairs)).round().astype(int)
    return [GROUPS_OF_PAIR * int(pair) for pair in chosen]


def _difference(
    raw: RawSamples,
    exposure: Exposure,
    integration: int,
    group: int,
    output: int,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
) -> NDArray[np.float32]:
    """Difference of two groups of one output less its line (640, line), in reading order [DN]."""
    band = irs2.output_rows(exposure.detector)[output]
    before, after = raw.read(integration, slice(group, group + GROUPS_OF_PAIR), band)
    scale = group_scale(n_frames=exposure.n_frames, frame_divisor=exposure.frame_divisor)
    rows = (after.astype(np.float32) - before.astype(np.float32)) * scale
    one, two = (source[band] - band.start for source in (first, second))
    rows = (rows[one] + rows[two]) * np.float32(0.5)
    rows[first[band] == NO_ROW] = 0
    samples = rows[reading_order(exposure.detector, output)]
    lines = samples[:, ::-1] if exposure.detector == "NRS2" else samples
    samples = np.ascontiguousarray(lines)
    subtract_line(samples)
    return samples


def _pixels(samples: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Copy of an amplifier with 0 for reference samples and for pixels that a particle has hit."""
    pixels = np.where(irs2.is_reference_sample()[:, np.newaxis], np.float32(0), samples)
    some = samples[~irs2.is_reference_sample()].ravel()[::_EVERY]
    middle = np.median(some)
    limit = np.float32(threshold * _MAD_TO_STD * np.median(np.abs(some - middle)))
    pixels[np.abs(pixels - middle) > limit] = 0
    return pixels


def _in_order(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """From the order of `nrsdark_xr.calibration.irs2_transform` to increasing frequency."""
    row, column, mirrored = _places()
    ordered = frames[:, row, column]
    for values, name in zip(ordered, CROSS_SPECTRA, strict=True):
        if name.endswith("_imag"):
            values[mirrored] *= -1
    return ordered


@cache
def _places() -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Row and column of each frequency, and whether the conjugate stands there."""
    row, column = np.divmod(np.arange(irs2.FRAME_FREQUENCIES), DETECTOR_SIZE)
    mirrored = column >= FREQUENCIES
    row = np.where(mirrored, irs2.LINE_TICKS - 1 - row, row)
    return row, np.where(mirrored, DETECTOR_SIZE - column, column), mirrored
