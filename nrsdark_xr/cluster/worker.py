"""What Dask loads into each worker process that is started on this machine."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Worker


def dask_setup(_worker: Worker) -> None:
    """Leave Ctrl-C to the client, which ends the workers; called by Dask in each of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
