"""How much memory a step takes, over this process and all that it started."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

SECONDS_BETWEEN_SAMPLES = 0.25
"""Pause between two looks at the process tree: a look costs about 1 ms per process."""

MAP_BYTES = 4_000_000
"""Just below the smallest map of a full frame, of one byte per pixel."""
_M_MMAP_THRESHOLD = -3
"""As `mallopt` of glibc names it."""


def give_back_maps() -> None:
    """Have this process give the memory of maps back to the system as soon as they are freed.

    Left to itself, glibc takes arrays of up to 32 MB from a heap once it has seen some of that size
    go, and keeps what is freed there for later: for maps of full frames 250 to 500 MB more, from
    run to run another amount, and no faster. Where there is no glibc, nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAP_BYTES)


@dataclass
class PeakMemory:
    """The largest resident memory of the process tree that was seen, in bytes."""

    n_bytes: int = 0


@contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Watch the resident memory of the process tree during a ``with`` block.

    Workers on other machines are not seen. Pages that processes share count once for each.

    Yields
    ------
    PeakMemory
        Grows while the block runs.
    """
    peak = PeakMemory()
    ended = threading.Event()

    def watch() -> None:
        process = psutil.Process()
        while True:
            peak.n_bytes = max(peak.n_bytes, _resident(process))
            if ended.wait(SECONDS_BETWEEN_SAMPLES):
                return

    watcher = threading.Thread(target=watch, name="peak-memory", daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def _resident(process: psutil.Process) -> int:
    """Resident bytes of a process and its descendants; those that end meanwhile are left out."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
