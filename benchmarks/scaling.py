"""What a second worker is worth: the same run by one worker and by two, each on a core of its own.

    python benchmarks/scaling.py [RUN.yaml] [--cores 1] [--until average] [--set KEY=VALUE …]

Without RUN.yaml, darks of ALLSLITS are simulated. Each run starts from scratch, in a process that
is bound to `--cores` cores per worker, so that workers have as much in either case; store and
products, which go into a folder of `--scratch`, are removed afterwards. Told are wall time and peak
memory of the whole process tree, step by step, their ratio, and the tasks in the graph of the
average for 10, 40 and 100 files.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from memory import Peaks, measure
from tables import print_table

from nrsdark_xr import average_ramp
from nrsdark_xr.config import RunConfig
from nrsdark_xr.detector import DETECTOR_SIZE
from nrsdark_xr.simulate import SimulationParameters, simulate
from nrsdark_xr.steps.compute import blocks_per_task

TARGET = 1.8
"""Times that two workers are to be faster than one."""
FILES = (10, 40, 100)
GROUPS = 88
GB = 1e9


def run(
    run_file: Path,
    *,
    workers: int,
    cores: int,
    until: str,
    scratch_in: Path | None,
    overrides: Sequence[str],
) -> Peaks:
    """Run from scratch with so many workers, bound to as many times `cores`."""
    with tempfile.TemporaryDirectory(dir=scratch_in or run_file.parent) as scratch:
        chosen = [*overrides, f"store={scratch}/ramps.zarr", f"output={scratch}/products"]
        bound = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[: workers * cores])
        return measure(
            [
                *("taskset", "--cpu-list", bound),
                *(sys.executable, "-m", "nrsdark_xr.cli", "run", str(run_file)),
                *("--workers", str(workers), "--until", until, "--no-check"),
                *(part for override in chosen for part in ("--set", override)),
            ]
        )


def compare(run_file: Path, *, cores: int, repeats: int, **options: Any) -> None:
    """Print the times of one and of two workers, the fastest of several each.

    `options` are those of `run`.
    """
    RunConfig.load(run_file)
    available = len(os.sched_getaffinity(0))
    if available < 2 * cores:
        sys.exit(f"two workers of {cores} cores need {2 * cores} cores, there are {available}")
    found: dict[int, dict[str, tuple[int, float]]] = {1: {}, 2: {}}
    for _ in range(repeats):
        for workers, stages in found.items():
            peaks = run(run_file, workers=workers, cores=cores, **options)
            for title, (peak, seconds) in peaks.stages.items():
                fastest = min(seconds, stages.get(title, (0, seconds))[1])
                stages[title] = (max(peak, stages.get(title, (0, 0.0))[0]), fastest)
    rows = [
        (
            title,
            *(f"{found[workers][title][1]:.1f}" for workers in (1, 2)),
            f"{found[1][title][1] / found[2][title][1]:.2f}",
            *(f"{found[workers][title][0] / GB:.2f}" for workers in (1, 2)),
        )
        for title in found[1]
    ]
    heads = ("stage", "1 worker [s]", "2 workers [s]", "ratio", "peak, 1 [GB]", "peak, 2 [GB]")
    print_table(heads, rows)
    print(f"{TARGET} aimed at, for calibration (prepare) and averaging (average)")


def tell_tasks() -> None:
    """Print the tasks in the graph of the average of full frames."""
    rows = []
    for files in FILES:
        ramps = full_frames(files)
        graph = average_ramp(ramps).__dask_graph__()
        halves = {"early": xr.DataArray(np.arange(files) < files // 2, dims="file")}
        with_period = average_ramp(ramps, periods=halves).__dask_graph__()
        blocks = int(np.prod([len(ramps.chunksizes[dim]) for dim in ("group", "y", "x")]))
        plain_mean = ramps["ramp"].chunk(file=1).mean("file").__dask_graph__()
        rows.append(
            (
                str(files),
                str(blocks),
                str(-(-blocks // blocks_per_task(blocks, threads=2))),
                str(len(graph)),
                str(len(with_period)),
                str(len(plain_mean)),
            )
        )
    print()
    heads = (
        "files",
        "blocks",
        "tasks of 2 workers",
        "in the graph",
        "with a period",
        "`mean` on file=1 chunks",
    )
    print_table(heads, rows)


def full_frames(files: int) -> xr.Dataset:
    """Give ramps of full frames as `nrsdark_xr.open_ramps` cuts them, without any data."""
    import dask.array as da

    shape = (files, GROUPS, DETECTOR_SIZE, DETECTOR_SIZE)
    chunks = (files, 22, 128, 256)
    cube = ("file", "group", "y", "x")
    return xr.Dataset(
        {
            "ramp": (cube, da.zeros(shape, np.float32, chunks=chunks)),
            "groupdq": (cube, da.zeros(shape, np.uint8, chunks=chunks)),
            "good_groups": (
                ("file", "y", "x"),
                da.zeros((files, *shape[2:]), np.uint16, chunks=(files, *chunks[2:])),
            ),
        },
        coords={
            "y": np.arange(1, DETECTOR_SIZE + 1),
            "x": np.arange(1, DETECTOR_SIZE + 1),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_file", nargs="?", type=Path, metavar="RUN.yaml")
    parser.add_argument("--cores", type=int, default=1, help="cores of each worker")
    parser.add_argument("--until", default="average", help="last step")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--files", type=int, default=8, help="darks to simulate")
    parser.add_argument("--groups", type=int, default=60, help="groups of these")
    parser.add_argument("--only-tasks", action="store_true", help="count tasks, run nothing")
    parser.add_argument("--scratch", type=Path, help="folder; by default that of RUN.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    given = parser.parse_args()
    tell_tasks()
    if given.only_tasks:
        return
    options: dict[str, Any] = {
        "cores": given.cores,
        "repeats": given.repeats,
        "until": given.until,
        "scratch_in": given.scratch,
        "overrides": given.overrides,
    }
    if given.run_file is not None:
        compare(given.run_file, **options)
        return
    with tempfile.TemporaryDirectory() as folder:
        simulate(
            Path(folder),
            SimulationParameters(
                subarray="ALLSLITS", exposures=given.files, groups=given.groups, seed=1
            ),
        )
        compare(Path(folder) / "run.yaml", **options)


if __name__ == "__main__":
    main()
