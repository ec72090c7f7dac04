"""Refuse a run that this machine cannot hold."""

from __future__ import annotations

from itertools import groupby

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.plan.plan import Place, Plan
from nrsdark_xr.plan.text import scaled

TERMINATE = "distributed.worker.memory.terminate"
"""Dask's setting: part of its memory at which a nanny kills its worker (0.95), or false."""


def check_plan(plan: Plan) -> None:
    """Refuse what would not fit.

    Raises
    ------
    NrsdarkError
        If a disk, the memory of workers or that of this machine would not do; says what would.
    """
    _check_disks(plan)
    _check_workers(plan)
    _check_memory(plan)


def _check_disks(plan: Plan) -> None:
    local = sorted(
        (place for place in plan.places if place.free is not None and place.device is not None),
        key=lambda place: place.device or 0,
    )
    for _, together in groupby(local, key=lambda place: place.device):
        _check_disk(list(together))


def _check_disk(places: list[Place]) -> None:
    needed = sum(place.needed for place in places)
    free = min(place.free or 0 for place in places)
    if needed <= free:
        return
    largest = max(places, key=lambda place: place.needed)
    shares = ", ".join(f"{place.key} {scaled(place.needed)}" for place in places)
    together = f" ({shares})" if len(places) > 1 else ""
    raise NrsdarkError(
        f"a run needs {scaled(needed)} there{together}, {scaled(free)} are free",
        file=largest.url,
        remedy=f"use another `{largest.key}`, free some space, or give fewer inputs",
    )


def _check_workers(plan: Plan) -> None:
    """Refuse workers that Dask, a batch system or a cloud would kill for their memory.

    The setting of Dask is that of this process, which workers elsewhere are taken to share.
    """
    import dask
    from distributed.config import config  # that of Dask, with the defaults of distributed

    part = float(dask.config.get(TERMINATE, config=config) or 1.0)
    limit, needed = plan.workforce.worker_memory, plan.worker_peak()
    if limit is None or needed <= part * limit:
        return
    killed = f", and Dask kills it at {part:.0%} of that ({TERMINATE})" if part < 1 else ""
    raise NrsdarkError(
        f"each worker takes up to {scaled(needed)} of memory, {scaled(limit)} are given to it"
        f"{killed}",
        file=plan.workforce.cluster,
        remedy=f"give each worker {scaled(needed / part)} or more",
    )


def _check_memory(plan: Plan) -> None:
    available = plan.workforce.available
    needed = plan.tree_peak()
    if needed <= available:
        return
    workers = plan.workforce.workers or 0
    fitting = [n for n in range(1, workers) if plan.tree_peak(n) <= available]
    if fitting:
        remedy = f"give --workers {fitting[-1]}"
    else:
        remedy = "free some memory, use a larger machine, or a cluster (--cluster)"
    who = f"{workers} {'worker' if workers == 1 else 'workers'}" if workers else "the client alone"
    raise NrsdarkError(
        f"a run with {who} takes up to {scaled(needed)} of memory, "
        f"{scaled(available)} are available",
        file=plan.name,
        remedy=remedy,
    )
