from __future__ import annotations

import contextlib
import io
import os
import pty
import re

import pytest

from nrsdark_xr import progress
from nrsdark_xr.progress import Progress


def test_plain_lines_tell_items_speed_and_time_left(monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    stream = io.StringIO()
    with Progress(stream).stage("prepare", total_bytes=4e9, total_items=4) as stage:
        stage.advance(1e9, items=1)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("prepare: 25%, 1/4 files, ")
    assert "MB/s" in lines[0]
    assert lines[0].endswith(" left")
    assert lines[-1].startswith("prepare: 1/4 files in ")


def test_plain_lines_are_seldom(monkeypatch):
    monkeypatch.setattr(progress.time, "monotonic", lambda: 0.0)
    stream = io.StringIO()
    with Progress(stream).stage("bias", total_bytes=1000, total_items=1000) as stage:
        for _ in range(1000):
            stage.advance(1, items=1)
    assert len(stream.getvalue().splitlines()) == 1


def test_nothing_to_do_divides_by_nothing():
    stream = io.StringIO()
    with Progress(stream).stage("flags", total_bytes=0, total_items=0) as stage:
        stage.advance()
    assert "0/0 files" in stream.getvalue()


def shown_on_a_terminal() -> str:
    """Show a stage on a terminal, and return all that came there."""
    main, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stream:
        assert stream.isatty()
        with Progress(stream).stage("prepare", total_bytes=100, total_items=2) as stage:
            stage.advance(50, items=1)
        stream.flush()
        os.set_blocking(main, False)
        shown = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(main, 65536):
                shown += piece
    os.close(main)
    return shown.decode()


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    shown = shown_on_a_terminal()
    assert "prepare" in shown
    assert "50%" in shown
    assert "\x1b" in shown


@pytest.mark.parametrize("terminal", ["dumb", "unknown"])
def test_a_terminal_that_cannot_draw_gets_plain_lines(terminal, monkeypatch):
    monkeypatch.setenv("TERM", terminal)
    (line,) = shown_on_a_terminal().splitlines()
    assert re.fullmatch(r"prepare: 1/2 files in 0:\d\d", line)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3661, "1:01:01")]
)
def test_clock(seconds, shown):
    assert progress._clock(seconds) == shown
