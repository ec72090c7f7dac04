"""Clipping against astropy, which is the definition of the survivors."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from astropy.stats import sigma_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nrsdark_xr.products.clip import _sorting_network, clipped_mean, frame_statistics
from nrsdark_xr.products.parameters import ClipParameters

OPTIONS = [
    ClipParameters(center=center, spread=spread)
    for center in ("median", "mean")
    for spread in ("std", "mad_std")
]


def astropy_survivors(values, good, parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clipped = sigma_clip(
            np.ma.array(values, mask=~good),
            sigma=parameters.sigma,
            maxiters=parameters.maxiters,
            cenfunc=parameters.center,
            stdfunc=parameters.spread,
            axis=0,
        )
    return ~np.ma.getmaskarray(clipped)


def moments_in_file_order(values, survivors):
    """Plain Python sums, one sample after the other."""
    shape = values.shape[1:]
    mean, std = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    for at in np.ndindex(shape):
        chosen = [
            float(value)
            for value, kept in zip(values[:, *at], survivors[:, *at], strict=True)
            if kept
        ]
        if chosen:
            center = sum(chosen) / len(chosen)
            mean[at] = center
            std[at] = (
                sum((value - center) * (value - center) for value in chosen) / len(chosen)
            ) ** 0.5
    return mean, std


def check(values, usable, parameters, **options):
    clipped = clipped_mean(values, parameters=parameters, **options)
    survivors = astropy_survivors(values, usable & np.isfinite(values), parameters)
    mean, std = moments_in_file_order(values, survivors)
    np.testing.assert_array_equal(clipped.count, survivors.sum(0))
    np.testing.assert_array_equal(clipped.mean, mean)
    np.testing.assert_array_equal(clipped.std, std)
    assert (clipped.mean.dtype, clipped.std.dtype, clipped.count.dtype) == (
        np.float32,
        np.float32,
        np.uint16,
    )


@pytest.mark.parametrize("parameters", OPTIONS, ids=lambda p: f"{p.center}-{p.spread}")
@pytest.mark.parametrize("n_files", [1, 2, 3, 7, 8, 11, 40, 100])
def test_same_survivors_as_astropy(n_files, parameters):
    rng = np.random.default_rng(n_files)
    values = rng.normal(1000, 10, (n_files, 300)).astype(np.float32)
    hit = rng.random(values.shape) < 0.1
    values[hit] += rng.exponential(100, hit.sum()).astype(np.float32)
    values[rng.random(values.shape) < 0.05] = np.nan
    values[rng.random(values.shape) < 0.02] = np.inf
    good = rng.random(values.shape) < 0.9
    good[:, 7] = False
    check(values, good, parameters, good=good)


sample_stacks = st.integers(1, 24).flatmap(
    lambda n: hnp.arrays(
        np.float32,
        (n, 12),
        elements=st.one_of(
            st.integers(-3, 3).map(float),
            st.floats(-1e4, 1e4, width=32),
            st.sampled_from([np.nan, np.inf, -np.inf, 0.1, 1e6]),
        ),
    )
)


@settings(deadline=None, max_examples=150)
@given(values=sample_stacks, parameters=st.sampled_from(OPTIONS), data=st.data())
def test_ties_and_odd_values(values, parameters, data):
    good = data.draw(hnp.arrays(bool, values.shape))
    check(values, good, parameters, good=good)


@pytest.mark.parametrize("n_files", [8, 9, 16, 18, 20, 30])
def test_samples_on_the_bounds_go_where_astropy_puts_them(n_files):
    # Few distinct values: many samples lie exactly 3 standard deviations off, up to rounding.
    rng = np.random.default_rng(3)
    values = rng.choice(np.float32([0.1, 0.2, 0.3, 0.7, 1.3]), (n_files, 3000))
    values[0] = 0.1 + rng.integers(0, 40, 3000) / 10
    check(values, np.ones(values.shape, bool), ClipParameters())


def test_clipped_samples_may_come_back_when_bounds_move():
    # astropy applies its last bounds to all samples, also to those that an earlier pass rejected.
    rng = np.random.default_rng(5)
    values = np.concatenate(
        [rng.normal(0, 1, (20, 4000)), rng.exponential(8, (8, 4000))], axis=0
    ).astype(np.float32)
    for maxiters in (1, 2, 5):
        check(values, np.ones(values.shape, bool), ClipParameters(maxiters=maxiters, sigma=1.5))


def test_good_groups_say_the_same_as_a_boolean():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, (9, 7, 5, 6)).astype(np.float32)
    good_groups = rng.integers(0, 9, (9, 5, 6)).astype(np.uint16)
    good = np.arange(7)[:, None, None] < good_groups[:, None]
    check(values, good, ClipParameters(), good_groups=good_groups)


@settings(deadline=None, max_examples=30)
@given(
    groups=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    rows=st.lists(st.integers(1, 300), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_blocks_change_no_bit(groups, rows, seed):
    rng = np.random.default_rng(seed)
    n_groups, n_rows = sum(groups), sum(rows)
    values = rng.normal(0, 1, (12, n_groups, n_rows)).astype(np.float32)
    values[rng.random(values.shape) < 0.05] += 30
    good_groups = rng.integers(0, n_groups + 2, (12, n_rows)).astype(np.uint16)
    whole = clipped_mean(values, good_groups=good_groups)
    g_edges, y_edges = np.cumsum([0, *groups]), np.cumsum([0, *rows])
    for g, g_end in itertools.pairwise(g_edges):
        for y, y_end in itertools.pairwise(y_edges):
            block = clipped_mean(
                values[:, g:g_end, y:y_end],
                good_groups=good_groups[:, y:y_end],
                first_group=int(g),
            )
            for name in ("mean", "std", "count"):
                np.testing.assert_array_equal(
                    getattr(block, name), getattr(whole, name)[g:g_end, y:y_end]
                )


def test_nothing_left_is_nan_and_counted_zero():
    clipped = clipped_mean(np.full((3, 2), np.nan, np.float32))
    assert np.isnan(clipped.mean).all()
    assert np.isnan(clipped.std).all()
    assert (clipped.count == 0).all()


def test_arguments_are_left_alone():
    values = np.random.default_rng(0).normal(0, 1, (9, 2, 50)).astype(np.float32)
    values[3] += 100
    before = values.copy()
    clipped_mean(values, good=np.ones(values.shape, bool))
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(
    "options",
    [
        {"good": np.ones((3, 4), bool)},
        {"good_groups": np.ones((3, 4), np.uint16)},
    ],
)
def test_shapes_must_match(options):
    with pytest.raises(ValueError, match="shape"):
        clipped_mean(np.zeros((3, 2, 5), np.float32), **options)


def test_at_least_one_file():
    with pytest.raises(ValueError, match="files"):
        clipped_mean(np.zeros((0, 2), np.float32))
    with pytest.raises(ValueError, match="files"):
        clipped_mean(np.zeros((3, 2), np.float32), files=np.zeros(0, int))


@pytest.mark.parametrize("files", [[3], [-1], [0, 3]])
def test_files_must_be_there(files):
    with pytest.raises(ValueError, match="do not exist"):
        clipped_mean(np.zeros((3, 2), np.float32), files=np.array(files))


@given(st.sets(st.integers(0, 11), min_size=1), st.sampled_from(OPTIONS))
@settings(deadline=None, max_examples=20)
def test_chosen_files_are_clipped_as_if_there_were_no_others(chosen, parameters):
    files = np.array(sorted(chosen))
    rng = np.random.default_rng(len(files))
    values = rng.normal(0, 1, (12, 3, 40)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] += 30
    good = rng.random(values.shape) < 0.9
    good_groups = rng.integers(0, 4, (12, 40)).astype(np.uint16)
    of_all = clipped_mean(
        values, good=good, good_groups=good_groups, files=files, parameters=parameters
    )
    alone = clipped_mean(
        values[files], good=good[files], good_groups=good_groups[files], parameters=parameters
    )
    for name in ("mean", "std", "count"):
        np.testing.assert_array_equal(getattr(of_all, name), getattr(alone, name))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 9, 12])
def test_network_sorts_all_zeros_and_ones(n):
    # What sorts every sequence of zeros and ones sorts everything.
    values = np.array(list(itertools.product([0, 1], repeat=n))).T
    for low, high in _sorting_network(n):
        values[[low, high]] = np.sort(values[[low, high]], axis=0)
    assert (np.diff(values, axis=0) >= 0).all()


@pytest.mark.parametrize("n", [40, 100, 129])
def test_network_sorts_many(n):
    values = np.random.default_rng(n).permuted(np.tile(np.arange(n), (500, 1)), axis=1).T
    for low, high in _sorting_network(n):
        values[[low, high]] = np.sort(values[[low, high]], axis=0)
    np.testing.assert_array_equal(values, np.tile(np.arange(n), (500, 1)).T)


@pytest.mark.parametrize("parameters", OPTIONS, ids=lambda p: f"{p.center}-{p.spread}")
def test_frame_statistics_are_those_of_astropy(parameters):
    rng = np.random.default_rng(2)
    values = rng.normal(100, 5, (60, 50)).astype(np.float32)
    values[rng.random(values.shape) < 0.03] += 300
    values[0, :5] = np.nan
    finite = np.isfinite(values).ravel()
    survivors = astropy_survivors(values.ravel(), finite, parameters)
    statistics = frame_statistics(values, parameters=parameters)
    kept = values.ravel()[survivors].astype(float)
    assert statistics.mean == pytest.approx(kept.mean(), rel=1e-12)
    assert statistics.std == pytest.approx(kept.std(), rel=1e-12)
    assert statistics.median == np.median(kept)


def test_frame_statistics_do_not_depend_on_the_order_of_pixels():
    values = np.random.default_rng(4).normal(0, 1, 5000).astype(np.float32)
    shuffled = np.random.default_rng(5).permutation(values)
    assert frame_statistics(values) == frame_statistics(shuffled.reshape(50, 100))


def test_frame_statistics_of_nothing():
    assert all(np.isnan(value) for value in frame_statistics(np.array([np.nan])))
