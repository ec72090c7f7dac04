"""Median column and row of a difference image (JWST-STScI-009226 Figures 6 to 9)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nrsdark_xr.analysis.figures.style import COLORS, TICK_SIZE, new_figure, number, style_axes

BAND_REACH = 4.0
"""The 1-sigma band is drawn whole while it is at most so many times as high as the curve."""


def profiles(
    difference: NDArray[Any],
    *,
    sigma: float,
    sigma_label: str,
    unit: str,
    corner: tuple[int, int] = (1, 1),
) -> Figure:
    """Median column and median row of a difference, with a band of 1 sigma about its median.

    Parameters
    ----------
    difference : ndarray, shape (y, x)
    sigma : float
        Half-width of the shaded band; the report takes the spread of the older file over pixels.
    sigma_label : str
        What `sigma` is, for the legend.
    unit : str
    corner : (int, int)
        1-based detector pixel (x, y) of the first column and row.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        column = np.nanmedian(difference, axis=1)
        row = np.nanmedian(difference, axis=0)
        center = float(np.nanmedian(difference))
    figure = new_figure(11.0, 3.3)
    xstart, ystart = corner
    left, right = figure.subplots(1, 2)
    _draw(left, np.arange(ystart, ystart + len(column)), column, center, sigma)
    _draw(right, np.arange(xstart, xstart + len(row)), row, center, sigma)
    label = f"difference [{unit}]"
    style_axes(left, title="Median column", xlabel="y [pixel]", ylabel=label)
    style_axes(right, title="Median row", xlabel="x [pixel]", ylabel=label)
    left.lines[0].set_label("median over x")
    right.lines[0].set_label("median over y")
    for ax in (left, right):
        ax.lines[1].set_label(f"median {number(center)} {unit}")
        ax.patches[0].set_label(f"±1 sigma of {sigma_label}: {number(sigma)} {unit}")
        ax.legend(fontsize=TICK_SIZE, framealpha=0.85, edgecolor="none", loc="upper right")
    return figure


def _draw(
    ax: Axes, pixel: NDArray[Any], profile: NDArray[Any], center: float, sigma: float
) -> None:
    ax.plot(pixel, profile, color=COLORS["black"], lw=0.9, zorder=3)
    ax.axhline(center, color=COLORS["vermilion"], lw=1.2, zorder=4)
    ax.axhspan(center - sigma, center + sigma, color=COLORS["sky"], alpha=0.3, lw=0, zorder=1)
    ax.set_xlim(pixel[0] - 0.5, pixel[-1] + 0.5)
    finite = profile[np.isfinite(profile)]
    if not finite.size:
        return
    low, high = np.percentile(finite, [0.2, 99.8])
    low, high = min(low, center), max(high, center)
    height = high - low
    if 2 * sigma <= BAND_REACH * height:
        low, high = min(low, center - sigma), max(high, center + sigma)
    height = high - low or 1.0
    ax.set_ylim(low - 0.1 * height, high + 0.35 * height)  # room for the legend above
