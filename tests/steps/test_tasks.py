"""What tasks report of their work, as the user is shown it."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.progress import Progress
from nrsdark_xr.steps.tasks import Ledger

ANNOUNCED = {"one": 100.0, "two": 50.0}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["one", "two", "unknown"]), st.integers(0, 130))))
def test_never_more_than_announced_and_all_of_it_in_the_end(
    reports: list[tuple[str, int]],
) -> None:
    progress = Progress(io.StringIO())
    with progress.stage("prepare", total_bytes=150, total_items=2) as stage:
        ledger = Ledger(stage, dict(ANNOUNCED))
        for name, n_bytes in reports:
            before = stage.done_bytes
            ledger.report((0.0, (name, n_bytes)))
            assert before <= stage.done_bytes <= min(before + n_bytes, 150)
        for name in ANNOUNCED:
            ledger.settle(name)
        assert stage.done_bytes == 150
        ledger.report((0.0, ("one", 10)))  # comes late, since events travel by themselves
        assert stage.done_bytes == 150


def test_reports_count_as_they_come() -> None:
    with Progress(io.StringIO()).stage("prepare", total_bytes=150, total_items=2) as stage:
        ledger = Ledger(stage, dict(ANNOUNCED))
        ledger.report((0.0, ("one", 30)))
        assert stage.done_bytes == 30
        ledger.report((0.0, ("two", 80)))  # 30 too many
        assert stage.done_bytes == 80
