"""Ramps that are read back from a store to be fitted again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import fsspec
import numpy as np
import pytest

from nrsdark_xr.calibration import CalibratedMaps, CalibrationParameters, calibrate_exposure
from nrsdark_xr.calibration.protocols import RampBuffer
from nrsdark_xr.store import RampStore
from tests.calibration.synthetic import ArrayBuffer, ArrayReader, Case, make_case

BUCKET = "memory://bucket/test_refit"


@pytest.fixture(scope="module")
def case() -> Case:
    """An exposure with a snowball across two bands."""
    return make_case("NRS1", "ALLSLITS", n_groups=14, shape=(256, 300))


def calibrate(case: Case, ramps: Sequence[RampBuffer]) -> CalibratedMaps:
    parameters = CalibrationParameters()
    reader = ArrayReader(case.raw)
    (maps,) = calibrate_exposure(
        reader, case.exposure, case.references, parameters, ramps, threads=2
    )
    return maps


@pytest.fixture(scope="module")
def expected(case: Case) -> CalibratedMaps:
    return calibrate(case, [ArrayBuffer(case.raw.shape[1:])])


def assert_same(maps: CalibratedMaps, expected: CalibratedMaps) -> None:
    for name in CalibratedMaps.__slots__:
        np.testing.assert_array_equal(getattr(maps, name), getattr(expected, name), err_msg=name)


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_any_file_system_gives_ramps_back(
    place: str, case: Case, expected: CalibratedMaps, tmp_path: Path
) -> None:
    url = BUCKET if place == "memory" else str(tmp_path)
    try:
        store = RampStore.open_or_create(f"{url}/ramps.zarr", [case.exposure])
        assert_same(calibrate(case, [store.ramp_buffer(case.exposure.name)]), expected)
    finally:
        if place == "memory":
            fsspec.filesystem("memory").rm(BUCKET.removeprefix("memory:/"), recursive=True)


class NarrowBuffer(ArrayBuffer):
    """Has narrow chunks, and knows which were read."""

    def __init__(self, shape: tuple[int, int, int], chunk_columns: int) -> None:
        super().__init__(shape)
        self.chunk_columns = chunk_columns
        self.asked: list[tuple[int, int]] = []

    def read(self, rows: slice, columns: slice, out: np.ndarray) -> np.ndarray:
        self.asked.append((columns.start, columns.stop))
        return super().read(rows, columns, out)


@pytest.mark.parametrize("chunk_columns", [7, 300, 1000])
def test_each_chunk_is_asked_for_once(
    chunk_columns: int, case: Case, expected: CalibratedMaps
) -> None:
    buffer = NarrowBuffer(case.raw.shape[1:], chunk_columns)
    assert_same(calibrate(case, [buffer]), expected)
    assert 1 <= len(buffer.asked) <= 2 * -(-300 // chunk_columns)
    for start, stop in buffer.asked:
        assert start % chunk_columns == 0
        assert stop in (start + chunk_columns, 300)
