"""The superbias against astropy over the whole stack."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.stats import sigma_clip

from nrsdark_xr.detector import DQ
from nrsdark_xr.products.bias import combine_bias, flag_bias
from nrsdark_xr.products.parameters import BiasParameters


@pytest.fixture
def groups():
    rng = np.random.default_rng(8)
    stack = rng.normal(12000, 15, (12, 2, 16, 18)).astype(np.float32)
    stack[:, 1] += 30
    stack[rng.random(stack.shape) < 0.02] += 2000
    return stack


def test_bias_is_the_projection_to_time_zero(groups):
    kept = sigma_clip(groups, sigma=3, maxiters=5, axis=0)
    g1, g2 = kept.mean(0, dtype=float)
    s1, s2 = kept.std(0, dtype=float)
    bias, err = combine_bias(groups)
    np.testing.assert_allclose(bias, (2 * g1 - g2).filled(np.nan), rtol=5e-7)
    np.testing.assert_allclose(err, np.sqrt((2 * s1) ** 2 + s2**2).filled(np.nan), rtol=1e-6)
    assert (bias.dtype, err.dtype) == (np.float32, np.float32)


def test_bias_of_a_known_slope():
    stack = np.stack([np.full((4, 5), 110), np.full((4, 5), 120)]).astype(np.float32)
    bias, err = combine_bias(np.stack([stack] * 3))
    assert (bias == 100).all()
    assert (err == 0).all()


def test_unreliable_bias():
    rng = np.random.default_rng(9)
    err = rng.normal(20, 1, (60, 50)).astype(np.float32)
    science = np.ones(err.shape, bool)
    science[:4] = False
    err[:4] = 500  # reference pixels: flagged, but not part of the statistics
    err[10, 10] = 40
    err[11, 11] = np.nan
    kept = sigma_clip(err[science & np.isfinite(err)].astype(float), sigma=3, maxiters=5)
    limit = kept.mean() + 5 * kept.std()
    dq = flag_bias(err, science)
    expected = np.where((err > limit) | np.isnan(err), DQ.UNRELIABLE_BIAS, 0)
    np.testing.assert_array_equal(dq, expected)
    assert dq[10, 10] == dq[11, 11] == dq[0, 0] == DQ.UNRELIABLE_BIAS
    assert dq.dtype == np.uint32
    loose = flag_bias(err, science, parameters=BiasParameters(unreliable_sigma=30))
    assert loose[10, 10] == 0
