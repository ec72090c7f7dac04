"""``NAME_summary.json``: the numbers of a run for other programs."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nrsdark_xr.analysis.gates import Gate, is_deliverable
from nrsdark_xr.analysis.statistics import ProductStatistics


def summarize(
    statistics: ProductStatistics,
    gates: Iterable[Gate],
    *,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Gather the record that `write_summary` writes.

    Parameters
    ----------
    statistics : ProductStatistics
        Every field becomes a key of its name.
    gates : iterable of Gate
        Become ``gates: {name: {value, threshold, passed, relation, delivery, description}}``.
    extra : mapping, optional
        Further keys: products, versions, reference files …

    Raises
    ------
    ValueError
        If `extra` would overwrite a key.
    """
    gates = tuple(gates)
    record = asdict(statistics) | {
        "deliverable": is_deliverable(gates),
        "gates": {
            gate.name: {
                "value": gate.value,
                "threshold": gate.threshold,
                "passed": gate.passed,
                "relation": gate.relation,
                "delivery": gate.delivery,
                "description": gate.description,
            }
            for gate in gates
        },
    }
    taken = sorted(record.keys() & (extra or {}).keys())
    if taken:
        raise ValueError(f"extra keys would overwrite {', '.join(taken)}")
    return record | dict(extra or {})


def write_summary(path: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Write a record as strict JSON, complete or not at all.

    NaN and infinities, which JSON does not know, become null. The same record gives the same bytes.
    """
    text = json.dumps(_strict(record), indent=2, sort_keys=False, allow_nan=False) + "\n"
    write_whole(path, text.encode())


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file under a temporary name beside its place, then rename it."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _strict(value: Any) -> Any:
    """Plain JSON types: numpy scalars unwrapped, tuples to lists, what is not finite to None."""
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value
