"""Rounding on the way into the store."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from nrsdark_xr.calibration.rounding import round_to
from nrsdark_xr.store import RampParameters
from nrsdark_xr.store.codecs import compressor
from tests.store.helpers import make_exposure, make_store

QUANTA = st.integers(-10, 0).map(lambda power: 2.0**power)
SAMPLES = arrays(np.float32, st.integers(1, 50), elements=st.floats(-2e5, 2e5, width=32))


@given(SAMPLES, QUANTA)
@settings(deadline=None, max_examples=100)
def test_nearest_multiple_exactly_and_only_once(values, quantum):
    rounded = round_to(values, quantum)
    assert rounded.dtype == np.float32
    exact = values.astype(np.float64)
    assert (np.abs(rounded - exact) <= quantum / 2).all()
    np.testing.assert_array_equal(rounded, np.rint(exact / quantum) * quantum)
    assert rounded.tobytes() == round_to(rounded, quantum).tobytes()
    in_place = values.copy()
    assert round_to(in_place, quantum, overwrite=True) is in_place
    assert rounded.tobytes() == in_place.tobytes()


def test_what_is_no_number_stays_and_input_is_left_alone():
    values = np.array([np.nan, np.inf, -np.inf, -0.001, 3e8, -3.3], np.float32)
    before = values.copy()
    rounded = round_to(values, 1 / 64)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(rounded[:5], [np.nan, np.inf, -np.inf, 0, 3e8])
    assert not np.signbit(rounded[3])


@pytest.mark.parametrize("quantum", [0.01, 0.0, -0.5, 3 / 64, 2.0, float("nan"), float("inf")])
def test_other_than_powers_of_two_are_refused(quantum):
    with pytest.raises(ValidationError):
        RampParameters(quantum=quantum)


def test_rounded_is_smaller(tmp_path):
    ramp = np.random.default_rng(0).normal(0, 6, (20, 128, 300)).astype(np.float32)
    exposure = make_exposure(n_groups=20, ysize=128, xsize=300, raw_shape=(1, 20, 128, 300))
    sizes = []
    for name, values in (("plain", ramp), ("rounded", round_to(ramp, 1 / 64))):
        store, _ = make_store(tmp_path / f"{name}.zarr", [exposure])
        store.ramp_buffer("jw_a").write(slice(0, 128), values)
        chunks = (tmp_path / f"{name}.zarr/ramp/c").rglob("*")
        sizes.append(sum(path.stat().st_size for path in chunks if path.is_file()))
    assert sizes[1] < 0.75 * sizes[0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "uint16", "uint32", "bool", str])
def test_every_type_comes_back_as_it_was(tmp_path, dtype):
    values = np.arange(5000).astype(dtype)
    array = zarr.create_array(
        tmp_path / "a.zarr",
        shape=values.shape,
        chunks=(1000,),
        dtype=dtype,
        compressors=[compressor(np.str_ if dtype is str else dtype)],
    )
    array[:] = values
    np.testing.assert_array_equal(array[:].astype(values.dtype), values)
