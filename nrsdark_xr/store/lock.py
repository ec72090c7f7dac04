"""One run at a time on a store."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.store.location import Location, to_json, writing
from nrsdark_xr.store.lock_record import Record, is_dead, is_own, own_record, parse, refusal
from nrsdark_xr.store.remote_lock import find_remote_holder, hold_remote_lock


def hold_lock(location: Location) -> AbstractContextManager[None]:
    """Keep other runs off the store while the block runs.

    The lock tells host, process and time, and is made such that only one can make it. On a disk it
    is the file ``<store>.lock``, made by ``O_EXCL``; the lock of a process that has died on this
    host is taken over. On object storage see `nrsdark_xr.store.remote_lock`. The process that holds
    the lock may take it again, which changes nothing.

    Raises
    ------
    NrsdarkError
        If another run holds it.
    """
    if location.local is None:
        return hold_remote_lock(location)
    return _hold_file(location, Path(location.lock_url))


def find_holder(location: Location) -> Record | None:
    """Tell which run holds the lock; None if there is none, or it is known to have ended."""
    if location.local is None:
        return find_remote_holder(location)
    holder = _read(Path(location.lock_url))
    return None if holder is None or is_dead(holder) else holder


@contextmanager
def _hold_file(location: Location, path: Path) -> Iterator[None]:
    own = own_record()
    if not _create(path, own):
        holder = _read(path)
        if holder is not None and is_own(holder, own):
            yield
            return
        if holder is not None and not is_dead(holder):
            raise _refusal(location, holder)
        _take_over(location, path, holder, own)
    try:
        yield
    finally:
        _remove(path, own)


def _refusal(location: Location, holder: Record) -> NrsdarkError:
    remedy = f"wait for it; if it is no more, delete {location.lock_url}"
    return refusal(location.url, holder, remedy)


def _create(path: Path, record: Record) -> bool:
    """Make the lock; False if there is one."""
    with writing(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
            with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
                file.write(to_json(record).encode())
        except FileExistsError:
            return False
    return True


def _read(path: Path) -> Record | None:
    """Read what the lock says; None if it has gone."""
    with writing(str(path)):
        try:
            return parse(path.read_bytes())
        except FileNotFoundError:
            return None


def _take_over(location: Location, path: Path, dead: Record | None, own: Record) -> None:
    """Replace the lock of a dead process; refuse if another run was quicker."""
    if dead is not None:
        _remove(path, dead)
    if not _create(path, own):
        raise _refusal(location, _read(path) or {})


def _remove(path: Path, record: Record) -> None:
    """Remove the lock if it is still the one of `record`."""
    # Two runs may find the same dead lock. Only one of them moves it; who moves a newer one instead
    # puts it back.
    aside = Path(f"{path}.{uuid.uuid4().hex}")
    with writing(str(path)), suppress(FileNotFoundError):
        path.rename(aside)
        if parse(aside.read_bytes()) != record:
            with suppress(FileExistsError):
                path.hardlink_to(aside)
        aside.unlink()
