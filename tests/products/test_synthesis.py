"""The synthesized dark and the mask against rules written out pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.stats import sigma_clip
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.detector import DQ
from nrsdark_xr.products.mask import hot_changes, update_mask
from nrsdark_xr.products.parameters import SynthesisParameters
from nrsdark_xr.products.synthesis import Evidence, judge_pixels, synthesize_groups

SHAPE = (13, 11)


def random_maps(seed):
    rng = np.random.default_rng(seed)

    def some(share):
        return rng.random(SHAPE) < share

    rate = rng.normal(0.02, 0.01, SHAPE).astype(np.float32)
    rate[some(0.04)] = 2.5
    rate[some(0.04)] = np.nan
    rate_unc = rng.normal(0.005, 0.0005, SHAPE).astype(np.float32)
    rate_unc[some(0.05)] = 0.1
    rate_unc[np.isnan(rate)] = np.nan
    choices = np.array(
        [0, 0, 0, DQ.HOT, DQ.HOT | DQ.DO_NOT_USE, DQ.DEAD | DQ.DO_NOT_USE, DQ.TELEGRAPH], np.uint32
    )
    return {
        "rate": rate,
        "rate_unc": rate_unc,
        "rc": some(0.02),
        "telegraph": some(0.1),
        "bad_reference": some(0.03),
        "common_dq": rng.choice(
            np.array([0, 0, 0, DQ.JUMP_DET, DQ.REFERENCE_PIXEL, DQ.NO_SAT_CHECK], np.uint32), SHAPE
        ),
        "incomplete": some(0.1),
        "mask": rng.choice(choices, SHAPE),
        "science": ~some(0.1),
    }


def clipped(values):
    kept = sigma_clip(values[np.isfinite(values)].astype(float), sigma=3, maxiters=5, masked=False)
    return kept.mean(), kept.std()


def judge_by_loops(maps):
    rate, unc, mask = maps["rate"], maps["rate_unc"], maps["mask"]
    frame_rate, _ = clipped(rate[maps["science"]])
    unc_mean, unc_std = clipped(unc[maps["science"]])
    ny, nx = SHAPE
    hot = np.zeros(SHAPE, bool)
    for at in np.ndindex(SHAPE):
        hot[at] = maps["science"][at] and rate[at] > 1
    dq = np.zeros(SHAPE, np.uint32)
    new_mask = np.zeros(SHAPE, np.uint32)
    take_average = np.zeros(SHAPE, bool)
    projected = np.zeros(SHAPE, np.float32)
    for y, x in np.ndindex(SHAPE):
        bits = DQ(int(mask[y, x]))
        if bits & DQ.HOT:
            others = bits & ~(DQ.HOT | DQ.DO_NOT_USE | DQ.REFERENCE_PIXEL)
            bits &= ~DQ.HOT
            if not others:
                bits &= ~DQ.DO_NOT_USE
        if hot[y, x]:
            bits = (bits & ~DQ.TELEGRAPH) | DQ.HOT | DQ.DO_NOT_USE
        new_mask[y, x] = bits
        around = [
            (y + dy, x + dx)
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            if (dy or dx) and 0 <= y + dy < ny and 0 <= x + dx < nx
        ]
        beside = any(hot[pixel] or maps["rc"][pixel] for pixel in around)
        rc, bad = maps["rc"][y, x], maps["bad_reference"][y, x]
        no_rate = np.isnan(rate[y, x])
        take_average[y, x] = bool(bits & DQ.DO_NOT_USE) or rc or bad or beside or no_rate
        nothing = take_average[y, x] and maps["incomplete"][y, x]
        flags = DQ(0)
        if rc:
            flags |= DQ.RC | DQ.DO_NOT_USE | DQ.UNRELIABLE_DARK
        if bad:
            flags |= DQ.BAD_REF_PIXEL | DQ.DO_NOT_USE | DQ.UNRELIABLE_DARK
        if maps["telegraph"][y, x] and not hot[y, x]:
            flags |= DQ.TELEGRAPH
        if hot[y, x] or unc[y, x] > unc_mean + 3 * unc_std:
            flags |= DQ.UNRELIABLE_DARK
        if int(maps["common_dq"][y, x]) & ~int(DQ.JUMP_DET | DQ.REFERENCE_PIXEL):
            flags |= DQ.UNRELIABLE_DARK
        if no_rate and maps["science"][y, x]:
            flags |= DQ.UNRELIABLE_DARK
        if nothing:
            flags |= DQ.DO_NOT_USE | DQ.UNRELIABLE_DARK
        dq[y, x] = flags
        projected[y, x] = rate[y, x] if rate[y, x] >= 0 else frame_rate
    return hot, new_mask, take_average, dq, projected


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_pixels_are_judged_by_the_rules(seed):
    maps = random_maps(seed)
    before = {name: array.copy() for name, array in maps.items()}
    pixels = judge_pixels(Evidence(**maps))
    hot, new_mask, take_average, dq, projected = judge_by_loops(maps)
    np.testing.assert_array_equal(pixels.hot, hot)
    np.testing.assert_array_equal(pixels.mask, new_mask)
    np.testing.assert_array_equal(pixels.take_average, take_average)
    np.testing.assert_array_equal(pixels.dq, dq)
    np.testing.assert_allclose(pixels.rate, projected, rtol=1e-6)
    was_hot = (maps["mask"] & np.uint32(DQ.HOT)) != 0
    np.testing.assert_array_equal(pixels.new_hot, hot & ~was_hot)
    np.testing.assert_array_equal(pixels.vanished_hot, was_hot & ~hot)
    assert np.isfinite(pixels.rate_unc).all()
    for name, array in maps.items():
        np.testing.assert_array_equal(array, before[name])


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_cube(seed):
    maps = random_maps(seed)
    pixels = judge_pixels(Evidence(**maps))
    rng = np.random.default_rng(seed + 1)
    time = 10.7 * np.arange(1, 6)
    average = rng.normal(0, 1, (5, *SHAPE)).astype(np.float32)
    std = rng.random((5, *SHAPE)).astype(np.float32)
    empty = rng.random(average.shape) < 0.1
    average[empty] = std[empty] = np.nan
    options = {"rate": pixels.rate, "rate_unc": pixels.rate_unc}
    options["take_average"] = pixels.take_average
    dark, err = synthesize_groups(average, std, time, **options)
    for g, y, x in np.ndindex(average.shape):
        projected = np.float32(pixels.rate[y, x] * time[g])
        own = pixels.take_average[y, x] and not empty[g, y, x]
        assert dark[g, y, x] == (average[g, y, x] if own else projected)
        expected_err = np.float32(pixels.rate_unc[y, x] * time[g])
        assert err[g, y, x] == (expected_err if empty[g, y, x] else std[g, y, x])
    assert np.isfinite(dark).all()
    assert np.isfinite(err).all()
    part = synthesize_groups(average[2:4], std[2:4], time[2:4], **options)
    np.testing.assert_array_equal(part[0], dark[2:4])
    np.testing.assert_array_equal(part[1], err[2:4])


def test_the_last_groups_are_steps_of_the_rate():
    # jwst extrapolates a dark from its last two groups (jwst#9245): they must be free of noise.
    maps = random_maps(3)
    pixels = judge_pixels(Evidence(**maps))
    time = 10.7 * np.arange(1, 6)
    noise = np.random.default_rng(0).normal(0, 50, (5, *SHAPE)).astype(np.float32)
    dark, _ = synthesize_groups(
        noise,
        np.abs(noise),
        time,
        rate=pixels.rate,
        rate_unc=pixels.rate_unc,
        take_average=pixels.take_average,
    )
    step = (dark[-1] - dark[-2])[~pixels.take_average]
    np.testing.assert_allclose(step, 10.7 * pixels.rate[~pixels.take_average], rtol=1e-5)


def test_a_frame_without_any_rate_is_finite():
    maps = random_maps(0)
    maps["rate"][:] = maps["rate_unc"][:] = np.nan
    maps["incomplete"][:] = True
    pixels = judge_pixels(Evidence(**maps))
    assert (pixels.rate == 0).all()
    assert ((pixels.dq & np.uint32(DQ.DO_NOT_USE)) != 0).all()


def test_hot_rate_is_a_parameter():
    maps = random_maps(1)
    assert judge_pixels(Evidence(**maps)).hot.any()
    assert not judge_pixels(Evidence(**maps), SynthesisParameters(hot_rate=3)).hot.any()


@pytest.mark.parametrize(
    ("before", "hot", "after"),
    [
        (0, True, DQ.HOT | DQ.DO_NOT_USE),
        (DQ.HOT | DQ.DO_NOT_USE, False, 0),
        (DQ.HOT | DQ.DO_NOT_USE, True, DQ.HOT | DQ.DO_NOT_USE),
        (DQ.HOT | DQ.DEAD | DQ.DO_NOT_USE, False, DQ.DEAD | DQ.DO_NOT_USE),
        (DQ.TELEGRAPH, True, DQ.HOT | DQ.DO_NOT_USE),
        (DQ.TELEGRAPH, False, DQ.TELEGRAPH),
        (DQ.DO_NOT_USE, False, DQ.DO_NOT_USE),
    ],
)
def test_mask(before, hot, after):
    mask = np.array([[before]], np.uint32)
    assert update_mask(mask, np.array([[hot]]))[0, 0] == after
    changes = hot_changes(mask, np.array([[hot]]))
    assert changes.new[0, 0] == (hot and not before & DQ.HOT)
    assert changes.vanished[0, 0] == (bool(before & DQ.HOT) and not hot)
