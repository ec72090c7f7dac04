"""Periods of a run: averaged along with all exposures, and compared with them."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nrsdark_xr.analysis import PeriodRate, compare_period
from nrsdark_xr.exposures import Exposure, Period
from nrsdark_xr.steps.fingerprints import Fingerprint, digest
from nrsdark_xr.steps.session import Session


def members(session: Session, ramps: xr.Dataset) -> dict[str, xr.DataArray]:
    """Tell which rows of `ramps` belong to each period, as `nrsdark_xr.average_ramp` takes it."""
    return {
        period.name: ramps["file"].isin(
            [name for held in _held(session, period) for name in held.row_names()]
        )
        for period in session.config.periods
    }


def periods_fingerprint(session: Session) -> Fingerprint:
    """Tell what averages of periods depend on besides the ramps; nothing where there are none."""
    config = session.config
    if not config.periods:
        return {}
    held = {
        period.name: [exposure.name for exposure in _held(session, period)]
        for period in config.periods
    }
    return {"periods": digest([held, config.synthesize.clip.model_dump(mode="json")])}


def without_periods(fingerprint: Fingerprint | None) -> Fingerprint:
    """Take what the average of all exposures depends on: its products do not look at periods."""
    return {key: value for key, value in (fingerprint or {}).items() if key != "periods"}


def compare_periods(
    session: Session,
    average: xr.Dataset,
    *,
    rate: NDArray[np.float32],
    reference_pixels: NDArray[np.bool_],
) -> tuple[PeriodRate, ...]:
    """Compare the dark rate of each period with that of all exposures.

    Parameters
    ----------
    session : Session
    average : Dataset
        The product of the step `average`.
    rate : ndarray of float32, shape (y, x)
        Of all exposures [DN/s].
    reference_pixels : ndarray of bool, shape (y, x)
    """
    compared = []
    for period in session.config.periods:
        own = average["period_rate"].sel(period=period.name).values
        statistics = compare_period(
            period.name,
            [exposure.date_obs[:10] for exposure in _held(session, period)],
            own,
            master=rate,
            reference_pixels=reference_pixels,
            hot_rate=session.config.synthesize.hot_rate,
        )
        compared.append(PeriodRate(statistics, own))
    return tuple(compared)


def _held(session: Session, period: Period) -> list[Exposure]:
    """Good exposures of a period."""
    return [exposure for exposure in session.exposures if period.holds(exposure)]
