"""Progress of everything that takes longer than a moment.

On a terminal a bar is drawn; elsewhere (the log of a batch job, a pipe) plain lines are printed,
seldom.
Everything goes to stderr: stdout belongs to results.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

SECONDS_BETWEEN_LINES = 5.0
"""Pause between two plain lines of one stage."""
_DUMB_TERMINALS = ("dumb", "unknown")


@dataclass
class Stage:
    """A piece of work that is under way: so many bytes in so many items (files, blocks).

    Attributes
    ----------
    title : str
    total_bytes : float
        Bytes to work through; the fraction of these that is done makes the bar.
    total_items : int
    item : str
        What an item is called, in the plural.
    """

    title: str
    total_bytes: float
    total_items: int
    item: str
    done_bytes: float = 0.0
    done_items: int = 0
    started: float = field(default_factory=lambda: time.monotonic())

    def advance(self, n_bytes: float = 0.0, *, items: int = 0) -> None:
        """Count work that was done."""
        self.done_bytes += n_bytes
        self.done_items += items
        self._show()

    def status(self) -> str:
        """Tell items done, speed and time left in one line."""
        elapsed = max(time.monotonic() - self.started, 1e-6)
        rate = self.done_bytes / elapsed
        parts = [f"{self.done_items}/{self.total_items} {self.item}"]
        if self.total_bytes:
            parts.append(f"{_scaled(rate)}/s")
        if 0 < self.done_bytes < self.total_bytes:
            parts.append(f"{_clock((self.total_bytes - self.done_bytes) / rate)} left")
        else:
            parts.append(f"{_clock(elapsed)} so far")
        return ", ".join(parts)

    def _show(self) -> None:
        """Overridden by the two ways of showing."""


class Progress:
    """Shows lines and stages on a stream.

    Parameters
    ----------
    stream : file object, optional
        Where to; stderr unless given. A terminal gets bars, anything else plain lines.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream

    def say(self, line: str) -> None:
        """Show one line that stays."""
        print(line, file=self._stream, flush=True)

    @contextmanager
    def stage(
        self, title: str, *, total_bytes: float, total_items: int, item: str = "files"
    ) -> Iterator[Stage]:
        """Show a stage from begin to end.

        Parameters
        ----------
        title : str
            What is being done.
        total_bytes : float
            Bytes to work through.
        total_items : int
            Items to work through.
        item : str
            What an item is called, in the plural.

        Yields
        ------
        Stage
            To be told what was done.
        """
        show = _bar_stage if _draws_bars(self._stream) else _line_stage
        with show(self._stream, title, total_bytes, total_items, item) as stage:
            yield stage
        elapsed = _clock(time.monotonic() - stage.started)
        self.say(f"{title}: {stage.done_items}/{total_items} {item} in {elapsed}")


def _draws_bars(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in _DUMB_TERMINALS


@contextmanager
def _line_stage(
    stream: TextIO, title: str, total_bytes: float, total_items: int, item: str
) -> Iterator[Stage]:
    yield _LineStage(title, total_bytes, total_items, item, stream=stream)


@dataclass
class _LineStage(Stage):
    stream: TextIO = sys.stderr
    shown: float = field(default_factory=lambda: time.monotonic())

    def _show(self) -> None:
        now = time.monotonic()
        if now - self.shown >= SECONDS_BETWEEN_LINES:
            self.shown = now
            fraction = self.done_bytes / self.total_bytes if self.total_bytes else 1.0
            print(f"{self.title}: {fraction:.0%}, {self.status()}", file=self.stream, flush=True)


@contextmanager
def _bar_stage(
    stream: TextIO, title: str, total_bytes: float, total_items: int, item: str
) -> Iterator[Stage]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (
        "{task.description}",
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[status]}"),
    )
    with Bars(*columns, console=Console(file=stream), transient=True) as bars:
        stage = _BarStage(title, total_bytes, total_items, item, bars=bars)
        stage.advance()
        yield stage


@dataclass
class _BarStage(Stage):
    bars: RichProgress = field(kw_only=True)

    def __post_init__(self) -> None:
        self._task = self.bars.add_task(self.title, total=self.total_bytes, status="")

    def _show(self) -> None:
        self.bars.update(self._task, completed=self.done_bytes, status=self.status())


def _scaled(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.2f} GB"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
