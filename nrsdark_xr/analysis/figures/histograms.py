"""Histograms with logarithmic counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from nrsdark_xr.analysis.figures.style import TICK_SIZE, asinh_ticks, new_figure, number, style_axes
from nrsdark_xr.analysis.statistics import robust_sigma

N_BINS = 160
"""Bins across the range."""
TRIM_PERCENT = 0.02
"""Share of the values beyond each end of a linear axis; the end bins take them."""


@dataclass(frozen=True, slots=True)
class HistogramSeries:
    """Values of one histogram of an overlay; those that are not finite are left out."""

    label: str
    values: NDArray[Any]
    color: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line with a name, such as a median or a threshold."""

    label: str
    value: float
    color: str
    dashes: str = "--"


def histogram(
    series: Sequence[HistogramSeries],
    *,
    title: str,
    unit: str,
    marks: Sequence[Mark] = (),
    long_tail: bool = False,
) -> Figure:
    """Histograms drawn over each other, the first one filled.

    Parameters
    ----------
    series : sequence of HistogramSeries
    title, unit : str
    marks : sequence of Mark
        Their values are part of the legend.
    long_tail : bool
        Asinh axis over the whole range: linear within the core of the first series, logarithmic
        beyond; else linear between the percentiles of all values, with the rest in the end bins.
    """
    figure = new_figure(5.6, 3.7)
    ax = figure.add_subplot()
    finite = [one.values[np.isfinite(one.values)].astype(np.float64) for one in series]
    edges, width = _edges(finite, long_tail)
    tallest = 1
    for index, (one, values) in enumerate(zip(series, finite, strict=True)):
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        tallest = max(tallest, int(counts.max()))
        ax.stairs(
            counts,
            edges,
            fill=index == 0,
            color=one.color,
            alpha=0.75 if index == 0 else 1.0,
            linewidth=1.4,
            label=one.label,
        )
    for mark in marks:
        if np.isfinite(mark.value):
            label = f"{mark.label} {number(mark.value)}"
            ax.axvline(mark.value, color=mark.color, ls=mark.dashes, lw=1.4, label=label)
    ax.set_ylim(0.7, 2 * tallest)
    ax.set_yscale("log")
    if long_tail:
        ax.set_xscale("asinh", linear_width=width)
        ax.xaxis.set_major_locator(FixedLocator(asinh_ticks(edges[0], edges[-1], width)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    ax.set_xlim(edges[0], edges[-1])
    style_axes(ax, title=title, xlabel=unit, ylabel="pixels per bin")
    ax.legend(fontsize=TICK_SIZE, frameon=True, framealpha=0.85, edgecolor="none")
    return figure


def _edges(finite: Sequence[NDArray[Any]], long_tail: bool) -> tuple[NDArray[Any], float]:
    """Bin edges, and the half-width of the linear part of an asinh axis."""
    values = np.concatenate(finite) if finite else np.empty(0)
    if not values.size:
        return np.linspace(0.0, 1.0, N_BINS + 1), 1.0
    if not long_tail:
        low, high = np.percentile(values, [TRIM_PERCENT, 100 - TRIM_PERCENT])
        margin = 0.05 * (high - low) or 0.5
        return np.linspace(low - margin, high + margin, N_BINS + 1), 1.0
    width = 3 * robust_sigma(finite[0]) or 1.0
    ends = np.arcsinh(np.array([values.min(), values.max()]) / width) + np.array([-0.05, 0.05])
    return np.sinh(np.linspace(ends[0], ends[1], N_BINS + 1)) * width, width
