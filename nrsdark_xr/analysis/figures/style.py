"""What all figures share: palette, type sizes, the way to a PNG."""

from __future__ import annotations

import io
import math
from types import MappingProxyType

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

COLORS = MappingProxyType(
    {
        "black": "#000000",
        "orange": "#E69F00",
        "sky": "#56B4E9",
        "green": "#009E73",
        "yellow": "#F0E442",
        "blue": "#0072B2",
        "vermilion": "#D55E00",
        "purple": "#CC79A7",
        "grey": "#8A8F98",
    }
)
"""Okabe and Ito's palette, which colour-blind readers can tell apart, and a grey."""

TITLE_SIZE = 10.5
LABEL_SIZE = 9.5
TICK_SIZE = 8.5
PNG_DPI = 120
MINUS = "\u2212"
NO_VALUE = "\u2013"
"""Dash where there is no number."""
_EDGE = "#5B6069"
_PALETTE_COLORS = 256
_TICKS = 7
_MIN_TICKS = 4


def new_figure(width: float, height: float) -> Figure:
    """Empty figure of so many inches, laid out so that labels never overlap."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def style_axes(ax: Axes, *, title: str, xlabel: str, ylabel: str, grid: bool = True) -> None:
    """Title, labels, small ticks, quiet spines; the same on every axes."""
    ax.set_title(title, fontsize=TITLE_SIZE, loc="left", fontweight="bold")
    ax.set_xlabel(xlabel, fontsize=LABEL_SIZE)
    ax.set_ylabel(ylabel, fontsize=LABEL_SIZE)
    ax.tick_params(labelsize=TICK_SIZE, color=_EDGE, width=0.8)
    for spine in ax.spines.values():
        spine.set_color(_EDGE)
        spine.set_linewidth(0.8)
    if grid:
        ax.grid(visible=True, color="#E3E5E8", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)


def number(value: float, *, digits: int = 4) -> str:
    """Write a number for people: significant digits, an exponent only where it is needed."""
    if not math.isfinite(value):
        return NO_VALUE
    if value == 0 or 1e-4 <= abs(value) < 1e5:
        text = f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"
    else:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    return text.replace("-", MINUS)


def asinh_ticks(low: float, high: float, width: float) -> list[float]:
    """Ticks of an asinh axis that is linear within `width` of 0.

    Zero and powers of ten beyond the linear part, where these are enough; else values at even
    distances on the axis, rounded to one digit.
    """
    ticks = [0.0]
    smallest = math.ceil(math.log10(2 * width))
    for sign, end in ((1.0, high), (-1.0, -low)):
        if end > 0:
            powers = range(smallest, math.floor(math.log10(end)) + 1)
            step = -(-len(powers) // _TICKS) or 1
            ticks += [sign * 10.0**power for power in powers[::step]]
    inside = sorted(tick for tick in ticks if low <= tick <= high)
    if len(inside) >= _MIN_TICKS:
        return inside
    start, stop = np.arcsinh(low / width), np.arcsinh(high / width)
    step = (stop - start) / _TICKS
    positions = step * np.arange(np.ceil(start / step), np.floor(stop / step) + 1)
    rounded = {float(f"{value:.1g}") for value in np.sinh(positions) * width}
    return sorted(tick for tick in rounded if low <= tick <= high)


def to_png(figure: Figure, *, dpi: int = PNG_DPI, few_colors: bool = False) -> bytes:
    """Draw a figure as PNG; the same figure gives the same bytes (no date, no version inside).

    Parameters
    ----------
    figure : matplotlib Figure
    dpi : int
    few_colors : bool
        Palette of 256 colours: a third of the size for an image with one colour map; curves lose
        their rarer colours.
    """
    buffer = io.BytesIO()
    if not few_colors:
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        return buffer.getvalue()
    with rc_context({"savefig.bbox": None}):  # a user's "tight" would cut it to another size
        figure.savefig(buffer, format="rgba", dpi=dpi)
    width, height = (int(inches * dpi) for inches in figure.get_size_inches())
    picture = (
        Image.frombuffer("RGBA", (width, height), buffer.getvalue(), "raw", "RGBA", 0, 1)
        .convert("RGB")
        .quantize(_PALETTE_COLORS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    small = io.BytesIO()
    picture.save(small, format="png", optimize=True)
    return small.getvalue()
