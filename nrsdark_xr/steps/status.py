"""What of a run is done, read from the store and the products; changes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nrsdark_xr.config import RunConfig
from nrsdark_xr.exposures import find_exposures, read_exposures, select
from nrsdark_xr.steps.products_state import ProductsState
from nrsdark_xr.steps.run import PRODUCTS
from nrsdark_xr.store import RampStore
from nrsdark_xr.store.location import Location


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
    """

    name: str
    date_obs: str
    accepted: bool
    reason: str
    done: tuple[str, ...]


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
    """

    name: str
    files: tuple[FileStatus, ...]
    rejected: dict[str, str]
    products: dict[str, bool]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON can hold it."""
        return asdict(self)

    def rows(self) -> list[tuple[str, ...]]:
        """Rows of a table for people: file, date, done steps, remark."""
        rows: list[tuple[str, ...]] = [
            (entry.name, entry.date_obs[:10], ", ".join(entry.done) or "nothing yet", entry.reason)
            for entry in self.files
        ]
        return rows + [(url, "", "cannot be read", reason) for url, reason in self.rejected.items()]


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
    done = _finished_rows(config)
    files = tuple(
        FileStatus(
            name=name,
            date_obs=entry.exposure.date_obs,
            accepted=entry.accepted,
            reason=entry.reason,
            done=tuple(step for step, rows in done.items() if name in rows),
        )
        for entry in selected
        for name in entry.exposure.row_names()
    )
    state = ProductsState(config.product("state.json"))
    return RunStatus(
        name=config.name,
        files=files,
        rejected={entry.url: entry.reason for entry in rejected},
        products={
            config.product(name).name: state.holds(config.product(name)) for name in PRODUCTS
        },
    )


def _finished_rows(config: RunConfig) -> dict[str, set[str]]:
    """Rows that each step has finished; none where there is no store yet."""
    if not Location.of(config.store, config.storage).exists():
        return {}
    store = RampStore(config.store, config.storage)
    return {step: set(store.markers(step)) for step in ("bias", "prepare")}
