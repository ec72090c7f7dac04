"""Where samples come from and where ramps are kept, as calibration sees them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

JUMP_HALO = 1
"""Rows that a band reaches into each of its neighbours: their jumps flag its pixels."""


class RawSamples(Protocol):
    """Where raw samples come from; read by several threads at once."""

    def read(
        self,
        integration: int,
        groups: slice,
        rows: slice,
        out: NDArray[np.uint16] | None = None,
    ) -> NDArray[np.uint16]:
        """Return samples of shape (group, row, x); in `out`, if it is given."""


class LinearizedSamples(Protocol):
    """Where linearized ramps come from: what depends on how the detector was read out.

    Bands of rows are asked for in ascending order, several of them at once, each for all
    integrations in turn; of those that are under way, a later one may come first. Each reaches
    `JUMP_HALO` rows into its neighbours, so that these have rows in common, which must come out
    the same; no row is in more than two bands. A band that fails before all its integrations are
    filled is to be given up by `abandon`, for later ones may wait for it.
    """

    @property
    def usable_groups(self) -> int:
        """Usable groups of the whole frame, as `nrsdark_xr.calibration.jump.find_jumps` asks."""

    def fill(
        self,
        integration: int,
        rows: slice,
        *,
        ramp: NDArray[np.float32],
        groupdq: NDArray[np.uint8],
    ) -> NDArray[np.uint32]:
        """Calibrate some rows up to linearity.

        Parameters
        ----------
        integration : int
        rows : slice
            Of the science frame (2048 rows in full frame, however it was read out).
        ramp : ndarray of float32, shape (group, y, x)
            Filled with the ramp of `rows` [DN].
        groupdq : ndarray of uint8, shape (group, y, x)
            Filled with its flags.

        Returns
        -------
        ndarray of uint32, shape (y, x)
            Flags that the pixels get on the way.
        """

    def abandon(self, rows: slice) -> None:
        """Note that a band cannot be finished: later ones that wait for it fail, too."""


class RampBuffer(Protocol):
    """Where the ramp of one integration is kept; different rows are used by several threads."""

    @property
    def chunk_columns(self) -> int:
        """Columns that are kept together: to read fewer of them costs as much."""

    def write(self, rows: slice, ramp: NDArray[np.float32]) -> None:
        """Keep rows of a ramp, shape (group, row, x); `ramp` will be overwritten afterwards."""

    def read(self, rows: slice, columns: slice, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Put some columns of rows that were written together into `out`, and return it."""
