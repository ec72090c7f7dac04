"""The first look at an IRS2 exposure: what the correction of each group must know of all groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import _irs2_kernels
from nrsdark_xr.calibration._threads import in_threads
from nrsdark_xr.calibration.group_scale import group_scale
from nrsdark_xr.calibration.irs2_bad_reference import (
    PAIR,
    PERIOD,
    PairStatistics,
    flag_bad_rows,
    pair_rows,
    replacements,
)
from nrsdark_xr.calibration.irs2_correction import Irs2Correction
from nrsdark_xr.calibration.irs2_levels import BorderLook
from nrsdark_xr.calibration.parameters import RefpixParameters
from nrsdark_xr.calibration.protocols import RawSamples
from nrsdark_xr.calibration.workspace import Pool
from nrsdark_xr.detector import DQ, irs2
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References

Watch = Callable[[slice, NDArray[np.uint16]], None]
"""Is shown the raw rows of a strip and their samples (group, row, x), which do not last."""
STRIP_ROWS = 2 * PERIOD
"""Raw rows looked at together: whole visits, few enough to keep all groups of them in memory."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What a look at one integration tells of its level.

    Attributes
    ----------
    mean : ndarray of float64, shape (3200, x)
        Mean over groups of each bias-subtracted sample [DN].
    pairs : PairStatistics
    """

    mean: NDArray[np.float64]
    pairs: PairStatistics


def look_at_levels(
    raw: RawSamples,
    exposure: Exposure,
    integration: int,
    bias: NDArray[np.float32],
    *,
    threads: int,
    watch: Sequence[Watch] = (),
) -> Levels:
    """Look at all groups of an integration, strip by strip.

    Parameters
    ----------
    raw : RawSamples
    exposure : Exposure
    integration : int
        From 0.
    bias : ndarray of float32, shape (3200, x)
        Without NaN [DN].
    threads : int
        Strips looked at at once.
    watch : sequence of callable, optional
        Each is shown each strip, in any order and from several threads.
    """
    scale = group_scale(n_frames=exposure.n_frames, frame_divisor=exposure.frame_divisor)
    mean = np.empty(bias.shape)
    starts = pair_rows()
    no_levels = np.zeros((exposure.n_groups, STRIP_ROWS), np.float32)
    strips_read = Pool(lambda: _strip_memory(exposure))

    def look(first: int) -> list[tuple[float, float, float]]:
        strip = slice(first, first + STRIP_ROWS)
        here = starts[(starts >= strip.start) & (starts < strip.stop)] - first
        with strips_read.one() as memory:
            samples = raw.read(integration, slice(0, exposure.n_groups), strip, memory)
            _irs2_kernels.mean_over_groups(samples, scale, bias[strip], no_levels, mean[strip])
            for show in watch:
                show(strip, samples)
            return [_irs2_kernels.pair_sums(samples, row, scale, bias[strip]) for row in here]

    strips = in_threads(look, range(0, irs2.IRS2_RAW_ROWS, STRIP_ROWS), threads=threads)
    sums = np.array([pair for strip in strips for pair in strip])
    reads = exposure.n_groups * bias.shape[1]
    difference, total, square = (sums / (reads, PAIR * reads, PAIR * reads)).T
    spread = np.sqrt(np.maximum(square - total**2, 0.0))
    return Levels(mean, PairStatistics(difference, total, spread))


def mean_less_levels(
    raw: RawSamples,
    exposure: Exposure,
    integration: int,
    bias: NDArray[np.float32],
    levels: NDArray[np.float32],
    *,
    threads: int,
) -> NDArray[np.float64]:
    """Mean over groups as `look_at_levels` gives it, levels (group, 3200) subtracted.

    The groups are read again: a sample that is its mean, to the last bit, counts as not read.
    """
    scale = group_scale(n_frames=exposure.n_frames, frame_divisor=exposure.frame_divisor)
    mean = np.empty(bias.shape)
    strips_read = Pool(lambda: _strip_memory(exposure))

    def look(first: int) -> None:
        strip = slice(first, first + STRIP_ROWS)
        with strips_read.one() as memory:
            samples = raw.read(integration, slice(0, exposure.n_groups), strip, memory)
            _irs2_kernels.mean_over_groups(
                samples, scale, bias[strip], levels[:, strip], mean[strip]
            )

    in_threads(look, range(0, irs2.IRS2_RAW_ROWS, STRIP_ROWS), threads=threads)
    return mean


def _strip_memory(exposure: Exposure) -> NDArray[np.uint16]:
    """Make memory for the samples of a strip (group, row, x); all strips have as many rows."""
    return np.empty((exposure.n_groups, STRIP_ROWS, exposure.raw_shape[-1]), np.uint16)


def look_at_exposure(
    raw: RawSamples,
    exposure: Exposure,
    references: References,
    pixeldq: NDArray[np.uint32],
    parameters: RefpixParameters,
    *,
    threads: int,
    watch: Sequence[Watch] = (),
) -> tuple[list[Irs2Correction], NDArray[np.bool_]]:
    """Look at all groups of an exposure, and tell how to correct them.

    Parameters
    ----------
    raw : RawSamples
    exposure : Exposure
    references : References
        The weights, and the superbias that is subtracted; without one none is.
    pixeldq : ndarray of uint32, shape (3200, x)
        After the superbias step.
    parameters : RefpixParameters
    threads : int
        Strips of rows looked at at once.
    watch : sequence of callable, optional
        One for each integration, as `look_at_levels` takes them.

    Returns
    -------
    corrections : list of Irs2Correction
        For each integration.
    bad : ndarray of bool, shape (3200,)
        Rows that get BAD_REF_PIXEL and DO_NOT_USE.

    Raises
    ------
    NrsdarkError
        If there are no weights.
    """
    weights = references.irs2
    if weights is None:
        raise NrsdarkError(
            f"read out as {exposure.readpatt}, which needs a REFPIX reference",
            file=exposure.url,
            remedy="name it as refpix under references",
        )
    shape = exposure.raw_shape[2:]
    bias = np.zeros(shape, np.float32)
    if references.superbias is not None:
        bias = np.where(np.isnan(references.superbias), np.float32(0), references.superbias)
    integrations = range(exposure.n_integrations)
    looks, borders = [], []
    for integration in integrations:
        watchers = [watch[integration]] if watch else []
        if parameters.irs2_mean_subtraction:
            border = BorderLook(exposure)
            borders.append(border)
            watchers.append(border.watch)
        looks.append(
            look_at_levels(raw, exposure, integration, bias, threads=threads, watch=watchers)
        )
    known = ((pixeldq & np.uint32(DQ.BAD_REF_PIXEL)) != 0).any(axis=1)
    bad = flag_bad_rows(
        [each.pairs for each in looks], known, n_sigma=parameters.ovr_corr_mitigation_ftr
    )
    means = [each.mean for each in looks]
    levels = [np.zeros((exposure.n_groups, len(bad)), np.float32) for _ in integrations]
    if parameters.irs2_mean_subtraction:
        flagged = np.where(bad[:, np.newaxis], pixeldq | np.uint32(DQ.DO_NOT_USE), pixeldq)
        levels = [border.levels(bias, flagged, parameters) for border in borders]
        means = [
            mean_less_levels(raw, exposure, integration, bias, levels[integration], threads=threads)
            for integration in integrations
        ]
    first, second = replacements(bad, weights, exposure.detector)
    corrections = [
        Irs2Correction(
            raw, exposure, integration, bias, level, mean, first, second, weights
        ).with_replaced_means()
        for integration, (level, mean) in enumerate(zip(levels, means, strict=True))
    ]
    return corrections, bad
