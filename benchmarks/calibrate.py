"""One exposure from raw file to ramp and rate: jwst's steps, ours, and the floor, side by side.

    python benchmarks/calibrate.py                                     # simulates a full frame
    python benchmarks/calibrate.py --exposure X_uncal.fits --references DIR --cores 1 2

Every measurement is a process of its own that is bound to as many cores as it may use; BLAS has as
many threads for jwst, and one for ours, which is what Dask gives its workers. jwst runs
its steps on the whole exposure, with our parameters, and writes nothing; ours ends with the ramp
and the maps in a ramp store. The floor reads the raw file and writes the ramp in compressed chunks,
and does nothing else. Wall and CPU time of our steps are sums over threads; "start" is the process
up to the first step, and the total counts from there. What docs/performance.md shows was printed by
this script.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
BAND_ROWS = 128
OUR_STEPS = {
    "refpix.measure": "refpix: measure",
    "traditional.linearize_band": "group_scale to linearity",
    "irs2_samples.look_at_exposure": "IRS2: look at all groups",
    "irs2_correction.fill_output": "IRS2: fill the reference output",
    "irs2_signals.to_frequencies": "IRS2: transform",
    "irs2_correction.from_frequencies": "IRS2: transform back",
    "_irs2_kernels.linearize_corrected": "IRS2: flags and linearity",
    "bands.find_jumps": "jump",
    "rates.fit_ramps": "ramp_fit",
    "exposure.flag_snowballs": "jump: snowballs",
    "exposure.good_groups": "good groups",
    "rates.cds_noise": "read noise",
}
"""Module of `nrsdark_xr.calibration` and function, and what it does."""


class Steps:
    """Wall and CPU time by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.lock = threading.Lock()

    @contextmanager
    def step(self, name: str, clock: Callable[[], float] = time.process_time) -> Iterator[None]:
        wall, cpu = time.perf_counter(), clock()
        yield
        with self.lock:
            total = self.seconds.setdefault(name, [0.0, 0.0])
            total[0] += time.perf_counter() - wall
            total[1] += clock() - cpu

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function that may run in several threads."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self.step(name, time.thread_time):
                return function(*args, **kwargs)

        return wrapper


def load(exposure_file: str, directory: str) -> tuple[Any, Any]:
    from nrsdark_xr.exposures import read_exposure
    from nrsdark_xr.references import ReferencePaths

    exposure = read_exposure(exposure_file)
    found = {kind: Path(directory) / f"{kind}.fits" for kind in ReferencePaths.model_fields}
    paths = {kind: str(path) for kind, path in found.items() if path.exists()}
    return exposure, ReferencePaths(**paths)


def measure_ours(exposure: Any, paths: Any, scratch: str, cores: int) -> Steps:
    from nrsdark_xr import calibration
    from nrsdark_xr.exposures import RawReader
    from nrsdark_xr.references import clear_hot, load_references
    from nrsdark_xr.store import RampStore

    steps = Steps()
    with steps.step("references"):
        references = load_references(paths, exposure)
        references = references.replace(mask=clear_hot(references.mask))
    for place, name in OUR_STEPS.items():
        module_name, function = place.split(".")
        module = import_module(f"nrsdark_xr.calibration.{module_name}")
        setattr(module, function, steps.timed(name, getattr(module, function)))
    with steps.step("store template"):
        store = RampStore.open_or_create(f"{scratch}/ramps.zarr", [exposure])
    buffers = [TimedBuffer(store.ramp_buffer(name), steps) for name in exposure.row_names()]
    with steps.step("calibration, all"), RawReader(exposure) as reader:
        raw = TimedReader(reader, steps)
        parameters = calibration.CalibrationParameters()
        results = calibration.calibrate_exposure(
            raw, exposure, references, parameters, buffers, threads=cores
        )
    with steps.step("write maps"):
        for name, maps in zip(exposure.row_names(), results, strict=True):
            store.write_maps(name, maps, cores)
            store.mark_done("prepare", name, {})
    return steps


class TimedReader:
    """A reader of raw samples under the clock."""

    def __init__(self, reader: Any, steps: Steps) -> None:
        self.read = steps.timed("read raw", reader.read)


class TimedBuffer:
    """A buffer of ramps under the clock."""

    def __init__(self, buffer: Any, steps: Steps) -> None:
        self.chunk_columns = buffer.chunk_columns
        self.write = steps.timed("compress and write ramp", buffer.write)
        self.read = steps.timed("read ramp again", buffer.read)


def measure_jwst(exposure: Any, paths: Any, *_: Any) -> Steps:
    from nrsdark_xr.calibration import CalibrationParameters
    from nrsdark_xr.steps.stock_engine import BEFORE_JUMP, configure_steps

    steps = Steps()
    with steps.step("configure"):
        pipeline = configure_steps(paths, CalibrationParameters())
    model: Any = exposure.url
    for name in (*BEFORE_JUMP, "jump", "ramp_fit"):
        with steps.step(name):
            model = getattr(pipeline, name).process(model)
    return steps


def measure_floor(exposure: Any, paths: Any, scratch: str, *_: Any) -> Steps:
    """Read raw bands; write ramps that were made before. Their making is not in the figures."""
    import numpy as np

    from nrsdark_xr.detector import irs2
    from nrsdark_xr.exposures import RawReader
    from nrsdark_xr.references import load_references
    from nrsdark_xr.store import RampStore

    steps = Steps()
    references = load_references(paths, exposure)
    bias = np.nan_to_num(irs2.strip(references.superbias, exposure.detector))
    store = RampStore.open_or_create(f"{scratch}/ramps.zarr", [exposure])
    buffers = [store.ramp_buffer(name) for name in exposure.row_names()]
    raw_rows = exposure.raw_shape[2]  # IRS2 has more of them than the ramp, and all are read
    with RawReader(exposure) as reader:
        for integration, buffer in enumerate(buffers):
            for start in range(0, exposure.ysize, BAND_ROWS):
                rows = slice(start, min(start + BAND_ROWS, exposure.ysize))
                share = slice(*(row * raw_rows // exposure.ysize for row in (start, rows.stop)))
                with steps.step("read raw"):
                    raw = reader.read(integration, slice(0, exposure.n_groups), share)
                pixels = raw[:, : rows.stop - start]
                ramp = (pixels - bias[rows]) * np.float32(1.0001)  # noise down to the last bit
                with steps.step("write ramp"):
                    buffer.write(rows, ramp)
    return steps


SIDES = {"jwst": measure_jwst, "nrsdark_xr": measure_ours, "floor": measure_floor}


def work(
    side: str, exposure_file: str, references: str, scratch: str, cores: int, begun: float
) -> None:
    """Measure in this process, which was started at the time `begun`, and print the figures."""
    exposure, paths = load(exposure_file, references)
    if side == "jwst":
        exposure = replace(exposure, url=str(Path(exposure.url).absolute()))
    start = [time.perf_counter() - begun, time.process_time()]
    steps = SIDES[side](exposure, paths, scratch, cores)
    total = [time.perf_counter() - begun, time.process_time()]
    if side == "floor":
        total = [sum(values) for values in zip(*steps.seconds.values(), strict=True)]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "steps": {"start": start, **steps.seconds},
        "total": total,
        "peak_mib": usage.ru_maxrss / 1024,
        "kernel": usage.ru_stime,
        "page_faults": usage.ru_minflt,
    }
    print(json.dumps(figures))


def measure(side: str, exposure: Path, references: Path, scratch: Path, cores: int) -> Any:
    """Run one side in a process of its own, on `cores` cores.

    The files that it writes are emptied afterwards, not deleted: ext4 passes over the inodes of
    files that were just deleted, one by one, which the next run would pay for.
    """
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    environment = {
        **os.environ, **dict.fromkeys(THREAD_VARIABLES, str(cores) if side == "jwst" else "1"),
        "STPIPE_DISABLE_CRDS_STEPPARS": "1",
    }  # fmt: skip
    folder = tempfile.mkdtemp(dir=scratch)
    done = subprocess.run(
        [sys.executable, __file__, "--work", side, "--exposure", exposure, "--references",
         references, "--scratch", folder, "--cores", str(cores),
         "--begun", repr(time.perf_counter())],
        env=environment, stdout=subprocess.PIPE, text=True, check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )  # fmt: skip
    for path in Path(folder).rglob("*"):
        if path.is_file():
            os.truncate(path, 0)
    return json.loads(done.stdout.splitlines()[-1])


def table(rows: list[tuple[str, float, float]]) -> str:
    lines = ["| step | wall s | CPU s |", "|---|---:|---:|"]
    return "\n".join(lines + [f"| {name} | {wall:.2f} | {cpu:.2f} |" for name, wall, cpu in rows])


def compare(exposure: Path, references: Path, scratch: Path, arguments: Any) -> None:
    sides = [side for side in SIDES if side != "jwst" or not arguments.without_jwst]
    for cores in arguments.cores:
        figures = {}
        for side in sides:
            repeats = 1 if side == "jwst" else arguments.repeats
            runs = [measure(side, exposure, references, scratch, cores) for _ in range(repeats)]
            figures[side] = min(runs, key=lambda run: run["total"][0])
        load_now = " ".join(f"{value:.1f}" for value in os.getloadavg())
        print(f"\n## {exposure.name}, {cores} core(s), load {load_now}\n")
        for side, run in figures.items():
            rows = [(name, *seconds) for name, seconds in run["steps"].items()]
            print(
                f"{side}: peak {run['peak_mib'] / 1024:.2f} GiB, {run['kernel']:.2f} s of CPU in "
                f"the kernel, {run['page_faults']} page faults\n"
            )
            print(table([*rows, ("**total**", *run["total"])]) + "\n")
        ours = figures["nrsdark_xr"]["total"]
        for side in sides:
            theirs = figures[side]["total"]
            print(
                f"{side} / nrsdark_xr: {theirs[0] / ours[0]:.2f} in wall, "
                f"{theirs[1] / ours[1]:.2f} in CPU time"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--exposure", type=Path, help="uncal file; simulated unless given")
    parser.add_argument("--references", type=Path, help="folder with mask.fits, gain.fits, ...")
    parser.add_argument("--subarray", default="FULL", help="what to simulate")
    parser.add_argument("--readpatt", default="NRSRAPID", help="what to simulate")
    parser.add_argument("--groups", type=int, help="what to simulate")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=1, help="of ours and the floor: best counts")
    parser.add_argument("--without-jwst", action="store_true")
    parser.add_argument("--scratch", type=Path, help="folder for stores and simulated files")
    parser.add_argument("--work", choices=list(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--begun", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        files = str(arguments.exposure), str(arguments.references), str(arguments.scratch)
        work(arguments.work, *files, arguments.cores[0], arguments.begun)
        return
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        exposure, references = arguments.exposure, arguments.references
        if exposure is None:
            from nrsdark_xr.simulate import SimulationParameters, simulate

            simulate(
                f"{folder}/set",
                SimulationParameters(
                    subarray=arguments.subarray,
                    readpatt=arguments.readpatt,
                    groups=arguments.groups,
                    exposures=1,
                ),
            )
            exposure = next(Path(folder, "set").glob("*_uncal.fits"))
            references = exposure.parent / "references"
        compare(exposure, references, Path(folder), arguments)


if __name__ == "__main__":
    main()
