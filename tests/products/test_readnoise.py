"""The read noise of all exposures together, and its file."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr
from astropy.stats import sigma_clip
from stcal.jump.jump import detect_jumps_data
from stcal.jump.jump_class import JumpData
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import dqflags

from nrsdark_xr.detector import REFERENCE_BORDER
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products import certify, fill_readnoise, mean_readnoise, write_readnoise
from tests.products.files import make_provenance
from tests.products.ramps import raise_if_called

NOISE = 14.0


def make_noise(files=12, ny=40, nx=60):
    """Noise of each file as it scatters over 80 differences; one file is off in some pixels."""
    rng = np.random.default_rng(3)
    noise = NOISE * np.sqrt(rng.chisquare(80, (files, ny, nx)) / 80)
    noise[5, 10] *= 5
    noise[:, 3, 3] = np.nan
    noise[:4, 3, 4] = np.nan
    return xr.Dataset({"cds_noise": (("file", "y", "x"), noise.astype(np.float32))})


def test_variances_are_averaged_and_an_odd_file_is_left_out():
    ds = make_noise()
    made = mean_readnoise(ds)
    squares = sigma_clip(ds.cds_noise.values.astype(float) ** 2, axis=0, maxiters=5)
    np.testing.assert_allclose(made.readnoise, np.sqrt(squares.mean(axis=0).filled(np.nan)), 1e-5)
    assert np.nanmedian(made.readnoise) == pytest.approx(NOISE, rel=0.005)
    assert made.readnoise[10].median() == pytest.approx(NOISE, rel=0.02)
    assert made.readnoise_count[3, 3] == 0
    assert np.isnan(made.readnoise[3, 3])
    assert made.readnoise_count[3, 4] <= 8


def test_it_is_lazy_and_does_not_depend_on_chunks():
    ds = make_noise()
    with dask.config.set(scheduler=raise_if_called):
        lazy = mean_readnoise(ds.chunk(file=-1, y=17, x=20))
    xr.testing.assert_identical(lazy.compute(scheduler="synchronous"), mean_readnoise(ds))


def test_pixels_without_a_noise_get_the_median_of_their_kind():
    noise = np.full((8, 8), 14, np.float32)
    reference = np.zeros((8, 8), bool)
    reference[:, :REFERENCE_BORDER] = True
    noise[reference] = 11
    noise[0, 0] = noise[5, 7] = np.nan
    filled = fill_readnoise(noise, reference)
    assert (filled[0, 0], filled[5, 7]) == (11, 14)
    assert np.isnan(noise[0, 0])
    noise[reference] = np.nan
    assert fill_readnoise(noise, reference)[0, 0] == 14
    with pytest.raises(NrsdarkError, match="at least three groups"):
        fill_readnoise(np.full((8, 8), np.nan, np.float32), reference)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "subarray": "FULL",
            "ystart": 1,
            "ysize": 2048,
            "n_outputs": 5,
            "readpatt": "NRSIRS2RAPID",
        },
    ],
    ids=["subarray", "irs2"],
)
def test_the_file_passes_the_rules_of_crds(tmp_path, changes):
    provenance = make_provenance(**changes)
    noise = np.full((provenance.ysize, provenance.xsize), NOISE, np.float32)
    path = write_readnoise(tmp_path / "readnoise.fits", noise, provenance=provenance)
    certify(path)
    with datamodels.open(path) as model:
        assert type(model) is datamodels.ReadnoiseModel
        assert model.meta.bunit_data == "DN"
        np.testing.assert_array_equal(model.data, noise)


def test_jwst_cannot_use_a_read_noise_with_interleaved_rows():
    """So the file for IRS2 has the science rows; CRDS would take both."""
    ramp = np.zeros((1, 5, 64, 8), np.float32)
    data = JumpData(
        None, np.ones((64, 8), np.float32), np.full((100, 8), NOISE, np.float32), dqflags.pixel
    )
    data.init_arrays_from_arrays(ramp, np.zeros(ramp.shape, np.uint8), np.zeros((64, 8), np.uint32))
    with pytest.raises(ValueError, match="broadcast"):
        detect_jumps_data(data)
