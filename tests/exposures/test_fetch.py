"""Remote exposures are copied while they are read, and nothing is left of the copies."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure, RawReader, fetch, read_exposure

SHAPE = (2, 5, 16, 32)
GROUP_BYTES = 2 * 16 * 32
SIZE = 2 * 5 * GROUP_BYTES


@pytest.fixture
def remote(uncal, request) -> tuple[Exposure, np.ndarray]:
    """An exposure of two integrations in a file system that is not local, and its counts."""
    path, counts = uncal(shape=SHAPE, NINTS=2)
    url = f"memory://{request.node.name}/a_uncal.fits"
    fsspec.filesystem("memory").pipe_file(url, path.read_bytes())
    return read_exposure(url), counts


class Asked:
    """What is asked of the server; it answers when it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.before: Callable[[int], object] = lambda _start: None
        answer = MemoryFileSystem.cat_file

        def cat_file(system, path, start=None, end=None, **options):
            self.ranges.append((start, end))
            self.before(start)
            return answer(system, path, start=start, end=end, **options)

        monkeypatch.setattr(MemoryFileSystem, "cat_file", cat_file)


@pytest.fixture
def asked(monkeypatch) -> Asked:
    return Asked(monkeypatch)


@pytest.mark.parametrize("fetch_bytes", [100, 1000, 10**9])
def test_all_pixels_are_asked_for_once_however_often_they_are_read(
    remote, asked, tmp_path, monkeypatch, fetch_bytes
):
    exposure, counts = remote
    monkeypatch.setattr(fetch, "FETCH_BYTES", fetch_bytes)
    with RawReader(exposure) as reader, ThreadPoolExecutor(4) as pool:
        reader.fetch(tmp_path)
        reader.fetch(tmp_path)
        places = [(integration, row) for integration in range(2) for row in range(16)] * 2
        rows = pool.map(lambda p: reader.read(p[0], slice(None), slice(p[1], p[1] + 1)), places)
        for (integration, row), got in zip(places, rows, strict=True):
            np.testing.assert_array_equal(got[:, 0], counts[integration, :, row])
        np.testing.assert_array_equal(reader.read(1, slice(2, 4), slice(3, 9)), counts[1, 2:4, 3:9])
    first = exposure.data_offset
    starts = range(first, first + SIZE, fetch_bytes)
    assert sorted(asked.ranges) == [(s, min(s + fetch_bytes, first + SIZE)) for s in starts]


def test_what_has_arrived_is_read_while_the_rest_is_under_way(remote, asked, tmp_path, monkeypatch):
    exposure, counts = remote
    monkeypatch.setattr(fetch, "FETCH_BYTES", GROUP_BYTES)
    go = Event()
    asked.before = lambda start: start == exposure.data_offset or go.wait(10)
    with RawReader(exposure) as reader, ThreadPoolExecutor(1) as pool:
        reader.fetch(tmp_path)
        np.testing.assert_array_equal(reader.read(0, slice(0, 1), slice(None)), counts[0, :1])
        rest = pool.submit(reader.read, 0, slice(0, 2), slice(None))
        assert not rest.done()
        go.set()
        np.testing.assert_array_equal(rest.result(10), counts[0, :2])


def test_nothing_is_left_and_nothing_more_is_asked_for_after_close(
    remote, asked, tmp_path, monkeypatch
):
    exposure, _ = remote
    monkeypatch.setattr(fetch, "FETCH_BYTES", 100)
    go, before = Event(), set(Path("/proc/self/fd").iterdir())
    asked.before = lambda _start: go.wait(10)
    folder = tmp_path / "copies"
    folder.mkdir()
    with RawReader(exposure) as reader:
        reader.fetch(folder)
        assert not list(folder.iterdir())  # it has no name
    go.set()
    deadline = time.monotonic() + 10
    while set(Path("/proc/self/fd").iterdir()) != before:  # those under way let go of it
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(asked.ranges) <= fetch.FETCHES_AT_ONCE


def test_a_reader_that_was_closed_asks_the_server_again(remote, tmp_path):
    exposure, counts = remote
    reader = RawReader(exposure)
    reader.fetch(tmp_path)
    reader.close()
    np.testing.assert_array_equal(reader.read(0, slice(0, 2), slice(0, 3)), counts[0, :2, :3])


def test_local_exposures_are_not_copied(uncal):
    path, counts = uncal()
    with RawReader(read_exposure(str(path))) as reader:
        reader.fetch("/nowhere")
        np.testing.assert_array_equal(reader.read(0, slice(0, 1), slice(0, 3)), counts[0, :1, :3])


def test_an_exposure_that_shrank_is_told(remote, tmp_path):
    exposure, _ = remote
    system = fsspec.filesystem("memory")
    end = exposure.data_offset + SIZE - 10
    system.pipe_file(exposure.url, system.cat_file(exposure.url)[:end])
    with RawReader(exposure) as reader:
        reader.fetch(tmp_path)
        with pytest.raises(NrsdarkError, match=f"ends at byte {end}") as caught:
            reader.read(1, slice(None), slice(0, 1))
    assert caught.value.file == exposure.url


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_is_told_at_once(remote, asked, tmp_path, monkeypatch, number):
    def full(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(NrsdarkError, match=r"cannot hold a copy .* DASK_TEMPORARY_DIRECTORY") as it:
        RawReader(remote[0]).fetch(tmp_path)
    assert it.value.file == str(tmp_path)
    assert not asked.ranges
