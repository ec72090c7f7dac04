"""Step 3, `average`: average ramp, RC, RTN and bad reference pixels (JWST-STScI-009226 §4.1.3)."""

from __future__ import annotations

import xarray as xr

from nrsdark_xr.detector import reference_pixels
from nrsdark_xr.products import (
    average_ramp,
    common_flags,
    flag_bad_reference_pixels,
    flag_rc,
    flag_rtn,
    mean_rate,
)
from nrsdark_xr.steps.compute import compute_to_zarr
from nrsdark_xr.steps.fingerprints import digest
from nrsdark_xr.steps.periods import members, periods_fingerprint
from nrsdark_xr.steps.session import Session
from nrsdark_xr.steps.tasks import gather
from nrsdark_xr.store import open_ramps
from nrsdark_xr.store.location import Location, reading

STEP = "average"


def run(session: Session) -> None:
    """Make ``NAME_average.zarr``, or see that it is up to date.

    Raises
    ------
    NrsdarkError
        If fewer than `min_inputs` inputs are good.
    """
    config = session.config
    session.require_inputs("dark")
    product = config.product("average.zarr")
    fingerprint = {
        "inputs": session.rows_fingerprint("prepare"),
        "parameters": digest(config.average),
        **periods_fingerprint(session),
    }
    if session.is_current(STEP, fingerprint, [product]):
        return

    ramps = open_ramps(session.store.url, names=session.row_names, storage_options=config.storage)
    with product.writing_group() as place:
        compute_to_zarr(
            average_ramp(ramps, periods=members(session, ramps), parameters=config.average),
            place,
            client=session.client,
            progress=session.progress,
            title=STEP,
            n_bytes=ramps["ramp"].nbytes + ramps["groupdq"].nbytes,
        )
        flags = _flag(session, ramps, _open(place))
        flags.to_zarr(place.zarr_store(), mode="a", consolidated=False)
    session.record(STEP, fingerprint, [product])


def open_average(session: Session) -> xr.Dataset:
    """Open the product of this step lazily."""
    return _open(session.config.product("average.zarr").location)


def _open(place: Location) -> xr.Dataset:
    with reading(place.url):
        return xr.open_zarr(place.zarr_store(read_only=True), consolidated=False)


def _flag(session: Session, ramps: xr.Dataset, average: xr.Dataset) -> xr.Dataset:
    """Find RC, RTN, bad reference pixels, flags that all inputs share, and rates of periods."""
    parameters, first = session.config.average, session.exposures[0]
    border = reference_pixels(
        xstart=first.xstart, ystart=first.ystart, xsize=first.xsize, ysize=first.ysize
    )
    finders = [
        lambda: flag_rc(ramps, parameters=parameters.rc),
        lambda: flag_rtn(ramps, parameters=parameters.rtn),
        lambda: flag_bad_reference_pixels(average, border, parameters=parameters.bad_reference),
        lambda: common_flags(ramps),
    ]
    if session.config.periods:
        finders.append(lambda: _period_rates(session, ramps))
    n_bytes = ramps["pixeldq"].nbytes
    found = []
    with session.progress.stage(
        "flags", total_bytes=n_bytes * len(finders), total_items=len(finders), item="kinds"
    ) as stage:
        for find in finders:
            found.append(gather(session, find()))
            stage.advance(n_bytes, items=1)
    return xr.merge(found, compat="equals", join="exact")


def _period_rates(session: Session, ramps: xr.Dataset) -> xr.Dataset:
    rates = mean_rate(ramps, periods=members(session, ramps), parameters=session.config.synthesize)
    return rates.drop_vars([name for name in rates.data_vars if "period" not in rates[name].dims])
