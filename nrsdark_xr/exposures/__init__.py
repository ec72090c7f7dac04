"""Which darks go in: header to one frozen record, raw pixels by byte range, catalog, selection."""

from nrsdark_xr.exposures.catalog import (
    Rejected,
    check_same_configuration,
    find_exposures,
    find_odd_exposures,
    read_exposures,
)
from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.exposures.header import read_exposure
from nrsdark_xr.exposures.names import root_name
from nrsdark_xr.exposures.periods import Period
from nrsdark_xr.exposures.raw import RawReader
from nrsdark_xr.exposures.selection import Selected, SelectionParameters, select
from nrsdark_xr.exposures.telemetry import AsicTemperature, read_telemetry

__all__ = [
    "AsicTemperature",
    "Exposure",
    "Period",
    "RawReader",
    "Rejected",
    "Selected",
    "SelectionParameters",
    "check_same_configuration",
    "find_exposures",
    "find_odd_exposures",
    "read_exposure",
    "read_exposures",
    "read_telemetry",
    "root_name",
    "select",
]
