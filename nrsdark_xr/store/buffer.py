"""The ramp of one row, on its way to the store and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.workspace import Pool
from nrsdark_xr.store.chunks import write_chunks
from nrsdark_xr.store.direct import ChunkFiles
from nrsdark_xr.store.location import Location, reading_data, writing
from nrsdark_xr.store.workspace import Workspace, reading_into_workspace


@dataclass(frozen=True)
class RampBuffer:
    """The ramp of one row, written and read by bands that are whole chunks.

    Attributes
    ----------
    array : zarr.Array
        The variable ``ramp``.
    row : int
        Place along ``file``.
    name : str
        Of the row.
    location : Location
        Of the store.
    memory : Pool of Workspace
        Where chunks are put together, encoded and read: one for each thread that does.
    """

    array: Any
    row: int
    name: str
    location: Location
    memory: Pool[Workspace] = field(default_factory=lambda: Pool(Workspace), repr=False)

    @property
    def band_rows(self) -> int:
        """Rows that a band must be a multiple of."""
        return int(self.array.chunks[2])

    @property
    def chunk_columns(self) -> int:
        """Columns of a chunk: to read fewer of them costs as much."""
        return int(self.array.chunks[3])

    def write(self, rows: slice, ramp: NDArray[np.float32]) -> None:
        """Write a band.

        Parameters
        ----------
        rows : slice
            Whole chunks: starts at a multiple of `band_rows`, ends at one or at the last row.
        ramp : ndarray of float32, shape (group, rows, x)
            In DN.

        Raises
        ------
        ValueError
            If `rows` would cut a chunk, or `ramp` has another shape or type.
        NrsdarkError
            If it cannot be written.
        """
        start, stop = self._bounds(rows)
        n_groups, _, xsize = self.array.shape[1:]
        check_array("ramp", ramp, (n_groups, stop - start, xsize), self.array.dtype)
        with writing(self.location.url), self._in_memory():
            write_chunks(self.array, self.location, self.row, (0, start, 0), ramp)

    def read(
        self,
        rows: slice,
        columns: slice = slice(None),
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Read a band that was written, or some columns of it.

        Parameters
        ----------
        rows : slice
            As for `write`.
        columns : slice, optional
            Without step; cheapest in whole chunks.
        out : ndarray of float32, shape (group, rows, columns), optional
            Memory to use again; a new array unless given.

        Returns
        -------
        ndarray of float32, shape (group, rows, columns)

        Raises
        ------
        ValueError
            If `rows` would cut a chunk, or `out` has another shape or type.
        NrsdarkError
            If it was not written, or cannot be read.
        """
        start, stop = self._bounds(rows)
        _, n_groups, _, xsize = self.array.shape
        first, last, _ = columns.indices(xsize)
        shape = n_groups, stop - start, last - first
        values = np.empty(shape, self.array.dtype) if out is None else out
        check_array("out", values, shape, self.array.dtype)
        part = slice(0, n_groups), slice(start, stop), slice(first, last)
        files = ChunkFiles.of(self.array)
        with reading_data(self.location.url, {self.row: self.name}, marked=False):
            if files is None:
                values[...] = self.array[(self.row, *part)]
            else:
                with self._in_memory():
                    files.read([self.row], part, values[np.newaxis])
        return values

    @contextmanager
    def _in_memory(self) -> Iterator[None]:
        """Have this thread work in memory that was worked in before."""
        with self.memory.one() as workspace, reading_into_workspace(workspace):
            workspace.begin()
            yield

    def _bounds(self, rows: slice) -> tuple[int, int]:
        ysize = self.array.shape[2]
        start, stop, stride = rows.indices(ysize)
        aligned = start % self.band_rows == 0 and (stop % self.band_rows == 0 or stop == ysize)
        if stride != 1 or start >= stop or not aligned:
            raise ValueError(f"{rows} is not made of whole chunks of {self.band_rows} rows")
        return start, stop


def check_array(
    name: str, values: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    """Raise ValueError unless `values` has the shape and type of the store."""
    if values.shape != shape or values.dtype != dtype:
        raise ValueError(
            f"{name} has shape {values.shape} and type {values.dtype}, "
            f"the store {shape} and {dtype}"
        )
