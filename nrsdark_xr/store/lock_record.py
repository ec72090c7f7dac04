"""What a lock says of the run that holds it."""

from __future__ import annotations

import json
import os
import socket
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nrsdark_xr.errors import NrsdarkError

Record = dict[str, Any]
"""Host, process and its start, time, and a token that no other lock has."""


def own_record() -> Record:
    """Describe this process."""
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "pid": pid,
        "started": _start_time(pid),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "token": uuid.uuid4().hex,
    }


def parse(raw: bytes) -> Record:
    """Parse a lock; one just being written, or cut off, is empty: its holder is not known."""
    try:
        record = json.loads(raw)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def is_own(holder: Record, own: Record) -> bool:
    """Whether this process holds the lock already."""
    return all(holder.get(key) == own[key] for key in ("host", "pid", "started"))


def is_dead(holder: Record) -> bool:
    """Whether the process that holds the lock is known to have ended: one of this host."""
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, under another user
    return holder.get("started") != _start_time(pid)


def refusal(url: str, holder: Record, remedy: str) -> NrsdarkError:
    """Make the line for who finds the store `url` locked."""
    who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
    return NrsdarkError(
        f"another run is at work on this store ({who}, since {holder.get('since', '?')})",
        file=url,
        remedy=remedy,
    )


def _start_time(pid: int) -> str | None:
    """When a process started, in ticks since boot; tells it from a later one of the same number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
