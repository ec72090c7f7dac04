"""Making a store and adding rows to it: the work of one process, done before any row is written.

Both can be cut off at any moment and done again. A store under construction says so in its
attributes; new rows count only once their names are in ``file``, which is written last.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.store.codecs import compressor
from nrsdark_xr.store.layout import ROW_CHUNK, stored_chunks
from nrsdark_xr.store.location import Location, open_arrays, to_json, writing
from nrsdark_xr.store.schema import (
    AXES,
    FILE,
    ROW_COORDINATES,
    SCHEMA_VERSION,
    VARIABLES,
    Configuration,
    Variable,
    row_values,
)

KIND = "nrsdark_xr ramp store"
_UNFINISHED = "unfinished"
_WRITERS = 8
"""Threads that create arrays side by side."""
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def is_unfinished(attributes: Mapping[str, Any]) -> bool:
    """Whether the making of this store was cut off."""
    return attributes.get("kind") == KIND and _UNFINISHED in attributes


def create(location: Location, configuration: Configuration) -> None:
    """Write the template of a store without rows.

    Raises
    ------
    NrsdarkError
        If it cannot be written.
    """
    head = {"kind": KIND, "schema_version": SCHEMA_VERSION}
    with writing(location.url):
        group = zarr.create_group(
            store=location.zarr_store(),
            zarr_format=3,
            overwrite=False,
            attributes={**head, _UNFINISHED: True},
        )
        _create_arrays(group, configuration)
        coordinates = " ".join([*ROW_COORDINATES, *(n for n, a in AXES.items() if a.dims != (n,))])
        group.attrs.put({**head, **configuration.attributes(), "coordinates": coordinates})


def _create_arrays(group: zarr.Group, configuration: Configuration) -> None:
    """Create all arrays side by side: over a network each waits for several answers."""
    axes = configuration.axes()
    chunks = {name: stored_chunks(entry, configuration) for name, entry in VARIABLES.items()}
    chunks |= {coordinate.name: (ROW_CHUNK,) for coordinate in (*ROW_COORDINATES.values(), FILE)}
    chunks |= {name: (values.size,) for name, values in axes.items()}
    entries = [*VARIABLES.values(), *ROW_COORDINATES.values(), FILE, *(AXES[name] for name in axes)]

    def create_one(entry: Variable) -> None:
        array = _create_array(group, entry, configuration, chunks[entry.name])
        if entry.name in axes:
            array[:] = axes[entry.name]

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(create_one, entries))


def discard(location: Location) -> None:
    """Remove a store under construction."""
    with writing(location.url):
        fs, root = location.files()
        fs.rm(root, recursive=True)


def _create_array(
    group: zarr.Group,
    variable: Variable,
    configuration: Configuration,
    chunks: tuple[int, ...],
) -> Any:
    sizes = {"file": 0, **configuration.sizes()}
    text = variable.dtype == "str"
    return group.create_array(
        variable.name,
        shape=tuple(sizes[dim] for dim in variable.dims),
        chunks=chunks,
        dtype=str if text else variable.dtype,
        fill_value=variable.fill,
        compressors=[compressor(np.str_ if text else variable.dtype)],
        dimension_names=variable.dims,
        attributes=dict(variable.attributes),
        config={"write_empty_chunks": True},
    )


def add_rows(location: Location, group: zarr.Group, exposures: Sequence[Exposure]) -> None:
    """Add the rows of `exposures` that are new, and write what the headers say of all of them.

    Rows that are there keep their place, whatever the order of `exposures`.

    Raises
    ------
    NrsdarkError
        If two exposures have one name, or a name could not be one of a file.
    """
    _check_names(exposures)
    headers = {name: row_values(item) for item in exposures for name in item.row_names()}
    arrays = open_arrays(location, group, [*VARIABLES, *ROW_COORDINATES, "file"])
    with writing(location.url):
        old = [str(name) for name in arrays["file"][:]]
        names = list(dict.fromkeys([*old, *headers]))
        for array in (array for name, array in arrays.items() if name != "file"):
            if array.shape[0] != len(names):
                array.resize((len(names), *array.shape[1:]))
        for key in row_values(exposures[0]):
            values = {name: header[key] for name, header in headers.items()}
            replace_rows(arrays[key], names, values)
        if names != old:
            arrays["file"].resize((len(names),))
            arrays["file"][:] = text(names)


def replace_rows(array: Any, names: Sequence[str], values: Mapping[str, Any]) -> None:
    """Put `values` (by row name) into a row coordinate, if they are not what it holds."""
    before = array[:]
    after = before.copy()
    for row, name in enumerate(names):
        if name in values:
            after[row] = values[name]
    same = np.array_equal(before, after, equal_nan=before.dtype.kind == "f")
    if not same:
        array[:] = after


def update_attributes(group: zarr.Group, attributes: Mapping[str, Any]) -> None:
    """Merge `attributes` into those of the store; what is nested becomes compact JSON.

    Raises
    ------
    ValueError
        If one has the name of an attribute that the store itself needs.
    """
    own = {"kind", "schema_version", "coordinates", *Configuration.__dataclass_fields__}
    if taken := sorted(own & attributes.keys()):
        raise ValueError(f"the store keeps {', '.join(taken)} itself")
    plain = {key: _attribute(value) for key, value in attributes.items()}
    if any(group.attrs.get(key) != value for key, value in plain.items()):
        group.attrs.update(plain)


def _attribute(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else to_json(value)


def text(values: Sequence[str]) -> NDArray[Any]:
    """Make text of any length as NumPy holds it."""
    return np.array(values, dtype=np.dtypes.StringDType())


def _check_names(exposures: Sequence[Exposure]) -> None:
    rows = Counter(name for exposure in exposures for name in exposure.row_names())
    for exposure in exposures:
        for name in exposure.row_names():
            if rows[name] > 1:
                raise NrsdarkError(
                    f"two inputs have the name {name}",
                    file=exposure.url,
                    remedy="leave one of them out",
                )
            if not _NAME.fullmatch(name):
                raise NrsdarkError(
                    f"the name {name!r} has other signs than letters, digits, _ and -",
                    file=exposure.url,
                    remedy="rename it",
                )
