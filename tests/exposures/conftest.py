"""Tiny raw exposures, written with astropy alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

SHAPE = (1, 5, 16, 32)

Written = tuple[Path, np.ndarray]


def keywords(shape: tuple[int, int, int, int] = SHAPE) -> dict[str, Any]:
    return {
        "TELESCOP": "JWST",
        "FILENAME": "jw06633001001_02101_00001_nrs1_uncal.fits",
        "INSTRUME": "NIRSPEC",
        "DETECTOR": "NRS1",
        "READPATT": "NRSRAPID",
        "EXP_TYPE": "NRS_DARK",
        "GRATING": "G140M",
        "FILTER": "OPAQUE",
        "PROGRAM": "06633",
        "OBSERVTN": "001",
        "DATE-OBS": "2025-01-02",
        "TIME-OBS": "03:04:05.6",
        "NINTS": shape[0],
        "NGROUPS": shape[1],
        "NFRAMES": 1,
        "GROUPGAP": 0,
        "FRMDIVSR": 1,
        "NOUTPUTS": 1,
        "TFRAME": 0.14392,
        "TGROUP": 0.14392,
        "SUBARRAY": "SUB512S",
        "SUBSTRT1": 1025,
        "SUBSTRT2": 971,
        "SUBSIZE1": shape[3],
        "SUBSIZE2": shape[2],
        "FASTAXIS": 2,
        "SLOWAXIS": 1,
    }


def raw_counts(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    counts = np.random.default_rng(seed).integers(0, 65536, size=shape, dtype=np.uint16)
    counts.flat[:3] = 0, 32768, 65535
    return counts


def write_uncal(
    path: Path,
    *,
    shape: tuple[int, int, int, int] = SHAPE,
    data: np.ndarray | None = None,
    seed: int = 0,
    without: tuple[str, ...] = (),
    **changes: Any,
) -> Written:
    """Write a raw exposure; `changes` name keywords with ``_`` for ``-``."""
    header = fits.Header()
    header.update(keywords(shape))
    header.update(
        {key.replace("_", "-") if "_OBS" in key else key: changes[key] for key in changes}
    )
    for key in without:
        del header[key]
    counts = raw_counts(shape, seed) if data is None else data
    science = fits.ImageHDU(counts, name="SCI")
    # What follows SCI must not be taken for it, nor confuse the check for truncation.
    times = fits.BinTableHDU.from_columns(
        [fits.Column("integration_number", "J", array=np.arange(shape[0]))], name="INT_TIMES"
    )
    fits.HDUList([fits.PrimaryHDU(header=header), science, times]).writeto(path)
    return path, counts


@pytest.fixture
def uncal(tmp_path: Path) -> Callable[..., Written]:
    def write(name: str = "jw06633001001_02101_00001_nrs1", **changes: Any) -> Written:
        changes.setdefault("FILENAME", f"{name}_uncal.fits")
        return write_uncal(tmp_path / f"{name}_uncal.fits", **changes)

    return write
