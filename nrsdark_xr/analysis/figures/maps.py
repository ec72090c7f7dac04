"""Maps of the detector: images with a colour bar, and where the flagged pixels are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nrsdark_xr.analysis.figures.style import (
    COLORS,
    LABEL_SIZE,
    TICK_SIZE,
    asinh_ticks,
    new_figure,
    number,
    style_axes,
)
from nrsdark_xr.analysis.statistics import robust_sigma
from nrsdark_xr.detector import DQ

MAX_PIXELS = (512, 1024)
"""Largest image drawn, rows and columns; larger ones are shrunk by the median of blocks."""
WIDE_ASPECT = 3.0
"""Columns per row from which on an image is drawn wide, with stretched rows."""
PERCENTILES = (1.0, 99.0)
"""Range of the linear scale; what is beyond takes the end colours."""
ASINH_PERCENTILES = (0.5, 99.9)
"""Range of the asinh scale, wider because it compresses the tails …"""
ASINH_REACH = 30.0
"""… but at most so many robust sigma above the median: the bulk keeps half of the colours."""
NO_DATA = "#C9CCD1"
"""Colour of pixels without a value."""


MARKERS_AREA = 5000.0
"""Area that all markers of a flag cover, in square points: a twentieth of a map."""
MARKER_SIZES = (0.7, 5.0)
"""Smallest and largest marker, in points across."""


@dataclass(frozen=True, slots=True)
class FlagStyle:
    """How one DQ flag is drawn."""

    flag: DQ
    color: str
    marker: str
    label: str


FLAG_STYLES = (
    FlagStyle(DQ.TELEGRAPH, COLORS["sky"], "o", "TELEGRAPH (RTN)"),
    FlagStyle(DQ.HOT, COLORS["vermilion"], "o", "HOT"),
    FlagStyle(DQ.DEAD, COLORS["black"], "x", "DEAD"),
    FlagStyle(DQ.OPEN, COLORS["green"], "+", "OPEN"),
    FlagStyle(DQ.RC, COLORS["purple"], "D", "RC"),
    FlagStyle(DQ.BAD_REF_PIXEL, COLORS["blue"], "s", "BAD_REF_PIXEL"),
)
"""Flags of the flag map."""


def is_wide(shape: tuple[int, ...]) -> bool:
    """Whether an image of this shape (y, x) needs the whole width of a page."""
    return shape[1] / shape[0] >= WIDE_ASPECT


def block_median(image: NDArray[Any], max_shape: tuple[int, int] = MAX_PIXELS) -> NDArray[Any]:
    """Shrink an image by the median of the finite pixels of whole blocks.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        Rows and columns that do not fill a last block count as NaN there.
    max_shape : (int, int)
        Largest result.

    Returns
    -------
    ndarray of float32
        `image` itself, as float32, where it is small enough. NaN where a block has no finite pixel.
    """
    image = np.where(np.isfinite(image), image, np.nan).astype(np.float32)
    ny, nx = image.shape
    fy, fx = -(-ny // max_shape[0]), -(-nx // max_shape[1])
    if fy == fx == 1:
        return image
    padded = np.pad(image, ((0, -ny % fy), (0, -nx % fx)), constant_values=np.nan)
    blocks = padded.reshape(padded.shape[0] // fy, fy, padded.shape[1] // fx, fx)
    values = blocks.transpose(0, 2, 1, 3).reshape(blocks.shape[0], blocks.shape[2], fy * fx)
    ordered = np.sort(values, axis=-1)  # NaN last; many times faster than np.nanmedian
    count = np.isfinite(ordered).sum(axis=-1, keepdims=True)
    middle = [
        np.take_along_axis(ordered, np.maximum(place, 0), axis=-1)[..., 0]
        for place in ((count - 1) // 2, np.minimum(count // 2, fy * fx - 1))
    ]
    return np.mean(middle, axis=0)


def image_map(
    image: NDArray[Any],
    *,
    title: str,
    unit: str,
    scale: Literal["linear", "asinh", "symmetric"] = "linear",
    colormap: str = "viridis",
    limits: tuple[float, float] | None = None,
    corner: tuple[int, int] = (1, 1),
) -> Figure:
    """Image with a colour bar in detector coordinates.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        Pixels that are not finite are grey.
    title, unit : str
        Of the image, and of its colour bar.
    scale : {"linear", "asinh", "symmetric"}
        Linear between percentiles; asinh for long tails; linear and symmetric about 0 for
        differences.
    colormap : str
        Of matplotlib.
    limits : (float, float), optional
        Ends of the linear scale; its percentiles by default.
    corner : (int, int)
        1-based detector pixel (x, y) of the first column and row.
    """
    ny, nx = image.shape
    xstart, ystart = corner
    figure, ax = _map_axes(image.shape)
    shown = block_median(image)
    drawn = ax.imshow(
        shown,
        origin="lower",
        aspect="auto" if is_wide(image.shape) else "equal",
        interpolation="nearest",
        norm=_norm(shown, scale) if limits is None else Normalize(*limits),
        cmap=colormap,
        extent=(xstart - 0.5, xstart + nx - 0.5, ystart - 0.5, ystart + ny - 0.5),
    )
    ax.set_facecolor(NO_DATA)
    style_axes(ax, title=title, xlabel="x [pixel]", ylabel="y [pixel]", grid=False)
    bar = figure.colorbar(
        drawn, ax=ax, extend="both", pad=0.02, aspect=12.0 if is_wide(image.shape) else 28.0
    )
    bar.set_label(unit, fontsize=LABEL_SIZE)
    bar.ax.tick_params(labelsize=TICK_SIZE)
    bar.outline.set_visible(False)
    if isinstance(drawn.norm, AsinhNorm):
        ticks = asinh_ticks(*drawn.get_clim(), drawn.norm.linear_width)
        bar.set_ticks(ticks, labels=[number(tick) for tick in ticks])
        bar.ax.minorticks_off()
    return figure


def flag_map(
    dq: NDArray[np.uint32],
    *,
    title: str,
    styles: Sequence[FlagStyle] = FLAG_STYLES,
    corner: tuple[int, int] = (1, 1),
) -> Figure:
    """Where the flagged pixels are: one marker each, larger the rarer the flag.

    Parameters
    ----------
    dq : ndarray of uint32, shape (y, x)
    title : str
    styles : sequence of FlagStyle
        Flags to draw; those that no pixel has are left out of the legend.
    corner : (int, int)
        1-based detector pixel (x, y) of the first column and row.
    """
    ny, nx = dq.shape
    xstart, ystart = corner
    figure, ax = _map_axes(dq.shape)
    places = {style: np.nonzero(dq & style.flag) for style in styles}
    for style, (y, x) in sorted(places.items(), key=lambda item: -len(item[1][0])):
        if not len(y):
            continue
        ax.plot(
            x + xstart,
            y + ystart,
            linestyle="none",
            marker=style.marker,
            color=style.color,
            markersize=_marker_size(len(y)),
            markeredgewidth=_marker_size(len(y)) / 5 if style.marker in "x+" else 0,
            label=f"{style.label}: {len(y):,}",
            rasterized=True,
        )
    ax.set_xlim(xstart - 0.5, xstart + nx - 0.5)
    ax.set_ylim(ystart - 0.5, ystart + ny - 0.5)
    if not is_wide(dq.shape):
        ax.set_aspect("equal")
    style_axes(ax, title=title, xlabel="x [pixel]", ylabel="y [pixel]", grid=False)
    if ax.lines:
        legend = figure.legend(
            loc="outside lower center",
            ncols=min(len(ax.lines), 6 if is_wide(dq.shape) else 3),
            fontsize=TICK_SIZE,
            frameon=False,
            handletextpad=0.3,
        )
        for line in legend.get_lines():
            line.set_markersize(6)
            line.set_markeredgewidth(1)
    else:
        ax.text(0.5, 0.5, "no such pixel", transform=ax.transAxes, ha="center", color="#5B6069")
    return figure


def change_map(
    new: NDArray[np.bool_],
    old: NDArray[np.bool_],
    *,
    title: str,
    corner: tuple[int, int] = (1, 1),
) -> Figure:
    """Where the pixels are that are true in one of two maps only.

    Parameters
    ----------
    new, old : ndarray of bool, shape (y, x)
    title : str
    corner : (int, int)
        1-based detector pixel (x, y) of the first column and row.
    """
    # A scratch map of two bits, whose names do not matter: the labels say what they are.
    gained, lost = list(DQ)[:2]
    change = np.where(new & ~old, np.uint32(gained), np.uint32(0))
    change |= np.where(old & ~new, np.uint32(lost), np.uint32(0))
    styles = (
        FlagStyle(gained, COLORS["vermilion"], "o", "new"),
        FlagStyle(lost, COLORS["blue"], "s", "vanished"),
    )
    return flag_map(change, title=title, styles=styles, corner=corner)


def linear_limits(image: NDArray[Any]) -> tuple[float, float]:
    """Find the ends of the linear scale of an image, to draw another one on the same scale."""
    finite = image[np.isfinite(image)]
    return _range(finite, PERCENTILES) if finite.size else (0.0, 1.0)


def _map_axes(shape: tuple[int, ...]) -> tuple[Figure, Axes]:
    figure = new_figure(11.0, 2.7) if is_wide(shape) else new_figure(5.6, 4.8)
    ax = figure.add_subplot()
    nbins = (10, 5) if is_wide(shape) else (6, 6)
    for axis, bins in zip((ax.xaxis, ax.yaxis), nbins, strict=True):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=bins, steps=[1, 2, 2.5, 5, 10]))
    return figure, ax


def _norm(image: NDArray[Any], scale: str) -> Normalize:
    finite = image[np.isfinite(image)]
    if not finite.size:
        return Normalize(0.0, 1.0)
    if scale == "asinh":
        low, high = _range(finite, ASINH_PERCENTILES)
        sigma = robust_sigma(finite)
        if sigma == 0:
            return Normalize(low, high)
        high = min(high, float(np.median(finite)) + ASINH_REACH * sigma)
        return AsinhNorm(linear_width=2 * sigma, vmin=low, vmax=high)
    low, high = _range(finite, PERCENTILES)
    if scale == "symmetric":
        reach = max(abs(low), abs(high))
        return Normalize(-reach, reach)
    return Normalize(low, high)


def _range(finite: NDArray[Any], percentiles: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(finite, percentiles))
    if low == high:  # a constant image: any range that contains it
        return low - 0.5, high + 0.5
    return low, high


def _marker_size(count: int) -> float:
    """Points across a marker, so that the markers of one flag cover about the same area in all."""
    smallest, largest = MARKER_SIZES
    return float(np.clip(np.sqrt(MARKERS_AREA / count), smallest, largest))
