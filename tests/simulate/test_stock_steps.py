"""The stock detector1 steps run on simulated exposures, and find in them what was put in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from nrsdark_xr.detector import DQ
from nrsdark_xr.simulate import SimulatedSet, SimulationParameters, simulate

GROUPS = 40
STEPS = ("group_scale", "dq_init", "saturation", "superbias", "refpix", "linearity", "jump")


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSet:
    parameters = SimulationParameters(subarray="SUBS200A1", groups=GROUPS, exposures=1, seed=6)
    return simulate(tmp_path_factory.mktemp("stock"), parameters)


@pytest.fixture(scope="module")
def calibrated(dark: SimulatedSet) -> dict[str, Any]:
    """Noise of pair differences around refpix, the ramp with its jumps, and the rate."""
    from jwst.pipeline import Detector1Pipeline

    pipeline = Detector1Pipeline()
    paths = {name: str(path) for name, path in dark.references.items()}
    for step, names in {
        "dq_init": ["mask"],
        "saturation": ["saturation", "superbias"],
        "superbias": ["superbias"],
        "linearity": ["linearity"],
        "jump": ["gain", "readnoise"],
        "ramp_fit": ["gain", "readnoise"],
    }.items():
        for name in names:
            setattr(getattr(pipeline, step), f"override_{name}", paths[name])
    pipeline.refpix.refpix_algorithm = "median"
    pipeline.jump.expand_large_events = True
    model: Any = str(dark.exposures[0])
    found: dict[str, Any] = {}
    for name in (
        "group_scale",
        "dq_init",
        "saturation",
        "superbias",
        "refpix",
        "linearity",
        "jump",
    ):
        if name == "refpix":
            found["before"] = model.data[0].copy()
        model = getattr(pipeline, name).process(model)
        if name == "refpix":
            found["after"] = model.data[0].copy()
    found["steps"] = model.meta.cal_step
    found["ramp"], found["groupdq"] = model.data[0].copy(), model.groupdq[0].copy()
    found["rate"] = pipeline.ramp_fit.process(model)[0].data
    return found


@pytest.fixture(scope="module")
def truth(dark: SimulatedSet) -> xr.Dataset:
    return xr.open_zarr(dark.truth).load().isel(file=0)


def quiet(truth: xr.Dataset) -> np.ndarray:
    good = ~(truth.hot | truth.rc | truth.rtn | truth.dead | truth.bad_reference).values
    good &= truth.cosmic_ray_group.values == 0
    good[:, :4] = good[:, -4:] = False
    return good


def test_all_steps_are_done(calibrated: dict[str, Any]) -> None:
    steps = calibrated["steps"]
    for name in ("dq_init", "saturation", "superbias", "refpix", "linearity", "jump"):
        assert getattr(steps, name) == "COMPLETE", name


def test_reference_pixels_help(calibrated: dict[str, Any], truth: xr.Dataset) -> None:
    """They share the streams: without them, frames are off by pedestal and slow 1/f noise."""
    good = quiet(truth)
    levels = [
        np.std(np.diff([np.median(group[good]) for group in calibrated[name]]))
        for name in ("before", "after")
    ]
    assert levels[1] < 0.6 * levels[0]


def test_rates_are_the_true_ones(calibrated: dict[str, Any], truth: xr.Dataset) -> None:
    rate, good = calibrated["rate"], quiet(truth)
    good &= np.isfinite(rate)
    residual = rate[good] - truth.dark_rate.values[good]
    noise = np.median(np.abs(residual - np.median(residual))) * 1.4826
    assert 0.03 < noise < 0.12
    assert abs(np.median(residual)) < 0.05


def test_hot_pixels_have_their_rates(
    calibrated: dict[str, Any], truth: xr.Dataset, dark: SimulatedSet
) -> None:
    rate, expected = calibrated["rate"], truth.dark_rate.values
    start = fits.getval(dark.exposures[0], "EXPSTART")
    hot = (truth.hot_date.values < start) & (expected > 10) & (truth.cosmic_ray_group.values == 0)
    assert hot.sum() > 20
    # Those in the input mask have DO_NOT_USE in it and are not fitted.
    fitted = hot & np.isfinite(rate)
    np.testing.assert_allclose(rate[fitted], expected[fitted], rtol=0.1)
    assert np.all(np.isnan(rate[hot & truth.known_hot.values]))


def test_bright_ramps_are_linear_after_correction(
    calibrated: dict[str, Any], truth: xr.Dataset, dark: SimulatedSet
) -> None:
    """Together they grow by what their rates say; uncorrected, 1 % would be missing."""
    ramp, flags = calibrated["ramp"], calibrated["groupdq"]
    usable = (flags & DQ.SATURATED == 0).all(axis=0) & (truth.cosmic_ray_group.values == 0)
    start = fits.getval(dark.exposures[0], "EXPSTART")
    bright = usable & (truth.hot_date.values < start) & (truth.dark_rate.values > 150)
    assert bright.sum() >= 3
    expected = truth.dark_rate.values[bright] * (GROUPS - 1) * 1.558
    growth = (ramp[-1] - ramp[0])[bright]
    assert growth.sum() == pytest.approx(expected.sum(), rel=0.008)
    # Curvature 8e-7 per DN: the test would see its absence.
    assert (expected**2).sum() * 8e-7 > 0.01 * expected.sum()


def test_hits_are_flagged(calibrated: dict[str, Any], truth: xr.Dataset) -> None:
    group = truth.cosmic_ray_group.values
    strong = (group > 1) & (truth.cosmic_ray_charge.values > 300)
    strong &= ~(truth.rc | truth.dead | truth.known_hot).values
    y, x = np.nonzero(strong)
    flags = calibrated["groupdq"][group[y, x] - 1, y, x]
    assert y.size > 100
    assert ((flags & (DQ.JUMP_DET | DQ.SATURATED)) > 0).mean() > 0.97


def test_rc_pixels_show_in_the_first_groups(calibrated: dict[str, Any], truth: xr.Dataset) -> None:
    """As the finding rule wants (JWST-STScI-009226 §4.1.3)."""
    ramp, flags = calibrated["ramp"], calibrated["groupdq"]
    rc = truth.rc.values
    first = ramp[0][quiet(truth)]
    high = ramp[0] > np.mean(first) + 10 * np.std(first)
    bits = DQ.JUMP_DET | DQ.SATURATED | DQ.DO_NOT_USE
    found = high & (flags[1] & bits > 0) & (flags[2] & bits > 0)
    assert found[rc].mean() > 0.7
    assert rc.sum() > 100


def test_mirrored_detector_runs_too(tmp_path: Path) -> None:
    """NRS2 and a subarray without any reference pixel."""
    from jwst.pipeline import Detector1Pipeline

    parameters = SimulationParameters(detector="NRS2", subarray="SUB512S", groups=4, exposures=1)
    result = simulate(tmp_path, parameters)
    pipeline = Detector1Pipeline()
    pipeline.dq_init.override_mask = str(result.references["mask"])
    pipeline.refpix.refpix_algorithm = "median"
    model: Any = str(result.exposures[0])
    for name in ("group_scale", "dq_init", "refpix"):
        model = getattr(pipeline, name).process(model)
    assert model.data.shape == (1, 4, 16, 512)
    assert np.isfinite(model.data).all()
