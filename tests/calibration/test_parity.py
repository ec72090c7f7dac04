"""The whole chain on hostile exposures, against jwst's own steps.

What each step does is tested beside it; here they meet: flags of one change what the next sees.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.calibration import CalibrationParameters, calibrate_exposure
from nrsdark_xr.detector import DQ
from nrsdark_xr.exposures import RawReader, read_exposures
from nrsdark_xr.references import ReferencePaths, clear_hot, load_references
from nrsdark_xr.simulate import SimulationParameters, simulate
from nrsdark_xr.steps.stock_engine import calibrate_with_jwst
from tests.calibration.synthetic import ArrayBuffer, Case, make_case
from tests.calibration.test_exposure import Calibrated, calibrate, calibrate_stock

SHAPES = {"SUBS200A1": (24, 40), "SUB512": (20, 30), "SUB32": (32, 32)}
FULL_SCALE = 65535


def hostile_case(
    seed: int, detector: str, subarray: str, n_groups: int, n_integrations: int, n_frames: int
) -> Case:
    """Make an exposure in which anything may be wrong with any pixel or group."""
    rng = np.random.default_rng(seed)
    case = make_case(
        detector, subarray, n_groups=n_groups, n_integrations=n_integrations,
        n_frames=n_frames, seed=seed, shape=SHAPES[subarray],
    )  # fmt: skip
    raw, references = case.raw.copy(), case.references
    image = raw.shape[2:]

    def some(*fractions: float) -> np.ndarray:
        return rng.random(image) < rng.choice(fractions)

    saturated_from = rng.integers(0, 3 * n_groups, (n_integrations, 1, *image))
    saturated = np.arange(n_groups)[:, None, None] >= saturated_from
    raw[saturated & some(0, 0.1, 0.5, 1)] = FULL_SCALE
    raw[:, :, some(0, 0.1)] = 12000  # no noise at all
    for group in np.flatnonzero(rng.random(n_groups) < rng.choice([0, 0, 0.2, 0.8])):
        raw[rng.integers(n_integrations), group] = 0  # the A/D floor: nothing of it is usable
    raw[rng.random(raw.shape) < rng.choice([0, 0.05])] = 0
    mask = references.mask | np.where(some(0, 0.02, 0.5), np.uint32(DQ.DO_NOT_USE), np.uint32(0))
    if rng.random() < 0.1:
        mask |= np.uint32(DQ.DO_NOT_USE)
    if rng.random() < 0.1:
        raw[:] = FULL_SCALE
    readnoise, gain = references.readnoise.copy(), references.gain.copy()
    readnoise[some(0, 0.1, 1)] = 0
    readnoise[some(0, 0.05)] = np.nan
    gain[some(0, 0.05)] = rng.choice([0.0, -1.0, np.nan])
    thresholds = references.saturation.copy()
    thresholds[some(0, 0.3)] = rng.choice([0.0, 13000.0, np.nan])
    inverse = None
    if n_frames > 1 and n_groups > 1 and rng.random() < 0.5:
        inverse = references.linearity * np.array([1, 1, -1, -1], np.float32)[:, None, None]
    references = references.replace(
        mask=mask,
        readnoise=readnoise,
        gain=gain,
        saturation=thresholds,
        inverse_linearity=inverse,
    )
    if rng.random() < 0.2:
        references = references.replace(superbias=None, superbias_dq=None)
    return Case(case.exposure, raw, references)


def some_parameters(seed: int) -> CalibrationParameters:
    rng = np.random.default_rng(seed)
    return CalibrationParameters.model_validate(
        {
            "saturation": {
                "n_pix_grow_sat": int(rng.integers(0, 3)),
                "use_readpatt": bool(rng.random() < 0.8),
            },
            "refpix": {"odd_even_columns": bool(rng.random() < 0.8)},
            "jump": {
                "rejection_threshold": float(rng.choice([1.0, 4.0, 20.0])),
                "min_jump_to_flag_neighbors": float(rng.choice([2.0, 30.0])),
                "min_diffs_single_pass": int(rng.choice([1, 10, 100])),
                "flag_4_neighbors": bool(rng.random() < 0.8),
            },
            "snowballs": {"expand_large_events": bool(rng.random() < 0.8)},
            "ramp_fit": {"suppress_one_group": bool(rng.random() < 0.7)},
        }
    )


def assert_equivalent(ours: Calibrated, stock: Calibrated) -> None:
    """Ramps and flags bit for bit; rates to the rounding of float32."""
    assert len(ours) == len(stock)
    for (ramp, maps), (stock_ramp, stock_maps) in zip(ours, stock, strict=True):
        np.testing.assert_array_equal(ramp, stock_ramp)
        for name in ("groupdq", "pixeldq", "good_groups"):
            np.testing.assert_array_equal(
                getattr(maps, name), getattr(stock_maps, name), err_msg=name
            )
        for name, rounding in (("rate", 2e-9), ("rate_err", 1e-7)):
            np.testing.assert_allclose(
                getattr(maps, name),
                getattr(stock_maps, name),
                rtol=2e-6,
                atol=rounding,
                err_msg=name,
            )


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1),
    detector=st.sampled_from(["NRS1", "NRS2"]),
    subarray=st.sampled_from(sorted(SHAPES)),
    n_groups=st.integers(1, 30),
    n_integrations=st.integers(1, 3),
    n_frames=st.sampled_from([1, 4]),
    band_rows=st.integers(3, 40),
)
def test_hostile_exposures_are_calibrated_as_jwst_does(
    seed: int,
    detector: str,
    subarray: str,
    n_groups: int,
    n_integrations: int,
    n_frames: int,
    band_rows: int,
) -> None:
    case = hostile_case(seed, detector, subarray, n_groups, n_integrations, n_frames)
    parameters = some_parameters(seed)
    assert_equivalent(
        calibrate(case, parameters, band_rows=band_rows), calibrate_stock(case, parameters)
    )


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
@pytest.mark.parametrize("n_frames", [1, 4])
def test_full_frames_of_several_integrations_are_calibrated_as_jwst_does(
    detector: str, n_frames: int
) -> None:
    case = make_case(detector, "FULL", n_groups=7, n_integrations=2, n_frames=n_frames, seed=3)
    inverse = case.references.linearity * np.array([1, 1, -1, -1], np.float32)[:, None, None]
    case = replace(case, references=case.references.replace(inverse_linearity=inverse))
    assert_equivalent(calibrate(case), calibrate_stock(case))


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
@pytest.mark.parametrize("readpatt", ["NRSRAPID", "NRS"])
def test_simulated_full_frames_are_calibrated_as_jwst_does(
    detector: str, readpatt: str, tmp_path: Path
) -> None:
    """With cosmic rays, snowballs and all the populations of pixels that darks have."""
    made = simulate(
        tmp_path / "darks",
        SimulationParameters(
            detector=detector, readpatt=readpatt, subarray="FULL", exposures=1, groups=12, seed=8
        ),
    )
    (exposure,), _ = read_exposures([str(path) for path in made.exposures])
    paths = ReferencePaths(**{kind: str(path) for kind, path in made.references.items()})
    references = load_references(paths, exposure)
    references = references.replace(mask=clear_hot(references.mask))
    buffer = ArrayBuffer(exposure.raw_shape[1:])
    with RawReader(exposure) as reader:
        ours = calibrate_exposure(
            reader, exposure, references, CalibrationParameters(), [buffer], threads=2
        )
    stock = calibrate_with_jwst(exposure, paths, CalibrationParameters())
    assert_equivalent([(buffer.ramp, ours[0])], stock)


def test_a_single_averaged_group_takes_the_plain_polynomial() -> None:
    """The frames of a group are told from the slope between groups; stcal fails without one."""
    case = make_case("NRS1", "SUB32", n_groups=1, n_frames=4)
    inverse = case.references.linearity * np.array([1, 1, -1, -1], np.float32)[:, None, None]
    with_inverse = replace(case, references=case.references.replace(inverse_linearity=inverse))
    assert_equivalent(calibrate(with_inverse), calibrate_stock(case))
