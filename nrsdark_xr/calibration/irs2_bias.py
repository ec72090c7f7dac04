"""Groups 1 and 2 of IRS2 exposures as the superbias is made of them, with reference samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.irs2_correction import Irs2Correction
from nrsdark_xr.calibration.irs2_look import look_at_exposure
from nrsdark_xr.calibration.irs2_signals import REFERENCE_OUTPUT, output_spectrum
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.calibration.protocols import RawSamples
from nrsdark_xr.detector import irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References

PARITIES = 2
"""Odd and even detector columns have levels of their own."""


def irs2_bias_groups(
    raw: RawSamples,
    exposure: Exposure,
    integration: int,
    references: References,
    parameters: CalibrationParameters,
    *,
    n_groups: int,
    threads: int,
) -> NDArray[np.float32]:
    """Correct the first raw groups by their reference samples, and keep the level of group 1.

    The correction works on what differs from the mean over all groups of the integration, as jwst
    does it, so that its level is what the groups have drifted since. What it takes from the pixels
    of group 1, on average over each amplifier and parity of the detector column, is added back to
    the pixels of all groups asked for. Reference samples are what ``preserve_irs2_refpix`` of jwst
    leaves: interleaved ones without their mean, those of the reference output with it.

    Parameters
    ----------
    raw, exposure, integration, references, parameters
        As `nrsdark_xr.calibration.bias.bias_groups` takes them.
    n_groups : int
        Groups wanted.
    threads : int
        Strips of rows looked at at once.

    Returns
    -------
    ndarray of float32, shape (n_groups, 3200, x)
        DN.

    Raises
    ------
    NrsdarkError
        If there are no weights.
    """
    unbiased = references.replace(superbias=None, superbias_dq=None)
    corrections, _ = look_at_exposure(
        raw, exposure, unbiased, references.mask, parameters.refpix, threads=threads
    )
    correction = corrections[integration]
    groups = np.empty((n_groups, *exposure.raw_shape[2:]), np.float32)
    taken = np.stack(
        [correct_preserving(correction, group, groups[group]) for group in range(n_groups)]
    )
    level = _levels(taken[0], exposure.detector)
    for rows, values in level:
        groups[:, rows] += values
    return groups


def correct_preserving(
    correction: Irs2Correction, group: int, image: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Correct a group, reference samples preserved.

    Parameters
    ----------
    correction : Irs2Correction
    group : int
        From 0.
    image : ndarray of float32, shape (3200, x)
        Filled [DN].

    Returns
    -------
    ndarray of float64, shape (3200,)
        Mean over x of what was taken from each row of pixels.
    """
    bands = irs2.output_rows(correction.exposure.detector)
    every, ticks = np.arange(irs2.OUTPUT_ROWS), irs2.sample_ticks()
    science = ~irs2.is_reference_sample()
    filled = correction.reference_output(group)
    spectrum = output_spectrum(filled)
    nothing = np.zeros((irs2.OUTPUT_ROWS, filled.shape[1]), np.float32)
    correction.restore(
        REFERENCE_OUTPUT, filled[ticks], nothing, every, image[bands[REFERENCE_OUTPUT]]
    )
    taken = np.zeros(irs2.IRS2_RAW_ROWS)
    for amplifier in range(1, irs2.OUTPUTS):
        samples, raw = correction.output_samples(group, amplifier)
        alpha, beta = correction.amplifier_weights(amplifier)
        noise = correction.correction(samples, spectrum, alpha, beta, ticks)
        band = image[bands[amplifier]]
        correction.restore(amplifier, samples, noise, every, band, add_mean=science)
        before = correction.scaled(raw)
        taken[bands[amplifier]] = (before - band).mean(axis=1, dtype=np.float64)
    return taken


def _levels(taken: NDArray[np.float64], detector: str) -> list[tuple[NDArray[np.intp], np.float32]]:
    """Mean of what was taken from the pixels of each amplifier and parity, with their raw rows."""
    science = irs2.science_rows(detector)
    levels = []
    for band in irs2.output_rows(detector)[1:]:
        inside = science[(science >= band.start) & (science < band.stop)]
        for parity in range(PARITIES):
            rows = inside[parity::PARITIES]
            levels.append((rows, np.float32(taken[rows].mean())))
    return levels
