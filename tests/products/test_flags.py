"""Flag rules against loops that spell them out."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.stats import sigma_clip
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.detector import DQ
from nrsdark_xr.products import flags
from nrsdark_xr.products.parameters import BadReferenceParameters, RCParameters, RTNParameters


def clipped(values):
    kept = sigma_clip(values[np.isfinite(values)].astype(float), sigma=3, maxiters=5, masked=False)
    return np.mean(kept), np.std(kept)


def rc_by_loops(group1, next_groupdq, science, sigma=10):
    mean, std = clipped(group1[science])
    ny, nx = group1.shape
    found = np.zeros((ny, nx), bool)

    def bright(y, x):
        return science[y, x] and group1[y, x] > mean + sigma * std

    for y in range(ny):
        for x in range(nx):
            around = [
                (y + dy, x + dx)
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
                if (dy or dx) and 0 <= y + dy < ny and 0 <= x + dx < nx
            ]
            isolated = not any(bright(*pixel) for pixel in around)
            flagged = all(
                int(next_groupdq[g, y, x]) & (DQ.JUMP_DET | DQ.SATURATED | DQ.DO_NOT_USE)
                for g in (0, 1)
            )
            found[y, x] = bright(y, x) and isolated and flagged
    return found


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_rc_candidates(seed):
    rng = np.random.default_rng(seed)
    shape = (12, 14)
    group1 = rng.normal(20, 4, shape).astype(np.float32)
    group1[rng.random(shape) < 0.08] += 5000
    group1[rng.random(shape) < 0.02] = np.nan
    science = rng.random(shape) < 0.9
    bits = np.array([0, 1, 2, 4, 8, 5], np.uint8)
    next_groupdq = rng.choice(bits, (2, *shape), p=[0.1, 0.2, 0.2, 0.3, 0.1, 0.1])
    found = flags.rc_candidates(group1, next_groupdq, science)
    np.testing.assert_array_equal(found, rc_by_loops(group1, next_groupdq, science))


@pytest.mark.parametrize("bit", [DQ.JUMP_DET, DQ.SATURATED, DQ.DO_NOT_USE])
def test_an_isolated_bright_pixel_is_rc(bit):
    group1 = np.random.default_rng(0).normal(0, 1, (20, 20)).astype(np.float32)
    group1[5, 5] = group1[15, 15] = group1[15, 16] = 1e4
    next_groupdq = np.full((2, 20, 20), bit, np.uint8)
    found = flags.rc_candidates(group1, next_groupdq, np.ones((20, 20), bool))
    assert np.argwhere(found).tolist() == [[5, 5]]
    next_groupdq[1, 5, 5] = 0
    assert not flags.rc_candidates(group1, next_groupdq, np.ones((20, 20), bool)).any()


def test_rc_sigma_is_a_parameter():
    group1 = np.random.default_rng(0).normal(0, 1, (30, 30)).astype(np.float32)
    group1[5, 5] = 8
    next_groupdq = np.full((2, 30, 30), DQ.JUMP_DET, np.uint8)
    science = np.ones((30, 30), bool)
    assert not flags.rc_candidates(group1, next_groupdq, science).any()
    assert flags.rc_candidates(group1, next_groupdq, science, parameters=RCParameters(sigma=5))[
        5, 5
    ]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_telegraph_counts(seed):
    rng = np.random.default_rng(seed)
    jumps = rng.poisson(0.5, (4, 15, 10)).astype(np.uint16)
    jumps[rng.random(jumps.shape) < 0.02] = 12
    science = rng.random((15, 10)) < 0.8
    selected = jumps[:, science].astype(np.int64)
    threshold = flags.rtn_threshold(
        int(science.sum()), selected.sum(1), (selected**2).sum(1), sigma=5.0
    )
    expected = [ramp[science].mean() + 5 * ramp[science].std() for ramp in jumps]
    np.testing.assert_allclose(threshold, expected, rtol=1e-12)
    count = flags.count_above(jumps, threshold)
    for y in range(15):
        for x in range(10):
            assert count[y, x] == sum(jumps[f, y, x] > threshold[f] for f in range(len(jumps)))


def test_cap_is_that_of_the_report():
    assert flags.rtn_cap(88, RTNParameters()) == pytest.approx((1 - 0.9973) * 87 * 4)


def bad_reference_by_loops(average, std, sigma=4):
    bad = np.zeros(average.shape[1], bool)
    for values in (average, std):
        level = np.array(
            [
                np.mean([float(v) for v in values[:, p] if np.isfinite(v)] or [np.nan])
                for p in range(values.shape[1])
            ]
        )
        spread = clipped(level)[1]
        median = np.median(level[np.isfinite(level)])
        for p, value in enumerate(level):
            if not np.isfinite(value) or abs(value - median) > sigma * spread:
                bad[p] = True
    return bad


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_bad_reference_pixels(seed):
    rng = np.random.default_rng(seed)
    average = rng.normal(0, 1, (6, 200)).astype(np.float32)
    std = rng.normal(5, 0.2, (6, 200)).astype(np.float32)
    average[:, rng.random(200) < 0.05] += rng.normal(0, 4)
    std[:, rng.random(200) < 0.05] += 3
    average[rng.random(average.shape) < 0.05] = np.nan
    average[:, 11] = np.nan
    bad = flags.bad_reference_pixels(average, std)
    np.testing.assert_array_equal(bad, bad_reference_by_loops(average, std))
    assert bad[11]


def test_bad_reference_sigma_is_a_parameter():
    rng = np.random.default_rng(0)
    average = np.tile(rng.normal(0, 1, 500).astype(np.float32), (3, 1))
    std = np.ones_like(average)
    strict = flags.bad_reference_pixels(average, std, parameters=BadReferenceParameters(sigma=1))
    assert 0.2 < strict.mean() < 0.4
    assert flags.bad_reference_pixels(average, std).mean() < 0.01


def test_neighbours_are_the_eight_around():
    pixels = np.zeros((5, 6), bool)
    pixels[0, 0] = pixels[3, 4] = True
    expected = np.zeros((5, 6), bool)
    expected[:2, :2] = True
    expected[2:5, 3:6] = True
    expected[0, 0] = expected[3, 4] = False
    np.testing.assert_array_equal(flags.has_neighbour(pixels), expected)
