"""A full-size exposure is calibrated within the memory that one worker may have."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nrsdark_xr.calibration import CalibrationParameters, calibrate_exposure
from tests.calibration.irs2_synthetic import make_irs2_case
from tests.calibration.synthetic import Case, make_case

LIMITS_MIB = {("NRSRAPID", 1, 88): 1280, ("NRSRAPID", 2, 44): 1280, ("NRSIRS2RAPID", 1, 200): 5120}
"""By READPATT, integrations and groups."""


class RepeatingReader:
    """Serves a long exposure from a few groups, with a slope put on them."""

    def __init__(self, raw: np.ndarray) -> None:
        self.raw = raw

    def read(
        self, integration: int, groups: slice, rows: slice, out: np.ndarray | None = None
    ) -> np.ndarray:
        base = self.raw[integration % len(self.raw)]
        if out is None:
            out = np.empty_like(base, shape=(groups.stop - groups.start, *base[0, rows].shape))
        for number, plane in zip(range(groups.start, groups.stop), out, strict=True):
            np.add(base[number % len(base), rows], np.uint16(number), out=plane)
        return out


class FileBuffer:
    """Keeps a ramp on disk."""

    def __init__(self, path: Path, case: Case) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        self.n_rows, self.n_columns = case.exposure.ysize, case.exposure.xsize
        self.chunk_columns = 256

    def _offset(self, group: int, rows: slice) -> int:
        return 4 * (group * self.n_rows + rows.start) * self.n_columns

    def write(self, rows: slice, ramp: np.ndarray) -> None:
        for group, plane in enumerate(ramp):
            os.pwrite(self.descriptor, plane.tobytes(), self._offset(group, rows))

    def read(self, rows: slice, columns: slice, out: np.ndarray) -> np.ndarray:
        for group, plane in enumerate(out):
            size = 4 * (rows.stop - rows.start) * self.n_columns
            stored = os.pread(self.descriptor, size, self._offset(group, rows))
            plane[...] = np.frombuffer(stored, np.float32).reshape(-1, self.n_columns)[:, columns]
        return out


@pytest.mark.slow
@pytest.mark.parametrize(("readpatt", "integrations", "groups"), LIMITS_MIB)
def test_peak_memory_of_a_full_frame(
    readpatt: str, integrations: int, groups: int, tmp_path: Path
) -> None:
    module = "tests.calibration.test_memory"
    given = [str(tmp_path), readpatt, str(integrations), str(groups)]
    done = subprocess.run(
        [sys.executable, "-m", module, *given],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < LIMITS_MIB[readpatt, integrations, groups]


def main(directory: Path, readpatt: str, integrations: int, groups: int) -> None:
    if readpatt == "NRSIRS2RAPID":
        short = make_irs2_case("NRS1", n_groups=2)
    else:
        short = make_case("NRS1", "FULL", n_groups=2)
    exposure = replace(
        short.exposure,
        n_integrations=integrations,
        n_groups=groups,
        raw_shape=(integrations, groups, *short.raw.shape[2:]),
    )
    case = replace(short, exposure=exposure)
    buffers = [FileBuffer(directory / str(number), case) for number in range(integrations)]
    results = calibrate_exposure(
        RepeatingReader(case.raw),
        case.exposure,
        case.references,
        CalibrationParameters(),
        buffers,
    )
    assert all(np.isfinite(maps.rate).any() for maps in results)
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
