"""What of a run is done already, as far as it can be told without reading much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from nrsdark_xr.config import RunConfig
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.steps.fingerprints import digest, exposure_record
from nrsdark_xr.steps.products_state import ProductsState
from nrsdark_xr.store import RampStore
from nrsdark_xr.store.location import Location
from nrsdark_xr.store.markers import Marker
from nrsdark_xr.store.schema import Step


@dataclass(frozen=True, slots=True)
class Done:
    """What is done, by what markers, parameters and sizes of files tell.

    A reference file that was replaced under its own name is noticed by the run alone, which reads
    it.

    Attributes
    ----------
    exposures : dict of set of str
        Per step, names of the exposures that are done.
    stale_rows : dict of int
        Per step, rows that are there but will be made anew.
    products : set of str
        Steps whose products are complete.
    """

    exposures: dict[Step, set[str]]
    stale_rows: dict[Step, int]
    products: set[str]


def find_done(config: RunConfig, exposures: Sequence[Exposure]) -> Done:
    """Look at the markers of the store and at the products' record.

    Raises
    ------
    NrsdarkError
        If the store is damaged.
    """
    finished: dict[Step, set[str]] = {"refpix": set(), "bias": set(), "prepare": set()}
    stale: dict[Step, int] = dict.fromkeys(finished, 0)
    if Location.of(config.store, config.storage).exists("zarr.json"):
        store = RampStore(config.store, config.storage)
        for step in finished:
            markers = store.markers(step)
            known = _parameters(config, step)
            for exposure in exposures:
                found = [markers.get(name) for name in exposure.row_names()]
                if all(_is_valid(marker, exposure, known) for marker in found):
                    finished[step].add(exposure.name)
                else:
                    stale[step] += sum(marker is not None for marker in found)
    return Done(finished, stale, _products(config))


def _parameters(config: RunConfig, step: Step) -> dict[str, str]:
    """Return the entries of a fingerprint that take no reading of files."""
    if step == "refpix":
        return {"parameters": digest(config.refpix.measure)}
    if step == "bias":
        return {"refpix": digest(config.prepare.refpix)}
    return {
        "engine": config.engine,
        "parameters": digest(config.prepare),
        "ramps": digest(config.ramps),
    }


def _is_valid(marker: Marker | None, exposure: Exposure, known: Mapping[str, Any]) -> bool:
    return (
        marker is not None
        and marker.record == exposure_record(exposure)
        and all(marker.fingerprint.get(key) == value for key, value in known.items())
    )


def _products(config: RunConfig) -> set[str]:
    """Name the steps whose files are there as recorded, made with the parameters of now."""
    state = ProductsState(config.product("state.json"))
    products: tuple[tuple[str, str, BaseModel, tuple[str, ...]], ...] = (
        ("bias", "superbias", config.bias, ("superbias.fits",)),
        ("average", "average", config.average, ("average.zarr",)),
        ("synthesize", "dark and mask", config.synthesize, ("dark.fits", "mask.fits")),
        ("synthesize", "readnoise", config.synthesize, ("readnoise.fits",)),
        ("analyze", "report", config.analyze, ("report.html", "summary.json")),
    )
    complete = {step for step, *_ in products}
    for step, product, parameters, suffixes in products:
        fingerprint = state.fingerprint(product)
        if (
            fingerprint is None
            or fingerprint.get("parameters") != digest(parameters)
            or not all(state.holds(config.product(suffix)) for suffix in suffixes)
        ):
            complete.discard(step)
    return complete
