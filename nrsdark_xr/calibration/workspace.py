"""Memory that is used again for one band after another.

The first touch of a fresh page costs more than what calibration does with the samples in it, so the
large arrays of a band are made once for each thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Scalar = TypeVar("Scalar", bound=np.generic)


class Pool(Generic[Item]):
    """Lends things to threads, and makes another only when none is free.

    Parameters
    ----------
    make : callable
        Makes one.
    """

    def __init__(self, make: Callable[[], Item]) -> None:
        self._make = make
        self._free: SimpleQueue[Item] = SimpleQueue()

    def take(self) -> Item:
        """Lend one, until it is given back."""
        try:
            return self._free.get_nowait()
        except Empty:
            return self._make()

    def give_back(self, item: Item) -> None:
        """Lend it to the next who takes one."""
        self._free.put(item)

    @contextmanager
    def one(self) -> Iterator[Item]:
        """Lend one for as long as the block lasts."""
        item = self.take()
        try:
            yield item
        finally:
            self.give_back(item)


def shaped(memory: NDArray[Scalar], shape: tuple[int, ...]) -> NDArray[Scalar]:
    """Give the beginning of a flat array another shape, without a copy."""
    return memory[: prod(shape)].reshape(shape)
