"""The SIRSKERNEL reference: kernels that turn side reference pixels into a signal of each row."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import AMPLIFIER_WIDTH, DETECTOR_SIZE
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.storage.locations import StorageOptions, file_system, normalise, reading

_REMEDY = "give a SIRSKERNEL reference with kernels of this detector"
_SIDES = ("gamma", "zeta")
"""Coefficients for the left and the right reference pixels."""
_AMPLIFIERS = DETECTOR_SIZE // AMPLIFIER_WIDTH


def load_sirskernel(
    url: str, detector: str, *, storage_options: StorageOptions | None = None
) -> NDArray[np.complexfloating]:
    """Load the Fourier coefficients of one detector's kernels.

    The file is what jwst's ``SIRSKernelModel`` reads, in ASDF as all such files are: for each
    detector, under its name in lower case, ``gamma`` and ``zeta`` of shape (amplifier, frequency).

    Parameters
    ----------
    url : str
        Local path or URL.
    detector : str
        "NRS1" or "NRS2".
    storage_options : mapping, optional
        Options of the fsspec file system, for URLs.

    Returns
    -------
    ndarray of complex, shape (side, amplifier, frequency)
        Left (gamma) and right (zeta).

    Raises
    ------
    NrsdarkError
        If the file is missing, damaged or of another kind, has no kernels of the detector, or
        unusable ones.
    """
    location = normalise(url)
    tree = _read(location, storage_options)
    kernels = {str(name).lower(): value for name, value in tree.items()}.get(detector.lower())
    if not isinstance(kernels, Mapping) or any(side not in kernels for side in _SIDES):
        raise NrsdarkError(f"has no kernels of {detector}", file=location, remedy=_REMEDY)
    left, right = (np.asarray(kernels[side]) for side in _SIDES)
    if left.shape != right.shape or left.ndim != 2 or len(left) != _AMPLIFIERS:
        what = f"its kernels of {detector} have the shapes {left.shape} and {right.shape}"
        raise NrsdarkError(what, file=location, remedy=f"they must have {_AMPLIFIERS} rows each")
    coefficients = np.stack([left, right])
    if not np.isfinite(coefficients).all():
        what = f"its kernels of {detector} are not finite throughout"
        raise NrsdarkError(what, file=location, remedy=_REMEDY)
    return coefficients


def _read(url: str, storage_options: StorageOptions | None) -> dict[str, Any]:
    """Read the tree of an ASDF file, arrays of the SIRS kernels included."""
    import asdf

    system, path = file_system(url, storage_options)
    with reading(url):
        content = system.cat_file(path)
    try:
        with asdf.open(io.BytesIO(content), lazy_load=False, memmap=False) as file:
            reftype = str(file.tree.get("meta", {}).get("reftype", "missing"))
            tree = dict(file.tree)
    except Exception as error:  # damage may surface anywhere in asdf, its YAML and its schemas
        reason = (str(error).splitlines() or [type(error).__name__])[0].strip()
        raise NrsdarkError(
            f"cannot be read as a sirskernel reference ({reason})", file=url, remedy=_REMEDY
        ) from error
    if reftype.upper() != "SIRSKERNEL":
        what = f"is no sirskernel reference: its reftype is {reftype}"
        raise NrsdarkError(what, file=url, remedy=_REMEDY)
    return tree
