"""Arrays of a reference file, as the data models of jwst give them, without their import."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ

_EXTENSIONS = {"data": "SCI", "dq": "DQ", "coeffs": "COEFFS", "inv_coeffs": "INV_COEFFS"}
"""Where the data models look for an array."""


def extension(name: str) -> str:
    """Name of the extension that holds an array.

    Parameters
    ----------
    name : {"data", "dq", "coeffs", "inv_coeffs"}
        As the data models call it.
    """
    return _EXTENSIONS[name]


def read_array(hdus: Any, name: str) -> NDArray[Any] | None:
    """Read one array of an open reference file.

    Parameters
    ----------
    hdus : astropy.io.fits.HDUList
    name : {"data", "dq", "coeffs", "inv_coeffs"}

    Returns
    -------
    ndarray or None
        Of native byte order: uint32 with the bits of `nrsdark_xr.detector.DQ`, or float32; None if
        the file has no such extension.

    Raises
    ------
    TypeError, ValueError
        If what is there is no array of numbers.
    """
    if extension(name) not in hdus:
        return None
    data = hdus[extension(name)].data
    if name != "dq":
        return np.ascontiguousarray(data, np.float32)
    flags = np.ascontiguousarray(data, np.uint32)
    return translate(flags, hdus["DQ_DEF"].data) if "DQ_DEF" in hdus else flags


def translate(dq: NDArray[np.uint32], definitions: Any) -> NDArray[np.uint32]:
    """Give each flag the bit that it has in jwst, as ``stdatamodels.dynamicdq.dynamic_mask`` does.

    Parameters
    ----------
    dq : ndarray of uint32
        Bits as the file numbers them.
    definitions : FITS_rec or None
        Table DQ_DEF with the columns VALUE and NAME; without rows, bits stay as they are.

    Returns
    -------
    ndarray of uint32
        Bits that `definitions` do not name, or whose name jwst does not know, are dropped.
    """
    if definitions is None or len(definitions) == 0:
        return dq
    used = np.bitwise_or.reduce(dq, axis=None)
    translated = np.zeros_like(dq)
    for value, name in zip(definitions["VALUE"], definitions["NAME"], strict=True):
        bit = np.uint32(int(value) & 0xFFFFFFFF)
        meaning = DQ.__members__.get(name.strip())
        if meaning is not None and used & bit:
            translated |= np.where(dq & bit, np.uint32(meaning), np.uint32(0))
    return translated
