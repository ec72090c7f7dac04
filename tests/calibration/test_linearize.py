"""The steps up to linearity in one pass, against the same steps one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nrsdark_xr.calibration import refpix
from nrsdark_xr.calibration.linearize import linearize_band, linearize_by_steps, rows_around
from nrsdark_xr.calibration.parameters import SaturationParameters
from nrsdark_xr.calibration.saturation import usable_thresholds
from nrsdark_xr.detector import DQ
from tests.calibration.synthetic import Case, make_case

N_ROWS, N_COLUMNS = 23, 70


def awkward_case(rng: np.random.Generator, n_groups: int, divisor: int, with_bias: bool) -> Case:
    """Samples about the thresholds, and references that are NaN here and there."""
    case = make_case("NRS1", "SUBS200A1", n_groups=n_groups, shape=(N_ROWS, N_COLUMNS))
    image = (N_ROWS, N_COLUMNS)
    threshold = rng.choice([30000.0, 45000.0, 70000.0, np.nan], image).astype(np.float32)
    threshold, dq = usable_thresholds(threshold, case.references.saturation_dq)
    steps = rng.choice([0, 20, 8000, 20000], (n_groups, *image), p=[0.4, 0.4, 0.1, 0.1])
    raw = np.minimum(10000 + np.cumsum(steps, axis=0), 65535)
    raw[rng.random(raw.shape) < 0.01] = 0
    bias = rng.normal(10000, 3000, image).astype(np.float32)
    bias[rng.random(image) < 0.05] = np.nan
    references = case.references.replace(
        saturation=threshold, saturation_dq=dq, superbias=bias if with_bias else None
    )
    exposure = replace(case.exposure, frame_divisor=divisor)
    return Case(exposure, raw[np.newaxis].astype(np.uint16), references)


def some_signal(rng: np.random.Generator, n_groups: int, side: bool) -> refpix.ReferenceSignal:
    return refpix.ReferenceSignal(
        rng.normal(0, 100, (n_groups, N_ROWS)),
        rng.normal(0, 10, (n_groups, 4, N_COLUMNS)) if side else None,
        rng.random(n_groups) < 0.5,
    )


@settings(deadline=None, max_examples=60)
@example(seed=0, n_groups=1, divisor=1, grow=1, use_readpatt=True, side=True, with_bias=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_groups=st.integers(1, 9),
    divisor=st.sampled_from([1, 2]),
    grow=st.integers(0, 3),
    use_readpatt=st.booleans(),
    side=st.booleans(),
    with_bias=st.booleans(),
)
def test_one_pass_does_what_the_steps_do(
    seed: int,
    n_groups: int,
    divisor: int,
    grow: int,
    use_readpatt: bool,
    side: bool,
    with_bias: bool,
) -> None:
    rng = np.random.default_rng(seed)
    case = awkward_case(rng, n_groups, divisor, with_bias)
    signal = some_signal(rng, n_groups, side)
    parameters = SaturationParameters(n_pix_grow_sat=grow, use_readpatt=use_readpatt)
    start, stop = sorted(rng.choice(N_ROWS + 1, 2, replace=False).tolist())
    rows = slice(start, stop)
    around, _ = rows_around(rows, case.exposure, parameters)
    shape = (n_groups, stop - start, N_COLUMNS)
    ramp, groupdq = np.empty(shape, np.float32), np.empty(shape, np.uint8)
    inputs = case.raw[0, :, around], rows, case.exposure, case.references, signal, parameters

    linearity_dq = linearize_band(*inputs, ramp=ramp, groupdq=groupdq)

    expected_ramp, expected_groupdq, expected_dq = linearize_by_steps(*inputs)
    np.testing.assert_array_equal(ramp, expected_ramp)
    np.testing.assert_array_equal(groupdq, expected_groupdq)
    np.testing.assert_array_equal(linearity_dq, expected_dq)


@pytest.mark.parametrize("flag", [DQ.SATURATED, DQ.AD_FLOOR, DQ.DO_NOT_USE])
def test_the_awkward_case_has_every_flag(flag: DQ) -> None:
    rng = np.random.default_rng(1)
    case = awkward_case(rng, 6, 1, True)
    _, groupdq, _ = linearize_by_steps(
        case.raw[0],
        slice(0, N_ROWS),
        case.exposure,
        case.references,
        some_signal(rng, 6, True),
        SaturationParameters(n_pix_grow_sat=0),
    )
    assert 0 < ((groupdq & np.uint8(flag)) != 0).mean() < 1
