"""Sums of spectra against numpy in time order, and the weights they make against jwst."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from jwst.refpix.irs2_subtract_reference import correct_model
from stdatamodels.jwst import datamodels

from nrsdark_xr.calibration.irs2_cross_spectra import (
    CROSS_SPECTRA,
    chosen_groups,
    measure_cross_spectra,
)
from nrsdark_xr.calibration.irs2_output import fill_output
from nrsdark_xr.calibration.parameters import CrossSpectraParameters
from nrsdark_xr.detector import DETECTOR_SIZE, irs2
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products import bad_pair_table, certify, solve_weights, write_refpix
from nrsdark_xr.references.irs2 import read_irs2_weights
from tests.calibration.irs2_synthetic import make_irs2_case, ramp_model
from tests.calibration.synthetic import ArrayReader
from tests.products.files import make_provenance

WHITE, PINK = 6.0, 9.0
EVERY_PAIR_IS_GOOD = CrossSpectraParameters(bad_sigma=1e9)


@pytest.fixture(scope="module", params=["NRS2", pytest.param("NRS1", marks=pytest.mark.slow)])
def case(request):
    return make_irs2_case(request.param, n_groups=6, seed=1)


@pytest.fixture(scope="module")
def measured(case):
    return measure_cross_spectra(
        ArrayReader(case.raw), case.exposure, 0, CrossSpectraParameters(), threads=2
    )


def in_time(samples):
    """Samples (640, line) at their ticks, as one stream in time."""
    stream = np.zeros((samples.shape[1], irs2.LINE_TICKS))
    stream[:, irs2.sample_ticks()] = samples.T
    return stream.ravel()


def without_line(samples):
    """As ``remove_slopes`` of jwst: less the line through the first and last four lines."""
    ticks = irs2.sample_ticks()[:, None] + irs2.LINE_TICKS * np.arange(DETECTOR_SIZE)
    ends = np.r_[0:4, DETECTOR_SIZE - 4 : DETECTOR_SIZE]
    middle = (irs2.FRAME_TICKS - 1) / 2
    line = np.polyfit((ticks[:, ends] - middle).ravel(), samples[:, ends].ravel(), 1)
    return samples - np.polyval(line, ticks - middle)


def test_sums_are_those_of_transforms_in_time_order(case):
    """The reference samples, of which each read stands at two ticks, and one pair of groups."""
    found = measure_cross_spectra(
        ArrayReader(case.raw),
        case.exposure,
        0,
        EVERY_PAIR_IS_GOOD.model_copy(update={"max_pairs": 1, "rejection_threshold": 8.0}),
    )
    groups = case.raw[0, :2].astype(np.float64)
    ordered = irs2.in_reading_order(groups[1] - groups[0], case.exposure.detector)
    output = fill_output(without_line(ordered[0].T).astype(np.float32))
    spectrum_o = np.fft.rfft(output.T.ravel())
    sums = dict(zip(CROSS_SPECTRA, found.sums[2], strict=True))  # amplifier C
    scale = np.abs(spectrum_o[1:]) ** 2
    np.testing.assert_allclose(sums["oo"][1:], scale, rtol=1e-2, atol=1e-6 * scale.max())

    samples = without_line(ordered[3].T)
    stream = np.zeros((DETECTOR_SIZE, irs2.LINE_TICKS))
    reads = irs2.sample_ticks()[irs2.is_reference_sample()].reshape(irs2.VISITS, 4)
    values = samples[irs2.is_reference_sample()].reshape(irs2.VISITS, 4, DETECTOR_SIZE)
    for place, read in enumerate((0, 2, 0, 2, 1, 3, 1, 3)):
        stream[:, reads[:, 0] - 2 + place] = values[:, read].T
    spectrum_r = np.fft.rfft(stream.ravel())
    product = spectrum_r * spectrum_o.conj()
    size = np.abs(product).max()
    np.testing.assert_allclose(sums["ro_real"] / size, product.real / size, atol=5e-4)
    np.testing.assert_allclose(sums["ro_imag"] / size, product.imag / size, atol=5e-4)

    pixels = np.where(irs2.is_reference_sample()[:, None], 0, samples)
    limit = 8 * 1.4826 * np.median(np.abs(samples[~irs2.is_reference_sample()]))
    hit = np.abs(pixels) > 1.02 * limit
    pixels[np.abs(pixels) > limit] = 0
    assert hit.sum() > 100  # of cosmic rays
    spectrum_n = np.fft.rfft(fill_output(pixels.astype(np.float32)).T.ravel())
    product = spectrum_n * spectrum_r.conj()
    got = sums["nr_real"] + 1j * sums["nr_imag"]
    low = slice(1, 3000)
    assert np.abs(np.vdot(product[low], got[low])) > 0.99 * np.sqrt(
        np.vdot(product[low], product[low]).real * np.vdot(got[low], got[low]).real
    )


def test_rows_that_stand_out_are_told(case, measured):
    # intermittent pairs of the synthetic exposure, see irs2_synthetic
    reference = irs2.reference_rows(case.exposure.detector)
    assert measured.bad_rows[reference[[8, 12]]].all()


def test_threads_and_earlier_hits_change_nothing(case, measured):
    """A hit before the first group of a pair is in both groups."""
    hit = case.raw.copy()
    rows = irs2.science_rows(case.exposure.detector)[100:110]
    hit[0, 2:, rows, 1000:1010] += 2000  # between the first and the second pair
    again = measure_cross_spectra(
        ArrayReader(hit), case.exposure, 0, CrossSpectraParameters(), threads=1
    )
    np.testing.assert_array_equal(again.sums, measured.sums)


def test_pairs_are_spread_over_the_exposure():
    assert chosen_groups(7, 24) == [0, 2, 4]
    assert chosen_groups(200, 3) == [0, 100, 198]


def test_one_group_is_refused(case):
    one = replace(case.exposure, n_groups=1)
    with pytest.raises(NrsdarkError, match="has one group"):
        measure_cross_spectra(ArrayReader(case.raw), one, 0, CrossSpectraParameters())


def pink_exposure(case, n_groups, seed):
    """The same exposure of nothing but white noise and pink noise that all outputs share."""
    rng = np.random.default_rng(seed)
    frequency = np.arange(irs2.FRAME_FREQUENCIES)
    frequency[0] = 1
    raw = np.empty((1, n_groups, *case.raw.shape[2:]), np.uint16)
    for group in range(n_groups):
        spectrum = rng.standard_normal((irs2.FRAME_FREQUENCIES, 2)) @ (1, 1j) / np.sqrt(frequency)
        stream = np.fft.irfft(spectrum, irs2.FRAME_TICKS)
        lines = (PINK / stream.std() * stream).reshape(DETECTOR_SIZE, irs2.LINE_TICKS)
        ordered = np.multiply.outer((1.0, 0.9, 1.1, 1.0, 0.8), lines[:, irs2.sample_ticks()])
        frame = irs2.from_reading_order(ordered, case.exposure.detector)
        raw[0, group] = np.rint(9000 + frame + WHITE * rng.standard_normal(frame.shape))
    exposure = replace(case.exposure, n_groups=n_groups, raw_shape=raw.shape)
    return replace(case, raw=raw, exposure=exposure)


def test_the_file_lowers_the_noise_that_jwst_leaves(tmp_path, case):
    """In jwst's own correction, which takes alpha and beta by name (jwst#3951)."""
    dark = pink_exposure(case, 6, seed=5)
    measured = measure_cross_spectra(
        ArrayReader(dark.raw), dark.exposure, 0, CrossSpectraParameters(), threads=2
    )
    solved = [solve_weights(sums) for sums in measured.sums]
    alpha, beta = (np.stack(weights) for weights in zip(*solved, strict=True))
    detector = case.exposure.detector
    provenance = make_provenance(
        detector=detector,
        subarray="FULL",
        ystart=1,
        ysize=DETECTOR_SIZE,
        readpatt="NRSIRS2RAPID",
        n_outputs=5,
    )
    table = bad_pair_table(measured.bad_rows, detector)
    path = write_refpix(tmp_path / "refpix.fits", alpha, beta, table, provenance=provenance)
    certify(path)
    with fits.open(path) as hdus:
        read = read_irs2_weights(hdus, str(path))
        assert "SUBARRAY" not in hdus[0].header
    np.testing.assert_array_equal(read.alpha, alpha)
    np.testing.assert_array_equal(read.mask, table["mask"])

    model = ramp_model(pink_exposure(case, 2, seed=6))
    rows = irs2.science_rows(detector)
    uncorrected = noise(model.data[..., rows, :])
    with datamodels.IRS2Model(path) as weights:
        corrected = noise(correct_model(model, weights).data)
    white, pink = WHITE * np.sqrt(2), PINK * np.sqrt(2)
    assert uncorrected > np.hypot(white, 0.8 * pink)
    assert corrected < np.hypot(white, 0.4 * pink)


def noise(ramp):
    """Scatter of the difference of two groups within amplifiers, clipped."""
    difference = np.diff(ramp[0], axis=0)[0].reshape(4, -1)
    deviation = difference - np.median(difference, axis=1, keepdims=True)
    return 1.4826 * np.median(np.abs(deviation))
