"""Rows and columns of a frame: cut into pieces, with their neighbours, counted from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator


def cut(whole: slice, size: int) -> Iterator[slice]:
    """Cut rows into pieces of `size`, the last of which may be smaller."""
    for start in range(whole.start, whole.stop, size):
        yield slice(start, min(start + size, whole.stop))


def widen(rows: slice, halo: int, n_rows: int) -> slice:
    """`rows` and up to `halo` more on each side."""
    return slice(max(0, rows.start - halo), min(n_rows, rows.stop + halo))


def within(rows: slice, around: slice) -> slice:
    """`rows` counted from the start of `around`."""
    return slice(rows.start - around.start, rows.stop - around.start)
