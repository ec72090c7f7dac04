"""One run at a time on a store on object storage, where nothing tells whether a process lives.

The lock is a folder of numbered objects beside the store, ``<store>.lock/00000001.json``. The
highest number holds it. An object is created, never replaced by another run: who takes over from a
run that has ended without a word creates the next number, so that of several that try only one
succeeds. The holder writes its object again every `BEAT` seconds; one that was not for `SILENCE`
seconds, and is not while it is watched for two beats, is of a run that is no more.
"""

from __future__ import annotations

import _thread
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.storage import reading
from nrsdark_xr.store.location import Location, to_json
from nrsdark_xr.store.lock_record import Record, is_dead, is_own, own_record, parse, refusal

BEAT = 20.0
"""Seconds between two signs of life."""
SILENCE = 180.0
"""Seconds without a sign of life after which a run may be no more: longer than a server restart."""
SECONDS_BETWEEN_LOOKS = 2.0
"""Pause between two looks at a lock that is watched."""

_log = logging.getLogger(__name__)


@contextmanager
def hold_remote_lock(location: Location) -> Iterator[None]:
    """Keep other runs off the store while the block runs.

    Raises
    ------
    NrsdarkError
        If another run holds it, or took it over while this one gave no sign of life.
    """
    folder = Location(location.lock_url, location.storage_options)
    own = own_record()
    held = _acquire(location, folder, own)
    if held is None:
        yield
        return
    key, older = held
    beat = _Heartbeat(folder, key, own)
    beat.start()
    try:
        yield
    except KeyboardInterrupt:
        if beat.lost:
            raise _taken_over(location) from None
        raise
    finally:
        beat.end()
        if not beat.lost and _read(folder, key) == own:
            folder.delete([*older, key])
    if beat.lost:
        raise _taken_over(location)


def find_remote_holder(location: Location) -> Record | None:
    """Tell which run holds the lock; None if there is none, or it has given no sign of life."""
    folder = Location(location.lock_url, location.storage_options)
    names = folder.list_names("")
    if not names:
        return None
    holder, renewed = _read(folder, names[-1]), _modified(folder, names[-1])
    if holder is None or renewed is None or is_dead(holder):
        return None
    silent = (datetime.now(UTC) - renewed).total_seconds() > SILENCE
    return None if silent else holder


def _acquire(location: Location, folder: Location, own: Record) -> tuple[str, list[str]] | None:
    """Create the next number; None if this process holds the lock already.

    Returns
    -------
    str
        Name of the object that was created.
    list of str
        Names of those of runs that are no more.
    """
    older = folder.list_names("")
    if older:
        holder = _read(folder, older[-1])
        if holder is not None and is_own(holder, own):
            return None
        if holder is not None and not is_dead(holder) and not _has_stopped(folder, older[-1]):
            raise _refusal(location, holder)
    key = f"{int(older[-1].partition('.')[0]) + 1 if older else 1:08d}.json"
    created = folder.create(key, to_json(own).encode())
    if not created and _read(folder, key) != own:  # a repeated request may find its own object
        raise _refusal(location, _read(folder, key) or {})
    for name in folder.list_names(""):
        if name < key and name not in older:  # a run that began after all others had ended
            folder.delete([key])
            raise _refusal(location, _read(folder, name) or {})
    return key, older


def _has_stopped(folder: Location, name: str) -> bool:
    """Whether the holder gives no sign of life any more.

    Clocks of machines differ, so that an old date alone proves nothing.
    """
    before = _modified(folder, name)
    if before is None:
        return True
    age = (datetime.now(UTC) - before).total_seconds()
    if age < SILENCE:
        return False
    _log.warning(
        "%s was last renewed %.0f s ago; waiting %.0f s to see whether its run still lives",
        folder.url,
        age,
        2 * BEAT,
    )
    deadline = time.monotonic() + 2 * BEAT
    while time.monotonic() < deadline:
        time.sleep(min(SECONDS_BETWEEN_LOOKS, BEAT))
        if _modified(folder, name) != before:
            return False
    return True


def _modified(folder: Location, name: str) -> datetime | None:
    """When an object was last written, None if it is gone."""
    fs, path = folder.files()
    with reading(folder.url):
        try:
            modified: datetime = fs.modified(f"{path}/{name}")
        except FileNotFoundError:
            return None
    return modified if modified.tzinfo else modified.replace(tzinfo=UTC)


def _read(folder: Location, name: str) -> Record | None:
    data = folder.read(name)
    return None if data is None else parse(data)


def _refusal(location: Location, holder: Record) -> NrsdarkError:
    return refusal(
        location.url,
        holder,
        f"wait for it; if it is no more, its lock ends {SILENCE:.0f} s after its last sign of life",
    )


def _taken_over(location: Location) -> NrsdarkError:
    return NrsdarkError(
        f"another run has taken over this store, since this one gave no sign of life for "
        f"{SILENCE:.0f} s",
        file=location.url,
        remedy="wait for the other run, then run again",
    )


class _Heartbeat(threading.Thread):
    """Writes the lock again and again, and stops the run when it is no longer its holder.

    Attributes
    ----------
    lost : bool
        Whether another run has taken the lock over.
    """

    def __init__(self, folder: Location, key: str, own: Record) -> None:
        super().__init__(name="nrsdark-lock", daemon=True)
        self.lost = False
        self._folder, self._key = folder, key
        self._data = to_json(own).encode()
        self._ended = threading.Event()
        self._interrupts = threading.current_thread() is threading.main_thread()

    def run(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                names = self._folder.list_names("")
                if names and names[-1] == self._key:
                    self._folder.write(self._key, self._data)
                    continue
            except NrsdarkError as error:
                _log.warning("the lock could not be renewed: %s", error)
                continue
            self.lost = True
            if self._interrupts and not self._ended.is_set():
                _thread.interrupt_main()
            return

    def end(self) -> None:
        """Stop; what is being written is waited for."""
        self._ended.set()
        self.join()
