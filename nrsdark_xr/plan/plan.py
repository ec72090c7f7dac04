"""Put together what a run would do, from headers, markers and the space that is there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nrsdark_xr.cluster import LOCAL
from nrsdark_xr.config import RunConfig
from nrsdark_xr.detector import is_irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.plan.machine import TEMPORARY, Workforce, own_cores
from nrsdark_xr.plan.memory import StepMemory, step_memory
from nrsdark_xr.plan.steps import (
    NOTHING,
    OVERHEAD_PER_CHUNK,
    StepPlan,
    Traffic,
    analyze_product,
    average_product,
    bias_product,
    raw_traffic,
    refit_traffic,
    step_row_traffic,
    synthesize_product,
    with_refpix,
)
from nrsdark_xr.steps.inputs import choose_inputs, reasons_left_out
from nrsdark_xr.steps.progress_made import Done, find_done
from nrsdark_xr.steps.tasks import COPIES
from nrsdark_xr.storage.locations import file_system, is_remote
from nrsdark_xr.store.schema import Configuration, Step

STEPS = ("bias", "prepare", "average", "synthesize", "analyze")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run writes.

    Attributes
    ----------
    url : str
    key : str
        The key of RUN.yaml that names it.
    needed : int
        Bytes that will be written there in addition to what is there.
    free : int or None
        Bytes that are free there; None where nobody can tell (object storage).
    device : int or None
        Which file system it is; places on one share what is free.
    """

    url: str
    key: str
    needed: int
    free: int | None
    device: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    Attributes
    ----------
    name : str
    configuration : str
        Detector, readout, subarray, groups.
    good : int
        Exposures that take part.
    left_out : dict of str
        The others, and why.
    rows : int
        Integrations that take part: rows of the store.
    steps : tuple of StepPlan
        In order, up to the last that is asked for.
    memory : dict of StepMemory
        By step, of those with something to do.
    workforce : Workforce
    places : tuple of Place
        `store` and `output`; if inputs are remote, where workers keep copies of them meanwhile.
    requests : int
        Requests to object storage; 0 if all is local.
    """

    name: str
    configuration: str
    good: int
    left_out: dict[str, str]
    rows: int
    steps: tuple[StepPlan, ...]
    memory: dict[str, StepMemory]
    workforce: Workforce
    places: tuple[Place, ...]
    requests: int

    def worker_peak(self) -> int:
        """Most bytes that one worker holds; 0 if there is nothing to do."""
        return max((need.worker for need in self.memory.values()), default=0)

    def client_peak(self) -> int:
        """Most bytes that the process that drives the run holds."""
        return max((need.client for need in self.memory.values()), default=0)

    def tree_peak(self, workers: int | None = None) -> int:
        """Most bytes that all processes on this machine hold together."""
        force = self.workforce if workers is None else replace(self.workforce, workers=workers)
        return max((force.tree(need) for need in self.memory.values()), default=0)

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON can hold it."""
        plain = asdict(self)
        for step, entry in zip(self.steps, plain["steps"], strict=True):
            entry |= {"tasks": step.tasks, "read": asdict(step.read)}
            entry["written"] = asdict(step.written)
        total = {
            "read": asdict(sum((step.read for step in self.steps), NOTHING)),
            "written": asdict(sum((step.written for step in self.steps), NOTHING)),
            "tasks": sum(step.tasks for step in self.steps),
            "worker_peak": self.worker_peak(),
            "client_peak": self.client_peak(),
            "tree_peak": self.tree_peak(),
        }
        return {**plain, "total": total}


def plan_run(
    config: RunConfig,
    *,
    cluster: str = LOCAL,
    workers: int | None = None,
    say: Callable[[str], None],
) -> Plan:
    """Read the headers of a run's inputs, and plan it (`make_plan`).

    `say` takes a line for each input that is left out.

    Raises
    ------
    NrsdarkError
        As `nrsdark_xr.steps.inputs.choose_inputs` and `make_plan`.
    """
    selected, rejected = choose_inputs(config, say=say)
    return make_plan(
        config,
        [entry.exposure for entry in selected if entry.accepted],
        left_out=reasons_left_out(selected, rejected),
        cluster=cluster,
        workers=workers,
    )


def make_plan(
    config: RunConfig,
    exposures: Sequence[Exposure],
    *,
    left_out: dict[str, str] | None = None,
    cluster: str = LOCAL,
    workers: int | None = None,
    until: str = STEPS[-1],
) -> Plan:
    """Plan a run; nothing is computed and nothing written.

    Parameters
    ----------
    config : RunConfig
    exposures : sequence of Exposure
        Those that take part, at least one.
    left_out : dict of str, optional
        The other inputs, and why.
    cluster : str
        As `nrsdark_xr.cluster.connect` takes it. Nothing is started; a running scheduler is asked
        about its workers if there is anything to do.
    workers : int, optional
        As `nrsdark_xr.cluster.connect` takes it.
    until : str
        Last step.

    Raises
    ------
    NrsdarkError
        If the store is damaged, the cluster's file is wrong, or a running scheduler has no worker
        or does not answer.
    """
    first = exposures[0]
    configuration = Configuration.of(first)
    done = find_done(config, exposures)
    wanted = STEPS[: STEPS.index(until) + 1]
    n_rows = sum(exposure.n_integrations for exposure in exposures)
    steps = tuple(_plan_steps(config, exposures, done, configuration, n_rows, wanted))
    working = {step.name for step in steps if step.read.n_bytes}
    makes_weights = bool(_without_spectra(config, exposures, done))

    def memory(threads: int) -> dict[str, StepMemory]:
        needs = step_memory(
            max(exposures, key=lambda exposure: exposure.n_integrations),
            n_files=n_rows,
            threads=threads,
            client_threads=own_cores(),
            engine=config.engine,
            makes_weights=makes_weights,
            fetches=any(is_remote(exposure.url) for exposure in exposures),
        )
        return {name: need for name, need in needs.items() if name in working}

    workforce = Workforce.of(
        cluster,
        workers,
        need=lambda threads: max((each.worker for each in memory(threads).values()), default=0),
    )
    return Plan(
        name=config.name,
        configuration=f"{first.detector} {first.readpatt} {first.subarray}, "
        f"{first.n_groups} groups of {first.xsize} x {first.ysize} pixels",
        good=len(exposures),
        left_out=left_out or {},
        rows=n_rows,
        steps=steps,
        memory=memory(workforce.threads),
        workforce=workforce,
        places=(
            *_places(config, steps, done, configuration),
            *_copies(exposures, steps, workforce),
        ),
        requests=_requests(config, steps),
    )


def _plan_steps(
    config: RunConfig,
    exposures: Sequence[Exposure],
    done: Done,
    configuration: Configuration,
    n_rows: int,
    wanted: Sequence[str],
) -> Iterator[StepPlan]:
    """Plan step by step; a product is made anew if anything before it is."""
    references = _reference_traffic(config)
    changed = False
    products: dict[str, Callable[[Configuration, int], StepPlan]] = {
        "bias": bias_product,
        "average": partial(
            average_product, n_periods=len(config.periods), quantum=config.ramps.quantum
        ),
        "synthesize": synthesize_product,
        "analyze": analyze_product,
    }
    without_spectra = _without_spectra(config, exposures, done)

    def with_weights(plan: StepPlan) -> StepPlan:
        return with_refpix(plan, without_spectra, configuration, config.refpix.measure)

    for name in wanted:
        plan = StepPlan(name)
        if name == "bias" and config.references.superbias is not None:
            if without_spectra:
                changed, plan = True, with_weights(plan)
            yield plan
            continue
        if name in ("bias", "prepare"):
            step: Step = "bias" if name == "bias" else "prepare"
            # Ramps are made with weights and superbias: new ones make them all anew.
            changed = changed or bool(without_spectra)
            pending = [e for e in exposures if changed or e.name not in done.exposures[step]]
            changed = changed or bool(pending)
            plan = replace(
                _ingest(step, pending, config, configuration),
                references=references if pending else NOTHING,
                exposures_done=len(exposures) - len(pending),
            )
        if name in products and (changed or name not in done.products):
            changed = True
            made = products[name](configuration, n_rows)
            plan = replace(
                plan,
                blocks=made.blocks,
                store_read=plan.store_read + made.store_read,
                output=made.output,
            )
        if name == "bias" and without_spectra:
            plan = with_weights(plan)
        yield plan


def _without_spectra(
    config: RunConfig, exposures: Sequence[Exposure], done: Done
) -> list[Exposure]:
    """Exposures that the weights of IRS2 still have to be made from."""
    if config.references.refpix is not None:
        return []
    return [e for e in exposures if is_irs2(e.readpatt) and e.name not in done.exposures["refpix"]]


def _ingest(
    step: Step, pending: Sequence[Exposure], config: RunConfig, configuration: Configuration
) -> StepPlan:
    """Plan the exposures that a step has left."""
    rows = sum(exposure.n_integrations for exposure in pending)
    parameters, quantum = config.prepare, config.ramps.quantum
    refit = NOTHING
    if step == "prepare" and config.engine == "nrsdark":
        refit = sum((refit_traffic(each, parameters, quantum=quantum) for each in pending), NOTHING)
    return StepPlan(
        step,
        exposures=len(pending),
        raw=sum((raw_traffic(each, step, parameters) for each in pending), NOTHING),
        store_read=refit,
        store_written=step_row_traffic(configuration, step, quantum=quantum) * rows,
    )


def _reference_traffic(config: RunConfig) -> Traffic:
    total = NOTHING
    for url in config.references.given().values():
        system, path = file_system(url, config.storage)
        total += Traffic(int(system.size(path) or 0) if system.exists(path) else 0, 1)
    return total


def _places(
    config: RunConfig, steps: Sequence[StepPlan], done: Done, configuration: Configuration
) -> tuple[Place, ...]:
    """Tell what is needed and free at `store` and `output`; rows made anew take no new space."""
    store = NOTHING
    for step in steps:
        if step.name in ("bias", "prepare") and step.exposures:
            name: Step = "bias" if step.name == "bias" else "prepare"
            store += step.store_written
            row = step_row_traffic(configuration, name, quantum=config.ramps.quantum)
            store += row * -min(done.stale_rows[name], step.store_written.objects)
    output = sum((step.output for step in steps), NOTHING)
    return (_place("store", config.store, store), _place("output", config.output, output))


def _copies(
    exposures: Sequence[Exposure], steps: Sequence[StepPlan], workforce: Workforce
) -> Iterator[Place]:
    """Tell what copies of remote exposures need: the one that is worked on, and the next."""
    remote = [exposure.data_bytes for exposure in exposures if is_remote(exposure.url)]
    if not remote or not any(step.raw.n_bytes for step in steps):
        return
    needed = min(COPIES, workforce.threads) * max(remote)
    if workforce.temporary is None:
        yield Place("each worker", TEMPORARY, needed, free=None, device=None)
    else:
        workers = min(workforce.workers or 1, len(remote))
        yield _place(TEMPORARY, workforce.temporary, Traffic(workers * needed))


def _place(key: str, url: str, traffic: Traffic) -> Place:
    needed = max(0, traffic.n_bytes + OVERHEAD_PER_CHUNK * traffic.objects)
    if is_remote(url):
        return Place(url, key, needed, free=None, device=None)
    folder = Path(url)
    while not folder.exists():
        folder = folder.parent
    return Place(url, key, needed, free=shutil.disk_usage(folder).free, device=folder.stat().st_dev)


def _requests(config: RunConfig, steps: Sequence[StepPlan]) -> int:
    """Count the requests to object storage: one per range, chunk or file."""
    remote_raw = any(is_remote(url) for url in config.inputs)
    remote_references = any(is_remote(url) for url in config.references.given().values())
    total = 0
    for step in steps:
        total += step.raw.objects if remote_raw else 0
        total += step.references.objects if remote_references else 0
        if is_remote(config.store):
            total += step.store_read.objects + step.store_written.objects
        total += step.output.objects if is_remote(config.output) else 0
    return total
