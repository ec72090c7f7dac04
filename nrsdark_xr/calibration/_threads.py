"""The same function on many things at once, in the threads that a worker offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int
) -> list[Result]:
    """Apply `function` to each of `items`; give the results in their order.

    The threads see the caller's context variables. The first failure is raised, and what has not
    begun by then is left out.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="calibration") as pool:
        futures = [pool.submit(copy_context().run, function, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
