"""The optimal filter of the side reference pixels against jwst's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwst.refpix import optimized_convolution as jwst_sirs

from nrsdark_xr.calibration import refpix
from nrsdark_xr.calibration.parameters import RefpixParameters
from nrsdark_xr.calibration.sirs import filter_side_pixels, make_kernels
from nrsdark_xr.errors import NrsdarkError
from tests.calibration.synthetic import label, make_case, make_sirskernel, sirskernel_model
from tests.calibration.test_refpix import bias_subtracted, correct

SIRS = RefpixParameters(refpix_algorithm="sirs")


def jwst_kernels(coefficients: np.ndarray, gaussmooth: float, halfwidth: int) -> list:
    model = sirskernel_model("NRS2", coefficients)
    return jwst_sirs.make_kernels(model, "NRS2", gaussmooth, halfwidth)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_frequencies=st.integers(3, 200),
    gaussmooth=st.floats(0.1, 5),
    dtype=st.sampled_from([np.complex64, np.complex128]),
    data=st.data(),
)
def test_kernels_are_those_of_jwst(
    seed: int, n_frequencies: int, gaussmooth: float, dtype: type, data: st.DataObject
) -> None:
    halfwidth = data.draw(st.integers(1, n_frequencies - 2))
    coefficients = make_sirskernel(seed, n_frequencies=n_frequencies).astype(dtype)
    kernels = make_kernels(coefficients, gaussmooth=gaussmooth, halfwidth=halfwidth)
    assert kernels.shape == (2, 4, 2 * halfwidth + 1)
    np.testing.assert_array_equal(kernels, jwst_kernels(coefficients, gaussmooth, halfwidth))


def test_kernels_wider_than_the_reference_are_refused() -> None:
    coefficients = make_sirskernel(n_frequencies=31)
    with pytest.raises(NrsdarkError, match="kernels of 60 rows, too few for a halfwidth of 30; "):
        make_kernels(coefficients, gaussmooth=1.0, halfwidth=30)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(30, 300),
    outliers=st.sampled_from([0.0, 0.02, 0.4]),
    stretch=st.booleans(),
    invalid=st.booleans(),
    constant=st.booleans(),
    sigreject=st.sampled_from([1.0, 4.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_signal_is_that_of_jwst(
    seed: int,
    n_rows: int,
    outliers: float,
    stretch: bool,
    invalid: bool,
    constant: bool,
    sigreject: float,
    dtype: type,
) -> None:
    rng = np.random.default_rng(seed)
    frame = rng.normal(0, 20, (n_rows, 16)).astype(dtype)
    frame[rng.random(frame.shape) < outliers] += 800
    if stretch:  # wider than the kernels
        frame[10 : n_rows // 3 + 10, :4] += 5000
    if invalid:
        frame[n_rows // 2, -2] = np.nan
    if constant:
        frame[:, :4] = 7
    coefficients = make_sirskernel(seed, n_frequencies=n_rows // 2 + 1)
    halfwidth = 12
    left_right = np.stack([frame[:, :4], frame[:, -4:]])
    kernels = make_kernels(coefficients, gaussmooth=1.0, halfwidth=halfwidth)

    signal = filter_side_pixels(left_right, kernels, sigreject=sigreject)

    with np.errstate(all="ignore"):
        expected = jwst_sirs.apply_conv_kernel(
            frame, jwst_kernels(coefficients, 1.0, halfwidth), sigreject=sigreject
        )
    np.testing.assert_array_equal(frame - np.repeat(signal, 4, axis=0).T, expected)


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_full_frame_is_corrected_as_jwst_does(detector: str, tmp_path: Path) -> None:
    from jwst.refpix import RefPixStep
    from stdatamodels.jwst import datamodels

    case = make_case(detector, "FULL", n_groups=2, n_integrations=2)
    coefficients = make_sirskernel()
    data, pixeldq = bias_subtracted(case), case.references.mask
    parameters = SIRS.model_copy(update={"sigreject": 3.0, "gaussmooth": 1.5, "halfwidth": 25})
    sirskernel_model(detector, coefficients).save(tmp_path / "sirskernel.asdf")
    model = datamodels.RampModel(
        data=data.copy(), pixeldq=pixeldq.copy(), groupdq=np.zeros(data.shape, np.uint8)
    )
    label(model, case.exposure)
    step = RefPixStep(
        **parameters.model_dump(), override_sirskernel=str(tmp_path / "sirskernel.asdf")
    )

    ours = correct(case, data, pixeldq, parameters, coefficients)

    np.testing.assert_array_equal(ours, step.process(model).data)
    median = correct(case, data, pixeldq, RefpixParameters())
    assert np.abs(ours - median).mean() > 0.1  # it was not the running median


def test_without_side_correction_no_kernels_are_needed() -> None:
    case = make_case("NRS1", "FULL", n_groups=1)
    data, pixeldq = bias_subtracted(case), case.references.mask
    levels = RefpixParameters(use_side_ref_pixels=False)
    np.testing.assert_array_equal(
        correct(case, data, pixeldq, levels.model_copy(update={"refpix_algorithm": "sirs"})),
        correct(case, data, pixeldq, levels),
    )


def test_subarrays_are_corrected_as_always() -> None:
    case = make_case("NRS1", "SUBS200A1", n_groups=2)
    data, pixeldq = bias_subtracted(case), case.references.mask
    np.testing.assert_array_equal(
        correct(case, data, pixeldq, SIRS), correct(case, data, pixeldq, RefpixParameters())
    )


def test_a_full_frame_without_kernels_is_refused() -> None:
    with pytest.raises(NrsdarkError, match="needs a sirskernel among the references; give one"):
        refpix.find_reference_pixels(
            np.zeros((2048, 2048), np.uint32),
            detector="NRS1",
            subarray="FULL",
            ystart=1,
            parameters=SIRS,
        )
