from __future__ import annotations

import numpy as np
import pytest

from nrsdark_xr.calibration import CalibrationParameters, bias_groups
from nrsdark_xr.calibration.parameters import RefpixParameters
from nrsdark_xr.errors import NrsdarkError
from tests.calibration.synthetic import ArrayReader, Case, make_case
from tests.calibration.test_refpix import correct_with_jwst


def make_bias_groups(case: Case, integration: int = 0) -> np.ndarray:
    return bias_groups(
        ArrayReader(case.raw),
        case.exposure,
        integration,
        case.references,
        CalibrationParameters(),
    )


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_subarray_groups_keep_the_level_of_the_first(detector: str) -> None:
    """In a subarray the level is all that is corrected: what jwst takes from group 1 comes back."""
    case = make_case(detector, "SUBS200A1", n_groups=3, n_integrations=2)
    raw = case.raw[1, :2].astype(np.float32)
    stock = correct_with_jwst(case, raw[np.newaxis], case.references.mask, RefpixParameters())[0]
    groups = make_bias_groups(case, 1)
    assert groups.dtype == np.float32
    np.testing.assert_array_equal(groups[0], raw[0])
    np.testing.assert_allclose(groups[1], stock[1] + (raw[0] - stock[0]), rtol=0, atol=5e-3)


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_full_frame_groups_lose_their_side_signal_only(detector: str) -> None:
    """What jwst takes from group 1 without its side correction comes back to both groups."""
    case = make_case(detector, "FULL", n_groups=2)
    raw = case.raw[0].astype(np.float32)
    mask = case.references.mask
    levels_only = RefpixParameters(use_side_ref_pixels=False)
    level = raw[0] - correct_with_jwst(case, raw[np.newaxis], mask, levels_only)[0, 0]
    stock = correct_with_jwst(case, raw[np.newaxis], mask, RefpixParameters())[0]
    np.testing.assert_allclose(make_bias_groups(case), stock + level, rtol=0, atol=1e-2)
    assert np.abs(make_bias_groups(case)[0] - raw[0]).max() > 1


def test_bias_of_a_known_scene_is_found() -> None:
    """Levels that drift by parity from group to group leave no trace in 2 G1 - G2."""
    case = make_case("NRS2", "SUBS200A1", n_groups=2)
    rng = np.random.default_rng(0)
    bias = rng.integers(9000, 12000, (64, 2048)).astype(np.float32)
    even = (np.arange(64) % 2 == 0)[:, np.newaxis]
    raw = np.stack([bias, bias + np.where(even, 40, -25)]).astype(np.uint16)[np.newaxis]
    groups = make_bias_groups(Case(case.exposure, raw, case.references))
    np.testing.assert_allclose(2 * groups[0] - groups[1], bias, rtol=0, atol=2e-3)


def test_one_group_makes_no_bias() -> None:
    case = make_case("NRS1", "SUB32", n_groups=1)
    with pytest.raises(NrsdarkError, match="one group"):
        make_bias_groups(case)
