"""What of a run is there, but would be made again, as far as records tell it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nrsdark_xr.config import RunConfig
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.steps.fingerprints import digest, rows_digest
from nrsdark_xr.steps.products_state import ProductsState
from nrsdark_xr.steps.progress_made import find_done
from nrsdark_xr.steps.provenance import header_digest
from nrsdark_xr.store import RampStore, Step

MADE_BY = {
    "refpix.fits": "refpix",
    "superbias.fits": "bias",
    "dark.fits": "synthesize",
    "mask.fits": "synthesize",
    "readnoise.fits": "synthesize",
    "summary.json": "analyze",
    "report.html": "analyze",
}
"""Step of each product, by the end of its name."""


@dataclass(frozen=True)
class Outdated:
    """What would be made again.

    Exposures, parameters and headers are looked at. Other reference files and periods are noticed
    by the run alone.

    Attributes
    ----------
    rows : dict of set of str
        By step, names of the exposures whose rows are there, but made from something else.
    products : set of str
        The same of products, by the end of their names, whether they are there or not.
    """

    rows: dict[Step, set[str]]
    products: set[str]


def find_outdated(
    config: RunConfig, exposures: Sequence[Exposure], steps: Collection[Step], store: RampStore
) -> Outdated:
    """Compare the records of a run with its configuration.

    Parameters
    ----------
    config : RunConfig
    exposures : sequence of Exposure
        Those that take part.
    steps : collection of {"refpix", "bias", "prepare"}
        Those that this run makes rows by.
    store : RampStore
    """
    valid = find_done(config, exposures).exposures
    rows: dict[Step, set[str]] = {}
    from_now = {}
    for step in steps:
        markers = store.markers(step)
        made = {e.name for e in exposures if all(name in markers for name in e.row_names())}
        rows[step] = made - valid[step]
        if all(exposure.name in valid[step] for exposure in exposures):
            names = [name for exposure in exposures for name in exposure.row_names()]
            from_now[step] = rows_digest(markers, names)
    state = ProductsState(config.product("state.json"))
    # In the order in which they follow from each other: after the first that changes, all do.
    products: tuple[tuple[str, Step | None, str, object], ...] = (
        ("refpix", "refpix", "refpix", config.refpix),
        ("bias", "bias", "superbias", config.bias),
        ("average", "prepare", "average", config.average),
        ("synthesize", None, "dark and mask", config.synthesize),
        ("analyze", None, "report", config.analyze),
    )
    header = header_digest(config)
    changed: set[str] = set()
    headed: set[str] = set()
    for name, made_of, product, parameters in products:
        if made_of is not None and made_of not in steps:
            continue
        made_from = state.fingerprint(product) or {}
        other_rows = made_of is not None and made_from.get("inputs") != from_now.get(made_of)
        if changed or other_rows or made_from.get("parameters") != digest(parameters):
            changed.add(name)
        if made_from.get("header", header) != header:
            headed |= {name, "analyze"}  # the report tells of all products
    return Outdated(rows, {suffix for suffix, by in MADE_BY.items() if by in changed | headed})
