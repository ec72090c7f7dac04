"""The ramp store as its readers see it: one labelled, lazy Dataset."""

from __future__ import annotations

import os
import warnings
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.storage import StorageOptions
from nrsdark_xr.store.direct import ChunkFiles
from nrsdark_xr.store.layout import reduction_chunks
from nrsdark_xr.store.location import (
    Location,
    open_arrays,
    open_group,
    read_arrays,
    reading_data,
    to_json,
)
from nrsdark_xr.store.markers import Marker, read_markers
from nrsdark_xr.store.schema import (
    AXES,
    FILE,
    ROW_COORDINATES,
    VARIABLES,
    Configuration,
    Step,
)
from nrsdark_xr.store.store import read_configuration
from nrsdark_xr.store.workspace import empty

Chunks = Literal["reductions"] | Mapping[str, int | tuple[int, ...] | str] | None
"""How a Dataset is cut: for reductions over ``file``, as told per dimension, or not (no Dask)."""

_INTERNAL = ("kind", "coordinates")
_NOT_THERE = -1


def open_ramps(
    url: str | os.PathLike[str],
    *,
    chunks: Chunks = "reductions",
    names: Sequence[str] | None = None,
    storage_options: StorageOptions | None = None,
) -> xr.Dataset:
    """Open a ramp store as one lazy Dataset; nothing but coordinates is read.

    Parameters
    ----------
    url : str or path
        Local path or fsspec URL.
    chunks : "reductions", mapping or None
        "reductions" puts all of ``file`` into one Dask chunk and cuts the rest as the ramps are
        stored, so that a reduction over exposures is one task per block that reads each stored
        chunk once. A mapping (dimension -> length) changes that for the dimensions it names. None
        gives xarray's lazy arrays without Dask.
    names : sequence of str, optional
        Rows to open; by default all that are done.
    storage_options : mapping, optional
        Options of the fsspec file system.

    Returns
    -------
    xarray.Dataset
        ``ramp`` and ``groupdq`` (file, group, y, x); ``pixeldq``, ``rate``, ``rate_err``,
        ``good_groups``, ``negative_jumps``, ``cds_noise`` (file, y, x). Rows are those that the
        step ``prepare`` finished, sorted by date and name whatever the order in which they were
        written.
        ``bias_groups`` (file, bias_group, y_raw, x) is there if any of these rows has it, and NaN
        for rows without.

    Raises
    ------
    NrsdarkError
        If there is no ramp store, it is damaged, no row is done, or one of `names` is not. Reading
        values later raises it for a chunk that is missing or damaged.

    Warns
    -----
    UserWarning
        If the rows were not all prepared with the same parameters and reference files.

    Examples
    --------
    >>> ds = open_ramps("ramps.zarr")  # doctest: +SKIP
    >>> ds.ramp.sel(y=1024, x=700).isel(file=0).plot()  # doctest: +SKIP
    """
    return _open("prepare", url, chunks=chunks, names=names, storage_options=storage_options)


def open_bias_groups(
    url: str | os.PathLike[str],
    *,
    chunks: Chunks = "reductions",
    names: Sequence[str] | None = None,
    storage_options: StorageOptions | None = None,
) -> xr.Dataset:
    """Open the bias groups of a ramp store, of all rows that the bias step finished.

    As `open_ramps`, for ``bias_groups`` alone; the rows need not be prepared yet.
    """
    return _open("bias", url, chunks=chunks, names=names, storage_options=storage_options)


def open_cross_spectra(
    url: str | os.PathLike[str],
    *,
    chunks: Chunks = "reductions",
    names: Sequence[str] | None = None,
    storage_options: StorageOptions | None = None,
) -> xr.Dataset:
    """Open what the IRS2 weights are made of, of all rows that the refpix step finished.

    As `open_ramps`, for ``cross_spectra`` (file, amplifier, cross_spectrum, frequency) and
    ``bad_reference_rows`` (file, y_raw); the rows need not be prepared yet.
    """
    return _open("refpix", url, chunks=chunks, names=names, storage_options=storage_options)


def _open(
    step: Step,
    url: str | os.PathLike[str],
    *,
    chunks: Chunks,
    names: Sequence[str] | None,
    storage_options: StorageOptions | None,
) -> xr.Dataset:
    location = Location.of(url, storage_options)
    group = open_group(location, mode="r")
    attributes = dict(group.attrs)
    configuration = read_configuration(location, attributes)
    arrays = open_arrays(location, group, [*VARIABLES, *AXES, *ROW_COORDINATES, "file"])
    small = {key: arrays[key] for key in (*AXES, *ROW_COORDINATES, "file")}
    values = read_arrays(location.url, small)
    stored = [str(name) for name in values["file"]]
    columns = {key: values[key][: len(stored)] for key in ROW_COORDINATES}
    axes = {key: values[key] for key in AXES}

    markers = _visible(location, step, stored, names)
    _warn_if_mixed(location, markers)
    rows = _by_date(stored, columns["date_obs"], markers)
    rows_of = {step: rows}
    if step == "prepare":
        with_bias = read_markers(location, "bias")
        rows_of["bias"] = np.array([r if stored[r] in with_bias else _NOT_THERE for r in rows])

    row_names = {int(row): stored[row] for row in rows}
    dataset = _lazy_variables(arrays, rows_of, row_names, location.url)
    if chunks is not None:
        state = {name: [mark.written, to_json(mark.fingerprint)] for name, mark in markers.items()}
        dataset = dataset.chunk(
            _dask_chunks(chunks, configuration, dataset),
            name_prefix="nrsdark-",
            token=to_json([location.url, state, rows_of]),
            inline_array=True,
        )
    dataset = dataset.assign_coords(_coordinates(columns, axes, rows, row_names, dataset.dims))
    dataset.attrs = {key: value for key, value in attributes.items() if key not in _INTERNAL}
    dataset.encoding["source"] = location.url
    return dataset


class _Rows(BackendArray):
    """Rows of one array of the store, in any order, read when asked for.

    Parameters
    ----------
    array : zarr.Array
        Rows along its first axis.
    rows : ndarray of int
        The row that is meant by each index; -1 for a row of nothing but fill values.
    names : mapping of int to str
        Row -> row name, for messages.
    url : str
        For messages.
    """

    def __init__(
        self, array: Any, rows: NDArray[np.intp], names: Mapping[int, str], url: str
    ) -> None:
        self.array = array
        self.rows = rows
        self.names = names
        self.url = url
        self.shape = (rows.size, *array.shape[1:])
        self.dtype = array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        rows = np.atleast_1d(self.rows[key[0]])
        rest = key[1:]
        shapes = [np.arange(n)[k].shape for n, k in zip(self.shape[1:], rest, strict=True)]
        values = empty((rows.size, *sum(shapes, ())), self.dtype)
        files, part = ChunkFiles.of(self.array), _bounds(rest, self.shape[1:])
        with reading_data(self.url, self.names):
            for place, run in _runs(rows):
                if run.start == _NOT_THERE:
                    values[place] = self.array.fill_value
                elif files is not None and part is not None:
                    lengths = (bound.stop - bound.start for bound in part)
                    found = range(run.start, run.stop)
                    files.read(found, part, values[place].reshape(len(found), *lengths))
                else:  # slices cost half of what an index array does
                    values[place] = self.array.oindex[(run, *rest)]
        return values if np.ndim(self.rows[key[0]]) else values[0]


def _runs(rows: NDArray[np.intp]) -> Iterator[tuple[slice, slice]]:
    """Split rows into runs: place in `rows`, slice of the store; absent rows stay alone."""
    steps = np.diff(rows) != 1
    steps |= rows[:-1] == _NOT_THERE
    edges = [0, *(np.flatnonzero(steps) + 1).tolist(), rows.size] if rows.size else []
    for start, stop in pairwise(edges):
        first = int(rows[start])
        yield slice(start, stop), slice(first, first + stop - start)


def _bounds(key: tuple[Any, ...], shape: tuple[int, ...]) -> list[slice] | None:
    """Give an index by its bounds; None if it has more than slices without steps and integers."""
    bounds = []
    for part, length in zip(key, shape, strict=True):
        if isinstance(part, int | np.integer):
            first = int(part) % length
            bounds.append(slice(first, first + 1))
        elif isinstance(part, slice) and part.step in (None, 1):
            start, stop, _ = part.indices(length)
            bounds.append(slice(start, max(start, stop)))
        else:
            return None
    return bounds


def _lazy_variables(
    arrays: Mapping[str, Any],
    rows_of: Mapping[Step, NDArray[np.intp]],
    row_names: Mapping[int, str],
    url: str,
) -> xr.Dataset:
    """Make the variables of those steps that have any of the rows."""
    variables = {}
    for variable in VARIABLES.values():
        rows = rows_of.get(variable.step) if variable.step else None
        if rows is not None and (rows != _NOT_THERE).any():
            data = indexing.LazilyIndexedArray(_Rows(arrays[variable.name], rows, row_names, url))
            variables[variable.name] = xr.Variable(variable.dims, data, dict(variable.attributes))
    return xr.Dataset(variables)


def _visible(
    location: Location, step: Step, stored: Sequence[str], names: Sequence[str] | None
) -> dict[str, Marker]:
    """Read the markers of the rows to open."""
    found = read_markers(location, step)
    done = {name: found[name] for name in stored if name in found}
    if names is not None:
        if missing := [name for name in names if name not in done]:
            raise NrsdarkError(
                f"{step} has not finished {', '.join(missing)}",
                file=location.url,
                remedy="run the step again",
            )
        done = {name: done[name] for name in names}
    if not done:
        raise NrsdarkError(
            f"{step} has finished no exposure yet", file=location.url, remedy="run the step first"
        )
    return done


def _warn_if_mixed(location: Location, markers: Mapping[str, Marker]) -> None:
    first = next(iter(markers.values()))
    changed = {key for marker in markers.values() for key in marker.changes(first.fingerprint)}
    if changed:
        warnings.warn(
            f"{location.url}: rows differ in {', '.join(sorted(changed))}; run the step again, or "
            "open those of one kind by `names`",
            stacklevel=4,
        )


def _by_date(
    stored: Sequence[str], dates: NDArray[np.int64], markers: Mapping[str, Marker]
) -> NDArray[np.intp]:
    """Return the rows of what has a marker, sorted by date, then name."""
    rows = [row for row, name in enumerate(stored) if name in markers]
    return np.array(sorted(rows, key=lambda row: (dates[row], stored[row])), dtype=np.intp)


def _coordinates(
    columns: Mapping[str, NDArray[Any]],
    axes: Mapping[str, NDArray[Any]],
    rows: NDArray[np.intp],
    row_names: Mapping[int, str],
    dims: Container[Hashable],
) -> dict[str, xr.Variable]:
    """Make the coordinates of `rows`, and those along `dims`."""
    names = np.array([row_names[int(row)] for row in rows])
    coordinates = {FILE.name: xr.Variable(FILE.dims, names, dict(FILE.attributes))}
    for key, column in columns.items():
        values, attributes = column[rows], dict(ROW_COORDINATES[key].attributes)
        if key == "date_obs":
            values = values.astype("datetime64[ms]")
            attributes = {"long_name": attributes["long_name"]}  # the rest is how it is stored
        elif ROW_COORDINATES[key].dtype == "str":
            values = np.array(values.tolist(), dtype=str)
        coordinates[key] = xr.Variable(("file",), values, attributes)
    for key, values in axes.items():
        if AXES[key].dims[0] in dims:
            coordinates[key] = xr.Variable(AXES[key].dims, values, dict(AXES[key].attributes))
    return coordinates


def _dask_chunks(
    chunks: Literal["reductions"] | Mapping[str, Any],
    configuration: Configuration,
    dataset: xr.Dataset,
) -> dict[str, Any]:
    wanted: dict[str, Any] = {"file": -1, **reduction_chunks(configuration)}
    if not isinstance(chunks, str):
        if unknown := sorted(chunks.keys() - wanted.keys()):
            raise ValueError(f"no dimension {unknown[0]}; there are {', '.join(wanted)}")
        wanted |= chunks
    elif chunks != "reductions":
        raise ValueError(f'chunks is "reductions", a mapping or None, not {chunks!r}')
    return {dim: length for dim, length in wanted.items() if dim in dataset.dims}
