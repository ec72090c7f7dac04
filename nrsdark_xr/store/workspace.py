"""Memory that blocks of the store are read into, and encoded in, one after another.

Dask has its workers give freed memory back at once, so that the arrays of every block are made of
fresh pages, and the first touch of these takes longer than reading and decoding what goes there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Workspace:
    """Arrays of one thread, lent in the same order for each block."""

    def __init__(self) -> None:
        self._memory: list[NDArray[np.uint8]] = []
        self._lent = 0

    def begin(self) -> None:
        """Begin another block: what was read for the last one will be overwritten."""
        self._lent = 0

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """Lend an array until the next block begins."""
        n_bytes = prod(shape) * np.dtype(dtype).itemsize
        if self._lent == len(self._memory):
            self._memory.append(np.empty(n_bytes, np.uint8))
        elif self._memory[self._lent].size < n_bytes:
            self._memory[self._lent] = np.empty(n_bytes, np.uint8)
        memory = self._memory[self._lent]
        self._lent += 1
        return memory[:n_bytes].view(dtype).reshape(shape)


_current: ContextVar[Workspace | None] = ContextVar("workspace", default=None)


@contextmanager
def reading_into_workspace(workspace: Workspace | None = None) -> Iterator[Workspace]:
    """Have this thread read blocks into a workspace, as long as the context lasts.

    For blocks of which nothing is kept that was read, only what was computed from it.

    Parameters
    ----------
    workspace : Workspace, optional
        One that no other thread works in meanwhile; a new one unless given.
    """
    workspace = Workspace() if workspace is None else workspace
    token = _current.set(workspace)
    try:
        yield workspace
    finally:
        _current.reset(token)


def empty(shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Make an array to read into or encode in: memory of this thread's workspace, if it has one."""
    workspace = _current.get()
    return np.empty(shape, dtype) if workspace is None else workspace.empty(shape, dtype)
