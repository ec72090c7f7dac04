"""Peak memory of runs, as predicted by `nrsdark plan` and as measured.

    python benchmarks/memory.py RUN.yaml [RUN.yaml …] [--workers N]

Each run is made from scratch, with store and products in a folder that is removed afterwards.
Memory is the resident memory of each process and the sum over the process tree, looked at 20 times
a second. The constants of ``nrsdark_xr/plan/memory.py`` come from here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from nrsdark_xr.config import RunConfig
from nrsdark_xr.plan import plan_run

SECONDS_BETWEEN_SAMPLES = 0.05
GB = 1e9


@dataclass
class Peaks:
    """Most resident bytes of the client, of any worker, and of all together."""

    client: int = 0
    worker: int = 0
    tree: int = 0

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


def measure(command: list[str]) -> Peaks:
    """Run a command and watch its memory."""
    peaks = Peaks()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        root = psutil.Process(process.pid)
        while process.poll() is None:
            peaks.look(root)
            time.sleep(SECONDS_BETWEEN_SAMPLES)
        if process.returncode:
            said.seek(0)
            sys.exit(said.read().decode())
    return peaks


def compare(run_file: Path, *, workers: int) -> None:
    """Print predicted and measured peaks of one run."""
    with tempfile.TemporaryDirectory(dir=run_file.parent) as scratch:
        overrides = [f"store={scratch}/ramps.zarr", f"output={scratch}/products"]
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


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_files", nargs="+", type=Path, metavar="RUN.yaml")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    print("predicted / measured")
    for run_file in arguments.run_files:
        compare(run_file, workers=arguments.workers)


if __name__ == "__main__":
    main()
