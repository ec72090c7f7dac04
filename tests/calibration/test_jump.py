"""The jump kernel against stcal's, bit for bit."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stcal.jump.jump import detect_jumps_data
from stcal.jump.jump_class import JumpData
from stdatamodels.jwst.datamodels import dqflags

from nrsdark_xr.calibration.jump import find_jumps, flag_bad_gain, good_groups
from nrsdark_xr.calibration.parameters import JumpParameters
from nrsdark_xr.detector import DQ

JUMP, SATURATED, DO_NOT_USE = int(DQ.JUMP_DET), int(DQ.SATURATED), int(DQ.DO_NOT_USE)


def stcal_jumps(ramp, groupdq, gain, readnoise, n_frames, parameters):
    """GROUPDQ and PIXELDQ of stcal on (integration, group, y, x)."""
    data = JumpData(None, gain.copy(), readnoise.copy(), dqflags.pixel)
    data.init_arrays_from_arrays(ramp.copy(), groupdq.copy(), np.zeros(ramp.shape[2:], np.uint32))
    data.nframes = n_frames
    data.dt_group = np.ones(1)
    data.n_reads_groupdiff = np.ones(1) * 2 * n_frames
    data.set_detection_settings(
        parameters.rejection_threshold,
        parameters.three_group_rejection_threshold,
        parameters.four_group_rejection_threshold,
        parameters.max_jump_to_flag_neighbors,
        parameters.min_jump_to_flag_neighbors,
        parameters.flag_4_neighbors,
    )
    data.min_diffs_single_pass = parameters.min_diffs_single_pass
    data.max_cores = "1"
    with np.errstate(all="ignore"):
        flags, pixeldq, _, _ = detect_jumps_data(data)
    return flags, pixeldq


def random_exposure(seed, *, n_integrations=1, n_groups=12, quantized=False, shape=(7, 70)):
    """Ramps with jumps of all sizes, flags of all kinds, and odd reference values."""
    rng = np.random.default_rng(seed)
    full = (n_integrations, n_groups, *shape)
    noise = rng.choice([0.1, 5.0, 40.0], size=shape)
    ramp = (
        np.cumsum(rng.normal(rng.choice([0, 30.0]), 1, full), axis=1)
        + rng.normal(0, 1, full) * noise
    )
    strength = 10 ** rng.uniform(0, 4.5, full) * rng.choice([-1, 1], full)
    ramp += np.cumsum(np.where(rng.random(full) < 0.03, strength, 0), axis=1)
    ramp = np.round(ramp) if quantized else ramp
    ramp = np.where(rng.random(full) < 0.005, np.nan, ramp)
    groupdq = np.zeros(full, np.uint8)
    saturated_from = rng.integers(0, 3 * n_groups, (n_integrations, 1, *shape))
    groupdq |= np.where(np.arange(n_groups)[:, None, None] >= saturated_from, SATURATED, 0).astype(
        np.uint8
    )
    groupdq |= np.where(rng.random(full) < 0.05, rng.integers(0, 256, full), 0).astype(np.uint8)
    groupdq |= np.where(rng.random(shape) < 0.03, DO_NOT_USE, 0).astype(np.uint8)
    gain = rng.normal(1.0, 0.05, shape)
    gain = np.where(rng.random(shape) < 0.02, rng.choice([0.0, -1.0, np.nan]), gain)
    readnoise = np.where(
        rng.random(shape) < 0.03, rng.choice([0.0, np.nan]), rng.normal(10, 1, shape)
    )
    return ramp.astype(np.float32), groupdq, gain.astype(np.float32), readnoise.astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_groups=st.integers(3, 30),
    n_integrations=st.sampled_from([1, 1, 2, 3]),
    n_frames=st.sampled_from([1, 4]),
    quantized=st.booleans(),
    neighbours=st.sampled_from([(10.0, 1000.0), (30.0, 1000.0), (2.0, 50.0), None]),
    single_pass=st.sampled_from([1, 10, 100]),
)
def test_equals_stcal(seed, n_groups, n_integrations, n_frames, quantized, neighbours, single_pass):
    ramp, groupdq, gain, readnoise = random_exposure(
        seed, n_integrations=n_integrations, n_groups=n_groups, quantized=quantized
    )
    lowest, highest = neighbours or (10.0, 1000.0)
    parameters = JumpParameters(
        flag_4_neighbors=neighbours is not None,
        min_jump_to_flag_neighbors=lowest,
        max_jump_to_flag_neighbors=highest,
        min_diffs_single_pass=single_pass,
    )
    expected, pixeldq = stcal_jumps(ramp, groupdq, gain, readnoise, n_frames, parameters)
    result = find_jumps(
        ramp, groupdq, gain=gain, readnoise=readnoise, n_frames=n_frames, parameters=parameters
    )
    np.testing.assert_array_equal(result.groupdq, expected)
    np.testing.assert_array_equal(flag_bad_gain(np.zeros(gain.shape, np.uint32), gain), pixeldq)


@pytest.mark.parametrize("single_pass", [7, 8])
def test_whole_groups_out_of_use(single_pass):
    ramp, groupdq, gain, readnoise = random_exposure(3, n_groups=12)
    groupdq[:, :4] |= DO_NOT_USE
    parameters = JumpParameters(min_diffs_single_pass=single_pass)
    expected, _ = stcal_jumps(ramp, groupdq, gain, readnoise, 1, parameters)
    arguments = {"gain": gain, "readnoise": readnoise, "n_frames": 1, "parameters": parameters}
    result = find_jumps(ramp, groupdq, usable_groups=8, **arguments)
    np.testing.assert_array_equal(result.groupdq, expected)
    groupdq[:, :10] |= DO_NOT_USE
    expected, _ = stcal_jumps(ramp, groupdq, gain, readnoise, 1, parameters)
    result = find_jumps(ramp, groupdq, usable_groups=2, **arguments)
    np.testing.assert_array_equal(result.groupdq, expected)
    assert not result.negative_jumps.any()


@pytest.mark.parametrize("n_groups", [6, 20])
def test_bands_give_the_whole_frame(n_groups):
    """Also where one band has groups without a usable pixel and another has not."""
    ramp, groupdq, gain, readnoise = random_exposure(5, n_groups=n_groups, shape=(24, 40))
    groupdq[:, 2:5, :9] |= DO_NOT_USE
    ramp[:, n_groups // 2 :, 7::8] += 500.0
    parameters = JumpParameters()
    expected, _ = stcal_jumps(ramp, groupdq, gain, readnoise, 1, parameters)
    for top in range(0, 24, 8):
        halo = slice(max(top - 1, 0), min(top + 9, 24))
        result = find_jumps(
            ramp[0, :, halo],
            groupdq[0, :, halo],
            gain=gain[halo],
            readnoise=readnoise[halo],
            n_frames=1,
            parameters=parameters,
        )
        inner = slice(top - halo.start, top - halo.start + 8)
        np.testing.assert_array_equal(result.groupdq[:, inner], expected[0, :, top : top + 8])


@pytest.mark.parametrize("n_groups", [8, 25])
def test_in_place_is_the_same_where_no_jump_is_known(n_groups):
    ramp, groupdq, gain, readnoise = random_exposure(12, n_groups=n_groups)
    groupdq &= ~np.uint8(JUMP)
    arguments = {
        "gain": gain, "readnoise": readnoise, "n_frames": 1, "parameters": JumpParameters()
    }  # fmt: skip
    expected = find_jumps(ramp, groupdq, **arguments)
    in_place = find_jumps(ramp, groupdq, overwrite=True, **arguments)
    assert np.shares_memory(in_place.groupdq, groupdq)
    assert (groupdq & JUMP).any()
    np.testing.assert_array_equal(groupdq, expected.groupdq)
    np.testing.assert_array_equal(in_place.negative_jumps, expected.negative_jumps)


@pytest.mark.parametrize("n_groups", [8, 25])
def test_negative_jumps_count_the_test_itself(n_groups):
    parameters = JumpParameters(flag_4_neighbors=False)
    ramp, groupdq, gain, readnoise = random_exposure(11, n_groups=n_groups)
    groupdq &= ~np.uint8(JUMP)
    arguments = {"gain": gain, "readnoise": readnoise, "n_frames": 1}
    alone = find_jumps(ramp[0], groupdq[0], parameters=parameters, **arguments)
    electrons = ramp[0] * gain
    electrons[(groupdq[0] & (SATURATED | DO_NOT_USE)) != 0] = np.nan
    differences = np.diff(electrons, axis=0).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        below = differences < np.nanmedian(differences, axis=0)
    expected = ((alone.groupdq[1:] & JUMP != 0) & below).sum(axis=0)
    assert expected.sum() > 20
    np.testing.assert_array_equal(alone.negative_jumps, expected)
    with_neighbours = find_jumps(ramp[0], groupdq[0], parameters=JumpParameters(), **arguments)
    np.testing.assert_array_equal(with_neighbours.negative_jumps, expected)


@pytest.mark.parametrize("n_integrations", [1, 2])
def test_median_differences_are_those_of_what_is_usable(n_integrations):
    ramp, groupdq, gain, readnoise = random_exposure(13, n_integrations=n_integrations)
    found = find_jumps(
        ramp, groupdq, gain=gain, readnoise=readnoise, n_frames=1, parameters=JumpParameters()
    )
    electrons = np.where(groupdq & (SATURATED | DO_NOT_USE), np.nan, ramp * gain)
    differences = np.diff(electrons.astype(np.float32), axis=1).reshape(-1, *gain.shape)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanmedian(differences.astype(np.float64), axis=0) / gain
    np.testing.assert_allclose(found.median_difference, expected, rtol=1e-6)


def test_threads_do_not_meet():
    """The kernel runs without the GIL: bands side by side give what they give one by one."""
    ramp, groupdq, gain, readnoise = random_exposure(8, n_groups=30, shape=(64, 700))

    def band(rows):
        return find_jumps(
            ramp[0, :, rows],
            groupdq[0, :, rows],
            gain=gain[rows],
            readnoise=readnoise[rows],
            n_frames=1,
            parameters=JumpParameters(),
        )

    bands = [slice(start, start + 8) for start in range(0, 64, 8)]
    with ThreadPoolExecutor(4) as pool:
        side_by_side = list(pool.map(band, bands))
    for result, rows in zip(side_by_side, bands, strict=True):
        alone = band(rows)
        np.testing.assert_array_equal(result.groupdq, alone.groupdq)
        np.testing.assert_array_equal(result.negative_jumps, alone.negative_jumps)


@pytest.mark.slow
@pytest.mark.parametrize("n_groups", [9, 88])
def test_equals_stcal_on_a_full_band(n_groups):
    ramp, groupdq, gain, readnoise = random_exposure(20, n_groups=n_groups, shape=(128, 2048))
    parameters = JumpParameters()
    expected, _ = stcal_jumps(ramp, groupdq, gain, readnoise, 1, parameters)
    result = find_jumps(
        ramp, groupdq, gain=gain, readnoise=readnoise, n_frames=1, parameters=parameters
    )
    np.testing.assert_array_equal(result.groupdq, expected)


def test_inputs_are_left_alone():
    arrays = random_exposure(1)
    copies = [array.copy() for array in arrays]
    ramp, groupdq, gain, readnoise = arrays
    find_jumps(
        ramp, groupdq, gain=gain, readnoise=readnoise, n_frames=1, parameters=JumpParameters()
    )
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_good_groups_is_the_first_flag():
    rng = np.random.default_rng(2)
    groupdq = np.where(rng.random((9, 5, 40)) < 0.1, rng.integers(0, 256, (9, 5, 40)), 0)
    groupdq = groupdq.astype(np.uint8)
    groupdq[:, 0, 0] = 0
    flagged = groupdq & (JUMP | SATURATED | DO_NOT_USE) != 0
    expected = np.where(flagged.any(axis=0), flagged.argmax(axis=0), 9)
    result = good_groups(groupdq)
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(result, expected)
