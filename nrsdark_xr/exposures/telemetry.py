"""ASIC temperatures during the exposures, from a table like JWST-STScI-009226 Table 2."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.names import root_name
from nrsdark_xr.storage.locations import StorageOptions, file_system, normalise, reading

ID_COLUMN = "exposure_id"
"""How the name of the column with exposure names begins."""
MIN_COLUMN, MAX_COLUMN, DRIFT_COLUMN = "T_min_K", "T_max_K", "T_diff_K"
_COLUMNS = f"{ID_COLUMN}, {MIN_COLUMN}, {MAX_COLUMN} and, if you like, {DRIFT_COLUMN}"
_DIGITS = 6
"""Decimals kept of a difference of two printed temperatures, which binary fractions blur."""


@dataclass(frozen=True, slots=True)
class AsicTemperature:
    """ASIC temperature during one exposure.

    Attributes
    ----------
    t_min, t_max : float
        K.
    drift : float
        The table's own difference where it has one (it was rounded after subtracting), else
        ``t_max - t_min``; K.
    """

    t_min: float
    t_max: float
    drift: float


def read_telemetry(
    url: str, storage_options: StorageOptions | None = None
) -> Mapping[str, AsicTemperature]:
    """Read a CSV table of ASIC temperatures.

    Parameters
    ----------
    url : str
        Local path or URL of a CSV file with the columns ``exposure_id…``, ``T_min_K``, ``T_max_K``
        and possibly ``T_diff_K``; others are not looked at.
    storage_options : mapping, optional

    Returns
    -------
    mapping of str to AsicTemperature
        By the root name of the exposure.

    Raises
    ------
    NrsdarkError
        If the file cannot be read, lacks a column, has something else than a number in it, or
        contradicts itself.
    """
    location = normalise(url)
    system, path = file_system(location, storage_options)
    try:
        with reading(location):
            text = system.cat_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NrsdarkError("is no text file", file=location, remedy="give a CSV table") from error
    reader = csv.DictReader(io.StringIO(text))
    columns = [column.strip() for column in reader.fieldnames or ()]
    reader.fieldnames = columns
    id_column = next((column for column in columns if column.startswith(ID_COLUMN)), None)
    if id_column is None or MIN_COLUMN not in columns or MAX_COLUMN not in columns:
        what = f"lacks a column: it has {', '.join(columns) or 'none'}"
        raise NrsdarkError(what, file=location, remedy=f"it needs {_COLUMNS}")
    table: dict[str, AsicTemperature] = {}
    for row in reader:
        temperature = _temperature(row, reader.line_num, location)
        name = root_name((row[id_column] or "").strip())
        if table.setdefault(name, temperature) != temperature:
            what = f"line {reader.line_num} contradicts an earlier line for {name}"
            raise NrsdarkError(what, file=location, remedy="keep one line per exposure")
    return table


def _temperature(row: Mapping[str, str | None], line: int, url: str) -> AsicTemperature:
    try:
        t_min, t_max = float(row[MIN_COLUMN] or ""), float(row[MAX_COLUMN] or "")
        printed = row.get(DRIFT_COLUMN)
        drift = float(printed) if printed else round(t_max - t_min, _DIGITS)
    except ValueError as error:
        raise NrsdarkError(
            f"line {line}: a temperature is not a number", file=url, remedy="mend or drop that line"
        ) from error
    return AsicTemperature(t_min, t_max, drift)
