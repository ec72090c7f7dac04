"""One run at a time on a store."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.locations import file_system, is_remote
from nrsdark_xr.store.location import Location, to_json, writing


@contextmanager
def hold_lock(location: Location) -> Iterator[None]:
    """Keep other runs off the store while the block runs.

    The lock is a JSON object beside the store, ``<store>.lock``, with host, process and time, made
    such that only one can make it: by ``O_EXCL`` on a local disk, by a conditional put where the
    fsspec file system has one (S3 has). On a file system without, two runs that start within the
    same moment could both get it. A lock whose process on this host is dead is taken over. The
    process that holds the lock may take it again, which changes nothing.

    Raises
    ------
    NrsdarkError
        If another run holds it.
    """
    own = _own_record()
    if not _create(location.lock_url, own, location):
        holder = _read(location)
        if _is_ours(holder, own):
            yield
            return
        if holder is not None and not _is_dead(holder):
            raise _refusal(location, holder)
        _take_over(location, holder, own)
    try:
        yield
    finally:
        _remove(location, own)


def _own_record() -> dict[str, Any]:
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "pid": pid,
        "started": _start_time(pid),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "token": uuid.uuid4().hex,
    }


def _start_time(pid: int) -> str | None:
    """When a process started, in ticks since boot; tells it from a later one of the same number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _is_ours(holder: dict[str, Any] | None, own: dict[str, Any]) -> bool:
    return holder is not None and all(holder.get(k) == own[k] for k in ("host", "pid", "started"))


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether the process that holds the lock is known to have ended."""
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, under another user
    return holder.get("started") != _start_time(pid)


def _refusal(location: Location, holder: dict[str, Any]) -> NrsdarkError:
    who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
    return NrsdarkError(
        f"another run is at work on this store ({who}, since {holder.get('since', '?')})",
        file=location.url,
        remedy=f"wait for it; if it is no more, delete {location.lock_url}",
    )


def _create(url: str, record: dict[str, Any], location: Location) -> bool:
    """Make the lock; False if there is one."""
    data = to_json(record).encode()
    with writing(url):
        if not is_remote(url):
            Path(url).parent.mkdir(parents=True, exist_ok=True)
        try:
            if is_remote(url):
                fs, path = file_system(url, location.storage_options)
                fs.pipe_file(path, data, mode="create")
            else:
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
                with os.fdopen(os.open(url, flags, 0o666), "wb") as file:
                    file.write(data)
        except FileExistsError:
            return False
    return True


def _read(location: Location) -> dict[str, Any] | None:
    """Read what the lock says; None if it has gone."""
    fs, path = file_system(location.lock_url, location.storage_options)
    with writing(location.lock_url):
        try:
            raw = fs.cat_file(path)
        except FileNotFoundError:
            return None
    return _parse(raw)


def _parse(raw: bytes) -> dict[str, Any]:
    """Parse a lock; one just being written, or cut off, is empty: its holder is not known."""
    try:
        record = json.loads(raw)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _take_over(location: Location, dead: dict[str, Any] | None, own: dict[str, Any]) -> None:
    """Replace the lock of a dead process; refuse if another run was quicker."""
    if dead is not None:
        _remove(location, dead)
    if not _create(location.lock_url, own, location):
        raise _refusal(location, _read(location) or {})


def _remove(location: Location, record: dict[str, Any]) -> None:
    """Remove the lock if it is still the one of `record`."""
    fs, path = file_system(location.lock_url, location.storage_options)
    if is_remote(location.lock_url):
        if _read(location) == record:
            with writing(location.lock_url), suppress(FileNotFoundError):
                fs.rm_file(path)
        return
    # Two runs may find the same dead lock. Only one of them moves it; who moves a newer one instead
    # puts it back.
    aside = f"{path}.{uuid.uuid4().hex}"
    with writing(location.lock_url), suppress(FileNotFoundError):
        Path(path).rename(aside)
        if _parse(Path(aside).read_bytes()) != record:
            with suppress(FileExistsError):
                os.link(aside, path)
        Path(aside).unlink()
