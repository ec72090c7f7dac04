"""A plan as people read it."""

from __future__ import annotations

from nrsdark_xr.plan.plan import Plan

STEP_HEADS = ("step", "files", "tasks", "read", "written", "objects", "per worker")
"""The last: peak memory of one worker."""
_THOUSAND = 1000


def scaled(n_bytes: float) -> str:
    """Write bytes with three digits or so, in units of a thousand."""
    for unit in ("B", "kB", "MB"):
        if n_bytes < _THOUSAND:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= _THOUSAND
    return f"{n_bytes:.1f} GB"


def step_rows(plan: Plan) -> list[tuple[str, ...]]:
    """Rows of a table, one per step: see `STEP_HEADS`."""
    rows: list[tuple[str, ...]] = []
    for step in plan.steps:
        done = f" (+{step.exposures_done} done)" if step.exposures_done else ""
        files = f"{step.exposures or ''}{done}".strip()
        need = plan.memory.get(step.name)
        if need is None:
            rows.append((step.name, files or "nothing", *("",) * (len(STEP_HEADS) - 2)))
            continue
        rows.append(
            (
                step.name,
                files,
                str(step.tasks or ""),
                scaled(step.read.n_bytes),
                scaled(step.written.n_bytes),
                str(step.written.objects),
                scaled(need.worker),
            )
        )
    return rows


def summary_lines(plan: Plan) -> list[str]:
    """Lines below the table: inputs, disks, memory, requests."""
    good = _count(plan.good, "good exposure")
    lines = [f"{plan.configuration}; {good}, {len(plan.left_out)} left out"]
    if not plan.memory:
        return [*lines, "nothing is left to do"]
    for place in plan.places:
        free = "free space unknown" if place.free is None else f"{scaled(place.free)} free"
        lines.append(f"{place.key}: {scaled(place.needed)} more in {place.url} ({free})")
    force = plan.workforce
    elsewhere = "the client; workers are elsewhere"
    who = _count(force.workers, "worker") if force.workers else elsewhere
    lines.append(
        f"memory: up to {scaled(plan.tree_peak())} for {who}, "
        f"{scaled(force.available)} available; up to {scaled(plan.worker_peak())} per worker, "
        f"{scaled(plan.client_peak())} for the client"
    )
    if force.worker_memory is not None:
        lines.append(f"each worker may take {scaled(force.worker_memory)} ({force.cluster})")
    if plan.requests:
        lines.append(f"requests to object storage: about {plan.requests}")
    return lines


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
