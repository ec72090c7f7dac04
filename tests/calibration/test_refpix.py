from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import sigmaclip

from nrsdark_xr.calibration import refpix
from nrsdark_xr.calibration.parameters import RefpixParameters
from nrsdark_xr.calibration.refpix_statistics import clipped_mean, running_median
from nrsdark_xr.calibration.superbias import subtract_bias
from nrsdark_xr.detector import DQ
from tests.calibration.synthetic import Case, label, make_case


def bias_subtracted(case: Case) -> np.ndarray:
    bias = case.references.superbias
    return np.stack([subtract_bias(ints.astype(np.float32), bias) for ints in case.raw])


def correct_with_jwst(
    case: Case, data: np.ndarray, pixeldq: np.ndarray, parameters: RefpixParameters
) -> np.ndarray:
    from jwst.refpix import RefPixStep
    from stdatamodels.jwst import datamodels

    model = datamodels.RampModel(
        data=data.copy(), pixeldq=pixeldq.copy(), groupdq=np.zeros(data.shape, np.uint8)
    )
    label(model, case.exposure)
    return RefPixStep(**parameters.model_dump()).process(model).data


def correct(
    case: Case,
    data: np.ndarray,
    pixeldq: np.ndarray,
    parameters: RefpixParameters,
    sirskernel: np.ndarray | None = None,
) -> np.ndarray:
    """All integrations, from the reference samples alone."""
    exposure = case.exposure
    pixels = refpix.find_reference_pixels(
        pixeldq,
        detector=exposure.detector,
        subarray=exposure.subarray,
        ystart=exposure.ystart,
        parameters=parameters,
        sirskernel=sirskernel,
    )
    corrected = []
    for number, ramp in enumerate(data):
        signal = refpix.measure(
            ramp.reshape(len(ramp), -1)[:, pixels.positions],
            pixels,
            single_precision=refpix.single_precision_groups(
                pixels, n_groups=len(ramp), first_integration=number == 0
            ),
            parameters=parameters,
        )
        corrected.append(refpix.apply(ramp, signal))
    return np.stack(corrected)


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
@pytest.mark.parametrize(
    "subarray", ["ALLSLITS", "SUBS200A1", "SUB1024B", "SUB512", "SUB512S", "SUB32"]
)
def test_subarray_is_corrected_as_jwst_does(detector: str, subarray: str) -> None:
    case = make_case(detector, subarray, n_groups=3, n_integrations=2)
    references = case.references
    pixeldq = references.mask | references.saturation_dq | references.superbias_dq
    data = bias_subtracted(case)

    ours = correct(case, data, pixeldq, RefpixParameters())

    np.testing.assert_array_equal(ours, correct_with_jwst(case, data, pixeldq, RefpixParameters()))
    assert np.abs(ours - data).mean() > 1  # the drifts were there


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_full_frame_is_corrected_as_jwst_does(detector: str) -> None:
    case = make_case(detector, "FULL", n_groups=2, n_integrations=2)
    data = bias_subtracted(case)
    pixeldq = case.references.mask

    ours = correct(case, data, pixeldq, RefpixParameters())

    np.testing.assert_array_equal(ours, correct_with_jwst(case, data, pixeldq, RefpixParameters()))
    assert np.abs(ours - data).mean() > 1


@pytest.mark.parametrize(
    "parameters",
    [
        RefpixParameters(odd_even_columns=False),
        RefpixParameters(use_side_ref_pixels=False),
        RefpixParameters(side_smoothing_length=8, side_gain=0.7, siglimit=2.0),
    ],
)
def test_options_mean_the_same_as_in_jwst(parameters: RefpixParameters) -> None:
    case = make_case("NRS2", "FULL", n_groups=2, seed=3)
    data = bias_subtracted(case)
    pixeldq = case.references.mask
    np.testing.assert_array_equal(
        correct(case, data, pixeldq, parameters),
        correct_with_jwst(case, data, pixeldq, parameters),
    )


def test_one_level_for_both_parities_of_a_subarray() -> None:
    case = make_case("NRS1", "SUBS200A1", n_groups=2)
    data, pixeldq = bias_subtracted(case), case.references.mask
    parameters = RefpixParameters(odd_even_columns=False)
    np.testing.assert_array_equal(
        correct(case, data, pixeldq, parameters),
        correct_with_jwst(case, data, pixeldq, parameters),
    )


def test_amplifier_without_good_reference_pixels_keeps_its_level() -> None:
    case = make_case("NRS1", "FULL", n_groups=1)
    data, pixeldq = bias_subtracted(case), case.references.mask.copy()
    pixeldq[512:1024:2, :4] |= np.uint32(DQ.DO_NOT_USE)
    pixeldq[512:1024:2, -4:] |= np.uint32(DQ.DO_NOT_USE)
    ours = correct(case, data, pixeldq, RefpixParameters())
    np.testing.assert_array_equal(ours, correct_with_jwst(case, data, pixeldq, RefpixParameters()))
    levels = (data - ours)[0, 0]
    np.testing.assert_allclose(levels[512], levels[513], atol=1e-3)  # the side signal only


def test_subarray_without_reference_pixels_stays_as_it_is() -> None:
    case = make_case("NRS1", "SUBS200A1", n_groups=2)
    data = bias_subtracted(case)
    no_reference = np.zeros_like(case.references.mask)
    np.testing.assert_array_equal(correct(case, data, no_reference, RefpixParameters()), data)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 63), unique=True))
def test_bands_are_corrected_as_the_whole(cuts: list[int]) -> None:
    case = make_case("NRS2", "SUBS200A1", n_groups=2)
    ramp = bias_subtracted(case)[0]
    rng = np.random.default_rng(0)
    signal = refpix.ReferenceSignal(
        rng.normal(size=(2, 64)), rng.normal(size=(2, 4, 2048)), np.array([True, False])
    )
    edges = [0, *sorted(cuts), 64]
    bands = [
        refpix.apply(ramp[:, start:stop], signal, first_row=start)
        for start, stop in pairwise(edges)
    ]
    np.testing.assert_array_equal(np.concatenate(bands, axis=1), refpix.apply(ramp, signal))


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 600),
    st.sampled_from([1.5, 3.0]),
    st.sampled_from([np.float32, np.float64]),
)
def test_clipped_mean_is_that_of_scipy(
    seed: int, size: int, limit: float, dtype: type[np.floating]
) -> None:
    rng = np.random.default_rng(seed)
    values = (100 + rng.standard_t(2, size)).astype(dtype)
    expected = sigmaclip(values, limit, limit).clipped.mean()
    assert clipped_mean(values, limit) == expected


def test_clipped_mean_of_equal_values_is_that_value() -> None:
    assert clipped_mean(np.full(1023, 5.1, np.float32), 3.0) == np.float32(5.1)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(3, 14),
    st.sampled_from([0.0, 0.3, 0.95]),
    st.sampled_from([np.float32, np.float64]),
)
def test_running_median_is_the_median_of_each_window(
    seed: int, length: int, unusable: float, dtype: type[np.floating]
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(100, 10, (2, 30, 4)).astype(dtype)
    usable = rng.random(values.shape) >= unusable
    reach = (length | 1) // 2
    expected = np.full((2, 30), np.nan)
    for side in range(2):
        for row in range(30):
            around = np.arange(row - reach, row - reach + length)
            around = np.abs(around)  # reflected at the first row
            around = np.where(around > 29, 58 - around, around)  # and at the last
            window = values[side, around][usable[side, around]]
            if window.size:
                expected[side, row] = np.median(window)
    np.testing.assert_array_equal(running_median(values, usable, length), expected)
