"""Rounding of ramps on their way into the store, so that they compress."""

from __future__ import annotations

from math import frexp

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from nrsdark_xr.parameters import Parameters

_MANTISSA_OF_POWER = 0.5
"""Mantissa that `frexp` gives for powers of two."""


class RampParameters(Parameters):
    """How ramps are kept in the store."""

    quantum: float | None = Field(default=None, gt=0, le=1)
    """Round stored ramps to whole multiples of this many DN; a power of two, such as 1/64 =
    0.015625, which makes stores a third smaller at an error of 0.0045 DN rms. Not rounded unless
    given (``benchmarks/codec.py``)."""

    @field_validator("quantum")
    @classmethod
    def _is_power_of_two(cls, quantum: float | None) -> float | None:
        if quantum is not None and frexp(quantum)[0] != _MANTISSA_OF_POWER:
            raise ValueError("must be a power of two, such as 0.015625 (1/64)")
        return quantum


def round_to(values: NDArray[np.float32], quantum: float) -> NDArray[np.float32]:
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

    Returns
    -------
    ndarray of float32
        At most half a quantum away from `values`; zero has no sign.
    """
    step = np.float32(quantum)
    rounded = np.rint(values / step)
    rounded *= step
    rounded += np.float32(0)  # -0 becomes 0: one pattern of bits compresses better than two
    return rounded
