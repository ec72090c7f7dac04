"""How fast the averaging is: its kernel beside astropy and ccdproc, its step beside a plain read.

    python benchmarks/average.py [--files 20] [--groups 22] [--store RAMPS.zarr] [--cpu]

The kernel clips blocks as the step `average` hands them to it, on one core. The step is run as
`nrsdark run` runs it on a store (a simulated one unless given); beside it the same chunks of the
same store are only read and decoded, by the same workers: as zarr does it, and as `open_ramps` does
it, which for files of this machine goes without zarr's event loop. All sides are measured in turns;
the fastest of several is told. With --cpu these are CPU seconds of all processes, for a machine
that others use as well.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

from nrsdark_xr import average_ramp, open_ramps
from nrsdark_xr.cluster import connect
from nrsdark_xr.products.clip import clipped_mean
from nrsdark_xr.progress import Progress
from nrsdark_xr.steps.compute import block_tasks, compute_to_zarr
from nrsdark_xr.steps.memory import peak_memory
from nrsdark_xr.store.location import Location

MASKED = 0.05
"""Fraction of samples after a jump or otherwise bad."""
ROWS, COLUMNS = 128, 256
"""A block of the step `average`."""
REPEATS = 3
TARGETS = {"kernel": 200.0, "step": 1.5}
"""Million samples per second and core, and times the plain read by zarr, that are aimed at."""


def fastest(
    *works: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Seconds of each of `works` by `clock`, called in turns; the fastest of several."""
    seconds = [[] for _ in works]
    for _ in range(REPEATS):
        for work, taken in zip(works, seconds, strict=True):
            started = clock()
            work()
            taken.append(clock() - started)
    return [min(taken) for taken in seconds]


def make_block(n_files: int, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Ramps (file, group, y, x) with outliers, and the good groups of each pixel."""
    rng = np.random.default_rng(1)
    shape = (n_files, n_groups, ROWS, COLUMNS)
    ramps = rng.standard_normal(shape, dtype=np.float32) * np.float32(6)
    ramps[rng.random(shape, dtype=np.float32) < 0.01] += np.float32(100)
    struck = rng.random((n_files, ROWS, COLUMNS)) < 2 * MASKED  # jumps are half-way on average
    good = np.where(struck, rng.integers(0, n_groups, struck.shape), n_groups).astype(np.uint16)
    return ramps, good


def benchmark_kernel(n_files: int, n_groups: int) -> None:
    ramps, good_groups = make_block(n_files, n_groups)
    groups = np.arange(n_groups).reshape(1, -1, 1, 1)
    bad = groups >= good_groups[:, np.newaxis]
    million = ramps.size / 1e6
    print(
        f"kernel: {n_files} files, {million:.0f} million samples, {bad.mean():.1%} masked, "
        "CPU time of one core"
    )
    middle = n_groups // 2  # as many masked as on average; the others are slow: one is enough
    few = slice(middle, middle + 1)
    print(f"  the others are given {million / n_groups:.1f} million of these samples")

    def ours() -> object:
        return clipped_mean(ramps, good_groups=good_groups)

    ours()
    others = {"astropy": _astropy(ramps[:, few], bad[:, few])}
    try:
        others[f"ccdproc {version('ccdproc')}"] = _ccdproc(ramps[:, few], bad[:, few])
    except PackageNotFoundError:
        print("  ccdproc: not installed")
    own, *theirs = fastest(ours, *others.values(), clock=time.process_time)
    rate = million / own
    print(f"  nrsdark_xr {rate:7.0f} million samples/s (target {TARGETS['kernel']:.0f})")
    for name, seconds in zip(others, theirs, strict=True):
        other = million / n_groups / seconds
        print(f"  {name:10} {other:7.1f} million samples/s: {rate / other:.0f} times slower")


def _astropy(ramps: np.ndarray, bad: np.ndarray) -> Callable[[], object]:
    from astropy.stats import sigma_clip

    masked = np.ma.array(ramps, mask=bad)

    def clip() -> object:
        clipped = sigma_clip(masked, sigma=3, maxiters=5, axis=0)
        return clipped.mean(axis=0), clipped.std(axis=0), clipped.count(axis=0)

    return clip


def _ccdproc(ramps: np.ndarray, bad: np.ndarray) -> Callable[[], object]:
    from astropy.nddata import CCDData
    from ccdproc import Combiner

    frames = [
        CCDData(ramp.reshape(-1, COLUMNS), mask=mask.reshape(-1, COLUMNS), unit="adu")
        for ramp, mask in zip(ramps, bad, strict=True)
    ]

    def clip() -> object:
        combiner = Combiner(frames)
        combiner.sigma_clipping(low_thresh=3, high_thresh=3, func=np.ma.median, dev_func=np.ma.std)
        return combiner.average_combine()

    return clip


def benchmark_step(url: Path, workers: int, *, cpu: bool) -> None:
    ramps = open_ramps(url)
    read = ["ramp", "groupdq", "good_groups"]
    arrays = [zarr.open_array(f"{url}/{name}", mode="r") for name in read]
    regions = [task.region for task in block_tasks(average_ramp(ramps))]
    n_bytes = sum(ramps[name].nbytes for name in read)
    million = ramps["ramp"].size / 1e6
    print(
        f"step: {ramps.sizes['file']} files, {million:.0f} million samples, "
        f"{n_bytes / 1e9:.2f} GB, {workers} workers, {'CPU' if cpu else 'wall'} time"
    )
    print(f"  {len(regions)} blocks")
    numbers = count()
    with (
        tempfile.TemporaryDirectory(dir=url.parent) as scratch,
        Path(os.devnull).open("w") as nowhere,
        connect("local", workers=workers) as client,
    ):

        def read_by_zarr() -> None:
            client.gather(client.map(_read_block, regions, arrays=arrays, pure=False))

        def read_by_us() -> None:
            client.compute([_touched(ramps[name]) for name in read], sync=True)

        def average() -> None:
            target = f"{scratch}/average-{next(numbers)}.zarr"  # deleting takes time, too
            compute_to_zarr(
                average_ramp(ramps),
                Location.of(target, None),
                client=client,
                progress=Progress(nowhere),
                title="average",
                n_bytes=n_bytes,
            )

        for work in (average, read_by_zarr, read_by_us):  # workers load what they need
            work()
        with peak_memory() as reading:
            read_by_zarr()
        with peak_memory() as averaging:
            average()

        def cpu_seconds() -> float:
            return time.process_time() + sum(client.run(time.process_time).values())

        clock = cpu_seconds if cpu else time.perf_counter
        by_zarr, by_us, own = fastest(read_by_zarr, read_by_us, average, clock=clock)
    for what, seconds in (
        ("read and decode, zarr", by_zarr),
        ("read and decode, ours", by_us),
        ("average, written as Zarr", own),
    ):
        print(f"  {what:25} {seconds:6.2f} s, {million / seconds:6.0f} million samples/s")
    print(f"  average / read by zarr    {own / by_zarr:6.2f} (target {TARGETS['step']})")
    print(f"  average / read by us      {own / by_us:6.2f}")
    print(
        f"  peak memory of all processes: {averaging.n_bytes / 1e9:.2f} GB; "
        f"reading only {reading.n_bytes / 1e9:.2f} GB"
    )


def _read_block(region: tuple[slice, ...], arrays: list[zarr.Array]) -> None:
    """Read and decode what one task of the average does, by zarr."""
    for array in arrays:
        own = region if array.ndim > len(region) else region[1:]  # maps have no groups
        array[(slice(None), *own)]


def _touched(array: xr.DataArray) -> object:
    """Read and decode every chunk, and keep one number of each."""
    return array.data.map_blocks(_one_of, dtype=array.dtype, chunks=(1,) * array.ndim)


def _one_of(block: np.ndarray) -> np.ndarray:
    return block[(slice(0, 1),) * block.ndim].copy()


def make_store(folder: Path, n_files: int) -> Path:
    """Simulate darks and calibrate them."""
    from nrsdark_xr.config import RunConfig
    from nrsdark_xr.simulate import SimulationParameters, simulate
    from nrsdark_xr.steps import run_steps

    simulate(folder, SimulationParameters(subarray="ALLSLITS", exposures=n_files, groups=40))
    config = RunConfig.load(folder / "run.yaml")
    run_steps(config, until="prepare")
    return Path(config.store)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20, help="files of kernel and simulated store")
    parser.add_argument("--groups", type=int, default=22, help="groups of a block")
    parser.add_argument("--store", type=Path, help="a ramp store; else one is simulated")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--cpu", action="store_true", help="CPU time of the step, not wall time")
    parser.add_argument("--only-step", action="store_true", help="leave out the kernel")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for n_files in () if arguments.only_step else sorted({15, arguments.files, 40}):
        benchmark_kernel(n_files, arguments.groups)
    with tempfile.TemporaryDirectory() as folder:
        store = arguments.store or make_store(Path(folder), arguments.files)
        benchmark_step(store, arguments.workers, cpu=arguments.cpu)
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
