"""Medians by a sorting network, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.calibration._medians import column_medians, median_network

VALUES = np.array([-np.inf, -3.5, 0, 1, 1, 2.25, 7, np.inf, np.nan, np.nan])


@settings(deadline=None, max_examples=100)
@given(
    n=st.integers(1, 90),
    size=st.integers(1, 150),
    dtype=st.sampled_from([np.float32, np.float64]),
    discrete=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_medians_are_those_of_numpy(
    n: int, size: int, dtype: type, discrete: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice(VALUES, (n, size)) if discrete else rng.normal(0, 9, (n, size))
    values[rng.random((n, size)) < rng.choice([0, 0.1, 0.9])] = np.nan
    tile = np.full((n, 150), 5, dtype)
    tile[:, :size] = values
    medians = np.full(150, 5.0)
    column_medians(tile, size, median_network(n), medians)
    for p in range(size):
        column = tile[:, p].astype(np.float64)
        usable = np.sort(column[~np.isnan(column)])
        if usable.size == 0:
            assert np.isnan(medians[p])
        else:
            with np.errstate(invalid="ignore"):
                middle = (usable[(usable.size - 1) // 2] + usable[usable.size // 2]) / 2
            np.testing.assert_array_equal(medians[p], middle)
    assert (medians[size:] == 5).all()


@pytest.mark.parametrize("n", [1, 2, 3, 87, 199, 500])
def test_a_network_leaves_out_what_the_middle_does_not_need(n: int) -> None:
    network = median_network(n)
    assert (network[:, 0] < network[:, 1]).all()
    assert len(network) <= n * (n - 1).bit_length() ** 2 / 3 + 1
