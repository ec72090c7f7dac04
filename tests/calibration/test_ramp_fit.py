"""The ramp fit against OLS_C of stcal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stcal.ramp_fitting import ramp_fit, ramp_fit_class
from stdatamodels.jwst.datamodels import dqflags

from nrsdark_xr.calibration.parameters import RampFitParameters
from nrsdark_xr.calibration.ramp_fit import fit_ramps
from nrsdark_xr.detector import DQ

JUMP, SATURATED, DO_NOT_USE = int(DQ.JUMP_DET), int(DQ.SATURATED), int(DQ.DO_NOT_USE)
TIMES = {"frame_time": 10.73677, "group_time": 14.58889}
GROUP_GAP = 0


def stcal_rates(ramp, groupdq, pixeldq, gain, readnoise, *, n_frames=1, suppress=True):
    """Products of stcal: of the exposure and of its integrations."""
    data = ramp_fit_class.RampData()
    data.set_arrays(
        ramp.copy(), groupdq.copy(), pixeldq.copy(), np.zeros(pixeldq.shape, np.float32)
    )
    data.set_meta(
        name="NIRSPEC",
        frame_time=TIMES["frame_time"],
        group_time=TIMES["group_time"],
        groupgap=GROUP_GAP,
        nframes=n_frames,
        drop_frames1=0,
    )
    data.algorithm = "OLS_C"
    data.set_dqflags(dqflags.pixel)
    data.start_row, data.num_rows = 0, ramp.shape[2]
    data.suppress_one_group_ramps = suppress and ramp.shape[1] > 1
    exposure, integrations, _ = ramp_fit.ramp_fit_data(
        data, False, readnoise.copy(), gain.copy(), "OLS_C", "optimal", "1"
    )
    return exposure, integrations


def assert_equal(result, expected):
    """Equal flags; values to the rounding of float32, or of float64 where they are all rounding.

    stcal divides the ramp by the group time before it takes differences: a median that is exactly
    zero leaves it with 1e-16.
    """
    np.testing.assert_array_equal(result.dq, expected["dq"])
    for ours, name, rounding in (
        (result.rate, "slope", 2e-9),
        (result.rate_err, "err", 1e-7),
        (result.var_poisson, "var_poisson", 1e-14),
        (result.var_rnoise, "var_rnoise", 0.0),
    ):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, expected[name], rtol=2e-6, atol=rounding, err_msg=name)


def random_exposure(seed, *, n_integrations=1, n_groups=12, quantized=False, shape=(6, 70)):
    """Ramps from dark to bright with jumps, flags of all kinds, and odd reference values."""
    rng = np.random.default_rng(seed)
    full = (n_integrations, n_groups, *shape)
    rate = rng.choice([0.0, 0.1, 3.0, 30.0, 400.0, -5.0], shape)
    ramp = np.cumsum(rng.poisson(np.abs(rate), full) * np.sign(rate), axis=1)
    ramp = ramp + rng.normal(0, 6, full)
    groupdq = np.zeros(full, np.uint8)
    jump = rng.random(full) < rng.choice([0.0, 0.02, 0.3], shape)
    ramp += np.cumsum(np.where(jump, rng.normal(0, 300, full), 0), axis=1)
    groupdq[jump] |= JUMP
    saturated_from = rng.integers(0, 3 * n_groups, (n_integrations, 1, *shape))
    groupdq[np.arange(n_groups)[:, None, None] >= saturated_from] |= SATURATED
    odd = rng.random(full) < rng.choice([0.0, 0.05], shape)
    groupdq[odd] |= rng.integers(0, 128, odd.sum()).astype(np.uint8)  # all but CHARGELOSS
    groupdq[(rng.random(full) < rng.choice([0.0, 0.0, 0.5, 0.9], shape))] |= DO_NOT_USE
    ramp = np.round(ramp) if quantized else ramp
    ramp[rng.random(full) < rng.choice([0.0, 0.02], shape)] = np.nan
    pixeldq = np.where(rng.random(shape) < 0.1, rng.integers(0, 2**31, shape), 0)
    gain = np.where(
        rng.random(shape) < 0.03, rng.choice([0, -1, np.nan]), rng.normal(1, 0.05, shape)
    )
    readnoise = np.where(
        rng.random(shape) < 0.03, rng.choice([0.0, np.nan]), rng.normal(9, 1, shape)
    )
    return (
        ramp.astype(np.float32),
        groupdq,
        pixeldq.astype(np.uint32),
        gain.astype(np.float32),
        readnoise.astype(np.float32),
    )


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_groups=st.integers(1, 30),
    n_frames=st.sampled_from([1, 4]),
    quantized=st.booleans(),
    suppress=st.booleans(),
)
def test_one_integration_equals_stcal(seed, n_groups, n_frames, quantized, suppress):
    arrays = random_exposure(seed, n_groups=n_groups, quantized=quantized)
    expected, _ = stcal_rates(*arrays, n_frames=n_frames, suppress=suppress)
    ramp, groupdq, pixeldq, gain, readnoise = arrays
    result = fit_ramps(
        ramp[0],
        groupdq[0],
        pixeldq,
        gain=gain,
        readnoise=readnoise,
        n_frames=n_frames,
        parameters=RampFitParameters(suppress_one_group=suppress),
        **TIMES,
    )
    assert_equal(result, expected)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_groups=st.integers(1, 12),
    n_integrations=st.integers(1, 3),
    suppress=st.booleans(),
)
def test_integrations_equal_stcal(seed, n_groups, n_integrations, suppress):
    arrays = random_exposure(seed, n_groups=n_groups, n_integrations=n_integrations)
    _, expected = stcal_rates(*arrays, suppress=suppress)
    ramp, groupdq, pixeldq, gain, readnoise = arrays
    result = fit_ramps(
        ramp,
        groupdq,
        pixeldq,
        gain=gain,
        readnoise=readnoise,
        n_frames=1,
        parameters=RampFitParameters(suppress_one_group=suppress),
        **TIMES,
    )
    assert_equal(result, expected)


def test_dark_ramps_without_flags():
    """The path that nearly all pixels take, on a band of rows, against the whole."""
    rng = np.random.default_rng(4)
    ramp = np.cumsum(rng.normal(0.1, 0.3, (1, 88, 10, 150)), axis=1) + rng.normal(
        0, 6, (1, 88, 10, 150)
    )
    ramp = ramp.astype(np.float32)
    groupdq = np.zeros(ramp.shape, np.uint8)
    pixeldq = np.zeros(ramp.shape[2:], np.uint32)
    gain = rng.normal(1, 0.05, pixeldq.shape).astype(np.float32)
    readnoise = rng.normal(9, 1, pixeldq.shape).astype(np.float32)
    expected, _ = stcal_rates(ramp, groupdq, pixeldq, gain, readnoise)
    for rows in (slice(0, 10), slice(3, 5)):
        result = fit_ramps(
            ramp[0, :, rows],
            groupdq[0, :, rows],
            pixeldq[rows],
            gain=gain[rows],
            readnoise=readnoise[rows],
            n_frames=1,
            parameters=RampFitParameters(),
            **TIMES,
        )
        assert_equal(result, {name: values[rows] for name, values in expected.items()})


@pytest.mark.slow
def test_equals_stcal_on_a_full_band():
    ramp, groupdq, pixeldq, gain, readnoise = random_exposure(2, n_groups=88, shape=(128, 2048))
    expected, _ = stcal_rates(ramp, groupdq, pixeldq, gain, readnoise)
    result = fit_ramps(
        ramp[0],
        groupdq[0],
        pixeldq,
        gain=gain,
        readnoise=readnoise,
        n_frames=1,
        parameters=RampFitParameters(),
        **TIMES,
    )
    assert_equal(result, expected)


def test_saturated_throughout():
    """stcal gives no product at all; a band of a larger frame must have one."""
    ramp, groupdq, pixeldq, gain, readnoise = random_exposure(1)
    groupdq |= SATURATED
    assert stcal_rates(ramp, groupdq, pixeldq, gain, readnoise) == (None, None)
    result = fit_ramps(
        ramp[0],
        groupdq[0],
        pixeldq,
        gain=gain,
        readnoise=readnoise,
        n_frames=1,
        parameters=RampFitParameters(),
        **TIMES,
    )
    assert np.isnan(result.rate).all()
    assert (result.dq & (SATURATED | DO_NOT_USE) == SATURATED | DO_NOT_USE).all()
    assert not result.rate_err.any()


@pytest.mark.parametrize("shape", [(5, 3), (4, 129)])
def test_inputs_are_left_alone(shape):
    arrays = random_exposure(9, shape=shape)
    copies = [array.copy() for array in arrays]
    ramp, groupdq, pixeldq, gain, readnoise = arrays
    fit_ramps(
        ramp,
        groupdq,
        pixeldq,
        gain=gain,
        readnoise=readnoise,
        n_frames=1,
        parameters=RampFitParameters(),
        **TIMES,
    )
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
