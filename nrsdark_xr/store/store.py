"""The ramp store as its writers see it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import zarr
from numpy.typing import NDArray

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.storage.locations import StorageOptions, reading
from nrsdark_xr.store import template
from nrsdark_xr.store.buffer import RampBuffer, check_array
from nrsdark_xr.store.chunks import write_chunks
from nrsdark_xr.store.layout import n_chunks
from nrsdark_xr.store.location import Location, open_arrays, open_group, writing
from nrsdark_xr.store.lock import hold_lock
from nrsdark_xr.store.markers import Marker, delete_markers, read_markers, write_marker
from nrsdark_xr.store.schema import (
    SCHEMA_VERSION,
    SELECTION,
    VARIABLES,
    Configuration,
    Step,
    Variable,
    step_variables,
)

if TYPE_CHECKING:
    from nrsdark_xr.calibration.exposure import CalibratedMaps


class _Contents(NamedTuple):
    """What is read of a store when it is opened."""

    group: zarr.Group
    configuration: Configuration
    arrays: Mapping[str, zarr.Array[Any]]
    rows: Mapping[str, int]


class RampStore:
    """A ramp store, open for writing.

    One process makes it or adds rows (`open_or_create`), under `lock`; then any number of workers
    `open` it and write different rows at once, without speaking to each other: no chunk is shared
    between rows. To write a row twice with the same values is harmless.

    It pickles by its URL; what comes out of a pickle is opened when it is first used, since Dask's
    scheduler unpickles tasks, too, and need not see the store.

    Parameters
    ----------
    url : str or path
        Local path or fsspec URL of a store that is there.
    storage_options : mapping, optional
        Options of the fsspec file system.

    Raises
    ------
    NrsdarkError
        If there is no ramp store, it is damaged, or another version of the schema wrote it.
    """

    def __init__(
        self, url: str | os.PathLike[str], storage_options: StorageOptions | None = None
    ) -> None:
        self._location = Location.of(url, storage_options)
        self._contents = self._open()

    def __getstate__(self) -> dict[str, Any]:
        return {"_location": self._location}

    @cached_property
    def _contents(self) -> _Contents:
        return self._open()

    def _open(self) -> _Contents:
        group = open_group(self._location, mode="r+")
        configuration = read_configuration(self._location, dict(group.attrs))
        arrays = open_arrays(self._location, group, [*VARIABLES, "file", *SELECTION])
        with reading(self.url):
            names = [str(name) for name in arrays["file"][:]]
        return _Contents(
            group, configuration, arrays, {name: row for row, name in enumerate(names)}
        )

    @property
    def configuration(self) -> Configuration:
        """What all its exposures share."""
        return self._contents.configuration

    @property
    def names(self) -> tuple[str, ...]:
        """Row names, in the order of their rows."""
        return tuple(self._contents.rows)

    def __repr__(self) -> str:
        c = self.configuration
        return (
            f"<RampStore {self.url}: {len(self.names)} rows, "
            f"{c.detector} {c.readpatt} {c.subarray}, {c.n_groups} groups>"
        )

    @property
    def url(self) -> str:
        """Absolute path or URL."""
        return self._location.url

    @classmethod
    def open_or_create(
        cls,
        url: str | os.PathLike[str],
        exposures: Sequence[Exposure],
        *,
        attributes: Mapping[str, Any] | None = None,
        storage_options: StorageOptions | None = None,
    ) -> Self:
        """Open the store at `url`, with a row for every integration of `exposures`.

        Makes the store if there is none, else adds the rows that are new at its end; rows that are
        there keep their place. To be called by one process, not by workers. Takes the lock for as
        long as it works.

        Parameters
        ----------
        url : str or path
            Local path or fsspec URL.
        exposures : sequence of Exposure
        attributes : mapping, optional
            Further attributes of the store; what is nested is kept as compact JSON.
        storage_options : mapping, optional
            Options of the fsspec file system.

        Raises
        ------
        NrsdarkError
            If an exposure is of another configuration than the store or the other exposures, two
            have one name, something that is no ramp store is there, another run is at work on it,
            or it cannot be written.
        """
        location = Location.of(url, storage_options)
        if not exposures:
            raise NrsdarkError("no exposure for the store", file=location.url)
        _check_configurations(location, Configuration.of(exposures[0]), exposures, "the first one")
        with hold_lock(location):
            if _must_create(location):
                template.create(location, Configuration.of(exposures[0]))
            group = open_group(location, mode="r+")
            configuration = read_configuration(location, dict(group.attrs))
            _check_configurations(location, configuration, exposures, "the store")
            template.add_rows(location, group, exposures)
            with writing(location.url):
                template.update_attributes(group, attributes or {})
            return cls(location.url, location.storage_options)

    def lock(self) -> AbstractContextManager[None]:
        """Keep other runs off the store (see `nrsdark_xr.store.lock.hold_lock`)."""
        return hold_lock(self._location)

    def ramp_buffer(self, row_name: str) -> RampBuffer:
        """Give the ramp of one row, to be written and read by bands."""
        return RampBuffer(
            self._contents.arrays["ramp"], self._row(row_name), row_name, self._location
        )

    def write_maps(self, row_name: str, maps: CalibratedMaps, threads: int = 1) -> None:
        """Write all that `prepare` keeps of a row besides its ramp.

        Parameters
        ----------
        row_name : str
        maps : CalibratedMaps
        threads : int, optional
            Variables that are written at once.

        Raises
        ------
        ValueError
            If an array has another shape or type than the store.
        NrsdarkError
            If it cannot be written.
        """

        def write(variable: Variable) -> None:
            self._write(variable, row_name, getattr(maps, variable.name))

        variables = [variable for variable in step_variables("prepare") if variable.name != "ramp"]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(write, variables))

    def write_bias_groups(self, row_name: str, bias_groups: NDArray[np.float32]) -> None:
        """Write the groups from which the bias is made.

        Parameters
        ----------
        row_name : str
        bias_groups : ndarray of float32, shape (2, y_raw, x)
            In DN.

        Raises
        ------
        ValueError
            If it has another shape or type.
        NrsdarkError
            If it cannot be written.
        """
        self._write(VARIABLES["bias_groups"], row_name, bias_groups)

    def write_cross_spectra(
        self, row_name: str, sums: NDArray[np.float32], bad_rows: NDArray[np.bool_]
    ) -> None:
        """Write what an IRS2 exposure tells of the weights of its reference samples.

        Parameters
        ----------
        row_name : str
        sums : ndarray of float32, shape (4, 8, frequency)
            In DN^2.
        bad_rows : ndarray of bool, shape (y_raw,)

        Raises
        ------
        ValueError
            If an array has another shape or type.
        NrsdarkError
            If it cannot be written.
        """
        self._write(VARIABLES["cross_spectra"], row_name, sums)
        self._write(VARIABLES["bad_reference_rows"], row_name, bad_rows.astype(np.uint8))

    def set_selection(self, selection: Mapping[str, tuple[bool, str]]) -> None:
        """Write the outcome of a selection: whether each row is accepted, and if not, why.

        Rows that are not in `selection` were not among the inputs: they are not accepted either.
        """
        absent = (False, "not among the inputs")
        chosen = {name: selection.get(name, absent) for name in self.names}
        with writing(self.url):
            for place, key in enumerate(SELECTION):
                values = {name: outcome[place] for name, outcome in chosen.items()}
                template.replace_rows(self._contents.arrays[key], self.names, values)

    def note_run(self, run: Mapping[str, Any]) -> None:
        """Add to the attribute ``runs`` (a JSON list) who worked on the store, and when.

        Parameters
        ----------
        run : mapping
            With ``started``; the entry of the same start, if there is one, is replaced.
        """
        earlier = json.loads(self._contents.group.attrs.get("runs", "[]"))
        runs = [entry for entry in earlier if entry["started"] != run["started"]]
        with writing(self.url):
            template.update_attributes(self._contents.group, {"runs": [*runs, dict(run)]})

    def mark_done(
        self,
        step: Step,
        name: str,
        record: Mapping[str, Any],
        *,
        fingerprint: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a row count: the last thing that `step` does to it.

        Parameters
        ----------
        step : {"refpix", "bias", "prepare"}
        name : str
            Row name.
        record : mapping
            What `done` shall tell about it; JSON or NumPy values.
        fingerprint : mapping, optional
            Everything that the row's values depend on; `begin` compares it.

        Raises
        ------
        NrsdarkError
            If a chunk of the row is not there, or the marker cannot be written.
        """
        row = self._row(name)
        for variable in step_variables(step):
            array = self._contents.arrays[variable.name]
            expected = n_chunks(array.shape[1:], array.chunks[1:])
            found = self._location.count_chunks(variable.name, row)
            if found != expected:
                raise NrsdarkError(
                    f"{name} has {found} of {expected} chunks of {variable.name}",
                    file=self.url,
                    remedy="run again",
                )
        write_marker(self._location, step, name, record=record, fingerprint=fingerprint or {})

    def markers(self, step: Step) -> dict[str, Marker]:
        """Return the markers of the rows that `step` has finished, by name, in the rows' order."""
        found = read_markers(self._location, step)
        return {name: found[name] for name in self.names if name in found}

    def done(self, step: Step) -> dict[str, dict[str, Any]]:
        """Return the records of the rows that `step` has finished, whatever their fingerprint."""
        return {name: marker.record for name, marker in self.markers(step).items()}

    def forget(self, step: Step, names: Sequence[str]) -> None:
        """Hide rows from readers until `step` has done them again.

        To be called by the process that holds the lock before it has rows written anew, so that a
        run that is cut off never leaves a row of old and new chunks that still counts. Workers
        forget nothing: a task that runs twice leaves what the first run finished.
        """
        delete_markers(self._location, step, names)

    def _write(self, variable: Variable, row_name: str, values: NDArray[Any]) -> None:
        array = self._contents.arrays[variable.name]
        check_array(variable.name, values, array.shape[1:], array.dtype)
        row = self._row(row_name)
        with writing(self.url):
            write_chunks(array, self._location, row, (0,) * values.ndim, values)

    def _row(self, name: str) -> int:
        try:
            return self._contents.rows[name]
        except KeyError:
            raise NrsdarkError(f"the store has no row {name}", file=self.url) from None


def read_configuration(location: Location, attributes: Mapping[str, Any]) -> Configuration:
    """Take the configuration of a store from its attributes.

    Raises
    ------
    NrsdarkError
        If it is no ramp store, or was written by another version of the schema.
    """
    if attributes.get("kind") != template.KIND:
        raise NrsdarkError(
            "is a Zarr group, but no ramp store", file=location.url, remedy="give another path"
        )
    version = attributes.get("schema_version")
    if version != SCHEMA_VERSION:
        raise NrsdarkError(
            f"the store has schema version {version}, this nrsdark_xr reads {SCHEMA_VERSION}",
            file=location.url,
            remedy="use the nrsdark_xr that wrote it, or give another path",
        )
    try:
        return Configuration.from_attributes(attributes)
    except KeyError as error:
        raise NrsdarkError(
            f"the store's attribute {error.args[0]} is missing",
            file=location.url,
            remedy="restore it from a copy, or remove the store and run again",
        ) from error


def _must_create(location: Location) -> bool:
    """Whether there is no store yet; what a cut-off creation left is removed."""
    if location.is_empty():
        return True
    if location.read("zarr.json") is None:
        raise NrsdarkError(
            "is a folder with something else than a ramp store",
            file=location.url,
            remedy="give another path",
        )
    attributes = dict(open_group(location, mode="r+").attrs)
    if template.is_unfinished(attributes):
        template.discard(location)
        return True
    return False


def _check_configurations(
    location: Location,
    wanted: Configuration,
    exposures: Sequence[Exposure],
    whose: str,
) -> None:
    for exposure in exposures:
        if difference := wanted.difference(Configuration.of(exposure)):
            raise NrsdarkError(
                f"{exposure.name} does not go with {whose}: it has {difference}",
                file=location.url,
                remedy="leave it out, or give another path for the store",
            )
