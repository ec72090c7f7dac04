"""Ramps of one pixel: counts against time, jumps in yellow (JWST-STScI-009226 Figures 3 and 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nrsdark_xr.analysis.figures.style import COLORS, TICK_SIZE, new_figure, style_axes
from nrsdark_xr.detector import DQ

SPREAD_PERCENTILES = (10.0, 90.0)
"""Part of all samples that the axis shows where most of them come after a jump …"""
CLEAR_SHARE = 0.5
"""… which is where less than this share of the samples come before their ramp's first jump."""
AXIS_REACH = 1.0
"""The axis grows to samples that lie no further out than so many times its range."""
AXIS_MARGIN = 0.08
"""Free space above and below, as a part of the range."""


def ramp_figure(
    time: NDArray[Any],
    ramp: NDArray[Any],
    groupdq: NDArray[np.uint8],
    *,
    title: str,
    average: NDArray[Any] | None = None,
    dark: NDArray[Any] | None = None,
    rate: float | None = None,
) -> Figure:
    """Figure of `draw_ramps`, which documents the parameters."""
    figure = new_figure(5.6, 4.1)
    draw_ramps(
        figure.add_subplot(),
        time,
        ramp,
        groupdq,
        title=title,
        average=average,
        dark=dark,
        rate=rate,
    )
    return figure


def draw_ramps(
    ax: Axes,
    time: NDArray[Any],
    ramp: NDArray[Any],
    groupdq: NDArray[np.uint8],
    *,
    title: str,
    average: NDArray[Any] | None = None,
    dark: NDArray[Any] | None = None,
    rate: float | None = None,
) -> None:
    """Draw the ramps of one pixel: all in grey, the one with the most jumps in black.

    Groups with a jump are yellow, saturated ones purple crosses. One cosmic ray shall not squeeze
    the rest: samples beyond the axis are counted in a corner.

    Parameters
    ----------
    ax : matplotlib Axes
    time : ndarray, shape (group,)
        Seconds since reset.
    ramp : ndarray, shape (file, group)
        Counts [DN].
    groupdq : ndarray of uint8, shape (file, group)
    title : str
    average : ndarray, shape (group,), optional
        Average ramp [DN].
    dark : ndarray, shape (group,), optional
        Synthesized dark [DN].
    rate : float, optional
        Dark rate [DN/s], drawn as a line from the first group of the average ramp.
    """
    jump = (groupdq & DQ.JUMP_DET) != 0
    saturated = (groupdq & DQ.SATURATED) != 0
    shown = np.arange(len(ramp)) == np.argmax(jump.sum(axis=1))
    times = np.broadcast_to(time, ramp.shape)

    def points(where: NDArray[np.bool_], label: str, **style: Any) -> None:
        if where.any():
            ax.plot(times[where], ramp[where], linestyle="none", label=label, **style)

    shown_label = "exposure with most jumps" if jump.any() else "one exposure"
    black, yellow = COLORS["black"], COLORS["yellow"]
    others = np.broadcast_to(~shown[:, np.newaxis], ramp.shape)
    points(others, f"{len(ramp) - 1} other exposures", marker=".", ms=3.2, color="#A4A9B1")
    points(others & jump, "", marker="o", ms=3, color=yellow, mec="#9A9030", mew=0.4)
    points(~others, shown_label, marker="o", ms=3.4, color=black, zorder=3)
    points(~others & jump, "jump", marker="o", ms=5, color=yellow, mec=black, mew=0.7, zorder=4)
    points(saturated, "saturated", marker="x", ms=4, color=COLORS["purple"], zorder=4)
    if average is not None:
        ax.plot(time, average, color=COLORS["blue"], lw=2, zorder=5, label="average ramp")
    if dark is not None:
        ax.plot(
            time,
            dark,
            color=COLORS["vermilion"],
            lw=1.8,
            ls=(0, (4, 2)),
            zorder=6,
            label="new dark",
        )
    if rate is not None and average is not None:
        line = average[0] + rate * (time - time[0])
        ax.plot(time, line, color=COLORS["green"], lw=1.6, ls=":", zorder=6, label="rate x time")
    style_axes(ax, title=title, xlabel="time since reset [s]", ylabel="counts [DN]")
    low, high = _limits(ramp, groupdq, average, dark)
    ax.set_ylim(low, high)
    outside = int(np.count_nonzero((ramp < low) | (ramp > high)))
    if outside:
        ax.text(
            0.995,
            0.015,
            f"{outside:,} of {np.count_nonzero(np.isfinite(ramp)):,} samples beyond the axis",
            transform=ax.transAxes,
            ha="right",
            fontsize=TICK_SIZE - 1,
            color="#5B6069",
        )
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
        ncols=3,
        fontsize=TICK_SIZE - 0.5,
        frameon=False,
        columnspacing=1.4,
        handletextpad=0.5,
    )


def _limits(
    ramp: NDArray[Any],
    groupdq: NDArray[np.uint8],
    average: NDArray[Any] | None,
    dark: NDArray[Any] | None,
) -> tuple[float, float]:
    """Find a range that shows every sample before its ramp's first jump, and those not far off."""
    bad = np.uint8(DQ.JUMP_DET | DQ.SATURATED | DQ.DO_NOT_USE)
    before = ~np.logical_or.accumulate((groupdq & bad) != 0, axis=1)
    finite = ramp[np.isfinite(ramp)]
    if not finite.size:
        return 0.0, 1.0
    clear = ramp[before & np.isfinite(ramp)]
    shown = [clear, *(line[np.isfinite(line)] for line in (average, dark) if line is not None)]
    if clear.size < CLEAR_SHARE * finite.size:
        shown.append(np.percentile(finite, SPREAD_PERCENTILES))
    together = np.concatenate(shown)
    low, high = float(together.min()), float(together.max())
    reach = AXIS_REACH * (high - low)
    near = finite[(finite >= low - reach) & (finite <= high + reach)]
    low, high = min(low, float(near.min())), max(high, float(near.max()))
    margin = AXIS_MARGIN * (high - low) or 1.0
    return low - margin, high + margin
