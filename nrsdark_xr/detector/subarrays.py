"""Corners and sizes of the traditional subarrays before launch (ESA-JWST-SCI-NRS-TN-2018-002).

Flight corners moved by a few rows, so SUBSTRT1 and SUBSTRT2 of a header beat this table. The
simulator takes its corners from it, and products the gratings that share one.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Subarray:
    """A rectangle of the detector in the DMS frame.

    Attributes
    ----------
    name : str
        SUBARRAY keyword.
    xstart, ystart : int
        1-based detector pixel of the first column and row.
    xsize, ysize : int
        Columns (slow axis) and rows (fast axis).
    n_outputs : int
        Outputs that read it: 4 in full frame, else 1.
    """

    name: str
    xstart: int
    ystart: int
    xsize: int
    ysize: int
    n_outputs: int


def subarray(name: str, *, detector: str, grating: str) -> Subarray:
    """Look a subarray up; its corner depends on detector and grating.

    Raises
    ------
    KeyError
        If there is no such subarray for this grating.
    """
    return _table()[name, detector, grating]


def subarray_names() -> tuple[str, ...]:
    """All subarrays, FULL first."""
    return tuple(dict.fromkeys(name for name, _, _ in _table()))


@cache
def _table() -> dict[tuple[str, str, str], Subarray]:
    text = files(__package__).joinpath("nirspec_subarrays_TN-2018-002.csv").read_text()
    table = {}
    for row in csv.DictReader(text.splitlines()):
        for detector in ("NRS1", "NRS2"):
            ystart = row[f"substrt2_y_{detector}"]
            if not ystart:  # SUB32 exists for target acquisition with the mirror alone
                continue
            table[row["subarray"], detector, row["grating"]] = Subarray(
                name=row["subarray"],
                xstart=int(row["substrt1_x"]),
                ystart=int(ystart),
                xsize=int(row["subsize1_x_slow"]),
                ysize=int(row["subsize2_y_fast"]),
                n_outputs=int(row["n_outputs"]),
            )
    return table
