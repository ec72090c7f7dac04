"""How the store reaches its objects: Zarr nodes and small JSON files, on a disk or elsewhere."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import FsspecStore, LocalStore, ObjectStore, StorePath, WrapperStore

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.storage import (
    StorageOptions,
    file_name,
    file_system,
    fsspec_options,
    is_remote,
    normalise,
    reading,
)
from nrsdark_xr.storage.locations import is_s3
from nrsdark_xr.storage.messages import explain
from nrsdark_xr.store.schema import VARIABLES

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_COPY_BYTES = 4 * 1024 * 1024
_WRITE_BYTES = 256 * 1024
"""Written at a time. Larger writes take file cache in blocks of 2 MiB, which a virtual machine has
given back to its host and must ask for again: five times the time of the same bytes."""
_READERS = 8
"""Threads that read the coordinates side by side."""


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
        if not isinstance(cause, OSError) or explain(cause) is not None:
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

    It pickles by its location, so that workers use keys and connections of their own.

    Parameters
    ----------
    store : zarr.abc.store.Store
        The store at `location`.
    location : Location
    """

    def __init__(self, store: Any, location: Location) -> None:
        super().__init__(store)
        self.location = location

    def _with_store(self, store: Any) -> CompleteStore:
        return type(self)(store, self.location)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.location, self.read_only)

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Get the object at `key`; raise MissingChunkError for data that are not there."""
        value = await super().get(key, prototype, byte_range)
        name, _, rest = key.partition("/")
        if value is None and name in VARIABLES and rest.startswith("c/"):
            raise MissingChunkError(key)
        return value


@contextmanager
def reading_data(url: str, names: Mapping[int, str], *, marked: bool = True) -> Iterator[None]:
    """Turn what may go wrong when data are read into one clear line.

    Parameters
    ----------
    url : str
        Of the store.
    names : mapping of int to str
        Row -> row name.
    marked : bool
        Whether the rows are done, so that their markers must go before a run makes them again.

    Raises
    ------
    NrsdarkError
        For chunks that are missing or damaged, and as `nrsdark_xr.storage.locations.reading`.
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
            remedy=f"delete {url}/{marker} and run again" if marked else "run again",
        ) from error
    except (RuntimeError, ValueError) as error:  # what the codecs raise
        raise NrsdarkError(
            f"a chunk of {', '.join(names.values())} is damaged ({error})",
            file=url,
            remedy="delete their markers under file/markers and run again"
            if marked
            else "run again",
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
    storage_options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, url: str | os.PathLike[str], storage_options: StorageOptions | None) -> Location:
        """Make it of a path or URL as users write it."""
        place = normalise(os.fspath(url)).rstrip("/")
        return cls(place, fsspec_options(place, storage_options))

    @property
    def name(self) -> str:
        """The last part of the path."""
        return file_name(self.url)

    @property
    def local(self) -> Path | None:
        """The path on this machine, None for other URLs."""
        return None if is_remote(self.url) else Path(self.url)

    @property
    def lock_url(self) -> str:
        """Of the lock: beside the store, which may not be there yet."""
        return f"{self.url}.lock"

    def zarr_store(self, *, read_only: bool = False) -> Any:
        """Make the Zarr store at this place: of obstore for S3 where that can be used."""
        if self.local is not None:
            return LocalStore(self.local, read_only=read_only)
        if not is_s3(self.url):
            return FsspecStore.from_url(
                self.url, storage_options=dict(self.storage_options), read_only=read_only
            )
        from nrsdark_xr.storage.object_store import object_store, use_obstore
        from nrsdark_xr.storage.s3 import s3_file_system

        if use_obstore(self.storage_options):
            return ObjectStore(object_store(self.url, self.storage_options), read_only=read_only)
        system, path = s3_file_system(self.url, {**self.storage_options, "asynchronous": True})
        return FsspecStore(system, path=path, read_only=read_only)

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
        self.refuse_file()
        fs, root = self.files()
        fs.invalidate_cache()
        with reading(self.url):
            return not (fs.exists(root) and fs.ls(root, detail=False))

    def exists(self, key: str = "") -> bool:
        """Whether there is anything at this place, or at `key` below it."""
        fs, root = self.files()
        with reading(self.url):
            return fs.exists(f"{root}/{key}" if key else root)

    def refuse_file(self) -> None:
        """Raise NrsdarkError if a file of this machine is at this place."""
        if self.local is not None and self.local.exists() and not self.local.is_dir():
            raise NrsdarkError(
                "is a file, not a ramp store", file=self.url, remedy="give another path"
            )

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

    @contextmanager
    def open(self) -> Iterator[Any]:
        """Open the file at this place for reading; of a remote one, only what is read is fetched.

        Raises
        ------
        NrsdarkError
            If it cannot be read.
        """
        fs, path = self.files()
        with reading(self.url), fs.open(path, "rb") as file:
            yield file

    def digest(self) -> str:
        """Hash the bytes of the file at this place, to 64 hexadecimal digits of SHA-256."""
        digest = hashlib.sha256()
        with self.open() as file:
            while piece := file.read(_COPY_BYTES):
                digest.update(piece)
        return digest.hexdigest()

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

    def create(self, key: str, data: bytes) -> bool:
        """Put `data` at `key` as a whole unless something is there; tell whether it was put.

        Of several that try at once, one gets it: by a hard link on a disk, by a conditional put
        where the fsspec file system has one (S3 has).
        """
        with writing(self.url):
            try:
                if self.local is not None:
                    _create_atomically(self.local / key, data)
                else:
                    fs, root = self.files()
                    fs.pipe_file(f"{root}/{key}", data, mode="create")
            except FileExistsError:
                return False
        return True

    def write(self, key: str, data: bytes) -> None:
        """Put `data` at `key` as a whole or not at all."""
        with writing(self.url):
            if self.local is not None:
                write_atomically(self.local / key, data)
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


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write a local file as a whole or not at all; make its folder."""
    with _temporary_file(path, data) as temporary:
        temporary.replace(path)


def _create_atomically(path: Path, data: bytes) -> None:
    """Write a file; raise FileExistsError if there is one."""
    with _temporary_file(path, data) as temporary:
        path.hardlink_to(temporary)


@contextmanager
def _temporary_file(path: Path, data: bytes | memoryview) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            for start in range(0, len(data), _WRITE_BYTES):
                file.write(memoryview(data)[start : start + _WRITE_BYTES])
        yield temporary
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


def _reopen(location: Location, read_only: bool) -> CompleteStore:
    return CompleteStore(location.zarr_store(read_only=read_only), location)


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
    store = _reopen(location, mode == "r")
    with reading(location.url):
        return zarr.open_group(store=store, mode=mode, zarr_format=3)


def open_arrays(location: Location, group: zarr.Group, names: list[str]) -> dict[str, Any]:
    """Open the arrays `names` of the store; all their metadata are asked for at once.

    Raises
    ------
    NrsdarkError
        If one is missing or its metadata are damaged.
    """
    keys = {name: f"{name}/zarr.json" for name in names}
    metadata = location.read_many(list(keys.values()))
    arrays = {}
    for name, key in keys.items():
        try:
            array = zarr.Array.from_dict(StorePath(group.store, name), json.loads(metadata[key]))
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(location, key) from error
        arrays[name] = array.with_config({"write_empty_chunks": True})
    return arrays


def read_arrays(url: str, arrays: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Read small arrays as a whole, all at once.

    Raises
    ------
    NrsdarkError
        If one cannot be read.
    """
    with reading(url), ThreadPoolExecutor(_READERS) as pool:
        values = list(pool.map(lambda array: array[:], arrays.values()))
    return dict(zip(arrays, values, strict=True))


def _root_metadata(location: Location) -> dict[str, Any]:
    location.refuse_file()
    raw = location.read("zarr.json")
    if raw is None:
        raise NrsdarkError("there is no ramp store", file=location.url, remedy="check the path")
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
