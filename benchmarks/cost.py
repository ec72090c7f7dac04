"""What it costs to make darks of all NIRSpec dark exposures to date, on 1, 10 and 100 workers.

    python benchmarks/cost.py [--workers 1 10 100] [--trad 300] [--irs2 300] [--tasks 100000]

Bytes and requests of an exposure are those that `nrsdark plan` predicts for object storage; core
seconds of tasks are measured ones: `MEASURED`. The last table comes from the scheduler of
distributed itself: it is given a stand-in for each exposure and each block of an average of the
real runs (which hand a worker several blocks at once where there are many), and again as many as
`--tasks`, which wait as long as those take, times a scale that makes all of them last about
`--seconds`. What they take beyond that is its own work (and that of client and workers, which are
in the same process here); it is told per task, and added to the real times. The client makes dark,
mask and report of each run by itself meanwhile.

Tables go to stdout as Markdown, progress to stderr. All of it takes about seven minutes on a quiet
machine.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import logging
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from tables import print_table

from nrsdark_xr.calibration.parameters import CalibrationParameters, CrossSpectraParameters
from nrsdark_xr.detector import is_irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.plan.steps import (
    NOTHING,
    Traffic,
    average_product,
    raw_traffic,
    refit_traffic,
    spectra_traffic,
    step_row_traffic,
    synthesize_product,
)
from nrsdark_xr.store.schema import Configuration, Step

HOUR = 3600.0
GB, TB = 1e9, 1e12


@dataclass(frozen=True)
class CoreSeconds:
    """Measured CPU seconds of one exposure's part of a run.

    Attributes
    ----------
    prepare : float
        Of workers on one exposure: spectra of IRS2, bias groups, calibration.
    average : float
        Of workers per exposure: average ramp and flags.
    client : float
        Of the client per run, however many exposures: superbias, dark and mask, report.
    """

    prepare: float
    average: float
    client: float


CALIBRATION = {"traditional": 12.0, "IRS2": 60.0}
"""CPU seconds of ``benchmarks/calibrate.py --cores 1`` on simulated NRS1 full frames: 88 groups of
NRSRAPID, 200 of NRSIRS2RAPID."""
BIAS_GROUPS = {"traditional": 1.0, "IRS2": 2.0}
"""CPU seconds of stage `bias` of ``nrsdark run`` on such frames, by exposure."""
SPECTRA = 25.0
"""CPU seconds of stage `refpix`, by exposure of IRS2."""
AVERAGE = {"traditional": 7.0, "IRS2": 15.0}
"""CPU seconds of stages `average` and `flags`, by exposure: ``benchmarks/average.py --cpu`` on ten
exposures, and a third more for flags."""
CLIENT = {"traditional": 35.0, "IRS2": 80.0}
"""Wall seconds of all stages of the client in the two runs of docs/performance.md."""

MEASURED = {
    "traditional, 88 groups": CoreSeconds(
        prepare=CALIBRATION["traditional"] + BIAS_GROUPS["traditional"],
        average=AVERAGE["traditional"],
        client=CLIENT["traditional"],
    ),
    "IRS2, 200 groups": CoreSeconds(
        prepare=CALIBRATION["IRS2"] + BIAS_GROUPS["IRS2"] + SPECTRA,
        average=AVERAGE["IRS2"],
        client=CLIENT["IRS2"],
    ),
}
"""Full frames, measured on two cores of an AMD EPYC on 2026-11-20."""


@dataclass(frozen=True)
class Kind:
    """A kind of exposure.

    Attributes
    ----------
    name : str
        As in `MEASURED`.
    exposure : Exposure
    number : int
        Exposures to date.
    """

    name: str
    exposure: Exposure
    number: int

    @property
    def seconds(self) -> CoreSeconds:
        """What is spent on one."""
        return MEASURED[self.name]

    def tasks(self, files: int) -> list[list[float]]:
        """Lengths of the work of each run of `files` exposures: calibration, then blocks."""
        blocks = average_product(Configuration.of(self.exposure), files).blocks
        runs = []
        for start in range(0, self.number, files):
            n = min(files, self.number - start)
            runs.append([self.seconds.prepare] * n + [self.seconds.average * n / blocks] * blocks)
        return runs

    def stored(self) -> Traffic:
        """Written to the store per exposure."""
        configuration = Configuration.of(self.exposure)
        steps: tuple[Step, ...] = ("bias", "prepare")
        if is_irs2(self.exposure.readpatt):
            steps = ("refpix", *steps)
        return sum((step_row_traffic(configuration, step) for step in steps), NOTHING)

    def traffic(self, files: int) -> tuple[Traffic, Traffic]:
        """Read and written per exposure, in runs of `files` exposures."""
        configuration = Configuration.of(self.exposure)
        parameters = CalibrationParameters()
        read = refit_traffic(self.exposure, parameters)
        for step in ("bias", "prepare"):
            read += raw_traffic(self.exposure, step, parameters)
        if is_irs2(self.exposure.readpatt):
            read += spectra_traffic(self.exposure, CrossSpectraParameters())
        written = self.stored()
        shared_read = shared_written = NOTHING
        for product in (average_product, synthesize_product):
            plan = product(configuration, files)
            shared_read, shared_written = shared_read + plan.read, shared_written + plan.written
        return read + _share(shared_read, files), written + _share(shared_written, files)


def _share(traffic: Traffic, files: int) -> Traffic:
    return Traffic(traffic.n_bytes // files, traffic.objects // files)


def exposure_of(readpatt: str, n_groups: int, raw_rows: int, group_time: float) -> Exposure:
    """A full-frame dark on object storage."""
    return Exposure(
        url="s3://bucket/jw_uncal.fits",
        name="jw",
        detector="NRS1",
        readpatt=readpatt,
        subarray="FULL",
        exp_type="NRS_DARK",
        grating="G140H",
        filter="OPAQUE",
        program="",
        observation="",
        date_obs="2024-01-01T00:00:00.000",
        n_integrations=1,
        n_groups=n_groups,
        n_frames=1,
        group_gap=0,
        frame_divisor=1,
        n_outputs=4,
        frame_time=group_time,
        group_time=group_time,
        xstart=1,
        ystart=1,
        xsize=2048,
        ysize=2048,
        gain_factor=1.0,
        data_offset=0,
        raw_shape=(1, n_groups, raw_rows, 2048),
    )


def makespan(lengths: Iterable[float], workers: int) -> float:
    """Seconds that tasks take when each goes to the worker that is free first."""
    busy = [0.0] * workers
    for length in lengths:
        heapq.heappush(busy, heapq.heappop(busy) + length)
    return max(busy)


def one_after_another(kinds: Sequence[Kind], files: int, workers: int) -> float:
    """Seconds when each run has all workers to itself, and its client works between."""
    total = 0.0
    for kind in kinds:
        for lengths in kind.tasks(files):
            n = len(lengths) - average_product(Configuration.of(kind.exposure), files).blocks
            total += makespan(lengths[:n], workers) + makespan(lengths[n:], workers)
            total += kind.seconds.client
    return total


STAND_IN_SETTINGS = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "60s",
    "distributed.scheduler.worker-saturation": 10,
}
"""A hundred workers in one process need not look at it a hundred times; and stand-ins are shorter
than the 2 ms in which messages are gathered, so that a worker needs a few at hand."""


async def _wait(seconds: float, _number: int) -> None:
    await asyncio.sleep(seconds)


def stand_in_run(lengths: Sequence[float], workers: int, scale: float) -> tuple[float, float]:
    """Wall and CPU seconds that distributed takes for stand-ins, on workers in this process."""
    import dask
    from distributed import Client, LocalCluster, wait

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with (
        dask.config.set(STAND_IN_SETTINGS),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(workers)
        scaled = [length * scale for length in lengths]
        started, cpu = time.perf_counter(), time.process_time()
        wait(client.map(_wait, scaled, range(len(scaled)), pure=False, batch_size=1000))
        return time.perf_counter() - started, time.process_time() - cpu


def tell_costs(kinds: Sequence[Kind], files: int) -> None:
    rows = []
    for kind in kinds:
        read, written = kind.traffic(files)
        own = kind.seconds
        core_hours = (own.prepare + own.average + own.client / files) / HOUR
        rows.append(
            (
                kind.name,
                f"{kind.exposure.data_bytes / GB:.2f}",
                f"{read.n_bytes / GB:.1f}",
                f"{written.n_bytes / GB:.1f}",
                f"{read.objects + written.objects:,}",
                f"{core_hours:.4f}",
            )
        )
    heads = ("per exposure", "raw [GB]", "read [GB]", "written [GB]", "requests", "core-hours")
    print_table(heads, rows)
    totals = [
        sum(kind.number * figure for kind, figure in zip(kinds, figures, strict=True))
        for figures in zip(*(_totals(kind, files) for kind in kinds), strict=True)
    ]
    raw, read, written, requests, stored = totals
    print(
        f"\nall {sum(kind.number for kind in kinds)}: {raw / TB:.1f} TB raw, {read / TB:.1f} TB "
        f"read, {written / TB:.1f} TB written, {requests / 1e6:.1f} million requests; "
        f"stores of {stored / TB:.1f} TB"
    )


def _totals(kind: Kind, files: int) -> tuple[int, ...]:
    """Bytes raw, read and written, requests, and bytes in the store, of one exposure."""
    read, written = kind.traffic(files)
    stored = kind.stored()
    requests = read.objects + written.objects
    return kind.exposure.data_bytes, read.n_bytes, written.n_bytes, requests, stored.n_bytes


def tell_walls(kinds: Sequence[Kind], files: int, workers: Sequence[int]) -> list[float]:
    """Print the hours that runs take without a scheduler's work, and return lengths of tasks."""
    runs = [lengths for kind in kinds for lengths in kind.tasks(files)]
    lengths = sorted((length for run in runs for length in run), reverse=True)
    print(
        f"\n{sum(kind.number for kind in kinds)} exposures in {len(runs)} runs: "
        f"{len(lengths):,} tasks, {sum(lengths) / HOUR:.1f} core-hours on workers"
    )
    rows = [
        (
            str(number),
            f"{one_after_another(kinds, files, number) / HOUR:.2f}",
            f"{makespan(lengths, number) / HOUR:.2f}",
        )
        for number in workers
    ]
    print_table(("workers", "one run after another [h]", "all at once [h]"), rows)
    return lengths


def tell_stand_ins(
    lengths: Sequence[float], counts: Sequence[int], workers: Sequence[int], seconds: float
) -> None:
    """Print what distributed takes for stand-ins of tasks, as many as `counts`."""
    rows = []
    for count in counts:
        tasks = sorted(islice(cycle(lengths), count), reverse=True)
        for number in workers:
            scale = seconds * number / sum(tasks)
            shortest = makespan(tasks, number)
            print(f"  {count:,} stand-ins on {number} workers …", file=sys.stderr, flush=True)
            taken, cpu = stand_in_run(tasks, number, scale)
            own = max(0.0, taken - shortest * scale)
            rows.append(
                (
                    f"{count:,}",
                    str(number),
                    f"{shortest / HOUR:.2f}",
                    f"{shortest * scale:.0f}",
                    f"{taken:.0f}",
                    f"{1e3 * own / count:.2f}",
                    f"{1e3 * cpu / count:.2f}",
                    f"{(shortest + own) / HOUR:.2f}",
                )
            )
            print(f"  {taken:.0f} s", file=sys.stderr, flush=True)
    heads = (
        "tasks",
        "workers",
        "tasks alone [h]",
        "stand-ins alone [s]",
        "by distributed [s]",
        "its work per task [ms]",
        "CPU time of that [ms]",
        "tasks and its work [h]",
    )
    print()
    print_table(heads, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--trad", type=int, default=300, help="traditional full frames to date")
    parser.add_argument("--irs2", type=int, default=300, help="IRS2 full frames to date")
    parser.add_argument("--files", type=int, default=15, help="exposures of a run")
    parser.add_argument("--tasks", type=int, nargs="*", default=[100_000], help="more stand-ins")
    parser.add_argument("--seconds", type=float, default=10, help="stand-ins alone last so long")
    given = parser.parse_args()
    trad, irs2 = MEASURED
    kinds = (
        Kind(trad, exposure_of("NRSRAPID", 88, 2048, 10.73677), given.trad),
        Kind(irs2, exposure_of("NRSIRS2RAPID", 200, 3200, 14.58889), given.irs2),
    )
    tell_costs(kinds, given.files)
    lengths = tell_walls(kinds, given.files, given.workers)
    tell_stand_ins(lengths, [len(lengths), *given.tasks], given.workers, given.seconds)


if __name__ == "__main__":
    main()
