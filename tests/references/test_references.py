from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from nrsdark_xr.detector import DQ
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.references import (
    ReferencePaths,
    References,
    clear_hot,
    load_references,
    reference_checksums,
)
from nrsdark_xr.references import paths as paths_module
from tests.references.conftest import exposure

ALL = sum(DQ)
BAD, HOT, DEAD, EDGE = DQ.DO_NOT_USE, DQ.HOT, DQ.DEAD, DQ.REFERENCE_PIXEL


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (0, 0),
        (HOT, 0),
        (BAD, BAD),
        (HOT | BAD, 0),
        (DEAD | BAD, DEAD | BAD),
        (HOT | DEAD | BAD, DEAD | BAD),
        (HOT | DEAD, DEAD),
        (EDGE | HOT | BAD, EDGE),
        (EDGE | BAD, EDGE | BAD),
        (EDGE, EDGE),
    ],
)
def test_clear_hot(before, after):
    mask = np.full((2, 3), before, dtype=np.uint32)
    cleared = clear_hot(mask)
    np.testing.assert_array_equal(cleared, np.full((2, 3), after, dtype=np.uint32))
    assert cleared.dtype == np.uint32
    assert (mask == before).all()


@settings(deadline=None, max_examples=50)
@given(arrays(np.uint32, (4, 5), elements=st.integers(0, 2**32 - 1).map(ALL.__and__)))
def test_clear_hot_pixel_by_pixel(mask):
    mask.flags.writeable = False
    cleared = clear_hot(mask)
    for before, after in zip(mask.flat, cleared.flat, strict=True):
        flags = {flag for flag in DQ if int(before) & flag}
        if HOT in flags and not flags - {HOT, BAD, EDGE}:
            flags -= {BAD}
        assert int(after) == sum(flags - {HOT})
    np.testing.assert_array_equal(clear_hot(cleared), cleared)


def test_a_copy_shares_what_is_not_replaced(references):
    loaded = load_references(references(), exposure())
    bias = np.ones((16, 32), np.float32)
    dq = np.zeros((16, 32), np.uint32)
    other = loaded.replace(superbias=bias, superbias_dq=dq)
    assert other.superbias is bias
    assert other.superbias_dq is dq
    assert other.gain is loaded.gain
    assert loaded.superbias is not bias
    copy = pickle.loads(pickle.dumps(loaded))
    assert isinstance(copy, References)
    np.testing.assert_array_equal(copy.linearity, loaded.linearity)


def test_paths_are_checked():
    kinds = ("mask", "saturation", "linearity", "gain", "readnoise")
    paths = ReferencePaths(**{kind: f"{kind}.fits" for kind in kinds})
    assert tuple(paths.given()) == kinds
    with pytest.raises(ValidationError, match="readnoise"):
        ReferencePaths(**{kind: f"{kind}.fits" for kind in kinds[:-1]})
    with pytest.raises(ValidationError, match="gian"):
        ReferencePaths(**{kind: f"{kind}.fits" for kind in kinds}, gian="x")


@pytest.mark.parametrize("chunk", [7, 4 * 1024 * 1024])
def test_checksums(references, monkeypatch, chunk):
    monkeypatch.setattr(paths_module, "_CHUNK", chunk)
    paths = references()
    fsspec.filesystem("memory").pipe_file("/deep/in/refpix.fits", b"weights")
    given = paths.model_copy(update={"refpix": "memory://deep/in/refpix.fits", "superbias": None})
    checksums = reference_checksums(given)
    assert list(checksums) == ["mask", "saturation", "linearity", "gain", "readnoise", "refpix"]
    assert checksums["refpix"] == {
        "file": "refpix.fits",
        "sha256": hashlib.sha256(b"weights").hexdigest(),
    }
    for kind in ("mask", "gain"):
        content = Path(getattr(paths, kind)).read_bytes()
        assert checksums[kind] == {
            "file": f"{kind}.fits",
            "sha256": hashlib.sha256(content).hexdigest(),
        }


def test_checksum_of_a_missing_file_is_told(references):
    paths = references()
    Path(paths.gain).unlink()
    with pytest.raises(NrsdarkError, match=r"gain\.fits: no such file"):
        reference_checksums(paths)
