"""What of a run is done, under way or failed, from the store and the products; changes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from nrsdark_xr.config import RunConfig
from nrsdark_xr.detector import is_irs2
from nrsdark_xr.exposures import Selected, find_exposures, read_exposures, select
from nrsdark_xr.steps.outdated import Outdated, find_outdated
from nrsdark_xr.steps.products_state import ProductsState
from nrsdark_xr.steps.run import IRS2_PRODUCTS, PRODUCTS
from nrsdark_xr.store import RampStore, Step
from nrsdark_xr.store.failures import Failure, read_failures
from nrsdark_xr.store.location import Location
from nrsdark_xr.store.lock import find_holder
from nrsdark_xr.store.schema import step_variables

STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True)
class FileStatus:
    """How far one row of the store is.

    Attributes
    ----------
    name : str
    date_obs : str
    accepted : bool
    reason : str
        Why it takes no part; else empty.
    done : tuple of str
        Steps that have finished it.
    begun : tuple of str
        Steps of which there are chunks, but not a finished row.
    failed : dict of str
        By step, why it failed when it was last tried.
    outdated : tuple of str
        Steps that have finished it, but will do it again, since something has changed.
    """

    name: str
    date_obs: str
    accepted: bool
    reason: str
    done: tuple[str, ...]
    begun: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    outdated: tuple[str, ...] = ()

    def remark(self, *, running: bool) -> str:
        """Tell what people want to know besides what is done."""
        verb = "running" if running else "cut off"
        parts = [self.reason] if self.reason else []
        parts += [f"{step} out of date" for step in self.outdated]
        parts += [f"{step} {verb}" for step in self.begun if step not in self.failed]
        parts += [f"{step} failed: {reason}" for step, reason in self.failed.items()]
        return "; ".join(parts)


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes
    ----------
    name : str
    files : tuple of FileStatus
    rejected : dict of str
        Inputs that cannot be read, and why.
    products : dict of bool
        Whether each product is there and complete.
    outdated : tuple of str
        Products that are there, but will be made again, since something has changed.
    running : str
        Which run is at work on the store now; empty if none is.
    """

    name: str
    files: tuple[FileStatus, ...]
    rejected: dict[str, str]
    products: dict[str, bool]
    outdated: tuple[str, ...] = ()
    running: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON can hold it."""
        return asdict(self)

    def rows(self) -> list[tuple[str, ...]]:
        """Rows of a table for people: file, date, done steps, remark."""
        rows: list[tuple[str, ...]] = [
            (
                entry.name,
                entry.date_obs[:10],
                ", ".join(entry.done) or "nothing yet",
                entry.remark(running=bool(self.running)),
            )
            for entry in self.files
        ]
        return rows + [(url, "", "cannot be read", reason) for url, reason in self.rejected.items()]

    def counts(self) -> str:
        """Sum it up in one line."""
        wanted = [entry for entry in self.files if entry.accepted]
        done = sum("prepare" in entry.done for entry in wanted)
        outdated = sum("prepare" in entry.outdated for entry in wanted)
        failed = sum(bool(entry.failed) for entry in wanted)
        parts = [f"{done} of {len(wanted)} prepared"]
        parts += [f"{outdated} of these out of date"] if outdated else []
        parts += [f"{failed} failed"] if failed else []
        parts += [f"at work: {self.running}"] if self.running else []
        return ", ".join(parts)


def read_status(config: RunConfig) -> RunStatus:
    """Look at inputs, store and products of a run.

    Raises
    ------
    NrsdarkError
        If no input is found, or the store is damaged.
    """
    urls = find_exposures(config.inputs, storage_options=config.storage)
    exposures, rejected = read_exposures(urls, on_error="skip", storage_options=config.storage)
    selected = (
        select(exposures, config.selection, storage_options=config.storage) if exposures else []
    )
    location = Location.of(config.store, config.storage)
    store = RampStore(config.store, config.storage) if location.exists() else None
    state = ProductsState(config.product("state.json"))
    makes_refpix = config.references.refpix is None and any(
        is_irs2(entry.exposure.readpatt) for entry in selected
    )
    outdated = _outdated(config, selected, store, makes_refpix=makes_refpix)
    names = IRS2_PRODUCTS if makes_refpix else PRODUCTS
    there = {name: state.holds(config.product(name)) for name in names}
    return RunStatus(
        name=config.name,
        files=_files(selected, store, location, outdated),
        rejected={entry.url: entry.reason for entry in rejected},
        products={config.product(name).name: complete for name, complete in there.items()},
        outdated=tuple(
            config.product(name).name
            for name, complete in there.items()
            if complete and name in outdated.products
        ),
        running=_running(location),
    )


def _outdated(
    config: RunConfig, selected: list[Selected], store: RampStore | None, *, makes_refpix: bool
) -> Outdated:
    if store is None:
        return Outdated({}, set())
    steps: list[Step] = ["refpix"] if makes_refpix else []
    steps += ["bias"] if config.references.superbias is None else []
    accepted = [entry.exposure for entry in selected if entry.accepted]
    return find_outdated(config, accepted, [*steps, "prepare"], store)


def _files(
    selected: list[Selected], store: RampStore | None, location: Location, outdated: Outdated
) -> tuple[FileStatus, ...]:
    done = {step: set(store.markers(step)) if store else set() for step in STEPS}
    failed: dict[Step, dict[str, Failure]] = {
        step: read_failures(location, step) if store else {} for step in STEPS
    }
    rows = {name: row for row, name in enumerate(store.names)} if store else {}
    return tuple(
        FileStatus(
            name=name,
            date_obs=entry.exposure.date_obs,
            accepted=entry.accepted,
            reason=entry.reason,
            done=tuple(step for step in STEPS if name in done[step]),
            begun=tuple(
                step
                for step in STEPS
                if name in rows and name not in done[step] and _begun(location, step, rows[name])
            ),
            failed={
                step: failed[step][name].reason
                for step in STEPS
                if name in failed[step] and name not in done[step]
            },
            outdated=tuple(
                step for step in STEPS if entry.exposure.name in outdated.rows.get(step, ())
            ),
        )
        for entry in selected
        for name in entry.exposure.row_names()
    )


def _begun(location: Location, step: Step, row: int) -> bool:
    """Whether a chunk of the first variable that a step writes is there."""
    return location.count_chunks(step_variables(step)[0].name, row) > 0


def _running(location: Location) -> str:
    holder = find_holder(location)
    if holder is None:
        return ""
    return (
        f"process {holder.get('pid', '?')} on {holder.get('host', '?')} "
        f"since {holder.get('since', '?')}"
    )
