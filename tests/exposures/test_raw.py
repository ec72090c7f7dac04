from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import RawReader, raw, read_exposure
from tests.exposures.conftest import write_uncal


def everything(exposure) -> tuple[slice, slice]:
    return slice(0, exposure.raw_shape[1]), slice(0, exposure.raw_shape[2])


def in_memory(path: Path, name: str) -> str:
    url = f"memory://{name}"
    fsspec.filesystem("memory").pipe_file(url, path.read_bytes())
    return url


def test_reads_what_astropy_reads(uncal):
    path, counts = uncal(shape=(2, 5, 16, 32), NINTS=2)
    exposure = read_exposure(str(path))
    with fits.open(path) as hdus:
        expected = np.array(hdus["SCI"].data)
    np.testing.assert_array_equal(expected, counts)
    with RawReader(exposure) as reader:
        for integration in range(2):
            got = reader.read(integration, *everything(exposure))
            np.testing.assert_array_equal(got, expected[integration])
            assert got.dtype == np.dtype("=u2")
            assert got.dtype.isnative
            assert got.flags.c_contiguous
            assert got.flags.owndata
            assert got.flags.writeable


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_band_of_any_groups_equals_astropy(tmp_path_factory, data):
    shape = data.draw(st.tuples(*(st.integers(1, high) for high in (3, 6, 9, 7))))
    folder = tmp_path_factory.mktemp("raw")
    path, counts = write_uncal(folder / "a_uncal.fits", shape=shape, seed=data.draw(st.integers(0)))
    integration = data.draw(st.integers(0, shape[0] - 1))
    groups, rows = (data.draw(st.slices(size).filter(_forward)) for size in shape[1:3])
    expected = counts[integration, groups, rows]
    for url in (str(path), in_memory(path, f"{folder.name}/a_uncal.fits")):
        with RawReader(read_exposure(url)) as reader:
            got = reader.read(integration, groups, rows)
            again = np.empty_like(expected)
            assert reader.read(integration, groups, rows, again) is again
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(again, expected)


def _forward(wanted: slice) -> bool:
    return wanted.step in (None, 1)


@pytest.mark.parametrize("request_bytes", [1, 7, 100, 10**9])
def test_remote_requests_of_any_size_give_the_same_pixels(uncal, monkeypatch, request_bytes):
    path, counts = uncal()
    monkeypatch.setattr(raw, "REQUEST_BYTES", request_bytes)
    reader = RawReader(read_exposure(in_memory(path, "sizes/a_uncal.fits")))
    np.testing.assert_array_equal(reader.read(0, slice(1, 3), slice(2, 4)), counts[0, 1:3, 2:4])
    np.testing.assert_array_equal(reader.read(0, slice(1, 3), slice(0, 16)), counts[0, 1:3])


def test_asks_for_no_byte_more_than_it_returns(uncal, monkeypatch):
    path, _ = uncal()
    exposure = read_exposure(str(path))
    asked = []
    preadv = os.preadv

    def counting(descriptor, buffers, offset):
        asked.append(sum(len(buffer) for buffer in buffers))
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", counting)
    with RawReader(exposure) as reader:
        band = reader.read(0, slice(0, 5), slice(4, 8))
        assert asked == [4 * 32 * 2] * 5
        assert sum(asked) == band.nbytes
        asked.clear()
        whole = reader.read(0, slice(1, 5), slice(0, 16))  # no gaps: one range
        assert asked == [whole.nbytes]


def test_goes_on_after_a_partial_read(uncal, monkeypatch):
    path, counts = uncal()
    preadv = os.preadv
    monkeypatch.setattr(
        os, "preadv", lambda file, buffers, offset: preadv(file, [buffers[0][:5]], offset)
    )
    with RawReader(read_exposure(str(path))) as reader:
        np.testing.assert_array_equal(reader.read(0, slice(0, 2), slice(0, 16)), counts[0, :2])


def test_pickles_before_and_after_reading_and_opens_again_after_close(uncal):
    path, counts = uncal()
    reader = RawReader(read_exposure(str(path)))
    pickle.loads(pickle.dumps(reader)).close()
    reader.read(0, slice(0, 1), slice(0, 1))
    copy = pickle.loads(pickle.dumps(reader))
    reader.close()
    reader.close()
    for each in (reader, copy):
        np.testing.assert_array_equal(each.read(0, slice(0, 1), slice(0, 3)), counts[0, :1, :3])
        each.close()


def test_leaves_no_file_open(uncal):
    path, _ = uncal()
    exposure = read_exposure(str(path))

    def open_here() -> int:
        count = 0
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile, as that of the folder is
                count += entry.readlink() == path
        return count

    with RawReader(exposure) as reader, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda row: reader.read(0, slice(0, 5), slice(row, row + 1)), range(16)))
        assert open_here() > 0
    assert open_here() == 0


@pytest.mark.parametrize("remote", [False, True])
def test_a_file_that_shrank_is_told(uncal, remote):
    path, _ = uncal()
    exposure = read_exposure(str(path))
    end = exposure.data_offset + 2 * 16 * 32 * 3 + 10
    os.truncate(path, end)
    if remote:
        exposure = replace(exposure, url=in_memory(path, "shrank/a_uncal.fits"))
    with RawReader(exposure) as reader:
        reader.read(0, slice(0, 3), slice(0, 16))
        with pytest.raises(
            NrsdarkError, match=f"ends at byte {end}.*fetch the file again"
        ) as caught:
            reader.read(0, slice(0, 5), slice(0, 16))
    assert caught.value.file == exposure.url


def test_a_file_that_vanished_is_told(uncal):
    path, _ = uncal()
    exposure = read_exposure(str(path))
    path.unlink()
    with pytest.raises(NrsdarkError, match="no such file"):
        RawReader(exposure).read(0, slice(0, 1), slice(0, 1))


@pytest.mark.parametrize(
    ("integration", "groups", "rows"),
    [
        (1, slice(0, 1), slice(0, 1)),
        (-1, slice(0, 1), slice(0, 1)),
        (0, slice(0, 4, 2), slice(0, 1)),
    ],
)
def test_refuses_what_is_not_there_or_not_contiguous(uncal, integration, groups, rows):
    path, _ = uncal()
    with pytest.raises(IndexError):
        RawReader(read_exposure(str(path))).read(integration, groups, rows)


@pytest.mark.parametrize(
    "out",
    [
        np.empty((2, 3, 5), np.uint16),
        np.empty((2, 3, 4), np.int16),
        np.empty((2, 3, 8), np.uint16)[:, :, ::2],
    ],
)
def test_memory_that_does_not_fit_is_refused(uncal, out):
    path, _ = uncal(shape=(1, 2, 3, 4))
    with RawReader(read_exposure(str(path))) as reader, pytest.raises(ValueError, match="2, 3, 4"):
        reader.read(0, slice(0, 2), slice(0, 3), out)
