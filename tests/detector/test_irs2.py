from __future__ import annotations

import numpy as np
import pytest
from jwst.refpix import irs2_subtract_reference as jwst_irs2
from jwst.saturation import x_irs2

from nrsdark_xr.detector import DETECTOR_SIZE, DETECTORS, irs2


def jwst_mask(detector: str) -> np.ndarray:
    mask = x_irs2.make_mask(np.zeros((irs2.IRS2_RAW_ROWS, 2)))
    np.testing.assert_array_equal(mask, jwst_irs2.make_irs2_mask(irs2.IRS2_RAW_ROWS, 2048, 16, 4))
    return mask if detector == "NRS1" else mask[::-1]


@pytest.mark.parametrize("detector", DETECTORS)
def test_science_rows_are_those_of_jwst(detector):
    frame = np.arange(irs2.IRS2_RAW_ROWS * 2).reshape(-1, 2)
    stripped = x_irs2.from_irs2(frame, x_irs2.make_mask(frame), detector)
    np.testing.assert_array_equal(frame[irs2.science_rows(detector)], stripped)
    assert stripped.shape[0] == DETECTOR_SIZE


@pytest.mark.parametrize("detector", DETECTORS)
def test_every_raw_row_is_science_reference_or_reference_output(detector):
    science, reference = irs2.science_rows(detector), irs2.reference_rows(detector)
    output = np.arange(irs2.IRS2_RAW_ROWS)[irs2.reference_output_rows(detector)]
    together = np.concatenate((science, reference, output))
    np.testing.assert_array_equal(np.sort(together), np.arange(irs2.IRS2_RAW_ROWS))
    np.testing.assert_array_equal(np.flatnonzero(jwst_mask(detector)), science)
    assert reference.size == 4 * irs2.VISITS * irs2.REFERENCE_RUN
    assert output.size == irs2.OUTPUT_ROWS


def test_reads_samples_when_jwst_says_so():
    """The index arrays hnorm, href, hnorm1 and href1 of `subtract_reference`, as written there."""
    pixel, sample = np.arange(512), np.arange(128)
    pixel_place = pixel + 4 * ((pixel + 8) // 16)
    sample_place = sample + 16 * (sample // 4) + 8
    ticks = irs2.sample_ticks()
    np.testing.assert_array_equal(ticks[pixel_place], pixel + 6 * ((pixel + 8) // 16))
    np.testing.assert_array_equal(ticks[sample_place], sample + 18 * (sample // 4) + 9)
    np.testing.assert_array_equal(np.flatnonzero(irs2.is_reference_sample()), sample_place)
    assert irs2.LINE_TICKS == 712
    frame_time = (irs2.FRAME_TICKS + irs2.FRAME_PAUSE_TICKS) * 10e-6
    assert frame_time == pytest.approx(14.5889, abs=1e-4)


@pytest.mark.parametrize("detector", DETECTORS)
def test_reading_order_is_that_of_jwst_and_turns_back(detector):
    raw = np.random.default_rng(5).integers(0, 65536, (2, irs2.IRS2_RAW_ROWS, 6), dtype=np.uint16)
    turned = np.swapaxes(raw, 1, 2)
    turned = turned if detector == "NRS1" else turned[:, ::-1, ::-1]
    expected = np.transpose(turned.reshape(2, 6, 5, 640), (0, 2, 1, 3)).copy()
    for output in (0, 2, 4):
        expected[:, output] = expected[:, output, :, ::-1].copy()
    ordered = irs2.in_reading_order(raw, detector)
    np.testing.assert_array_equal(ordered, expected)
    np.testing.assert_array_equal(irs2.from_reading_order(ordered, detector), raw)
    rows = np.broadcast_to(np.arange(irs2.IRS2_RAW_ROWS)[:, np.newaxis], raw.shape[1:])
    for output, band in enumerate(irs2.output_rows(detector)):
        read = irs2.in_reading_order(rows, detector)[output]
        np.testing.assert_array_equal(np.sort(read[0]), np.arange(irs2.IRS2_RAW_ROWS)[band])


@pytest.mark.parametrize("detector", DETECTORS)
def test_pixels_are_stripped_and_put_back(detector):
    rng = np.random.default_rng(8)
    frame = rng.integers(0, 99, (2, irs2.IRS2_RAW_ROWS, 3))
    pixels = rng.integers(100, 199, (2, DETECTOR_SIZE, 3))
    filled = irs2.put_back(pixels, frame, detector)
    np.testing.assert_array_equal(irs2.strip(filled, detector), pixels)
    reference = np.setdiff1d(np.arange(irs2.IRS2_RAW_ROWS), irs2.science_rows(detector))
    np.testing.assert_array_equal(filled[:, reference], frame[:, reference])
    assert frame.max() < 99 + 1  # untouched
    assert irs2.strip(pixels, detector) is pixels
    assert irs2.put_back(pixels, pixels, detector) is pixels
