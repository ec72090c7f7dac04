"""What failed, and why: noted beside the markers, for `nrsdark status`.

A note is a small JSON object. It is made when an exposure fails and removed when the exposure is
tried again, so that there is one for what failed last only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from nrsdark_xr.store.location import Location, to_json
from nrsdark_xr.store.schema import Step


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step failed on a row, and when (ISO, UTC)."""

    reason: str
    written: str


def write_failures(location: Location, step: Step, names: Sequence[str], reason: str) -> None:
    """Note that `step` failed on rows.

    Raises
    ------
    NrsdarkError
        If it cannot be written.
    """
    written = datetime.now(UTC).isoformat(timespec="seconds")
    note = to_json({"reason": reason, "written": written}).encode()
    for name in names:
        location.write(_key(step, name), note)


def read_failures(location: Location, step: Step) -> dict[str, Failure]:
    """Read what `step` failed on, by row name; what is no valid note is left out."""
    prefix = _key(step, "").rpartition("/")[0]
    names = [name for name in location.list_names(prefix) if name.endswith(".json")]
    notes = location.read_many([f"{prefix}/{name}" for name in names])
    failures = {}
    for key, data in notes.items():
        match _parse(data):
            case {"reason": str(reason), "written": str(written)}:
                failures[key.rpartition("/")[2].removesuffix(".json")] = Failure(reason, written)
    return failures


def delete_failures(location: Location, step: Step, names: Sequence[str]) -> None:
    """Remove the notes of rows, as far as there are any."""
    prefix = _key(step, "").rpartition("/")[0]
    noted = set(location.list_names(prefix))
    location.delete([_key(step, name) for name in names if f"{name}.json" in noted])


def _key(step: Step, name: str) -> str:
    return f"file/failures/{step}/{name}.json"


def _parse(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None
