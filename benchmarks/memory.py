"""Peak memory of runs, as predicted by `nrsdark plan` and as measured.

    python benchmarks/memory.py RUN.yaml [RUN.yaml …] [--workers N] [--keep]

Each run is made from scratch, with store and products in a folder that is removed afterwards; with
--keep it goes on in the folders that RUN.yaml names.
Memory is the resident memory of each process and the sum over the process tree, looked at 20 times
a second. The constants of ``nrsdark_xr/plan/memory.py`` come from here.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from nrsdark_xr.config import RunConfig
from nrsdark_xr.plan import plan_run

SECONDS_BETWEEN_SAMPLES = 0.05
STAGE_END = re.compile(r"(.+): \d+/\d+ \w+ in [\d:]+$")
"""The line with which a stage ends."""
GB = 1e9


@dataclass
class Peaks:
    """Most resident bytes of the client, of any worker, and of all together."""

    client: int = 0
    worker: int = 0
    tree: int = 0
    stages: dict[str, tuple[int, float]] = field(default_factory=dict)
    """All together and seconds of each stage, by its title."""
    since: int = 0
    """All together, since the last stage ended."""

    def look(self, root: psutil.Process) -> None:
        total = 0
        for process in [root, *root.children(recursive=True)]:
            try:
                resident = process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            total += resident
            if process.pid == root.pid:
                self.client = max(self.client, resident)
            else:
                self.worker = max(self.worker, resident)
        self.tree = max(self.tree, total)
        self.since = max(self.since, total)

    def follow(self, lines: IO[str], said: list[str]) -> None:
        """Read what the run says, and note the stages that end."""
        started = time.monotonic()
        for line in lines:
            said.append(line)
            if ended := STAGE_END.match(line):
                now = time.monotonic()
                self.stages[ended[1]] = (self.since, now - started)
                self.since, started = 0, now


def measure(command: list[str]) -> Peaks:
    """Run a command and watch its memory."""
    peaks = Peaks()
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        follower = threading.Thread(target=peaks.follow, args=(process.stderr, said))
        follower.start()
        root = psutil.Process(process.pid)
        while process.poll() is None:
            peaks.look(root)
            time.sleep(SECONDS_BETWEEN_SAMPLES)
        follower.join()
    if process.returncode:
        sys.exit("".join(said))
    return peaks


def compare(run_file: Path, *, workers: int, keep: bool) -> None:
    """Print predicted and measured peaks of one run."""
    with tempfile.TemporaryDirectory(dir=run_file.parent) as scratch:
        overrides = [f"store={scratch}/ramps.zarr", f"output={scratch}/products"]
        if keep:
            overrides = []
        config = RunConfig.load(run_file, overrides)
        plan = plan_run(config, workers=workers, say=lambda line: print(line, file=sys.stderr))
        options = [part for override in overrides for part in ("--set", override)]
        nrsdark = [sys.executable, "-m", "nrsdark_xr.cli", "run", str(run_file)]
        peaks = measure([*nrsdark, "--workers", str(workers), *options])
        stored = _size(Path(config.store)), _size(Path(config.output))
    print(f"{plan.configuration}, {plan.good} exposures, {workers} workers")
    pairs = {
        "worker": (plan.worker_peak(), peaks.worker),
        "client": (plan.client_peak(), peaks.client),
        "all": (plan.tree_peak(), peaks.tree),
        "store": (plan.places[0].needed, stored[0]),
        "output": (plan.places[1].needed, stored[1]),
    }
    for name, (predicted, measured) in pairs.items():
        ratio = predicted / measured
        print(f"  {name:7} {predicted / GB:6.3f} GB / {measured / GB:6.3f} GB = {ratio:.2f}")
    for title, (peak, seconds) in peaks.stages.items():
        print(f"  {title}: {peak / GB:.2f} GB in all, {seconds:.0f} s")


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_files", nargs="+", type=Path, metavar="RUN.yaml")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="use the folders of RUN.yaml")
    arguments = parser.parse_args()
    print("predicted / measured")
    for run_file in arguments.run_files:
        compare(run_file, workers=arguments.workers, keep=arguments.keep)


if __name__ == "__main__":
    main()
