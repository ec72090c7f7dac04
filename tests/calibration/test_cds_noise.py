"""The CDS noise of a dark against noise that was put in, and against a plain reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.calibration.cds_noise import cds_noise
from nrsdark_xr.calibration.parameters import ReadnoiseParameters
from nrsdark_xr.detector import DQ

JUMP, SATURATED, DO_NOT_USE = int(DQ.JUMP_DET), int(DQ.SATURATED), int(DQ.DO_NOT_USE)


def measure(ramp, groupdq=None, *, gain=1.0, n_frames=1, group_gap=0, first_row=0, **parameters):
    flags = np.zeros(ramp.shape, np.uint8) if groupdq is None else groupdq
    return cds_noise(
        ramp,
        flags,
        gain=np.full((ramp.shape[1] - first_row, ramp.shape[2]), gain, np.float32),
        n_frames=n_frames,
        group_gap=group_gap,
        parameters=ReadnoiseParameters(**parameters),
        first_row=first_row,
    )


def one_pixel(ramp, flags, gain, parameters):
    """The rule, sample by sample, in double precision."""
    kept = {}
    for g in range(1, len(ramp)):
        bad = (flags[g] | flags[g - 1]) & (SATURATED | DO_NOT_USE) or flags[g] & JUMP
        difference = ramp[g] - ramp[g - 1]
        if not bad and np.isfinite(difference):
            kept[g] = float(difference)
    for look in range(parameters.maxiters + 1):
        values = np.array(list(kept.values()))
        if values.size < parameters.min_differences:
            return np.nan
        runs = sum(g - 1 not in kept for g in kept)
        variance = np.sum((values - values.mean()) ** 2) / (values.size - runs / values.size)
        if look < parameters.maxiters:
            limit = parameters.rejection_threshold * np.sqrt(variance)
            within = {g: v for g, v in kept.items() if abs(v - values.mean()) <= limit}
            if len(within) == len(kept):
                break
            kept = within
    variance -= max(values.mean(), 0) / gain
    return np.sqrt(variance) if variance > 0 else np.nan


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_groups=st.integers(2, 40),
    width=st.sampled_from([1, 5, 300]),
    rate=st.sampled_from([0.0, 3.0, 40.0]),
    maxiters=st.integers(0, 1),
)
def test_equals_the_plain_rule(seed, n_groups, width, rate, maxiters):
    rng = np.random.default_rng(seed)
    shape = (n_groups, 2, width)
    ramp = np.cumsum(rng.poisson(rate, shape), axis=0) + rng.normal(0, 10, shape)
    ramp += np.cumsum(np.where(rng.random(shape) < 0.02, 500, 0), axis=0)
    ramp = np.where(rng.random(shape) < 0.01, np.nan, ramp).astype(np.float32)
    chances = [0.9, 0.04, 0.03, 0.03]
    flags = rng.choice([0, JUMP, SATURATED, DO_NOT_USE], size=shape, p=chances).astype(np.uint8)
    parameters = ReadnoiseParameters(maxiters=maxiters)
    found = measure(ramp, flags, gain=1.1, maxiters=maxiters)
    for y, x in [(0, 0), (1, width - 1), (1, width // 2)]:
        gain = float(np.float32(1.1))
        expected = one_pixel(ramp[:, y, x].astype(np.float32), flags[:, y, x], gain, parameters)
        np.testing.assert_allclose(found[y, x], expected, rtol=2e-3)


@pytest.mark.parametrize("n_groups", [3, 6, 20, 88])
def test_independent_reads_give_the_noise_that_was_put_in(n_groups):
    rng = np.random.default_rng(5)
    ramp = rng.normal(0, 10, (n_groups, 200, 256)).astype(np.float32)
    ramp += 0.1 * np.arange(n_groups, dtype=np.float32)[:, None, None]
    noise = measure(ramp, gain=1e9)  # whatever the signal, no Poisson noise
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(10 * np.sqrt(2), rel=0.005)


def test_cosmic_rays_do_not_count_whether_flagged_or_missed():
    rng = np.random.default_rng(6)
    clean = rng.normal(0, 10, (60, 60, 64)).astype(np.float32)
    hits = rng.random(clean.shape) < 0.01
    flagged = hits & (rng.random(clean.shape) < 0.7)
    ramp = clean + np.cumsum(np.where(hits, 400, 0), axis=0).astype(np.float32)
    flags = np.where(flagged, JUMP, 0).astype(np.uint8)
    assert np.mean(measure(ramp, flags)) == pytest.approx(np.mean(measure(clean)), rel=0.01)
    assert np.mean(measure(ramp, maxiters=0)) > 1.5 * np.mean(measure(clean))


def test_the_dark_signal_and_its_poisson_noise_are_subtracted():
    rng = np.random.default_rng(7)
    gain, rate = 1.4, 30.0
    electrons = np.cumsum(rng.poisson(rate * gain, (60, 80, 128)), axis=0)
    ramp = (electrons / gain + rng.normal(0, 8, electrons.shape)).astype(np.float32)
    assert np.sqrt(np.mean(measure(ramp, gain=gain) ** 2)) == pytest.approx(
        8 * np.sqrt(2), rel=0.01
    )


@pytest.mark.parametrize(("n_frames", "group_gap"), [(5, 0), (4, 2)])
def test_averaged_groups_give_the_noise_of_single_frames(n_frames, group_gap):
    rng = np.random.default_rng(8)
    cycle, n_groups = n_frames + group_gap, 40
    frames = np.cumsum(rng.poisson(20.0, (n_groups * cycle, 60, 100)), axis=0)
    frames = frames + rng.normal(0, 12, frames.shape)
    groups = frames.reshape(n_groups, cycle, *frames.shape[1:])[:, :n_frames].mean(axis=1)
    noise = measure(groups.astype(np.float32), n_frames=n_frames, group_gap=group_gap)
    assert np.sqrt(np.nanmean(noise**2)) == pytest.approx(12 * np.sqrt(2), rel=0.015)


def test_rows_do_not_depend_on_how_a_frame_is_cut():
    rng = np.random.default_rng(9)
    ramp = rng.normal(0, 10, (12, 9, 300)).astype(np.float32)
    flags = np.where(rng.random(ramp.shape) < 0.05, JUMP, 0).astype(np.uint8)
    whole = measure(ramp, flags)
    band = measure(ramp[:, 3:7], flags[:, 3:7], first_row=1)
    np.testing.assert_array_equal(band, whole[4:7])
    part = measure(ramp[:, :, 100:160], flags[:, :, 100:160])
    np.testing.assert_array_equal(part, whole[:, 100:160])


def test_a_pixel_does_not_depend_on_those_beside_it():
    """One that jumps is clipped more often than one that does not."""
    rng = np.random.default_rng(11)
    ramp = rng.normal(0, 10, (30, 1, 300)).astype(np.float32)
    ramp[15:, 0, ::7] += 90
    whole = measure(ramp, maxiters=5)
    for x in (0, 1, 150, 299):
        np.testing.assert_array_equal(
            measure(ramp[:, :, x : x + 1], maxiters=5), whole[:, x : x + 1]
        )


def test_what_cannot_be_told_is_nan():
    ramp = np.random.default_rng(10).normal(0, 10, (8, 1, 4)).astype(np.float32)
    flags = np.zeros(ramp.shape, np.uint8)
    flags[:, 0, 0] = DO_NOT_USE
    flags[2:, 0, 1] = SATURATED  # one difference left
    ramp[:, 0, 2] = 100 * np.arange(8)  # less scatter than Poisson noise
    np.testing.assert_array_equal(np.isnan(measure(ramp, flags)), [[True, True, True, False]])
    assert np.isnan(measure(ramp[:1])).all()
