"""Reference samples of IRS2: places and bad ones, as `jwst` understands them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from jwst.refpix.irs2_subtract_reference import clobber_ref, make_irs2_mask

from nrsdark_xr.simulate import SimulationParameters
from nrsdark_xr.simulate.irs2_samples import (
    draw_samples,
    interleave,
    known_bad_table,
    pair_columns,
    pixel_columns,
)


def test_pixels_lie_where_jwst_looks_for_them() -> None:
    is_pixel = make_irs2_mask(3200, 2048, 16, 4)
    np.testing.assert_array_equal(pixel_columns(), np.flatnonzero(is_pixel))
    pairs = pair_columns()
    assert pairs.shape == (5, 64)
    assert not is_pixel[pairs].any()
    assert not is_pixel[pairs + 1].any()


def test_interleaving_puts_everything_in_its_place() -> None:
    column = np.setdiff1d(np.arange(3200), pixel_columns())
    pixels = np.tile(pixel_columns(), (2048, 1))
    np.testing.assert_array_equal(interleave(pixels, column, column)[7], np.arange(3200))


@settings(deadline=None, max_examples=25)
@given(st.sets(st.integers(0, 4 * 64 - 1), max_size=40))
def test_the_dq_table_names_the_known_bad_samples(bad: set[int]) -> None:
    known = np.zeros(3200, np.bool_)
    first = pair_columns()[1:].ravel()[sorted(bad)]
    known[first] = known[first + 1] = True
    output, odd_even, mask = np.array(known_bad_table(known), dtype=np.uint32).T
    data = np.random.default_rng(1).uniform(1, 2, (1, 1, 1, 3200))
    before = data.copy()
    is_reference = ~make_irs2_mask(3200, 2048, 16, 4)
    is_reference[:640] = is_reference[1280:1920]
    clobber_ref(
        data,
        output.astype(np.uint16),
        odd_even.astype(np.uint16),
        mask,
        np.zeros(3200, np.bool_),
        is_reference,
    )
    np.testing.assert_array_equal((data != before)[0, 0, 0], known)


def test_a_detector_has_the_bad_samples_it_should() -> None:
    parameters = SimulationParameters(readpatt="NRSIRS2RAPID", irs2={"bad_fraction": 0.1})
    samples = draw_samples(parameters, "NRS1")
    first = pair_columns().ravel()
    assert samples.bad[first].sum() == 32
    np.testing.assert_array_equal(samples.bad[first], samples.bad[first + 1])
    assert not (samples.known & ~samples.bad).any()
    assert 0 < samples.known.sum() < samples.bad.sum()
    assert not samples.known[:640].any()
    noisy = samples.noise_factor > 1
    intermittent = np.zeros(3200, np.bool_)
    intermittent[samples.intermittent.index] = True
    assert noisy.sum() == 32
    assert intermittent.sum() == 16
    np.testing.assert_array_equal(samples.bad[first], noisy[first] | intermittent[first])
    assert np.all(samples.noise_factor[pixel_columns()] == 1)
    column = np.searchsorted(samples.column, first)
    np.testing.assert_array_equal(samples.bias[:, column], samples.bias[:, column + 1])
    assert samples.coupling[0] == 1
    assert 0.02 < samples.coupling[1:].std() < 0.3


def test_detectors_and_seeds_differ() -> None:
    drawn = [
        draw_samples(SimulationParameters(seed=seed), detector).bias
        for seed, detector in ((0, "NRS1"), (0, "NRS2"), (1, "NRS1"))
    ]
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
