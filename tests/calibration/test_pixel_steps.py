"""The steps that treat each pixel by itself: group_scale, dq_init, superbias, linearity."""

from __future__ import annotations

import numpy as np
import pytest

from nrsdark_xr.calibration.dq_init import init_dq
from nrsdark_xr.calibration.group_scale import scale_groups
from nrsdark_xr.calibration.linearity import (
    correct_averaged_linearity,
    correct_linearity,
    usable_coefficients,
)
from nrsdark_xr.calibration.superbias import subtract_bias
from nrsdark_xr.detector import DQ
from tests.calibration.synthetic import make_case

CASE = make_case("NRS1", "SUB512", n_groups=7)


@pytest.mark.parametrize(("n_frames", "divisor"), [(1, 1), (4, 4), (5, 8)])
def test_groups_are_scaled_as_jwst_does(n_frames: int, divisor: int) -> None:
    from jwst.group_scale import GroupScaleStep
    from stdatamodels.jwst import datamodels

    raw = CASE.raw[0]
    model = datamodels.RampModel(data=raw[np.newaxis].astype(np.float32))
    model.meta.exposure.nframes, model.meta.exposure.frame_divisor = n_frames, divisor
    model.meta.exposure.type = "NRS_DARK"
    np.testing.assert_array_equal(
        scale_groups(raw, n_frames=n_frames, frame_divisor=divisor),
        GroupScaleStep().process(model).data[0],
    )


def test_mask_goes_to_pixels_and_its_do_not_use_to_all_groups() -> None:
    mask = np.array([[0, DQ.DO_NOT_USE, DQ.DEAD, DQ.DO_NOT_USE | DQ.REFERENCE_PIXEL]], np.uint32)
    pixeldq, groupdq = init_dq(mask, 3)
    np.testing.assert_array_equal(pixeldq, mask)
    assert not np.shares_memory(pixeldq, mask)
    assert groupdq.dtype == np.uint8
    np.testing.assert_array_equal(groupdq, [[[0, 1, 0, 1]]] * 3)


def test_bias_is_subtracted_and_nan_is_nothing() -> None:
    data = np.array([[10.0, 20.0], [30.0, 40.0]], np.float32)
    bias = np.array([1.5, np.nan], np.float32)
    np.testing.assert_array_equal(subtract_bias(data, bias), [[8.5, 20.0], [28.5, 40.0]])
    assert np.isnan(bias[1])


def linearity_inputs(seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    data = subtract_bias(CASE.raw[0].astype(np.float32), CASE.references.superbias)
    saturated_from = rng.integers(0, 12, data.shape[1:])
    groupdq = np.where(np.arange(len(data))[:, None, None] >= saturated_from, DQ.SATURATED, 0)
    return data, (groupdq | (rng.random(data.shape) < 0.02)).astype(np.uint8)


def correct_with_stcal(
    data: np.ndarray, groupdq: np.ndarray, **options: object
) -> tuple[np.ndarray, np.ndarray]:
    from stcal.linearity.linearity import linearity_correction
    from stdatamodels.jwst.datamodels import dqflags

    corrected, pixeldq, _ = linearity_correction(
        data[np.newaxis].copy(),
        groupdq[np.newaxis].copy(),
        np.zeros(data.shape[1:], np.uint32),
        CASE.references.linearity.copy(),
        CASE.references.linearity_dq.copy(),
        dqflags.pixel,
        **options,
    )
    return corrected[0], pixeldq


def test_linearity_is_corrected_as_stcal_does() -> None:
    data, groupdq = linearity_inputs(1)
    coefficients, dq = usable_coefficients(CASE.references.linearity, CASE.references.linearity_dq)
    corrected = correct_linearity(data, groupdq, coefficients=coefficients)

    expected, expected_dq = correct_with_stcal(data, groupdq)
    np.testing.assert_array_equal(corrected, expected)
    np.testing.assert_array_equal(dq, expected_dq)
    assert (dq & DQ.NO_LIN_CORR > CASE.references.linearity_dq & DQ.NO_LIN_CORR).any()
    assert (corrected != data).any()


def test_linearity_of_averaged_frames_is_corrected_as_stcal_does() -> None:
    data, groupdq = linearity_inputs(2)
    references = CASE.references
    inverse_file = references.linearity.copy()
    inverse_file[2:] *= -1
    inverse_file[1, :3, :3] = np.nan
    pattern = [[1 + frame + group * 4 for frame in range(4)] for group in range(len(data))]
    coefficients, dq = usable_coefficients(references.linearity, references.linearity_dq)
    inverse, inverse_dq = usable_coefficients(inverse_file, references.linearity_dq)
    corrected = correct_averaged_linearity(
        data, groupdq, coefficients=coefficients, inverse_coefficients=inverse, n_frames=4
    )

    expected, expected_dq = correct_with_stcal(
        data, groupdq, ilin_coeffs=inverse_file.copy(), read_pattern=pattern
    )
    np.testing.assert_array_equal(corrected, expected)
    np.testing.assert_array_equal(dq | inverse_dq, expected_dq)
    plain = correct_linearity(data, groupdq, coefficients=coefficients)
    assert (corrected != plain).any()
