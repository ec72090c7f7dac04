"""Markers: what makes a row count as done.

A marker is a JSON object, created after all chunks of its row. It lies in the prefix of the array
``file``, in which Zarr looks for chunks by name only: no reader of the group stumbles over it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.store.location import Location, to_json
from nrsdark_xr.store.schema import Step

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Marker:
    """That a step finished a row, and with what.

    Attributes
    ----------
    fingerprint : dict
        Everything that the row's values depend on, as JSON: parameters, checksums, versions.
    record : dict
        What the step wants to tell about the row, as JSON.
    written : str
        When, in ISO format (UTC).
    """

    fingerprint: dict[str, Any]
    record: dict[str, Any]
    written: str

    def changes(self, fingerprint: Mapping[str, Any]) -> tuple[str, ...]:
        """Name the entries in which `fingerprint` differs, nested ones as ``a.b``, sorted."""
        old, new = _flatten(self.fingerprint), _flatten(json.loads(to_json(fingerprint)))
        return tuple(sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key)))


def write_marker(
    location: Location,
    step: Step,
    name: str,
    *,
    record: Mapping[str, Any],
    fingerprint: Mapping[str, Any],
) -> None:
    """Write the marker of a row: the commit of all that a step wrote of it.

    It is created, never replaced. A task that runs twice finds its own and leaves it; one that
    finds what another run wrote meanwhile, from other things, is refused.

    Raises
    ------
    TypeError
        If something cannot be told in JSON.
    NrsdarkError
        If it cannot be written, or there is one that tells something else.
    """
    content = {"fingerprint": fingerprint, "record": record}
    written = datetime.now(UTC).isoformat(timespec="seconds")
    key = _key(step, name)
    if location.create(key, to_json(content | {"written": written}).encode()):
        return
    found = _parse(location.read(key) or b"")
    told = found and {"fingerprint": found.fingerprint, "record": found.record}
    if told != json.loads(to_json(content)):
        raise NrsdarkError(
            f"another run has finished {name} meanwhile, with other parameters or references",
            file=location.url,
            remedy="see that one run at a time works on this store, then run again",
        )


def read_markers(location: Location, step: Step) -> dict[str, Marker]:
    """Read all markers of a step, by row name.

    One that is no valid marker is left out with a warning in the log: its row counts as not done.
    """
    prefix = _key(step, "").rpartition("/")[0]
    names = [name for name in location.list_names(prefix) if _is_marker(name)]
    raw = location.read_many([f"{prefix}/{name}" for name in names])
    markers = {}
    for key, data in raw.items():
        name = key.rpartition("/")[2].removesuffix(".json")
        marker = _parse(data)
        if marker is None:
            _log.warning("%s/%s is damaged: row counts as not done", location.url, key)
        else:
            markers[name] = marker
    return markers


def delete_markers(location: Location, step: Step, names: Iterable[str]) -> None:
    """Remove the markers of rows; rows without one are no error."""
    location.delete([_key(step, name) for name in names])


def _key(step: Step, name: str) -> str:
    return f"file/markers/{step}/{name}.json"


def _is_marker(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")  # a dot: being written


def _parse(data: bytes) -> Marker | None:
    try:
        content = json.loads(data)
    except ValueError:
        return None
    match content:
        case {"fingerprint": dict(fingerprint), "record": dict(record), "written": str(written)}:
            return Marker(fingerprint=fingerprint, record=record, written=written)
    return None


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Leaves by dotted name, as JSON text (in which NaN equals itself)."""
    flat: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            flat |= _flatten(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = to_json(item)
    return flat
