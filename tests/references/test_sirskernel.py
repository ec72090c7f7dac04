from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stdatamodels.jwst.datamodels import SIRSKernelModel

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.references.load import has_side_pixels
from nrsdark_xr.references.sirskernel import load_sirskernel
from tests.calibration.synthetic import make_case, make_sirskernel


def write(path: Path, **kernels: tuple[np.ndarray, np.ndarray]) -> str:
    model = SIRSKernelModel()
    model.meta.instrument.name = "NIRSPEC"
    for detector, (left, right) in kernels.items():
        setattr(model, detector, {"gamma": left, "zeta": right})
    model.save(path)
    return str(path)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_coefficients_are_those_of_the_detector(tmp_path: Path, dtype: type) -> None:
    one, other = (make_sirskernel(seed).astype(dtype) for seed in (1, 2))
    path = write(tmp_path / "sirskernel.asdf", nrs1=tuple(one), nrs2=tuple(other))
    for detector, expected in (("NRS1", one), ("NRS2", other)):
        loaded = load_sirskernel(path, detector)
        assert loaded.dtype == dtype
        np.testing.assert_array_equal(loaded, expected)


def of_the_other_detector(path: Path) -> None:
    write(path, nrs2=tuple(make_sirskernel()))


def of_three_amplifiers(path: Path) -> None:
    write(path, nrs1=tuple(make_sirskernel()[:, :3]))


def of_two_lengths(path: Path) -> None:
    left, right = make_sirskernel()
    write(path, nrs1=(left, right[:, :-1]))


def not_finite(path: Path) -> None:
    kernels = make_sirskernel()
    kernels[1, 2, 3] = np.nan
    write(path, nrs1=tuple(kernels))


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_in_the_tree(path: Path) -> None:
    os.truncate(path, 1000)


def no_asdf(path: Path) -> None:
    path.write_text("<html>404 Not Found</html>\n" * 200)


def missing(path: Path) -> None:
    path.unlink()


def of_another_kind(path: Path) -> None:
    from asdf import AsdfFile

    AsdfFile({"meta": {"reftype": "distortion"}}).write_to(path)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (of_the_other_detector, "has no kernels of NRS1"),
        (of_three_amplifiers, r"shapes \(3, 1025\) and \(3, 1025\); they must have 4 rows"),
        (of_two_lengths, r"shapes \(4, 1025\) and \(4, 1024\)"),
        (not_finite, "not finite throughout"),
        (cut_short, "cannot be read as a sirskernel"),
        (cut_in_the_tree, "cannot be read as a sirskernel"),
        (no_asdf, "cannot be read as a sirskernel"),
        (missing, "no such file"),
        (of_another_kind, "is no sirskernel reference: its reftype is distortion"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(
    tmp_path: Path, spoil: Callable[[Path], None], complaint: str
) -> None:
    path = tmp_path / "sirskernel.asdf"
    write(path, nrs1=tuple(make_sirskernel()))
    spoil(path)
    with pytest.raises(NrsdarkError, match=complaint) as refused:
        load_sirskernel(str(path), "NRS1")
    line = str(refused.value)
    assert line.startswith(f"{path}: ")
    assert "; " in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("subarray", "shape", "readpatt", "expected"),
    [
        ("FULL", (2048, 2048), "NRSRAPID", True),
        ("FULL", (2048, 2048), "NRSIRS2RAPID", False),
        ("SUBS200A1", (64, 2048), "NRSRAPID", False),
    ],
)
def test_side_pixels_are_those_of_traditional_full_frames(
    subarray: str, shape: tuple[int, int], readpatt: str, expected: bool
) -> None:
    exposure = make_case("NRS1", "SUB32", n_groups=1).exposure
    ysize, xsize = shape
    exposure = replace(exposure, subarray=subarray, ysize=ysize, xsize=xsize, readpatt=readpatt)
    assert has_side_pixels(exposure) == expected
