"""The ramp store: a Zarr v3 group of calibrated ramps, one row per exposure.

Writers use `RampStore`, readers `open_ramps` and `open_bias_groups`, with which xarray is loaded:
it takes longer than calibration needs to start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nrsdark_xr.store.buffer import RampBuffer
from nrsdark_xr.store.layout import BAND_ROWS, ramp_chunks
from nrsdark_xr.store.lock import hold_lock
from nrsdark_xr.store.markers import Marker
from nrsdark_xr.store.rounding import RampParameters
from nrsdark_xr.store.schema import SCHEMA_VERSION, Configuration, Step
from nrsdark_xr.store.store import RampStore

if TYPE_CHECKING:
    from nrsdark_xr.store.dataset import (
        Chunks,
        open_bias_groups,
        open_cross_spectra,
        open_ramps,
    )

__all__ = [
    "BAND_ROWS",
    "SCHEMA_VERSION",
    "Chunks",
    "Configuration",
    "Marker",
    "RampBuffer",
    "RampParameters",
    "RampStore",
    "Step",
    "hold_lock",
    "open_bias_groups",
    "open_cross_spectra",
    "open_ramps",
    "ramp_chunks",
]


def __getattr__(name: str) -> Any:
    if name not in ("Chunks", "open_bias_groups", "open_cross_spectra", "open_ramps"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nrsdark_xr.store import dataset

    return getattr(dataset, name)
