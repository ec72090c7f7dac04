import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.store import BAND_ROWS, ramp_chunks
from nrsdark_xr.store.layout import group_chunk, n_chunks, stored_chunks
from nrsdark_xr.store.schema import VARIABLES, Configuration

from .helpers import make_exposure


@pytest.mark.parametrize(
    ("n_groups", "expected"), [(88, 22), (200, 25), (24, 24), (3, 3), (65, 22)]
)
def test_group_chunks_of_common_ramps(n_groups, expected):
    assert group_chunk(n_groups) == expected


@given(st.integers(1, 2000))
@settings(deadline=None, max_examples=300)
def test_last_group_chunk_is_never_tiny(n_groups):
    size = group_chunk(n_groups)
    last = n_groups - size * (math.ceil(n_groups / size) - 1)
    assert 1 <= size <= 32
    assert size >= min(n_groups, 18)
    assert last >= size / 2


def test_full_frame_chunks():
    exposure = make_exposure(
        n_groups=88, xsize=2048, ysize=2048, raw_shape=(1, 88, 2048, 2048), subarray="FULL"
    )
    assert ramp_chunks(exposure) == (22, BAND_ROWS, 256)
    configuration = Configuration.of(exposure)
    chunks = {name: stored_chunks(v, configuration) for name, v in VARIABLES.items()}
    assert chunks["ramp"] == chunks["groupdq"] == (1, 22, 128, 256)
    assert chunks["rate"] == chunks["pixeldq"] == (1, 128, 512)
    assert chunks["bias_groups"] == (1, 2, 128, 512)
    assert n_chunks((88, 2048, 2048), (22, 128, 256)) == 512


def test_small_exposure_is_one_chunk():
    exposure = make_exposure(n_groups=40, xsize=1024, ysize=32)
    assert ramp_chunks(exposure) == (40, 32, 1024)


@given(st.integers(1, 120), st.integers(1, 2048), st.integers(1, 2048))
@settings(deadline=None, max_examples=200)
def test_chunks_hold_whole_bands_and_tiles(n_groups, ysize, xsize):
    exposure = make_exposure(
        n_groups=n_groups, xsize=xsize, ysize=ysize, raw_shape=(1, n_groups, ysize, xsize)
    )
    groups, rows, columns = ramp_chunks(exposure)
    configuration = Configuration.of(exposure)
    assert rows == min(BAND_ROWS, ysize)
    if n_groups * ysize * xsize * 4 < 8_000_000:
        assert (groups, columns) == (n_groups, xsize)
    for variable in VARIABLES.values():
        chunk = dict(zip(variable.dims, stored_chunks(variable, configuration), strict=True))
        assert chunk["file"] == 1
        if "x" in chunk:
            assert chunk["x"] % columns == 0 or chunk["x"] == xsize


@pytest.mark.parametrize(("n_groups", "columns"), [(4, 1024), (12, 512), (13, 256), (200, 256)])
def test_chunks_of_few_groups_are_wider(n_groups, columns):
    exposure = make_exposure(
        n_groups=n_groups, xsize=2048, ysize=2048, raw_shape=(1, n_groups, 2048, 2048)
    )
    assert ramp_chunks(exposure) == (group_chunk(n_groups), BAND_ROWS, columns)
    rate = stored_chunks(VARIABLES["rate"], Configuration.of(exposure))
    assert rate == (1, BAND_ROWS, max(columns, 512))
