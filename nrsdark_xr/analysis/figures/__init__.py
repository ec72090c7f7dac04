"""Figures of the report: arrays in, matplotlib `Figure` out; no pyplot, no state, no screen."""

from nrsdark_xr.analysis.figures.histograms import HistogramSeries, Mark, histogram
from nrsdark_xr.analysis.figures.maps import FLAG_STYLES, FlagStyle, change_map, flag_map, image_map
from nrsdark_xr.analysis.figures.profiles import profiles
from nrsdark_xr.analysis.figures.ramps import draw_ramps, ramp_figure
from nrsdark_xr.analysis.figures.style import COLORS, to_png

__all__ = [
    "COLORS",
    "FLAG_STYLES",
    "FlagStyle",
    "HistogramSeries",
    "Mark",
    "change_map",
    "draw_ramps",
    "flag_map",
    "histogram",
    "image_map",
    "profiles",
    "ramp_figure",
    "to_png",
]
