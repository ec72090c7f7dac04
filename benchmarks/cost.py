"""What it costs to make darks of all NIRSpec dark exposures to date, on 1, 10 and 100 workers.

    python benchmarks/cost.py [--workers 1 10 100] [--trad 300] [--irs2 300] [--tasks 100000]

Bytes and requests of an exposure are those that `nrsdark plan` predicts for object storage; core
seconds of tasks are measured ones: `MEASURED`. Wall times come from the scheduler of distributed
itself: it is given a stand-in for each task of the real runs, and again as many as `--tasks`, which
wait as long as those take, times a scale that makes all of them last about `--seconds`. Its own
work per task is therefore overstated by the scale; it is told beside, and added to the real times.
The client makes dark, mask and report of each run by itself meanwhile.
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
    step_row_traffic,
    synthesize_product,
)
from nrsdark_xr.steps.raw_reads import refpix_reads
from nrsdark_xr.store.schema import Configuration

HOUR = 3600.0
GB = 1e9


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


MEASURED = {
    "traditional, 88 groups": CoreSeconds(prepare=13.0, average=7.0, client=35.0),
    "IRS2, 200 groups": CoreSeconds(prepare=88.0, average=15.0, client=80.0),
}
"""Full frames. `prepare`: 12 to calibrate (``benchmarks/calibrate.py``), 1 for the bias groups; of
IRS2 60, 2, and 25 for spectra. `average`: 6.5 for 461 million samples in 10 exposures
(``benchmarks/average.py --cpu``), and a third more for flags. `client`: wall seconds of its stages
in two runs of docs/performance.md."""


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
        """Lengths of the tasks of each run of `files` exposures: calibration, then blocks."""
        blocks = average_product(Configuration.of(self.exposure), files).blocks
        runs = []
        for start in range(0, self.number, files):
            n = min(files, self.number - start)
            runs.append([self.seconds.prepare] * n + [self.seconds.average * n / blocks] * blocks)
        return runs

    def traffic(self, files: int) -> tuple[Traffic, Traffic]:
        """Read and written per exposure, in runs of `files` exposures."""
        configuration = Configuration.of(self.exposure)
        parameters = CalibrationParameters()
        read = refit_traffic(self.exposure, parameters)
        for step in ("bias", "prepare"):
            read += raw_traffic(self.exposure, step, parameters)
        if is_irs2(self.exposure.readpatt):
            read += Traffic(*refpix_reads(self.exposure, CrossSpectraParameters()))
        written = step_row_traffic(configuration, "bias")
        written += step_row_traffic(configuration, "prepare")
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


QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "60s",
}
"""Settings of stand-ins: a hundred workers in one process need not look at it a hundred times."""


async def _wait(seconds: float, _number: int) -> None:
    await asyncio.sleep(seconds)


def stand_in_run(lengths: Sequence[float], workers: int, scale: float) -> float:
    """Seconds that distributed takes for stand-ins of tasks, on workers within this process."""
    import dask
    from distributed import Client, LocalCluster, wait

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with (
        dask.config.set(QUIET),
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
        started = time.perf_counter()
        wait(client.map(_wait, scaled, range(len(scaled)), pure=False, batch_size=1000))
        return time.perf_counter() - started


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
            taken = stand_in_run(tasks, number, scale)
            own = max(0.0, taken - shortest * scale)
            rows.append(
                (
                    f"{count:,}",
                    str(number),
                    f"{shortest / HOUR:.2f}",
                    f"{shortest * scale:.0f}",
                    f"{taken:.0f}",
                    f"{1e3 * own / count:.2f}",
                    f"{(shortest + own) / HOUR:.2f}",
                )
            )
            print(f"  {count:,} stand-ins on {number} workers: {taken:.0f} s", file=sys.stderr)
    heads = (
        "tasks",
        "workers",
        "tasks alone [h]",
        "stand-ins alone [s]",
        "by distributed [s]",
        "its work per task [ms]",
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
    parser.add_argument("--seconds", type=float, default=20, help="stand-ins alone last so long")
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
