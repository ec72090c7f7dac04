"""How the store reaches its objects: Zarr nodes and small JSON files, on a disk or elsewhere."""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.locations import (
    StorageOptions,
    file_system,
    is_remote,
    normalise,
    reading,
)
from nrsdark_xr.store.schema import VARIABLES

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def writing(url: str) -> Iterator[None]:
    """Turn what a disk or an object store answers to a write into one clear line about `url`.

    Raises
    ------
    NrsdarkError
        For a full disk, a missing permission, a failing connection. Errors of the program itself
        pass unchanged.
    """
    try:
        with reading(url):
            yield
    except NrsdarkError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError):
            raise
        if cause.errno in _FULL:
            raise NrsdarkError(
                "no space left to write",
                file=url,
                remedy="free some, then run again: finished exposures stay",
            ) from cause
        if isinstance(cause, PermissionError) or cause.errno in _FORBIDDEN:
            raise NrsdarkError(
                "cannot be written",
                file=url,
                remedy="check its permissions or your credentials, or give another path",
            ) from cause
        if isinstance(cause, FileNotFoundError):
            raise NrsdarkError(
                "the folder or bucket in which to write is not there",
                file=url,
                remedy="make it, or give another path",
            ) from cause
        if isinstance(cause, (NotADirectoryError, FileExistsError, IsADirectoryError)):
            raise NrsdarkError(
                "a file is in the way", file=url, remedy="move it, or give another path"
            ) from cause
        raise


class MissingChunkError(Exception):
    """A chunk of data is not there.

    Attributes
    ----------
    key : str
        Of the chunk, such as ``ramp/c/0/1/2/3``.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class CompleteStore(WrapperStore[Any]):
    """A Zarr store to which a missing chunk of data is an error.

    Zarr returns the fill value where there is no chunk, so that a chunk lost after its row was done
    would pass for data. All chunks of a row are written, also those that hold nothing but the fill
    value; and only whole ones, so that writing never has to read.
    """

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Get the object at `key`; raise MissingChunkError for data that are not there."""
        value = await super().get(key, prototype, byte_range)
        name, _, rest = key.partition("/")
        if value is None and name in VARIABLES and rest.startswith("c/"):
            raise MissingChunkError(key)
        return value


@contextmanager
def reading_data(url: str, names: Mapping[int, str]) -> Iterator[None]:
    """Turn what may go wrong when data are read into one clear line.

    Parameters
    ----------
    url : str
        Of the store.
    names : mapping of int to str
        Row -> row name.

    Raises
    ------
    NrsdarkError
        For chunks that are missing or damaged, and as `nrsdark_xr.exposures.locations.reading`.
    """
    try:
        with reading(url):
            yield
    except MissingChunkError as error:
        variable, _, row = error.key.split("/")[:3]
        marker = f"file/markers/{VARIABLES[variable].step}/{names[int(row)]}.json"
        raise NrsdarkError(
            "this chunk is missing",
            file=f"{url}/{error.key}",
            remedy=f"delete {url}/{marker} and run again",
        ) from error
    except (RuntimeError, ValueError) as error:  # what the codecs raise
        raise NrsdarkError(
            f"a chunk of {', '.join(names.values())} is damaged ({error})",
            file=url,
            remedy="delete their markers under file/markers and run again",
        ) from error


@dataclass(frozen=True)
class Location:
    """A store's URL, with what is needed to reach it.

    Attributes
    ----------
    url : str
        Absolute path or URL, without a slash at the end.
    storage_options : mapping
        Options of the fsspec file system.
    """

    url: str
    storage_options: StorageOptions = field(default_factory=dict)

    @classmethod
    def of(cls, url: str | os.PathLike[str], storage_options: StorageOptions | None) -> Location:
        """Make it of a path or URL as users write it."""
        return cls(normalise(os.fspath(url)).rstrip("/"), dict(storage_options or {}))

    @property
    def local(self) -> Path | None:
        """The path on this machine, None for other URLs."""
        return None if is_remote(self.url) else Path(self.url)

    @property
    def lock_url(self) -> str:
        """Of the lock: beside the store, which may not be there yet."""
        return f"{self.url}.lock"

    def zarr_store(self, *, read_only: bool = False) -> Any:
        """Make the Zarr store at this place."""
        if self.local is not None:
            return LocalStore(self.local, read_only=read_only)
        return FsspecStore.from_url(
            self.url, storage_options=dict(self.storage_options), read_only=read_only
        )

    def files(self) -> tuple[Any, str]:
        """Return the fsspec file system, and the store's path on it."""
        return file_system(self.url, self.storage_options)

    def is_empty(self) -> bool:
        """Whether there is nothing at this place.

        Raises
        ------
        NrsdarkError
            If a file is there.
        """
        if self.local is not None and self.local.exists() and not self.local.is_dir():
            raise NrsdarkError(
                "is a file, not a ramp store", file=self.url, remedy="give another path"
            )
        fs, root = self.files()
        fs.invalidate_cache()
        with reading(self.url):
            return not (fs.exists(root) and fs.ls(root, detail=False))

    def read(self, key: str) -> bytes | None:
        """Get the object at `key`, None if there is none."""
        return self.read_many([key]).get(key)

    def read_many(self, keys: list[str]) -> dict[str, bytes]:
        """Get those of the objects at `keys` that are there."""
        fs, root = self.files()
        by_path = {f"{root}/{key}": key for key in keys}
        with reading(self.url):
            found = fs.cat(list(by_path), on_error="return") if by_path else {}
            for value in found.values():
                if isinstance(value, Exception) and not isinstance(value, FileNotFoundError):
                    raise value
        return {by_path[path]: data for path, data in found.items() if isinstance(data, bytes)}

    def list_names(self, prefix: str) -> list[str]:
        """List the names of the objects right under `prefix`, sorted."""
        fs, root = self.files()
        fs.invalidate_cache(f"{root}/{prefix}")
        with reading(self.url):
            try:
                paths = fs.ls(f"{root}/{prefix}", detail=False)
            except FileNotFoundError:
                return []
        return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

    def count_chunks(self, variable: str, row: int) -> int:
        """Count the chunks that there are of one row of a variable."""
        fs, root = self.files()
        prefix = f"{root}/{variable}/c/{row}"
        fs.invalidate_cache(prefix)
        with reading(self.url):
            return sum(path.rpartition("/")[2].isdigit() for path in fs.find(prefix))

    def write(self, key: str, data: bytes) -> None:
        """Put `data` at `key` as a whole or not at all."""
        with writing(self.url):
            if self.local is not None:
                _write_atomically(self.local / key, data)
            else:
                fs, root = self.files()
                fs.pipe_file(f"{root}/{key}", data)

    def delete(self, keys: list[str]) -> None:
        """Remove the objects at `keys`; one that is not there is no error."""
        fs, root = self.files()
        with writing(self.url):
            for key in keys:
                with suppress(FileNotFoundError):
                    fs.rm_file(f"{root}/{key}")


def _write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def to_json(value: object) -> str:
    """Compact JSON with sorted keys, so that equal values give equal text.

    Raises
    ------
    TypeError
        For what is neither JSON nor a NumPy scalar or array.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"a {type(value).__name__} cannot be recorded")


def open_group(location: Location, *, mode: str) -> zarr.Group:
    """Open the Zarr group of a store, such that a missing chunk of data is an error.

    Raises
    ------
    NrsdarkError
        If there is no ramp store, or its metadata are damaged.
    """
    metadata = _root_metadata(location)
    if metadata.get("node_type") != "group" or metadata.get("zarr_format") != 3:
        raise NrsdarkError(
            "is not a Zarr v3 group, so no ramp store", file=location.url, remedy="check the path"
        )
    store = CompleteStore(location.zarr_store(read_only=mode == "r"))
    with reading(location.url):
        return zarr.open_group(store=store, mode=mode, zarr_format=3)


def open_arrays(location: Location, group: zarr.Group, names: list[str]) -> dict[str, Any]:
    """Open the arrays `names` of the store.

    Raises
    ------
    NrsdarkError
        If one is missing or its metadata are damaged.
    """
    arrays = {}
    for name in names:
        try:
            with reading(location.url):
                arrays[name] = group[name].with_config({"write_empty_chunks": True})
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(location, f"{name}/zarr.json") from error
    return arrays


def _root_metadata(location: Location) -> dict[str, Any]:
    missing = NrsdarkError("there is no ramp store", file=location.url, remedy="check the path")
    if location.is_empty():
        raise missing
    raw = location.read("zarr.json")
    if raw is None:
        raise missing
    try:
        metadata = json.loads(raw)
    except ValueError as error:
        raise _damaged(location, "zarr.json") from error
    if not isinstance(metadata, dict):
        raise _damaged(location, "zarr.json")
    return metadata


def _damaged(location: Location, key: str) -> NrsdarkError:
    return NrsdarkError(
        f"the store's {key} is damaged",
        file=location.url,
        remedy="restore it from a copy, or remove the store and run again",
    )
