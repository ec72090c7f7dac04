"""Schedulers and workers of Dask as processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import wait_for

HERE = ("--host", "127.0.0.1", "--no-dashboard")


@dataclass(frozen=True)
class Scheduler:
    """A scheduler on this machine."""

    process: subprocess.Popen[str]
    address: str


@contextmanager
def dask_command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command of Dask for the length of a block."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "dask", *arguments]
    with subprocess.Popen(command, text=True, **quiet) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def running_scheduler(folder: Path, *options: str) -> Iterator[Scheduler]:
    """Run a scheduler, which leaves its address in a file of the folder."""
    file = folder / "scheduler.json"
    ours = (*HERE, "--port", "0", "--scheduler-file", str(file))
    with dask_command("scheduler", *ours, *options) as process:
        wait_for(lambda: _address(file) is not None, process)
        address = _address(file)
        assert address is not None
        yield Scheduler(process, address)


def _address(file: Path) -> str | None:
    """Read the address; None before the file is whole."""
    try:
        return str(json.loads(file.read_text())["address"])
    except (FileNotFoundError, ValueError):
        return None


@contextmanager
def running_worker(address: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a worker of one thread, without a nanny that would start it again."""
    with dask_command("worker", address, *HERE, "--nthreads", "1", "--no-nanny", *options) as made:
        yield made
