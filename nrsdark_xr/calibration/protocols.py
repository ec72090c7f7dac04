"""Where raw samples come from and where ramps are kept, as calibration sees them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class RawSamples(Protocol):
    """Where raw samples come from; read by several threads at once."""

    def read(self, integration: int, groups: slice, rows: slice) -> NDArray[np.uint16]:
        """Return samples of shape (group, row, x)."""


class RampBuffer(Protocol):
    """Where the ramp of one integration is kept; different rows are used by several threads."""

    def write(self, rows: slice, ramp: NDArray[np.float32]) -> None:
        """Keep rows of a ramp, shape (group, row, x)."""

    def read(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return a part of rows written before."""
