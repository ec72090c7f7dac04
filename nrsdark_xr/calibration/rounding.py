"""Rounding of ramps, so that they compress.

Our calibration rounds before it looks for jumps; of the stock engine, ramps are rounded when they
are written, so that its jumps and rates are those of the ramps before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def round_to(
    values: NDArray[np.float32], quantum: float, *, overwrite: bool = False
) -> NDArray[np.float32]:
    """Round to whole multiples of `quantum`, ties to the even one.

    Dividing by a power of two and multiplying by it changes no digit, so the result is the nearest
    multiple exactly, and rounding it again changes nothing. Values of 2**23 multiples and more have
    no digits to lose.

    Parameters
    ----------
    values : ndarray of float32
        NaN and infinity stay as they are.
    quantum : float
        A power of two, in the unit of `values`.
    overwrite : bool
        Work in `values` itself and return it.

    Returns
    -------
    ndarray of float32
        At most half a quantum away from `values`; zero has no sign.
    """
    step = np.float32(quantum)
    rounded = np.divide(values, step, out=values if overwrite else None)
    np.rint(rounded, out=rounded)
    rounded *= step
    rounded += np.float32(0)  # -0 becomes 0: one pattern of bits compresses better than two
    return rounded
