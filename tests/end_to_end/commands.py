"""The command line as a process of its own, and what it ends with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.projects import Project
from tests.waiting import PATIENCE


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    def refusal(self, *, code: int = 1) -> str:
        """The one line that tells what went wrong, checked to be just that."""
        assert self.code == code, self.err
        assert "Traceback" not in self.err, self.err
        assert "ERROR" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("nrsdark: ")]
        assert len(lines) == 1, self.err
        assert self.err.rstrip().endswith(lines[0]), self.err
        assert "please report it" not in lines[0]
        return lines[0]


def spawn(
    project: Project,
    *options: str,
    preload: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Start ``nrsdark run`` with real worker processes, in a process group of its own."""
    environment = {**os.environ, **(environment or {})}
    if preload is not None:
        environment["DASK_DISTRIBUTED__WORKER__PRELOAD"] = json.dumps([str(preload)])
    return subprocess.Popen(
        [sys.executable, "-m", "nrsdark_xr.cli", "run", str(project.run_file), *options],
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(process: subprocess.Popen[str]) -> Outcome:
    out, err = process.communicate(timeout=PATIENCE)
    return Outcome(process.returncode, out, err)
