"""Which exposures take part in a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nrsdark_xr.config import RunConfig
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import (
    Exposure,
    Rejected,
    Selected,
    check_same_configuration,
    find_exposures,
    find_odd_exposures,
    read_exposures,
    select,
)


def choose_inputs(
    config: RunConfig, *, say: Callable[[str], None]
) -> tuple[tuple[Selected, ...], tuple[Rejected, ...]]:
    """Read the headers of all inputs, and choose among them.

    Parameters
    ----------
    config : RunConfig
    say : callable
        Takes a line for each input that is left out, with the reason.

    Returns
    -------
    selected : tuple of Selected
        Readable inputs by date, each accepted or not, and why.
    rejected : tuple of Rejected
        Inputs that cannot be used (``on_error: skip``).

    Raises
    ------
    NrsdarkError
        If nothing is left, of all or of a period, or an input cannot be used and ``on_error`` is
        ``stop``.
    """
    urls = find_exposures(config.inputs, storage_options=config.storage)
    exposures, rejected = read_exposures(
        urls, on_error=config.on_error, storage_options=config.storage
    )
    if config.on_error == "skip":
        odd = find_odd_exposures(exposures)
        rejected += odd
        strangers = {entry.url for entry in odd}
        exposures = [exposure for exposure in exposures if exposure.url not in strangers]
    else:
        check_same_configuration(exposures)
    for entry in rejected:
        say(f"left out: {entry.url}: {entry.reason}")
    if not exposures:
        raise NrsdarkError(
            "no readable exposure among the inputs",
            file=config.source,
            remedy="see above what is wrong with each",
        )
    selected = _select(exposures, config)
    for chosen in selected:
        if not chosen.accepted:
            say(f"left out: {chosen.exposure.name}: {chosen.reason}")
    _check_periods([chosen.exposure for chosen in selected if chosen.accepted], config)
    return selected, tuple(rejected)


def reasons_left_out(selected: Sequence[Selected], rejected: Sequence[Rejected]) -> dict[str, str]:
    """Give the inputs that take no part, by URL or name, with the reasons."""
    unusable = {entry.url: entry.reason for entry in rejected}
    unwanted = {entry.exposure.name: entry.reason for entry in selected if not entry.accepted}
    return unusable | unwanted


def _select(exposures: Sequence[Exposure], config: RunConfig) -> tuple[Selected, ...]:
    """Select by the rules of the run, whose file is to blame if nothing is left."""
    try:
        return tuple(select(exposures, config.selection, storage_options=config.storage))
    except NrsdarkError as error:
        file = error.file or config.source
        raise NrsdarkError(error.what, file=file, remedy=error.remedy) from error


def _check_periods(accepted: Sequence[Exposure], config: RunConfig) -> None:
    """Refuse a period without exposures now, rather than when all are calibrated."""
    for period in config.periods:
        if not any(period.holds(exposure) for exposure in accepted):
            raise NrsdarkError(
                f"the period {period.name} holds no good input",
                file=config.source,
                remedy="change its dates, or leave it out",
            )
