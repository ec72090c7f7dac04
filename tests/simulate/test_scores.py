"""Scores of maps small enough to count by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nrsdark_xr.detector import DQ
from nrsdark_xr.simulate.scores import (
    Pulls,
    Share,
    attribute,
    completeness,
    first_flagged,
    flagged_at,
    pulls,
    purity,
)

TRUTH = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], bool)
FOUND = np.array([[1, 0, 1, 0], [0, 1, 0, 1]], bool)
STRENGTH = np.array([[1.0, 2.0, 3.0, 9.0], [1.9, 5.0, 9.0, 1.0]])


def test_completeness_counts_what_is_there() -> None:
    assert completeness(FOUND, TRUTH, STRENGTH, [1, 2, math.inf]) == (
        Share(1, 2, n=2, n_met=1),  # 1.0 found, 1.9 not; 1.0 in the last row is not there
        Share(2, math.inf, n=2, n_met=1),  # 3.0 found, 2.0 not
    )


def test_purity_counts_what_was_found() -> None:
    assert purity(FOUND, TRUTH, STRENGTH, [1, 2, math.inf]) == (
        Share(1, 2, n=2, n_met=1),
        Share(2, math.inf, n=2, n_met=1),  # 3.0 is there, 5.0 is not
    )


def test_bins_are_half_open_and_leave_out_what_lies_outside() -> None:
    strength = np.array([0.5, 1.0, 2.0, np.nan])
    everything = np.ones(4, bool)
    assert [share.n for share in completeness(everything, everything, strength, [1, 2])] == [1]
    assert [share.n for share in completeness(everything, everything, strength, [1, 2, 3])] == [
        1,
        1,
    ]


def test_fraction_of_an_empty_bin_is_nan() -> None:
    assert Share(0, 1, n=4, n_met=3).fraction == 0.75
    assert math.isnan(Share(0, 1, n=0, n_met=0).fraction)


def test_edges_must_ascend_and_shapes_agree() -> None:
    with pytest.raises(ValueError, match="ascend"):
        completeness(FOUND, TRUTH, STRENGTH, [2, 1])
    with pytest.raises(ValueError, match="differ"):
        purity(FOUND, TRUTH[:1], STRENGTH, [0, 1])


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_bins_that_cover_everything_add_up(data: st.DataObject) -> None:
    shape = (5, 7)
    found = data.draw(hnp.arrays(bool, shape))
    truth = data.draw(hnp.arrays(bool, shape))
    strength = data.draw(hnp.arrays(np.int8, shape)).astype(float)
    edges = [-math.inf, -10, 0, 50, math.inf]
    both = np.count_nonzero(found & truth)
    complete = completeness(found, truth, strength, edges)
    assert sum(share.n for share in complete) == np.count_nonzero(truth)
    assert sum(share.n_met for share in complete) == both
    pure = purity(found, truth, strength, edges)
    assert sum(share.n for share in pure) == np.count_nonzero(found)
    assert sum(share.n_met for share in pure) == both


def test_a_pixel_of_two_kinds_counts_once() -> None:
    pixels = np.array([1, 1, 1, 1, 0], bool)
    kinds = {"hot": np.array([1, 0, 0, 0, 1], bool), "near": np.array([1, 1, 0, 0, 0], bool)}
    assert attribute(pixels, kinds, other="plain") == {"hot": 1, "near": 1, "plain": 2}
    assert pixels.tolist() == [True, True, True, True, False]


def test_groups_are_counted_from_one() -> None:
    groupdq = np.zeros((4, 3), np.uint8)
    groupdq[1:, 0] = DQ.JUMP_DET
    groupdq[0, 1] = DQ.DO_NOT_USE
    groupdq[3, 1] = DQ.SATURATED
    bits = DQ.JUMP_DET | DQ.SATURATED
    assert first_flagged(groupdq, bits=bits).tolist() == [2, 4, 0]
    assert flagged_at(groupdq, np.array([2, 3, 0]), bits=bits).tolist() == [True, False, False]
    assert flagged_at(groupdq, np.array([1, 4, 1]), bits=bits).tolist() == [False, True, False]


def test_pulls_of_known_values() -> None:
    measured = np.array([[3.0, 1.0, 5.0], [np.nan, 1.0, 1.0]])
    true = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    uncertainty = np.array([[2.0, 2.0, 2.0], [2.0, 0.0, np.nan]])
    found = pulls(measured, true, uncertainty)  # 1, 0 and 2 are finite
    assert found == Pulls(3, 1.0, pytest.approx(1.4826, abs=1e-4))


def test_pulls_of_normal_errors_are_near_0_and_1() -> None:
    rng = np.random.default_rng(0)
    sigma = rng.uniform(1, 5, 20_000)
    found = pulls(7 + sigma * rng.standard_normal(sigma.size), np.full(sigma.size, 7.0), sigma)
    assert found.median == pytest.approx(0, abs=0.03)
    assert found.scatter == pytest.approx(1, abs=0.03)


def test_no_pull_is_no_number() -> None:
    none = pulls(np.array([np.nan]), np.array([1.0]), np.array([1.0]))
    assert none.n == 0
    assert math.isnan(none.median)
    assert math.isnan(none.scatter)
