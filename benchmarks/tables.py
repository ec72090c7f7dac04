"""Scores as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

import numpy as np

from nrsdark_xr.simulate.scores import Pulls, Share, purity


def print_pulls(rows: Iterable[tuple[str, Pulls, float]]) -> None:
    print_table(
        ("", "n", "median", "scatter", "scatter expected"),
        (
            (name, str(p.n), f"{p.median:+.3f}", f"{p.scatter:.3f}", f"{expected:.3f}")
            for name, p, expected in rows
        ),
    )


def print_both(
    strength: str,
    conditions: dict[str, np.ndarray],
    found: np.ndarray,
    measured: np.ndarray,
    edges: Sequence[float],
) -> None:
    """Print how many of what was found meet each of some conditions."""
    columns = [purity(found, truth, measured, edges) for truth in conditions.values()]
    rows = (
        (interval(shares[0]), str(shares[0].n), *(percent(share) for share in shares))
        for shares in zip(*columns, strict=True)
    )
    print_table((strength, "n", *conditions), rows)


def print_columns(strength: str, columns: dict[str, Sequence[Share]]) -> None:
    """Print how many of several populations were found."""
    suffixes = [f", {name}" if name else "" for name in columns]
    headings = (f"{kind}{suffix}" for suffix in suffixes for kind in ("n", "found"))
    rows = (
        (interval(row[0]), *(cell for share in row for cell in (str(share.n), percent(share))))
        for row in zip(*columns.values(), strict=True)
    )
    print_table((strength, *headings), rows)


def print_shares(strength: str, condition: str, shares: Iterable[Share]) -> None:
    print_table((strength, "n", condition), ((interval(s), str(s.n), percent(s)) for s in shares))


def print_counts(title: str, counts: dict[str, int]) -> None:
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    print(f"\n{title}: {sum(counts.values())}" + (f" ({told})." if told else "."))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for cells in (headings, ["---"] * len(headings), *rows):
        print(f"| {' | '.join(cells)} |")


def interval(share: Share) -> str:
    return bounds(share.low, share.high)


def bounds(low: float, high: float) -> str:
    if high == inf:
        return f"from {low:g}"
    return f"to {high:g}" if low == -inf else f"{low:g} to {high:g}"


def percent(share: Share) -> str:
    return f"{share.fraction:.1%}" if share.n else "-"
