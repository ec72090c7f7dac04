"""Wait for what other threads, processes and servers do, however busy the machine is."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

PATIENCE = 600
"""Seconds after which something is taken to hang; it takes ten, but tests may share the machine."""
SECONDS_BETWEEN_LOOKS = 0.02


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until a condition holds, which needs the process that is named."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process is not None and process.poll() is not None and not condition():
            raise AssertionError(process.stderr.read() if process.stderr else "it has ended")
        assert time.monotonic() < deadline
        time.sleep(SECONDS_BETWEEN_LOOKS)
