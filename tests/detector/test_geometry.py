from __future__ import annotations

import numpy as np
import pytest
from jwst.lib import reffile_utils
from jwst.refpix import reference_pixels as jwst_refpix
from stdatamodels.jwst import datamodels

from nrsdark_xr.detector import (
    DETECTOR_SIZE,
    DETECTORS,
    amplifier_rows,
    from_detector_frame,
    reference_pixels,
    scan_axes,
    to_detector_frame,
)


def full_frame(detector: str, image: np.ndarray) -> datamodels.RampModel:
    model = datamodels.RampModel(image[np.newaxis, np.newaxis])
    model.meta.instrument.name = "NIRSPEC"
    model.meta.instrument.detector = detector
    model.meta.exposure.readpatt = "NRSRAPID"
    model.meta.exposure.type = "NRS_DARK"
    model.meta.exposure.noutputs = 4
    model.meta.exposure.ngroups = model.meta.exposure.nints = 1
    model.meta.subarray.name = "FULL"
    model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = scan_axes(detector)
    model.meta.subarray.xstart = model.meta.subarray.ystart = 1
    model.meta.subarray.xsize = model.meta.subarray.ysize = DETECTOR_SIZE
    return model


def jwst_dataset(detector: str, image: np.ndarray) -> jwst_refpix.NIRDataset:
    unused = ("refpix_algorithm", "sirs_kernel_model", "sigreject", "gaussmooth", "halfwidth")
    return jwst_refpix.NIRDataset(
        full_frame(detector, image),
        odd_even_columns=True,
        use_side_ref_pixels=True,
        side_smoothing_length=11,
        side_gain=1.0,
        conv_kernel_params=dict.fromkeys(unused),
        siglimit=3.0,
    )


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("shape", [(7, 5), (2, 7, 5), (2, 3, 4, 4)])
def test_turns_as_jwst_does_and_back(detector, shape):
    image = np.arange(np.prod(shape)).reshape(shape)
    turned = to_detector_frame(image, detector)
    expected = reffile_utils.science_detector_frame_transform(image, *scan_axes(detector))
    np.testing.assert_array_equal(turned, expected)
    np.testing.assert_array_equal(from_detector_frame(turned, detector), image)
    assert np.shares_memory(turned, image)
    assert np.shares_memory(from_detector_frame(turned, detector), image)


@pytest.fixture(scope="module", params=DETECTORS)
def turned_by_refpix(request) -> tuple[str, np.ndarray, jwst_refpix.NIRDataset]:
    """A full frame in the detector frame, as jwst's own reference-pixel step turns it."""
    pixels = np.arange(DETECTOR_SIZE**2, dtype=np.float32).reshape(DETECTOR_SIZE, DETECTOR_SIZE)
    dataset = jwst_dataset(request.param, pixels)
    dataset.dms_to_detector(0, 0)
    return request.param, pixels, dataset


def test_turns_as_the_reference_pixel_step(turned_by_refpix):
    detector, pixels, dataset = turned_by_refpix
    np.testing.assert_array_equal(to_detector_frame(pixels, detector), dataset.group)


def test_amplifiers_are_those_of_the_reference_pixel_step(turned_by_refpix):
    detector, pixels, dataset = turned_by_refpix
    for amplifier, rows in zip("ABCD", amplifier_rows(detector), strict=True):
        top, bottom, left, right = dataset.reference_sections[amplifier]["data"]
        theirs = dataset.group[top:bottom, left:right]
        np.testing.assert_array_equal(to_detector_frame(pixels[rows], detector), theirs)


def test_scan_axes_are_those_of_real_headers():
    assert scan_axes("NRS1") == (2, 1)
    assert scan_axes("NRS2") == (-2, -1)


@pytest.mark.parametrize(
    ("corner", "size"),
    [
        ((1, 1), (2048, 2048)),
        ((1, 1041), (2048, 64)),
        ((1025, 951), (512, 16)),
        ((2041, 2040), (8, 9)),
        ((1, 1), (4, 4)),
        ((5, 5), (2040, 2040)),
        ((2044, 2044), (1, 1)),
        ((2045, 2044), (1, 1)),
    ],
)
def test_reference_pixels_are_the_border_of_the_detector(corner, size):
    border = np.ones((2048, 2048), dtype=bool)
    border[4:-4, 4:-4] = False
    y, x = corner[1] - 1, corner[0] - 1
    expected = border[y : y + size[1], x : x + size[0]]
    got = reference_pixels(xstart=corner[0], ystart=corner[1], xsize=size[0], ysize=size[1])
    assert got.dtype == bool
    np.testing.assert_array_equal(got, expected)
