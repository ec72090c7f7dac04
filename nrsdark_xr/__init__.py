"""Bias, dark and bad-pixel reference files of JWST NIRSpec, with xarray, Dask and Zarr.

>>> import nrsdark_xr as nx
>>> ds = nx.open_ramps("ramps.zarr")  # doctest: +SKIP

Names are loaded when they are first used, so that ``import nrsdark_xr`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nrsdark_xr.analysis import compare_references
    from nrsdark_xr.config import RunConfig
    from nrsdark_xr.errors import NrsdarkError
    from nrsdark_xr.products import (
        average_ramp,
        common_flags,
        flag_bad_reference_pixels,
        flag_rc,
        flag_rtn,
        make_bias,
        mean_rate,
        synthesize_dark,
    )
    from nrsdark_xr.steps import run_steps
    from nrsdark_xr.store import open_bias_groups, open_ramps

_HOMES = {
    "NrsdarkError": "errors",
    "RunConfig": "config",
    "average_ramp": "products",
    "common_flags": "products",
    "compare_references": "analysis",
    "flag_bad_reference_pixels": "products",
    "flag_rc": "products",
    "flag_rtn": "products",
    "make_bias": "products",
    "mean_rate": "products",
    "open_bias_groups": "store",
    "open_ramps": "store",
    "run_steps": "steps",
    "synthesize_dark": "products",
}
"""Room of each public name."""

__all__ = [
    "NrsdarkError",
    "RunConfig",
    "average_ramp",
    "common_flags",
    "compare_references",
    "flag_bad_reference_pixels",
    "flag_rc",
    "flag_rtn",
    "make_bias",
    "mean_rate",
    "open_bias_groups",
    "open_ramps",
    "run_steps",
    "synthesize_dark",
]

__version__ = version("nrsdark_xr")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name.startswith("open_"):
        import_module("nrsdark_xr.analysis.accessor")  # registers ds.nrsdark
    return getattr(import_module(f"nrsdark_xr.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
