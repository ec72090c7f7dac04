"""The ramp store: a Zarr v3 group of calibrated ramps, one row per exposure.

Writers use `RampStore`, readers `open_ramps` and `open_bias_groups`.
"""

from nrsdark_xr.store.buffer import RampBuffer
from nrsdark_xr.store.dataset import Chunks, open_bias_groups, open_ramps
from nrsdark_xr.store.layout import BAND_ROWS, ramp_chunks
from nrsdark_xr.store.lock import hold_lock
from nrsdark_xr.store.markers import Marker
from nrsdark_xr.store.rounding import RampParameters, round_to
from nrsdark_xr.store.schema import SCHEMA_VERSION, Configuration, Step
from nrsdark_xr.store.store import RampStore

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
    "open_ramps",
    "ramp_chunks",
    "round_to",
]
