"""How ramps are kept."""

from __future__ import annotations

from math import frexp

from pydantic import Field, field_validator

from nrsdark_xr.parameters import Parameters

_MANTISSA_OF_POWER = 0.5
"""Mantissa that `frexp` gives for powers of two."""


class RampParameters(Parameters):
    """How ramps are kept in the store."""

    quantum: float | None = Field(default=None, gt=0, le=1)
    """Round linearized ramps to whole multiples of this many DN; a power of two, such as 1/64 =
    0.015625, which makes stores a third smaller at an error of 0.0045 DN rms. Jumps and rates are
    those of the rounded ramps; with ``engine: jwst``, which rounds what it writes, those of the
    ramps before. Not rounded unless given (``benchmarks/codec.py``)."""

    @field_validator("quantum")
    @classmethod
    def _is_power_of_two(cls, quantum: float | None) -> float | None:
        if quantum is not None and frexp(quantum)[0] != _MANTISSA_OF_POWER:
            raise ValueError("must be a power of two, such as 0.015625 (1/64)")
        return quantum
