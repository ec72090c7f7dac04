"""HTML pages: templates, the formats they use, pictures inside the page."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
from matplotlib.figure import Figure

from nrsdark_xr.analysis.figures.style import NO_VALUE, number, to_png

_SIGNS = {">=": "≥", "<=": "≤"}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn figure with the words around it.

    Attributes
    ----------
    title : str
        For readers who cannot see it.
    caption : str
        What to look at.
    png : bytes
    wide : bool
        Whether it takes the whole width of the page.
    """

    title: str
    caption: str
    png: bytes
    wide: bool = False


def picture(
    figure: Figure, *, title: str, caption: str, few_colors: bool = False, wide: bool = False
) -> Picture:
    """Draw a figure for a page."""
    return Picture(title, caption, to_png(figure, few_colors=few_colors), wide)


def render(template: str, **values: Any) -> str:
    """Fill a template of this package; every value is escaped.

    Parameters
    ----------
    template : str
        Name of the template file.
    **values
        What it uses.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nrsdark_xr.analysis", "templates"),
        autoescape=True,  # names and reasons come from the headers of other people's files
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "base64": lambda content: base64.b64encode(content).decode(),
        "count": count,
        "duration": _duration,
        "moment": lambda date: date[:19].replace("T", " "),
        "number": number,
        "percent": _percent,
        "sign": _SIGNS.__getitem__,
        "size": _size,
    }
    environment.filters.update(filters)
    return environment


def count(value: int | None) -> str:
    """Write a number of things, with thousands marked."""
    return NO_VALUE if value is None else f"{value:,}"


def _percent(value: float) -> str:
    if value == 0 or math.isnan(value):
        return NO_VALUE
    return f"{100 * value:.2g}%" if value < 0.1 else f"{100 * value:.1f}%"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _size(n_bytes: float | None) -> str:
    if n_bytes is None:
        return NO_VALUE
    power = min(int(math.log(max(n_bytes, 1), 1024)), len(_UNITS) - 1)
    return f"{n_bytes / 1024**power:.3g} {_UNITS[power]}"
