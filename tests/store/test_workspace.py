"""Memory that blocks are read into again and again."""

from __future__ import annotations

import threading

import numpy as np

from nrsdark_xr.store import open_ramps
from nrsdark_xr.store.workspace import empty, reading_into_workspace
from tests.store.helpers import make_exposure, make_store


def test_each_block_gets_the_memory_of_the_one_before() -> None:
    with reading_into_workspace() as workspace:
        for shape in [(4, 5), (2, 3), (4, 5)]:
            workspace.begin()
            first, second = empty(shape, np.float32), empty((7,), np.uint16)
            assert (first.shape, first.dtype) == (shape, np.float32)
            assert not np.shares_memory(first, second)
            first[:], second[:] = 1.0, 2
            np.testing.assert_array_equal(first, 1.0)
        workspace.begin()
        assert np.shares_memory(empty((4, 5), np.float32), first)
        larger = empty((100,), np.float64)
        assert not np.shares_memory(larger, second)
        workspace.begin()
        assert np.shares_memory(empty((4, 5), np.uint8), first)
        assert np.shares_memory(empty((50,), np.float64), larger)


def test_it_ends_with_the_context_and_is_of_one_thread() -> None:
    found: list[np.ndarray] = []
    with reading_into_workspace() as workspace:
        inside = empty((3,), np.float32)
        workspace.begin()
        thread = threading.Thread(target=lambda: found.append(empty((3,), np.float32)))
        thread.start()
        thread.join()
    found.append(empty((3,), np.float32))
    assert not any(np.shares_memory(inside, other) for other in found)


def test_ramps_are_the_same_wherever_they_are_read_into(tmp_path) -> None:
    exposures = [make_exposure("jw_a"), make_exposure("jw_b", "2024-01-01T00:00:00.000")]
    make_store(tmp_path / "r.zarr", exposures)
    ramps = open_ramps(tmp_path / "r.zarr", chunks=None)
    expected = {name: ramps[name].values for name in ("ramp", "groupdq")}
    with reading_into_workspace() as workspace:
        for rows in (slice(0, 128), slice(5, 9), slice(20, 150)):
            workspace.begin()
            for name, values in expected.items():
                part = open_ramps(tmp_path / "r.zarr", chunks=None)[name][..., rows, 3:30].values
                np.testing.assert_array_equal(part, values[..., rows, 3:30])


def test_a_workspace_is_lent_again() -> None:
    with reading_into_workspace() as workspace:
        first = empty((3,), np.float32)
    workspace.begin()
    with reading_into_workspace(workspace) as again:
        assert again is workspace
        assert np.shares_memory(empty((3,), np.float32), first)
