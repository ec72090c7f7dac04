from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from contextvars import ContextVar

import pytest

from nrsdark_xr.calibration._threads import in_threads
from tests.waiting import PATIENCE

WHERE: ContextVar[str] = ContextVar("where")


def test_results_come_in_order_and_threads_see_the_context() -> None:
    WHERE.set("here")
    barrier = threading.Barrier(2, timeout=PATIENCE)

    def double(number: int) -> tuple[int, str]:
        barrier.wait()  # two of them at once
        return 2 * number, WHERE.get()

    assert in_threads(double, [1, 2, 3, 4], threads=2) == [(2 * n, "here") for n in (1, 2, 3, 4)]


def test_the_first_failure_is_raised_and_the_rest_left_out() -> None:
    begun = []

    def fail(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise ValueError("of 1")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="of 1"):
        in_threads(fail, range(1, 1001), threads=1)
    assert len(begun) < 1000


def test_nothing_begins_after_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was left out might be waited for."""
    cancel = Future.cancel

    def cancel_slowly(future: Future[None]) -> bool:
        try:
            return cancel(future)
        finally:
            time.sleep(0.01)

    monkeypatch.setattr(Future, "cancel", cancel_slowly)
    begun = []

    def fail(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise ValueError("of 1")
        time.sleep(0.1)  # all of them take 2.5 s: enough for the failure to be noticed

    with pytest.raises(ValueError, match="of 1"):
        in_threads(fail, range(50), threads=2)
    assert sorted(begun) == list(range(len(begun)))
    assert len(begun) < 50
