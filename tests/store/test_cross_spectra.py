"""Spectra of IRS2 exposures in the store."""

from __future__ import annotations

import numpy as np
import pytest

from nrsdark_xr.calibration.irs2_cross_spectra import CROSS_SPECTRA
from nrsdark_xr.detector import irs2
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products import sum_cross_spectra
from nrsdark_xr.store import RampStore, open_cross_spectra
from nrsdark_xr.store.schema import N_CROSS_SPECTRA

from .helpers import make_exposure

IRS2 = {
    "subarray": "FULL",
    "readpatt": "NRSIRS2RAPID",
    "n_outputs": 5,
    "ystart": 1,
    "xsize": 2048,
    "ysize": 2048,
    "raw_shape": (1, 5, 3200, 2048),
}


def test_sums_of_exposures_add_up(tmp_path):
    exposures = [make_exposure(f"jw_{i}", f"2025-01-0{i}T00:00:00.000", **IRS2) for i in (1, 2, 3)]
    store = RampStore.open_or_create(tmp_path / "ramps.zarr", exposures)
    rng = np.random.default_rng(1)
    shape = (irs2.OUTPUTS - 1, N_CROSS_SPECTRA, irs2.FRAME_FREQUENCIES)
    total, bad_rows = np.zeros(shape), np.zeros(irs2.IRS2_RAW_ROWS, bool)
    bad_rows[[8, 9]] = True
    for exposure in exposures[:2]:
        sums = rng.normal(size=shape).astype(np.float32)
        total += sums
        store.write_cross_spectra(exposure.name, sums, bad_rows)
        store.mark_done("refpix", exposure.name, {})
    spectra = open_cross_spectra(store.url)
    assert spectra.sizes["file"] == 2  # the third is not done
    made = sum_cross_spectra(spectra).compute(scheduler="threads")
    np.testing.assert_array_equal(made["cross_spectra"], total)
    np.testing.assert_array_equal(made["bad_fraction"], bad_rows)
    with pytest.raises(NrsdarkError, match="chunks of cross_spectra"):
        store.mark_done("refpix", exposures[2].name, {})


def test_a_store_of_traditional_exposures_has_none(tmp_path):
    store = RampStore.open_or_create(tmp_path / "ramps.zarr", [make_exposure()])
    assert store.configuration.sizes()["frequency"] == 0
    assert len(CROSS_SPECTRA) == N_CROSS_SPECTRA
    with pytest.raises(NrsdarkError, match="refpix has finished no exposure"):
        open_cross_spectra(store.url)
