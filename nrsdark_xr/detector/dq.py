"""Data-quality bits of JWST, as in ``stdatamodels.jwst.datamodels.dqflags`` (a test compares them).

Written out here so that reading a mask does not cost the import of the data models.
"""

from __future__ import annotations

from enum import IntFlag


class DQ(IntFlag):
    """Bits of PIXELDQ (uint32); the first eight are also those of GROUPDQ (uint8)."""

    DO_NOT_USE = 1 << 0
    SATURATED = 1 << 1
    JUMP_DET = 1 << 2
    DROPOUT = 1 << 3
    OUTLIER = 1 << 4
    PERSISTENCE = 1 << 5
    AD_FLOOR = 1 << 6
    CHARGELOSS = 1 << 7
    NON_SCIENCE = 1 << 9
    DEAD = 1 << 10
    HOT = 1 << 11
    WARM = 1 << 12
    LOW_QE = 1 << 13
    RC = 1 << 14
    TELEGRAPH = 1 << 15
    NONLINEAR = 1 << 16
    BAD_REF_PIXEL = 1 << 17
    NO_FLAT_FIELD = 1 << 18
    NO_GAIN_VALUE = 1 << 19
    NO_LIN_CORR = 1 << 20
    NO_SAT_CHECK = 1 << 21
    UNRELIABLE_BIAS = 1 << 22
    UNRELIABLE_DARK = 1 << 23
    UNRELIABLE_SLOPE = 1 << 24
    UNRELIABLE_FLAT = 1 << 25
    OPEN = 1 << 26
    ADJ_OPEN = 1 << 27
    FLUX_ESTIMATED = 1 << 28
    MSA_FAILED_OPEN = 1 << 29
    OTHER_BAD_PIXEL = 1 << 30
    REFERENCE_PIXEL = 1 << 31


GROUP_BITS = DQ(0xFF)
"""The bits that fit GROUPDQ."""


def flag_names(value: int) -> list[str]:
    """Names of the bits set in `value`, lowest bit first."""
    return [flag.name for flag in DQ if value & flag and flag.name is not None]
