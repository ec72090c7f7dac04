"""What the five steps share during one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from nrsdark_xr.analysis import StepRecord
from nrsdark_xr.cluster import Cluster
from nrsdark_xr.config import RunConfig
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure, Rejected, Selected
from nrsdark_xr.progress import Progress
from nrsdark_xr.references import reference_checksums
from nrsdark_xr.steps.fingerprints import Fingerprint, exposure_record, rows_digest
from nrsdark_xr.steps.products_state import ProductsState
from nrsdark_xr.store import RampStore, Step
from nrsdark_xr.store.location import Location
from nrsdark_xr.store.markers import Marker
from nrsdark_xr.store.output import OutputFile

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Session:
    """One run under way: its configuration, its inputs, its store, and who works for it.

    Attributes
    ----------
    config : RunConfig
    selected : tuple of Selected
        Readable inputs by date, each accepted or not, and why.
    rejected : tuple of Rejected
        Inputs that could not be used (``on_error: skip``).
    store : RampStore
    cluster : Cluster
    progress : Progress
    failures : dict
        Name of each exposure that failed in this run, and the reason.
    work : list of str
        What this run made anew; empty when everything was up to date.
    costs : dict of StepRecord
        Wall time and peak memory of each step of this run so far.
    """

    config: RunConfig
    selected: tuple[Selected, ...]
    rejected: tuple[Rejected, ...]
    store: RampStore
    cluster: Cluster
    progress: Progress
    failures: dict[str, str] = field(default_factory=dict)
    work: list[str] = field(default_factory=list)
    costs: dict[str, StepRecord] = field(default_factory=dict)

    @property
    def client(self) -> Client:
        """Client of the cluster, which is started when first asked for."""
        return self.cluster.client

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """Accepted exposures by date, without those that failed."""
        return tuple(
            entry.exposure
            for entry in self.selected
            if entry.accepted and entry.exposure.name not in self.failures
        )

    @property
    def row_names(self) -> list[str]:
        """Rows of the store that the accepted exposures have: one per integration."""
        return [name for exposure in self.exposures for name in exposure.row_names()]

    @property
    def store_location(self) -> Location:
        """Where the store lies."""
        return Location.of(self.config.store, self.config.storage)

    @property
    def state(self) -> ProductsState:
        """Which products are complete."""
        return ProductsState(self.config.product("state.json"))

    @cached_property
    def reference_checksums(self) -> dict[str, dict[str, str]]:
        """Names and digests of the reference files, which are read for them once in a run."""
        return reference_checksums(self.config.references, storage_options=self.config.storage)

    def require_inputs(self, product: str) -> None:
        """Refuse to make `product` of too few inputs."""
        good, needed = len(self.row_names), self.config.min_inputs
        if good < needed:
            raise NrsdarkError(
                f"a {product} needs {needed} good inputs (min_inputs), there are {good}",
                file=self.config.source,
                remedy="add exposures to `inputs`, or lower `min_inputs`",
            )

    def pending(self, step: Step, fingerprint: Fingerprint) -> list[Exposure]:
        """Exposures with a row that is not in the store or out of date; says why.

        Parameters
        ----------
        step : {"refpix", "bias", "prepare"}
        fingerprint : dict
            What the rows of all exposures depend on, besides the exposure itself.
        """
        markers = self.store.markers(step)
        pending: list[Exposure] = []
        changed: set[str] = set()
        for exposure in self.exposures:
            found = [markers.get(name) for name in exposure.row_names()]
            differences = {
                key
                for marker in found
                if marker is not None
                for key in self._differences(marker, exposure, fingerprint)
            }
            if None in found or differences:
                pending.append(exposure)
            changed |= differences
        total = len(self.exposures)
        if not pending:
            self.progress.say(f"{step}: up to date ({total} files)")
        elif changed:
            self.progress.say(f"{step}: made again, since {', '.join(sorted(changed))} changed")
        elif len(pending) < total:
            self.progress.say(f"{step}: {total - len(pending)} of {total} files are done already")
        return pending

    @staticmethod
    def _differences(marker: Marker, exposure: Exposure, fingerprint: Fingerprint) -> list[str]:
        changed = list(marker.changes(fingerprint))
        if marker.record != exposure_record(exposure):
            changed.append("exposure")
        return changed

    def rows_fingerprint(self, step: Step) -> str:
        """Digest of what the rows of all accepted exposures were made from."""
        return rows_digest(self.store.markers(step), self.row_names)

    def is_current(
        self, product: str, fingerprint: Fingerprint, files: Sequence[OutputFile]
    ) -> bool:
        """Whether a product is there and was made from just this; says so, or why not.

        One that is not counts as absent until `record`.
        """
        reasons = self.state.reasons(product, fingerprint, files)
        if not reasons:
            self.progress.say(f"{product}: up to date")
        elif self.state.fingerprint(product) is not None:
            self.progress.say(f"{product}: made again, since {', '.join(reasons)}")
            self.state.forget(product)
        return not reasons

    def record(self, product: str, fingerprint: Fingerprint, files: Sequence[OutputFile]) -> None:
        """Note that a product is complete."""
        self.state.record(product, fingerprint, files)
        self.work.append(product)
