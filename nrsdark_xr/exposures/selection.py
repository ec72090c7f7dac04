"""Which of the exposures are good enough to go into a reference file (JWST-STScI-009226 §3)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from pydantic import Field

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.exposures.names import root_name
from nrsdark_xr.exposures.telemetry import AsicTemperature, read_telemetry
from nrsdark_xr.parameters import Parameters
from nrsdark_xr.storage.locations import StorageOptions

logger = logging.getLogger(__name__)

FULL_FRAME = "FULL"


class SelectionParameters(Parameters):
    """Rules by which exposures are left out."""

    exclude_gratings: tuple[str, ...] = ("MIRROR", "PRISM")
    """GRATING of full-frame darks to leave out: undispersed light leaks (MIRROR) and the glow of
    the micro-shutters (PRISM); JWST-STScI-009226 §3."""
    exclude_gratings_subarray: tuple[str, ...] = ()
    """The same for subarrays, of which the report takes all gratings (its Table 5b)."""
    first_date: date | None = None
    """Leave out what was taken before this day (UTC)."""
    last_date: date | None = None
    """Leave out what was taken after this day (UTC)."""
    telemetry: str | None = None
    """CSV table of ASIC temperatures, with columns exposure_id, T_min_K, T_max_K and T_diff_K."""
    require_telemetry: bool = True
    """Leave out exposures that the telemetry table does not know."""
    max_asic_drift: float = Field(default=0.02, ge=0)
    """Largest T_max - T_min of the ASIC during a full-frame exposure, in K: more of it comes with
    residual bias structure after a switch of readout mode; JWST-STScI-009226 §3, Table 2."""
    max_asic_drift_subarray: float = Field(default=0.13, ge=0)
    """The same for subarrays, of which there are fewer; JWST-STScI-009226 §3."""
    exclude: tuple[str, ...] = ()
    """Names of exposures to leave out whatever else they are."""


@dataclass(frozen=True, slots=True)
class Selected:
    """The decision on one exposure.

    Attributes
    ----------
    exposure : Exposure
        With ASIC temperatures where the telemetry has them.
    accepted : bool
    reason : str
        Every rule that leaves it out, readable; empty if accepted.
    """

    exposure: Exposure
    accepted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class _Objection:
    rule: str
    reason: str


def select(
    exposures: Sequence[Exposure],
    parameters: SelectionParameters,
    *,
    storage_options: StorageOptions | None = None,
) -> list[Selected]:
    """Decide which exposures go in.

    Parameters
    ----------
    exposures : sequence of Exposure
    parameters : SelectionParameters
        Its telemetry path counts from the current folder if relative.
    storage_options : mapping, optional
        For a remote telemetry table.

    Returns
    -------
    list of Selected
        One per exposure, in the same order.

    Raises
    ------
    NrsdarkError
        If nothing is left, with the reasons and how often each applied.
    """
    table = None
    if parameters.telemetry is not None:
        table = read_telemetry(parameters.telemetry, storage_options)
    excluded = {root_name(name) for name in parameters.exclude}
    unknown = excluded - {exposure.name for exposure in exposures}
    if unknown:
        logger.warning("to be excluded, but not among the inputs: %s", ", ".join(sorted(unknown)))
    selected: list[Selected] = []
    counts: Counter[str] = Counter()
    for exposure in exposures:
        temperature = None if table is None else table.get(exposure.name)
        objections = [
            *_object_to_header(exposure, parameters, excluded),
            *_object_to_telemetry(exposure, parameters, table, temperature),
        ]
        counts.update(objection.rule for objection in objections)
        reason = "; ".join(objection.reason for objection in objections)
        selected.append(Selected(_with_temperature(exposure, temperature), not objections, reason))
    if not any(decision.accepted for decision in selected):
        rules = ", ".join(f"{rule} ({count})" for rule, count in counts.most_common())
        raise NrsdarkError(
            f"no exposure is left of {len(exposures)}: {rules or 'there were none'}",
            remedy="loosen the selection or give more exposures",
        )
    return selected


def _object_to_header(
    exposure: Exposure, parameters: SelectionParameters, excluded: set[str]
) -> Iterator[_Objection]:
    if exposure.name in excluded:
        yield _Objection("excluded by name", "excluded by name")
    gratings = (
        parameters.exclude_gratings
        if exposure.subarray == FULL_FRAME
        else parameters.exclude_gratings_subarray
    )
    if exposure.grating in gratings:
        yield _Objection(f"grating {exposure.grating}", f"grating {exposure.grating} is left out")
    day = date.fromisoformat(exposure.date_obs[:10])
    if parameters.first_date is not None and day < parameters.first_date:
        yield _Objection("too early", f"taken on {day}, before {parameters.first_date}")
    if parameters.last_date is not None and day > parameters.last_date:
        yield _Objection("too late", f"taken on {day}, after {parameters.last_date}")


def _object_to_telemetry(
    exposure: Exposure,
    parameters: SelectionParameters,
    table: Mapping[str, AsicTemperature] | None,
    temperature: AsicTemperature | None,
) -> Iterator[_Objection]:
    if table is None:
        return
    if temperature is None:
        if parameters.require_telemetry:
            yield _Objection("no telemetry", "not in the telemetry table")
        return
    limit = (
        parameters.max_asic_drift
        if exposure.subarray == FULL_FRAME
        else parameters.max_asic_drift_subarray
    )
    if not temperature.drift <= limit:  # so written that a NaN is left out
        reason = f"ASIC temperature drift {temperature.drift:g} K is above {limit:g} K"
        yield _Objection("ASIC temperature drift", reason)


def _with_temperature(exposure: Exposure, temperature: AsicTemperature | None) -> Exposure:
    if temperature is None:
        return exposure
    return replace(exposure, asic_t_min=temperature.t_min, asic_t_max=temperature.t_max)
