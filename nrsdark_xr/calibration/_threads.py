"""Work in several threads at once, as many as a worker offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Start(Protocol):
    """Starts a function in a thread."""

    def __call__(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Start `function` as soon as a thread is free, in the order of the calls."""


@contextmanager
def starting(threads: int) -> Iterator[Start]:
    """Give a function that starts others in threads; leave when all of them have ended.

    The threads see the caller's context variables. The first failure, be it of a thread or of the
    block itself, is raised, and what has not begun by then is left out: nothing begins that comes
    after something left out.
    """
    futures: list[Future[Any]] = []
    with ThreadPoolExecutor(threads, thread_name_prefix="calibration") as pool:

        def start(function: Callable[..., Result], *arguments: Any) -> Future[Result]:
            future = pool.submit(copy_context().run, function, *arguments)
            futures.append(future)
            return future

        try:
            yield start
            for future in futures:
                future.result()
        except BaseException:
            for future in reversed(futures):
                future.cancel()
            raise


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int
) -> list[Result]:
    """Apply `function` to each of `items`; give the results in their order.

    Threads and failures are as in `starting`.
    """
    with starting(threads) as start:
        futures = [start(function, item) for item in items]
    return [future.result() for future in futures]
