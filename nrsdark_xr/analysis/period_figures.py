"""The pictures of periods against all exposures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.analysis.figures import (
    COLORS,
    HistogramSeries,
    change_map,
    histogram,
    image_map,
)
from nrsdark_xr.analysis.figures.maps import is_wide
from nrsdark_xr.analysis.html import Picture, picture
from nrsdark_xr.analysis.periods import PeriodRate
from nrsdark_xr.analysis.report_content import ReportContent

_SERIES = ("blue", "vermilion", "green", "purple", "orange", "sky", "black")
"""Colours of the first periods; further ones are grey."""


def period_figures(content: ReportContent) -> list[Picture]:
    """Differences of all periods in one histogram; maps of rate and hot pixels of each."""
    if not content.periods:
        return []
    series = [
        HistogramSeries(
            period.statistics.name,
            _difference(content, period).ravel(),
            COLORS[_SERIES[index] if index < len(_SERIES) else "grey"],
        )
        for index, period in enumerate(content.periods)
    ]
    together = picture(
        histogram(
            series, title="Dark rate, period minus all", unit="difference [DN/s]", long_tail=True
        ),
        title="Histogram: dark rate, period minus all",
        caption="Linear about 0, logarithmic beyond. A shifted core is a change of the whole "
        "detector, tails to both sides are single pixels.",
        wide=True,
    )
    return [together, *(own for period in content.periods for own in _maps(content, period))]


def _difference(content: ReportContent, period: PeriodRate) -> NDArray[np.float32]:
    return np.where(content.reference_pixels, np.nan, period.rate - content.rate)


def _maps(content: ReportContent, period: PeriodRate) -> list[Picture]:
    name, corner = period.statistics.name, (content.xstart, content.ystart)
    science, wide = ~content.reference_pixels, is_wide(content.rate.shape)
    difference = image_map(
        _difference(content, period),
        title=f"Dark rate, {name} minus all",
        unit="DN/s",
        scale="symmetric",
        colormap="RdBu_r",
        corner=corner,
    )
    hot = change_map(
        (period.rate > content.hot_rate) & science,
        (content.rate > content.hot_rate) & science,
        title=f"Hot pixels, {name} against all",
        corner=corner,
    )
    return [
        picture(
            difference,
            title=f"Dark rate, {name} minus all",
            caption="Large-scale structure points at light, persistence or temperature.",
            few_colors=True,
            wide=wide,
        ),
        picture(
            hot,
            title=f"Map of hot pixels, {name} against all",
            caption="Hot in this period only (new), or in all exposures together but not in it.",
            wide=wide,
        ),
    ]
