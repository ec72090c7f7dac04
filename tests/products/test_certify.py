"""The rules of CRDS on files of real size, and on files that break them."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from astropy.io import fits

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products import certify, write_dark, write_mask, write_superbias
from tests.products.files import all_bits, make_dark, make_provenance

FULL = {"subarray": "FULL", "ystart": 1, "ysize": 2048, "n_outputs": 4}


@pytest.fixture(autouse=True, scope="module")
def _quick_collections():
    """CRDS collects garbage after every look at a file: keep what is loaded out of it."""
    gc.freeze()
    yield
    gc.unfreeze()


def make_file(kind, path, **changes):
    provenance = make_provenance(**changes)
    shape = (provenance.ysize, provenance.xsize)
    dq = all_bits(shape)
    if kind == "mask":
        return write_mask(path, dq, provenance=provenance)
    if kind == "superbias":
        zeros = np.zeros(shape, np.float32)
        return write_superbias(path, zeros, zeros, dq, provenance=provenance)
    return write_dark(path, *make_dark((provenance.n_groups, *shape)), provenance=provenance)


@pytest.mark.parametrize("kind", ["superbias", "mask", "dark"])
@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_subarray_files_pass(tmp_path, kind, detector):
    ystart = {"NRS1": 1054, "NRS2": 930}[detector]
    certify(make_file(kind, tmp_path / f"{kind}.fits", detector=detector, ystart=ystart))


@pytest.mark.parametrize("kind", ["superbias", "mask"])
def test_full_frame_files_pass(tmp_path, kind):
    certify(make_file(kind, tmp_path / f"{kind}.fits", **FULL))


@pytest.mark.slow
def test_full_frame_dark_passes(tmp_path):
    certify(make_file("dark", tmp_path / "dark.fits", **FULL))


@pytest.mark.parametrize(
    ("keyword", "value", "complaint"),
    [
        ("NFRAMES", None, "NFRAMES"),
        ("PEDIGREE", "INFLIGHT", "PEDIGREE"),
        ("SUBARRAY", "GENERIC", "SUBARRAY"),
        ("FASTAXIS", 1, "FASTAXIS"),
        ("USEAFTER", "2024-01-01", "USEAFTER"),
    ],
)
def test_broken_headers_are_told(tmp_path, keyword, value, complaint):
    path = make_file("dark", tmp_path / "dark.fits")
    if value is None:
        fits.delval(path, keyword)
    else:
        fits.setval(path, keyword, value=value)
    with pytest.raises(NrsdarkError, match=rf"dark.fits: \d+ rules? failed: .*{complaint}"):
        certify(path)


def test_irs2_superbias_needs_raw_rows(tmp_path):
    path = make_file("superbias", tmp_path / "bias.fits", readpatt="NRSIRS2RAPID", **FULL)
    with pytest.raises(NrsdarkError, match="3200"):
        certify(path)
