"""A run whose store is rounded."""

from __future__ import annotations

import numpy as np
import pytest

from nrsdark_xr import open_ramps
from nrsdark_xr.calibration.rounding import round_to
from nrsdark_xr.errors import NrsdarkError

QUANTUM = 1 / 64


def test_ramps_are_rounded_and_rates_follow(darks, tmp_path):
    given = ("references.superbias=references/superbias.fits",)
    darks.run(*given, until="prepare")
    plain = open_ramps(darks.config().store).load()
    rounding = f"ramps.quantum={QUANTUM}"
    _, said = darks.run(*given, rounding, until="prepare")
    assert "made again, since ramps changed" in said
    rounded = open_ramps(darks.config().store).load()
    np.testing.assert_array_equal(rounded["ramp"], round_to(plain["ramp"].values, QUANTUM))
    assert (rounded["ramp"] != plain["ramp"]).any()
    np.testing.assert_array_equal(rounded["pixeldq"], plain["pixeldq"])
    same = (rounded["groupdq"] == plain["groupdq"]).all("group")
    assert same.mean() > 0.99
    change = abs(rounded["rate"] - plain["rate"]).where(same)
    assert 0 < change.max() < 2 * QUANTUM / float(plain["time"][0])
    assert str(QUANTUM) in rounded.attrs["ramps"]
    _, said = darks.run(*given, rounding, until="prepare")
    assert "prepare: up to date" in said


def test_a_quantum_that_is_no_power_of_two_is_refused(darks):
    with pytest.raises(NrsdarkError, match="power of two"):
        darks.config("ramps.quantum=0.01")
