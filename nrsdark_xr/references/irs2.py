"""The REFPIX reference: how IRS2 exposures are corrected by their reference samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import irs2
from nrsdark_xr.errors import NrsdarkError

AMPLIFIERS = irs2.OUTPUTS - 1
_COLUMNS = ("OUTPUT", "ODD_EVEN", "MASK")
_REMEDY = "give the IRS2 REFPIX reference of this detector, or none: then one is made"


@dataclass(frozen=True, slots=True)
class Irs2Weights:
    """What the IRS2 correction is weighted with; the arrays are not to be changed.

    The correction of amplifier a is, at each frequency, ``alpha[a]`` times the spectrum of the
    reference output plus ``beta[a]`` times that of the amplifier's interleaved reference samples
    (`jwst.refpix.irs2_subtract_reference`; its text for `alpha` and `beta` has them the other way
    round, its code as here). Frequency k has k periods in the 712 x 2048 pixel times of a frame.

    Attributes
    ----------
    alpha, beta : ndarray of complex64, shape (4, 1458176)
        For amplifiers A to D, in the order of `numpy.fft.fft`.
    output, odd_even : ndarray of int, shape (entry,)
        Table of bad reference samples: the amplifier, from 1, and the pair of a visit, 1 or 2.
    mask : ndarray of uint32, shape (entry,)
        Bit v is set where that pair of visit v is bad.
    """

    alpha: NDArray[np.complex64]
    beta: NDArray[np.complex64]
    output: NDArray[np.int64]
    odd_even: NDArray[np.int64]
    mask: NDArray[np.uint32]


def read_irs2_weights(hdus: Any, url: str) -> Irs2Weights:
    """Take the weights from an open REFPIX file, as ``stdatamodels``' ``IRS2Model`` names them.

    Parameters
    ----------
    hdus : astropy.io.fits.HDUList
    url : str
        For messages.

    Raises
    ------
    NrsdarkError
        If a table or column is missing, the number of frequencies is not that of a NIRSpec frame,
        or a weight is not finite.
    """
    if "IRS2" not in hdus:
        raise NrsdarkError("has no IRS2 extension", file=url, remedy=_REMEDY)
    table = hdus["IRS2"].data
    weights = {
        kind: np.stack([_weights(table, f"{kind}_{i}", url) for i in range(AMPLIFIERS)])
        for kind in ("ALPHA", "BETA")
    }
    return Irs2Weights(weights["ALPHA"], weights["BETA"], *_bad_pairs(hdus, url))


def _weights(table: Any, name: str, url: str) -> NDArray[np.complex64]:
    """One column: real and imaginary parts by turns; FITS does not tell upper from lower case."""
    if name not in _column_names(table):
        raise NrsdarkError(f"its IRS2 table has no column {name}", file=url, remedy=_REMEDY)
    parts = np.ascontiguousarray(table[name], np.float32)
    if parts.shape != (2 * irs2.FRAME_TICKS,):
        what = f"its IRS2 table has {len(parts)} rows, not {2 * irs2.FRAME_TICKS}"
        raise NrsdarkError(what, file=url, remedy=_REMEDY)
    if not np.isfinite(parts).all():
        raise NrsdarkError(f"its {name} is not finite throughout", file=url, remedy=_REMEDY)
    return parts.view(np.complex64)


def _bad_pairs(
    hdus: Any, url: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """Columns OUTPUT, ODD_EVEN and MASK of the table DQ; empty if there is none."""
    if "DQ" not in hdus or hdus["DQ"].data is None:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint32)
    table = hdus["DQ"].data
    missing = [name for name in _COLUMNS if name not in _column_names(table)]
    if missing:
        what = f"its DQ table has no column {', '.join(missing)}"
        raise NrsdarkError(what, file=url, remedy=_REMEDY)
    output, odd_even = (np.array(table[name], np.int64) for name in _COLUMNS[:2])
    if not (np.isin(output, range(1, irs2.OUTPUTS)).all() and np.isin(odd_even, (1, 2)).all()):
        what = "its DQ table has an OUTPUT outside 1 to 4, or an ODD_EVEN outside 1 to 2"
        raise NrsdarkError(what, file=url, remedy=_REMEDY)
    return output, odd_even, np.array(table["MASK"]).astype(np.uint32)


def _column_names(table: Any) -> set[str]:
    return {name.upper() for name in table.names or ()}
