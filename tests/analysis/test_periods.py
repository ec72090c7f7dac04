"""Periods against the master."""

from __future__ import annotations

import numpy as np
import pytest

from nrsdark_xr.analysis.periods import compare_period
from tests.analysis.sample import make_maps


def test_differences_are_told():
    maps = make_maps()
    random = np.random.default_rng(2)
    rate = maps.rate + random.normal(0.005, 0.001, maps.rate.shape).astype(np.float32)
    hot = np.argwhere(maps.rate > 1.0)
    cooled, heated = tuple(hot[0]), tuple(np.argwhere(maps.rate < 0.5)[7])
    rate[cooled], rate[heated] = 0.01, 5.0
    rate[maps.reference] = 99.0
    days = ["2024-03-01", "2024-01-05"]
    told = compare_period(
        "early",
        days,
        rate,
        master=maps.rate,
        reference_pixels=maps.reference,
        hot_rate=1.0,
    )
    assert (told.first, told.last, told.n_good) == ("2024-01-05", "2024-03-01", 2)
    assert told.n_hot == len(hot)
    assert (told.n_new_hot, told.n_vanished_hot) == (1, 1)
    assert told.median_difference == pytest.approx(0.005, abs=1e-4)
    assert told.scatter == pytest.approx(0.001, rel=0.1)
    assert told.median_dark_rate == pytest.approx(0.015, abs=2e-4)


def test_the_master_does_not_differ_from_itself():
    maps = make_maps()
    told = compare_period(
        "all",
        ["2024-01-05"],
        maps.rate,
        master=maps.rate,
        reference_pixels=maps.reference,
        hot_rate=1.0,
    )
    assert (told.n_new_hot, told.n_vanished_hot, told.median_difference, told.scatter) == (0,) * 4
