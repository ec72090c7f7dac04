from __future__ import annotations

import os
from pathlib import Path

import fsspec
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from jwst.lib import reffile_utils
from stdatamodels.jwst import datamodels

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import ReferencePaths, References, load_references
from tests.references.conftest import CORNER, KINDS, SIZE, exposure

MODELS = {
    "mask": datamodels.MaskModel,
    "saturation": datamodels.SaturationModel,
    "linearity": datamodels.LinearityModel,
    "gain": datamodels.GainModel,
    "readnoise": datamodels.ReadnoiseModel,
    "superbias": datamodels.SuperBiasModel,
}
ARRAYS = {
    "mask": ("mask", "dq"),
    "saturation": ("saturation", "data"),
    "saturation_dq": ("saturation", "dq"),
    "linearity": ("linearity", "coeffs"),
    "linearity_dq": ("linearity", "dq"),
    "gain": ("gain", "data"),
    "readnoise": ("readnoise", "data"),
    "superbias": ("superbias", "data"),
    "superbias_dq": ("superbias", "dq"),
}


def science_model(of: Exposure) -> datamodels.RampModel:
    model = datamodels.RampModel((1, 2, of.ysize, of.xsize))
    model.meta.instrument.name = "NIRSPEC"
    model.meta.subarray.xstart, model.meta.subarray.ystart = of.xstart, of.ystart
    model.meta.subarray.xsize, model.meta.subarray.ysize = of.xsize, of.ysize
    return model


def as_jwst_cuts(paths, of: Exposure) -> dict[str, np.ndarray]:
    arrays = {}
    with science_model(of) as science:
        for name, (kind, attribute) in ARRAYS.items():
            with MODELS[kind](getattr(paths, kind)) as model:
                if reffile_utils.ref_matches_sci(science, model):
                    arrays[name] = np.array(getattr(model, attribute))
                else:
                    with reffile_utils.get_subarray_model(science, model) as part:
                        arrays[name] = np.array(getattr(part, attribute))
    return arrays


def assert_same(loaded: References, expected: dict[str, np.ndarray]) -> None:
    for name, array in expected.items():
        got = getattr(loaded, name)
        np.testing.assert_array_equal(got, array, err_msg=name)
        assert got.dtype == (np.uint32 if name.endswith(("mask", "dq")) else np.float32), name
        assert got.dtype.isnative, name
        assert got.flags.c_contiguous, name


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"xstart": CORNER[0], "ystart": CORNER[1]},
        {"xstart": CORNER[0] + SIZE[0] - 32, "ystart": CORNER[1] + SIZE[1] - 16},
        {"xstart": CORNER[0], "ystart": CORNER[1], "xsize": SIZE[0], "ysize": SIZE[1]},
        {"xstart": CORNER[0], "xsize": SIZE[0]},
    ],
)
def test_cuts_as_jwst_does(references, place):
    of = exposure(**place)
    paths = references()
    loaded = load_references(paths, of)
    assert_same(loaded, as_jwst_cuts(paths, of))
    assert loaded.mask.shape == (of.ysize, of.xsize)
    assert loaded.inverse_linearity is None


@settings(deadline=None, max_examples=6)
@given(
    x=st.integers(0, 60), y=st.integers(0, 36), width=st.integers(1, 64), rows=st.integers(1, 40)
)
def test_any_window_is_cut_as_jwst_does_or_refused(plain_set, x, y, width, rows):
    of = exposure(xstart=CORNER[0] + x, ystart=CORNER[1] + y, xsize=width, ysize=rows)
    paths = ReferencePaths(**{kind: str(path) for kind, path in plain_set.items()})
    if x + width <= SIZE[0] and y + rows <= SIZE[1]:
        assert_same(load_references(paths, of), as_jwst_cuts(paths, of))
    else:
        with pytest.raises(NrsdarkError, match="covers 64 x 40 pixels at \\(961, 951\\)"):
            load_references(paths, of)
        with pytest.raises(ValueError, match="Bad reference file slice"):
            as_jwst_cuts(paths, of)


def refusal(paths: ReferencePaths, of: Exposure | None = None) -> str:
    with pytest.raises(NrsdarkError) as caught:
        load_references(paths, of or exposure())
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_flags_mean_what_dq_def_says(references):
    """Old NIRSpec references number their bits otherwise: 2 was WARM, 4 was HOT."""
    dq = np.arange(SIZE[0] * SIZE[1], dtype="u4").reshape(SIZE[::-1]) % 64
    names = {"DO_NOT_USE": 1, "WARM": 2, "HOT": 4, "UNRELIABLE_SLOPE": 8, "NO_SUCH_FLAG": 16}
    whole = exposure(xstart=CORNER[0], ystart=CORNER[1], xsize=SIZE[0], ysize=SIZE[1])
    mask = load_references(references({"mask": {"dq": dq, "dq_def": names}}), whole).mask
    expected = np.zeros_like(dq)
    for bit, meaning in ((1, 1 << 0), (2, 1 << 12), (4, 1 << 11), (8, 1 << 24)):
        expected[(dq & bit) != 0] |= meaning
    np.testing.assert_array_equal(mask, expected)


def test_flags_above_the_sign_bit_survive(references):
    dq = np.full(SIZE[::-1], 1 << 31, dtype="u4")
    paths = references({"mask": {"dq": dq, "dq_def": {"REFERENCE_PIXEL": 1 << 31}}})
    assert (load_references(paths, exposure()).mask == 1 << 31).all()


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i4"])
def test_any_number_type_becomes_native_float32(references, dtype):
    paths = references(dtype=dtype)
    assert_same(load_references(paths, exposure()), as_jwst_cuts(paths, exposure()))


def test_references_without_flags_are_unflagged(references):
    paths = references({kind: {"flagged": False} for kind in ("saturation", "superbias")})
    loaded = load_references(paths, exposure())
    assert loaded.superbias_dq is not None
    for dq in (loaded.saturation_dq, loaded.superbias_dq):
        assert dq.dtype == np.uint32
        assert not dq.any()
        assert dq.shape == (16, 32)


def test_linearity_without_flags_is_unflagged(references):
    loaded = load_references(references({"linearity": {"flagged": False}}), exposure())
    assert loaded.linearity_dq.shape == (16, 32)
    assert not loaded.linearity_dq.any()


def test_superbias_is_optional(references):
    paths = references().model_copy(update={"superbias": None})
    loaded = load_references(paths, exposure())
    assert loaded.superbias is None
    assert loaded.superbias_dq is None


def test_inverse_linearity_is_for_averaged_frames_only(references):
    paths = references({"linearity": {"inverse": True}})
    assert load_references(paths, exposure()).inverse_linearity is None
    averaged = load_references(paths, exposure(n_frames=4)).inverse_linearity
    assert averaged is not None
    with fits.open(paths.linearity) as hdus:
        x, y = 971 - CORNER[0], 961 - CORNER[1]
        expected = hdus["INV_COEFFS"].data[:, y : y + 16, x : x + 32]
        np.testing.assert_array_equal(averaged, expected)
    without = references()
    assert load_references(without, exposure(n_frames=4)).inverse_linearity is None


def test_single_nans_stay(references):
    paths = references()
    with fits.open(paths.gain, mode="update") as hdus:
        hdus["SCI"].data[15, 20] = np.nan
    gain = load_references(paths, exposure()).gain
    assert np.argwhere(np.isnan(gain)).tolist() == [[15 - 10, 20 - 10]]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mask"])
def test_nan_throughout_is_told(references, kind):
    paths = references({kind: {"fill": np.nan}})
    line = refusal(paths)
    assert line.startswith(f"{getattr(paths, kind)}: is NaN throughout the 32 x 16 pixels at")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"DETECTOR": "NRS2"}, "DETECTOR is NRS2, not NRS1"),
        ({"INSTRUME": "NIRCAM"}, "INSTRUME is NIRCAM, not NIRSPEC"),
        ({"REFTYPE": "FLAT"}, "REFTYPE is FLAT, not"),
        ({"without": ("REFTYPE",)}, "REFTYPE is missing, not"),
    ],
)
def test_a_reference_of_something_else_is_told(references, kind, changes, line):
    paths = references({kind: changes})
    told = refusal(paths)
    assert told.startswith(f"{getattr(paths, kind)}: is no {kind} reference of NRS1: {line}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_of_another_place_is_told_with_both_places(references, kind):
    paths = references({kind: {"corner": (1, 1)}})
    assert refusal(paths) == (
        f"{getattr(paths, kind)}: covers 64 x 40 pixels at (1, 1), but the exposure needs "
        "32 x 16 pixels at (971, 961); give the reference of this subarray, or a full-frame one"
    )


def test_without_a_corner_only_a_full_frame_is_understood(references):
    paths = references({"gain": {"without": ("SUBSTRT1",)}})
    assert "does not say which 64 x 40 pixels it covers" in refusal(paths)
    keys = ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")
    full = references({"gain": {"without": keys, "size": (2048, 2048), "corner": (1, 1)}})
    assert_same(load_references(full, exposure()), as_jwst_cuts(full, exposure()))


@pytest.mark.filterwarnings("ignore:File may have been truncated")
@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_or_damaged_file_is_told(references, kind):
    paths = references()
    path = Path(getattr(paths, kind))
    content = path.read_bytes()
    path.unlink()
    assert f"{path}: no such file" in refusal(paths)
    path.write_bytes(b"<html>")
    assert refusal(paths).startswith(f"{path}: ")
    path.write_bytes(content)
    os.truncate(path, 2880 * 3)
    assert refusal(paths).startswith(f"{path}: ")
    os.truncate(path, 2880)
    assert "has no " in refusal(paths)
    path.write_bytes(b"")
    assert refusal(paths).startswith(f"{path}: ")


def test_flags_of_another_shape_are_told(references):
    paths = references({"saturation": {"dq": np.zeros((5, 5), "u4")}})
    assert "its arrays have different shapes" in refusal(paths)


def test_irs2_takes_references_with_and_without_interleaved_rows(references):
    raw = {"corner": (1, 1), "size": (8, 3200)}
    stripped = {"corner": (1, 1), "size": (8, 2048)}
    paths = references({"mask": raw, "superbias": raw}, **stripped)
    of = exposure(readpatt="NRSIRS2RAPID", xstart=1, ystart=1, xsize=8, ysize=2048)
    loaded = load_references(paths, of)
    assert loaded.mask.shape == (3200, 8)
    assert loaded.superbias is not None
    assert loaded.superbias.shape == (3200, 8)
    assert loaded.saturation.shape == (2048, 8)
    assert "the exposure needs 8 x 3200 pixels" in refusal(references(**stripped), of)


def test_traditional_readout_refuses_interleaved_references(references):
    raw = {"corner": (1, 1), "size": (8, 3200)}
    stripped = {"corner": (1, 1), "size": (8, 2048)}
    of = exposure(xstart=1, ystart=1, xsize=8, ysize=2048)
    line = refusal(references({"superbias": raw}, **stripped), of)
    assert "is an IRS2 reference: it has 3200 rows" in line


def test_remote_references(references):
    local = references()
    memory = fsspec.filesystem("memory")
    urls = {}
    for kind, path in local.given().items():
        urls[kind] = f"memory:///references/{kind}.fits"
        memory.pipe_file(f"/references/{kind}.fits", Path(path).read_bytes())
    loaded = load_references(ReferencePaths(**urls), exposure())
    assert_same(loaded, as_jwst_cuts(local, exposure()))
    memory.rm("/references/gain.fits")
    assert "memory:///references/gain.fits: no such file" in refusal(ReferencePaths(**urls))


def test_a_cut_does_not_keep_the_whole_alive(references):
    loaded = load_references(references(), exposure(xstart=CORNER[0], xsize=SIZE[0]))
    for name in ARRAYS:
        array = getattr(loaded, name)
        assert array.base is None or array.base.nbytes == array.nbytes, name


DATA = Path(__file__).parents[2].parent / "shared/data/nirspec/jwst_nirspec_superbias_0075.fits"


@pytest.mark.skipif(not DATA.exists(), reason=f"the real superbias is not at {DATA}")
def test_a_real_superbias(references):
    of = exposure(xstart=1025, ystart=957, xsize=512, ysize=32)
    place = {"corner": (1, 1), "size": (2048, 1024)}
    paths = references({"superbias": {}}, **place).model_copy(update={"superbias": str(DATA)})
    loaded = load_references(paths, of)
    assert_same(loaded, as_jwst_cuts(paths, of))
    assert loaded.superbias_dq is not None
    # Its 22 flagged pixels have bit 22, but its DQ_DEF knows bits 0 and 1 only: jwst drops them.
    assert not loaded.superbias_dq.any()
