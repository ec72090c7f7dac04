from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwst.lib import reffile_utils
from stdatamodels.jwst import datamodels

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References, load_references
from tests.references.conftest import CORNER, KINDS, SIZE, exposure, write_reference

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


@settings(deadline=None, max_examples=15)
@given(x=st.integers(0, 60), y=st.integers(0, 36), width=st.integers(1, 64), height=st.data())
def test_any_window_is_cut_as_jwst_does_or_refused(tmp_path_factory, x, y, width, height):
    rows = height.draw(st.integers(1, 40))
    of = exposure(xstart=CORNER[0] + x, ystart=CORNER[1] + y, xsize=width, ysize=rows)
    folder = tmp_path_factory.mktemp("references")
    from nrsdark_xr.references import ReferencePaths

    paths = ReferencePaths(
        **{kind: str(write_reference(folder / f"{kind}.fits", kind)) for kind in KINDS}
    )
    if x + width <= SIZE[0] and y + rows <= SIZE[1]:
        assert_same(load_references(paths, of), as_jwst_cuts(paths, of))
    else:
        with pytest.raises(NrsdarkError, match="covers 64 x 40 pixels at \\(961, 951\\)"):
            load_references(paths, of)
        with pytest.raises(ValueError, match="Bad reference file slice"):
            as_jwst_cuts(paths, of)
