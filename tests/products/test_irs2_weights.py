"""Weights of the IRS2 correction: the equations, the table, the file, and jwst's own correction."""

from __future__ import annotations

import numpy as np
import pytest
from jwst.refpix.irs2_subtract_reference import decode_mask

from nrsdark_xr.calibration.irs2_cross_spectra import CROSS_SPECTRA
from nrsdark_xr.detector import irs2
from nrsdark_xr.products.irs2_weights import bad_pair_table, solve_weights
from nrsdark_xr.products.parameters import RefpixWeightsParameters


def sums_of(pixels, reference, output):
    """CROSS_SPECTRA of spectra (sample, frequency)."""
    products = {
        "nr": pixels * reference.conj(),
        "no": pixels * output.conj(),
        "ro": reference * output.conj(),
    }
    sums = {"rr": (np.abs(reference) ** 2).sum(0), "oo": (np.abs(output) ** 2).sum(0)}
    for name, product in products.items():
        sums |= {f"{name}_real": product.sum(0).real, f"{name}_imag": product.sum(0).imag}
    return np.stack([sums[name] for name in CROSS_SPECTRA])


def spectra(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def test_least_squares_at_each_frequency_without_smoothing():
    rng = np.random.default_rng(1)
    reference, output, noise = (spectra(rng, 12, 33) for _ in range(3))
    output += 0.5 * reference
    pixels = 0.8 * reference + 0.3j * output + 0.1 * noise
    alpha, beta = solve_weights(
        sums_of(pixels, reference, output), parameters=RefpixWeightsParameters(smoothing=0)
    )
    for k in range(1, 32):
        design = np.stack([reference[:, k], output[:, k]], axis=1)
        (b, a), *_ = np.linalg.lstsq(design, pixels[:, k])
        assert (alpha[k], beta[k]) == pytest.approx((a, b), rel=1e-5)
        assert (alpha[-k], beta[-k]) == pytest.approx((a.conj(), b.conj()), rel=1e-5)
    assert alpha.shape == (64,)
    assert alpha[[0, 32]].imag.tolist() == [0, 0]


def test_smoothing_lowers_the_noise_of_smooth_weights_but_not_across_lines():
    rng = np.random.default_rng(2)
    n = 6000
    reference, output, noise = (spectra(rng, 10, n) for _ in range(3))
    k = np.arange(n)
    truth = 1 / (1 + k / 3000)
    at_line = np.isin(k, (2048, 4096))
    reference[:, at_line] *= 30  # what the samples repeat of frequency 0, and pixels do not
    pixels = np.where(at_line, 0, truth) * reference + noise

    def error(smoothing):
        parameters = RefpixWeightsParameters(smoothing=smoothing)
        _, beta = solve_weights(sums_of(pixels, reference, output), parameters=parameters)
        return np.abs(beta[:n] - np.where(at_line, 0, truth))

    rough, smooth = error(0), error(64)
    assert np.sqrt(np.mean(smooth**2)) < 0.3 * np.sqrt(np.mean(rough**2))
    np.testing.assert_array_equal(smooth[at_line], rough[at_line])
    assert smooth[2048 + np.array([-2, 2])].max() < 1.5


def test_an_output_that_never_sees_anything_has_no_weight():
    rng = np.random.default_rng(3)
    reference = spectra(rng, 5, 9)
    alpha, beta = solve_weights(sums_of(reference, reference, np.zeros_like(reference)))
    assert not alpha.any()
    assert np.isfinite(beta).all()


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_the_table_names_the_bad_pairs_as_jwst_reads_it(detector):
    rng = np.random.default_rng(4)
    pairs = np.flatnonzero(np.tile(irs2.is_reference_sample(), irs2.OUTPUTS))[::2]
    bad = np.zeros(irs2.IRS2_RAW_ROWS, bool)
    chosen = rng.choice(pairs, 40, replace=False)
    bad[chosen] = bad[chosen + 1] = True
    table = bad_pair_table(bad, detector)
    assert table.shape == (8,)
    found = np.zeros(irs2.IRS2_RAW_ROWS, bool)  # the arithmetic of clobber_ref
    for output, odd_even, mask in table.tolist():
        turned = 3 - odd_even if output % 2 == 0 else odd_even
        for visit in decode_mask(np.uint32(mask)):
            first = output * 640 + 8 + visit * 20 + 2 * (turned - 1)
            found[first : first + 2] = True
    in_detector_frame = bad if detector == "NRS1" else bad[::-1]
    np.testing.assert_array_equal(found[640:], in_detector_frame[640:])
    assert not found[:640].any()
