from __future__ import annotations

import numpy as np
import pytest
from stdatamodels.jwst.datamodels import dqflags

from nrsdark_xr.detector import DQ, GROUP_BITS, flag_names


def test_pixel_bits_are_those_of_jwst():
    ours = {flag.name: flag.value for flag in DQ}
    theirs = {
        name: value for name, value in dqflags.pixel.items() if name not in ("GOOD", "RESERVED")
    }
    assert ours == theirs


def test_group_bits_are_those_of_jwst():
    for name, value in dqflags.group.items():
        if name != "GOOD":
            assert DQ[name] == value
            assert DQ[name] in GROUP_BITS
    assert np.iinfo(np.uint8).max == GROUP_BITS


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (0, []),
        (1 | 1 << 31, ["DO_NOT_USE", "REFERENCE_PIXEL"]),
        (1 << 8, []),
        (DQ.RC | DQ.HOT, ["HOT", "RC"]),
    ],
)
def test_flag_names(value, names):
    assert flag_names(value) == names
