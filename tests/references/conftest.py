"""Small reference files, written with astropy or with the models of jwst."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import ReferencePaths

KINDS = ("mask", "saturation", "linearity", "gain", "readnoise", "superbias")
CORNER, SIZE = (961, 951), (64, 40)
"""Of the reference: x and y."""


def exposure(**changes: Any) -> Exposure:
    values: dict[str, Any] = {
        "url": "/nowhere/a_uncal.fits",
        "name": "a",
        "detector": "NRS1",
        "readpatt": "NRSRAPID",
        "subarray": "SUBS200A1",
        "exp_type": "NRS_DARK",
        "grating": "G140M",
        "filter": "OPAQUE",
        "program": "06633",
        "observation": "001",
        "date_obs": "2025-01-02T03:04:05.600",
        "n_integrations": 1,
        "n_groups": 5,
        "n_frames": 1,
        "group_gap": 0,
        "frame_divisor": 1,
        "n_outputs": 1,
        "frame_time": 1.0,
        "group_time": 1.0,
        "xstart": 971,
        "ystart": 961,
        "xsize": 32,
        "ysize": 16,
        "gain_factor": 1.0,
        "data_offset": 0,
    }
    values |= changes
    rows = 3200 if "IRS2" in values["readpatt"] else values["ysize"]
    values.setdefault("raw_shape", (1, values["n_groups"], rows, values["xsize"]))
    return Exposure(**values)


def write_reference(
    path: Path,
    kind: str,
    *,
    corner: tuple[int, int] = CORNER,
    size: tuple[int, int] = SIZE,
    fill: float | None = None,
    dq: np.ndarray | None = None,
    dq_def: dict[str, int] | None = None,
    coefficients: int = 4,
    inverse: bool = False,
    flagged: bool = True,
    dtype: str = ">f4",
    seed: int = 0,
    without: tuple[str, ...] = (),
    **changes: Any,
) -> Path:
    """Write a reference file with astropy alone."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    header = fits.Header()
    header.update(
        {
            "TELESCOP": "JWST",
            "INSTRUME": "NIRSPEC",
            "DETECTOR": "NRS1",
            "REFTYPE": kind.upper(),
            "DESCRIP": "test",
            "AUTHOR": "test",
            "PEDIGREE": "DUMMY",
            "USEAFTER": "2022-01-01T00:00:00",
            "SUBARRAY": "GENERIC",
            "SUBSTRT1": corner[0],
            "SUBSTRT2": corner[1],
            "SUBSIZE1": size[0],
            "SUBSIZE2": min(size[1], 2048),
        }
    )
    header.update(changes)
    for key in without:
        del header[key]
    hdus = fits.HDUList([fits.PrimaryHDU(header=header)])
    shape = (size[1], size[0])

    def image(shape: tuple[int, ...]) -> np.ndarray:
        values = rng.normal(100, 10, shape) if fill is None else np.full(shape, fill)
        return values.astype(dtype)

    if kind == "linearity":
        hdus.append(fits.ImageHDU(image((coefficients, *shape)), name="COEFFS"))
        if inverse:
            hdus.append(fits.ImageHDU(image((coefficients, *shape)), name="INV_COEFFS"))
    elif kind != "mask":
        hdus.append(fits.ImageHDU(image(shape), name="SCI"))
    if kind in ("mask", "saturation", "linearity", "superbias") and flagged:
        flags = rng.integers(0, 8, shape).astype("u4") if dq is None else dq
        hdus.append(fits.ImageHDU(flags, name="DQ"))
        names = dq_def or {"DO_NOT_USE": 1, "HOT": 2, "DEAD": 4}
        rows = [
            (int(value).bit_length() - 1, value, name, name.lower())
            for name, value in names.items()
        ]
        table = np.array(rows, [("BIT", "i4"), ("VALUE", "u4"), ("NAME", "S40"), ("D", "S80")])
        table.dtype.names = ("BIT", "VALUE", "NAME", "DESCRIPTION")
        hdus.append(fits.BinTableHDU(table, name="DQ_DEF"))
    hdus.writeto(path, overwrite=True)
    return path


@pytest.fixture(scope="session")
def plain_set(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One set that nobody changes, since writing and loading references takes a while."""
    folder = tmp_path_factory.mktemp("plain")
    return {kind: write_reference(folder / f"{kind}.fits", kind) for kind in KINDS}


@pytest.fixture
def references(tmp_path: Path, plain_set: dict[str, Path]) -> Callable[..., ReferencePaths]:
    """Give a whole set of one's own; `special` has options for single kinds."""

    def write(special: dict[str, dict[str, Any]] | None = None, **common: Any) -> ReferencePaths:
        urls = {}
        for kind in KINDS:
            options = common | (special or {}).get(kind, {})
            path = tmp_path / f"{kind}.fits"
            if options:
                write_reference(path, kind, **options)
            else:
                shutil.copyfile(plain_set[kind], path)
            urls[kind] = str(path)
        return ReferencePaths(**urls)

    return write
