"""Medians by a sorting network, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.calibration._medians import column_medians, guided_medians, median_network

VALUES = np.array([-np.inf, -3.5, 0, 1, 1, 2.25, 7, np.inf, np.nan, np.nan])


TILE = 150


def random_tile(rng: np.random.Generator, n: int, size: int, dtype: type) -> np.ndarray:
    """Columns with ties, infinities and few or many NaN, or without; 5 where not in use."""
    discrete = rng.random() < 0.5
    values = rng.choice(VALUES, (n, size)) if discrete else rng.normal(0, 9, (n, size))
    values[rng.random((n, size)) < rng.choice([0, 0.1, 0.9])] = np.nan
    tile = np.full((n, TILE), 5, dtype)
    tile[:, :size] = values
    return tile


def expected_medians(tile: np.ndarray, size: int) -> np.ndarray:
    """Means of the two middle ones of what is no NaN, in double precision."""
    medians = np.full(TILE, 5.0)
    for p in range(size):
        column = tile[:, p].astype(np.float64)
        usable = np.sort(column[~np.isnan(column)])
        with np.errstate(invalid="ignore"):
            medians[p] = (
                (usable[(usable.size - 1) // 2] + usable[usable.size // 2]) / 2
                if usable.size
                else np.nan
            )
    return medians


@settings(deadline=None, max_examples=100)
@given(
    n=st.integers(1, 90),
    size=st.integers(1, TILE),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 1000),
)
def test_medians_are_those_of_numpy(n: int, size: int, dtype: type, seed: int) -> None:
    tile = random_tile(np.random.default_rng(seed), n, size, dtype)
    medians = np.full(TILE, 5.0)
    column_medians(tile, size, median_network(n), medians)
    np.testing.assert_array_equal(medians, expected_medians(tile, size))


@settings(deadline=None, max_examples=200)
@given(
    n=st.integers(1, 90),
    size=st.integers(1, TILE),
    error=st.sampled_from([0, 1e-9, 0.3, 3, 1e6, np.inf, np.nan]),
    seed=st.integers(0, 1000),
)
def test_guesses_have_no_influence_on_medians(n: int, size: int, error: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tile = random_tile(rng, n, size, np.float64)
    expected = expected_medians(tile, size)
    with np.errstate(invalid="ignore"):  # infinities of either sign
        guesses = expected + rng.normal(size=TILE) * error
    medians = np.full(TILE, 5.0)
    guided_medians(tile, size, guesses, median_network(n), medians)
    np.testing.assert_array_equal(medians, expected)


@pytest.mark.parametrize("n", [1, 2, 3, 87, 199, 500])
def test_a_network_leaves_out_what_the_middle_does_not_need(n: int) -> None:
    network = median_network(n)
    assert (network[:, 0] < network[:, 1]).all()
    assert len(network) <= n * (n - 1).bit_length() ** 2 / 3 + 1
