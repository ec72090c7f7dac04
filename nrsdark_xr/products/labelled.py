"""What the labelled functions share: files that take part, science pixels, attributes."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nrsdark_xr.detector import DETECTOR_SIZE, DQ, REFERENCE_BORDER
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products.parameters import ClipParameters

logger = logging.getLogger(__name__)


def accepted_rows(ds: xr.Dataset, variables: Sequence[str]) -> NDArray[np.intp]:
    """Positions along `file` of the files that take part.

    Parameters
    ----------
    ds : Dataset
        A ramp store. The coordinate `accepted` (file) is read; without it, all files take part.
    variables : sequence of str
        Names of variables that must be there.

    Raises
    ------
    NrsdarkError
        If a variable is missing, or no file is accepted.
    """
    missing = [name for name in variables if name not in ds]
    if missing:
        raise NrsdarkError(
            f"the dataset has no {', '.join(missing)}", remedy="open a ramp store with open_ramps"
        )
    rows = np.arange(ds.sizes["file"])
    if "accepted" in ds.coords:
        rows = np.flatnonzero(np.asarray(ds.coords["accepted"].values, bool))
    if rows.size == 0:
        raise NrsdarkError("no file is accepted", remedy="see the coordinate reason")
    return rows


def accepted_files(ds: xr.Dataset, variables: Sequence[str]) -> xr.Dataset:
    """Take the variables that a reduction needs, of the accepted files.

    Parameters
    ----------
    ds : Dataset
        A ramp store.
    variables : sequence of str
        Names of variables; coordinates come along.

    Raises
    ------
    NrsdarkError
        As `accepted_rows`, and if `file` is cut into several chunks.
    """
    rows = accepted_rows(ds, variables)
    chosen = ds[list(variables)]
    cut = [name for name in variables if len(chosen[name].chunksizes.get("file", ())) > 1]
    if cut:
        raise NrsdarkError(
            f"{', '.join(cut)} has several chunks along file",
            remedy="open with file in one chunk, or use ds.chunk(file=-1)",
        )
    return chosen if rows.size == ds.sizes["file"] else chosen.isel(file=rows)


def period_files(
    ds: xr.Dataset, files: xr.Dataset, periods: Mapping[str, xr.DataArray]
) -> dict[str, NDArray[np.intp]]:
    """Positions, among the files that take part, of those of each period.

    Parameters
    ----------
    ds : Dataset
        A ramp store.
    files : Dataset
        What `accepted_files` took of it.
    periods : mapping of name to DataArray of bool, dims (file,)
        Which files of `ds` belong to a period; periods may overlap.

    Raises
    ------
    NrsdarkError
        If a period holds no file that takes part.
    """
    rows = accepted_rows(ds, [str(name) for name in files.data_vars])
    positions = {
        name: np.flatnonzero(np.asarray(members.transpose("file").values, bool)[rows])
        for name, members in periods.items()
    }
    if empty := [name for name, chosen in positions.items() if chosen.size == 0]:
        raise NrsdarkError(
            f"the period {empty[0]} holds no good input", remedy="change its dates, or leave it out"
        )
    return positions


def warn_if_few(n_files: int, clip: ClipParameters, product: str) -> None:
    """Warn where clipping cannot reject a single outlier.

    With n samples, none lies more than n / sqrt(n - 1) population standard deviations from the
    median.
    """
    if clip.spread == "std" and n_files <= clip.sigma * sqrt(max(n_files - 1, 0)):
        logger.warning(
            "%s of %d inputs: clipping at %g standard deviations cannot reject a single outlier; "
            "more inputs or clip.spread mad_std can",
            product,
            n_files,
            clip.sigma,
        )


def science_pixels(ds: xr.Dataset, y: Hashable = "y") -> xr.DataArray:
    """Which pixels are not reference pixels, from the 1-based detector coordinates.

    Parameters
    ----------
    ds : Dataset
        With coordinates `x` and `y`, in detector pixels.
    y : hashable
        Name of the coordinate of rows.

    Returns
    -------
    DataArray of bool, dims (y, x)
    """
    return (inside_border(ds, y) & inside_border(ds, "x")).transpose(y, "x")


def inside_border(ds: xr.Dataset, axis: Hashable) -> xr.DataArray:
    """Which rows or columns do not belong to the detector's frame of reference pixels.

    Parameters
    ----------
    ds : Dataset
        With the coordinate `axis`, in detector pixels.
    axis : hashable
        Name of the coordinate.

    Returns
    -------
    DataArray of bool, dims (axis,)
    """
    if axis not in ds.coords:
        raise NrsdarkError(
            f"the dataset has no detector coordinate {axis}, so reference pixels are unknown",
            remedy="open a ramp store with open_ramps",
        )
    pixel = ds.coords[axis]
    return (pixel > REFERENCE_BORDER) & (pixel <= DETECTOR_SIZE - REFERENCE_BORDER)


def whole_frame(array: xr.DataArray, *dims: Hashable) -> xr.DataArray:
    """One chunk along `dims`, if the array is lazy at all."""
    if not array.chunks:
        return array
    return array.chunk(dict.fromkeys(dims, -1))


def described(array: xr.DataArray, long_name: str, units: str | None = None) -> xr.DataArray:
    """Put CF attributes in place of those that an operation left."""
    attributes: dict[str, Any] = {"long_name": long_name}
    if units is not None:
        attributes["units"] = units
    return array.drop_attrs(deep=False).assign_attrs(attributes)


def described_flags(array: xr.DataArray, long_name: str) -> xr.DataArray:
    """Do as `described`, with CF's flag attributes for all bits that the type holds."""
    limit = np.iinfo(array.dtype).max
    flags = [flag for flag in DQ if flag <= limit]
    attributes = {
        "flag_masks": np.array([int(flag) for flag in flags], array.dtype),
        "flag_meanings": " ".join(flag.name for flag in flags if flag.name is not None),
    }
    return described(array, long_name).assign_attrs(attributes)
