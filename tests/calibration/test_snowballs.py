"""Snowball flags against stcal's, bit for bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label, regionprops
from stcal.jump.jump import flag_large_events
from stcal.jump.jump_class import JumpData
from stdatamodels.jwst.datamodels import dqflags

from nrsdark_xr.calibration._regions import find_regions
from nrsdark_xr.calibration.parameters import SnowballParameters
from nrsdark_xr.calibration.snowballs import flag_snowballs
from nrsdark_xr.detector import DQ

JUMP, SATURATED, DO_NOT_USE = int(DQ.JUMP_DET), int(DQ.SATURATED), int(DQ.DO_NOT_USE)
GROUP_TIME = 14.6


def stcal_snowballs(groupdq, parameters):
    """Flags of stcal on (integration, group, y, x), with the settings of ``JumpStep``."""
    data = JumpData(None, None, None, dqflags.pixel)
    data.set_snowball_info(
        parameters.expand_large_events,
        parameters.min_jump_area,
        parameters.min_sat_area,
        parameters.expand_factor,
        parameters.sat_required_snowball,
        parameters.min_sat_radius_extend,
        parameters.sat_expand * 2,
        parameters.edge_size,
    )
    data.max_extended_width = parameters.max_extended_radius * 2
    data.mask_persist_grps_next_int = parameters.mask_snowball_core_next_int
    data.persist_grps_flagged = int(parameters.snowball_time_masked_next_int // GROUP_TIME)
    with np.errstate(all="ignore"):
        return flag_large_events(groupdq.copy(), JUMP, SATURATED, data)


def our_snowballs(groupdq, parameters):
    cores, flags, count = None, [], 0
    for integration in groupdq:
        result = flag_snowballs(
            integration, parameters=parameters, group_time=GROUP_TIME, previous_cores=cores
        )
        cores = result.cores
        flags.append(result.groupdq)
        np.testing.assert_array_equal(result.changed, (result.groupdq != integration).any(axis=0))
        count += result.n_snowballs
    return np.stack(flags), count


def random_events(seed, *, shape, n_groups=6, n_integrations=1, n_events=40):
    """Blobs of jumps with saturated cores, tracks, single pixels and odd flags."""
    rng = np.random.default_rng(seed)
    groupdq = np.zeros((n_integrations, n_groups, *shape), np.uint8)
    y, x = np.indices(shape)
    for flags in groupdq:
        for _ in range(n_events):
            g = rng.integers(1, n_groups)
            cy, cx = rng.uniform(-3, shape[0] + 3), rng.uniform(-3, shape[1] + 3)
            radius = 10 ** rng.uniform(-0.3, 1.2)
            stretch, angle = rng.uniform(1, 3), rng.uniform(0, np.pi)
            u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
            v = ((y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)) * stretch
            distance = np.hypot(u, v) + rng.normal(0, rng.choice([0, 0.5]), shape)
            flags[g, distance < radius] |= JUMP
            kind = rng.random()
            if kind < 0.6:
                offset = rng.integers(-4, 5, 2)
                core = np.roll(distance, offset, (0, 1)) < radius * rng.uniform(0.1, 0.7)
                flags[min(g + (kind < 0.2), n_groups - 1) :, core] |= SATURATED
        flags[rng.random(flags.shape) < 0.002] |= JUMP
        flags[rng.random(flags.shape) < 0.0003] |= SATURATED
        flags[:, rng.random(shape) < 0.005] |= DO_NOT_USE
        flags[flags & (SATURATED | DO_NOT_USE) != 0] &= 0xFF ^ JUMP
    return groupdq


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(64, 200), (200, 64), (120, 120), (32, 90), (101, 77)]),
    n_integrations=st.sampled_from([1, 2, 3]),
    n_events=st.sampled_from([3, 20, 60]),
    options=st.sampled_from(
        [
            {},
            {"min_jump_area": 15.0, "min_sat_area": 15.0, "expand_factor": 3.0},
            {"sat_required_snowball": False, "max_extended_radius": 6},
            {"edge_size": 5, "sat_expand": 4, "min_sat_radius_extend": 0.5},
            {"snowball_time_masked_next_int": 30, "expand_factor": 1.3},
            {"mask_snowball_core_next_int": False, "edge_size": 0},
        ]
    ),
)
def test_equals_stcal(seed, shape, n_integrations, n_events, options):
    parameters = SnowballParameters(**options)
    groupdq = random_events(seed, shape=shape, n_integrations=n_integrations, n_events=n_events)
    expected, expected_count = stcal_snowballs(groupdq, parameters)
    flags, count = our_snowballs(groupdq, parameters)
    np.testing.assert_array_equal(flags, expected)
    assert count == expected_count


@pytest.mark.parametrize("shape", [(64, 512), (300, 300)])
def test_equals_stcal_on_larger_frames(shape):
    parameters = SnowballParameters()
    groupdq = random_events(7, shape=shape, n_groups=8, n_integrations=2, n_events=60)
    expected, _ = stcal_snowballs(groupdq, parameters)
    flags, _ = our_snowballs(groupdq, parameters)
    assert (expected != groupdq).sum() > 1000
    np.testing.assert_array_equal(flags, expected)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2048, 2048), (64, 2048)])
def test_equals_stcal_on_full_frames(shape):
    parameters = SnowballParameters()
    groupdq = random_events(12, shape=shape, n_groups=6, n_integrations=1, n_events=30)
    expected, _ = stcal_snowballs(groupdq, parameters)
    flags, _ = our_snowballs(groupdq, parameters)
    np.testing.assert_array_equal(flags, expected)


def test_input_is_left_alone_unless_told():
    groupdq = random_events(3, shape=(90, 90))[0]
    before = groupdq.copy()
    arguments = {"parameters": SnowballParameters(), "group_time": GROUP_TIME}
    flags = flag_snowballs(groupdq, **arguments).groupdq
    np.testing.assert_array_equal(groupdq, before)
    in_place = flag_snowballs(groupdq, overwrite=True, **arguments).groupdq
    assert in_place is groupdq
    np.testing.assert_array_equal(in_place, flags)


def test_switched_off():
    groupdq = random_events(3, shape=(60, 60))[0]
    result = flag_snowballs(
        groupdq, parameters=SnowballParameters(expand_large_events=False), group_time=GROUP_TIME
    )
    np.testing.assert_array_equal(result.groupdq, groupdq)
    assert not result.cores.any()
    assert not result.changed.any()


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.sampled_from([0.01, 0.2, 0.4, 0.6]),
    shape=st.sampled_from([(1, 9), (40, 64), (33, 130)]),
)
def test_regions_are_those_of_skimage(seed, density, shape):
    rng = np.random.default_rng(seed)
    plane = np.where(rng.random(shape) < density, JUMP, 0) | rng.integers(0, 2, shape)
    without = np.where(rng.random(shape) < 0.3, JUMP, 0).astype(np.uint8)
    plane = plane.astype(np.uint8)
    wanted = (plane & ~without & JUMP) != 0
    expected = [
        region
        for region in regionprops(label(wanted))
        if ndimage.binary_fill_holes(region.image, np.ones((3, 3))).sum() >= 3
    ]
    regions = find_regions(plane, JUMP, 3, without=without)
    assert len(regions) == len(expected)
    for region, other in zip(regions, expected, strict=True):
        assert (region.y, region.x) == tuple(other.centroid)
        np.testing.assert_array_equal(
            np.sort(region.rows * shape[1] + region.columns),
            np.sort(other.coords[:, 0] * shape[1] + other.coords[:, 1]),
        )
        assert region.ellipse.major == other.axis_major_length - 1
        assert region.ellipse.minor == other.axis_minor_length - 1
        assert region.ellipse.angle == np.degrees(other.orientation)


def test_what_was_loaded_ahead_is_all_that_snowballs_need() -> None:
    """In a process of its own, where nothing else has loaded it."""
    program = """
import sys
import numpy as np
from nrsdark_xr.calibration._regions import load_measures
from nrsdark_xr.calibration.parameters import SnowballParameters
from nrsdark_xr.calibration.snowballs import flag_snowballs

load_measures()
flags = np.zeros((4, 64, 64), np.uint8)
flags[1, 20:40, 20:40] = 4
flags[1:, 25:35, 25:35] = 2
loaded = set(sys.modules)
found = flag_snowballs(flags, parameters=SnowballParameters(), group_time=10.7)
print(found.n_snowballs, int(found.cores.any()), len(set(sys.modules) - loaded))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["1", "1", "0"], done.stderr
