from __future__ import annotations

import numpy as np
import pytest
from astropy.stats import mad_std, sigma_clip

from nrsdark_xr.analysis import measure_products
from nrsdark_xr.analysis.statistics import robust_sigma, signal_to_noise
from nrsdark_xr.detector import DQ

from .sample import make_maps


def test_robust_sigma_is_the_scaled_mad():
    values = np.random.default_rng(0).normal(5, 2, 1001)
    values[:3] = [np.nan, 1e9, np.inf]
    expected = mad_std(values[np.isfinite(values)])
    assert robust_sigma(values) == pytest.approx(expected, rel=1e-4)
    assert np.isnan(robust_sigma(np.full(3, np.nan)))


def test_snr_is_the_clipped_median_over_science_pixels():
    maps = make_maps()
    maps.rate[5, 50] = np.nan
    maps.unc[6, 60] = 0
    rate = np.where(maps.reference, 1e6, maps.rate)  # reference pixels must not count
    unc = np.where(maps.reference, 1.0, maps.unc)
    ratios = [
        float(maps.rate[y, x]) / float(maps.unc[y, x])
        for y, x in np.argwhere(~maps.reference)
        if np.isfinite(maps.rate[y, x]) and maps.unc[y, x] > 0
    ]
    kept = sigma_clip(ratios, sigma=3, maxiters=5, cenfunc="median", stdfunc="std").compressed()
    assert signal_to_noise(rate, unc, maps.reference) == pytest.approx(np.median(kept), rel=1e-6)


def test_products_are_counted():
    maps = make_maps()
    maps.rate[10, 100:103] = -0.5
    measured = measure_products(
        bias=maps.bias,
        rate=maps.rate,
        uncertainty=maps.unc,
        dark_dq=maps.dark_dq,
        mask=maps.mask,
        input_mask=maps.old_mask,
        reference_pixels=maps.reference,
        n_inputs=7,
        n_good=6,
    )
    assert (measured.n_inputs, measured.n_good) == (7, 6)
    assert (measured.n_hot, measured.n_rc, measured.n_telegraph) == (10, 2, 5)
    assert measured.n_bad_refpix == 1
    assert (measured.n_new_hot, measured.n_vanished_hot) == (3, 1)
    assert measured.n_reference == 32 * 4
    assert measured.n_science == 32 * 252
    negative = np.count_nonzero(maps.rate < 0)
    assert measured.fraction_negative == pytest.approx(negative / measured.n_science)
    assert measured.bias_level == pytest.approx(12000, abs=2)
    assert measured.median_dark_rate == pytest.approx(0.01, abs=2e-4)


def test_without_an_input_mask_changes_are_unknown():
    maps = make_maps()
    measured = measure_products(
        bias=maps.bias,
        rate=np.full_like(maps.rate, np.nan),
        uncertainty=maps.unc,
        dark_dq=maps.dark_dq,
        mask=np.full(maps.mask.shape, DQ.HOT, np.uint32),
        input_mask=None,
        reference_pixels=maps.reference,
        n_inputs=3,
        n_good=3,
    )
    assert measured.n_new_hot is None
    assert measured.n_vanished_hot is None
    assert np.isnan(measured.snr)
    assert np.isnan(measured.fraction_negative)
