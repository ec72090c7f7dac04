"""What the truth says is what is in the exposures."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from nrsdark_xr.simulate import SimulatedSet, SimulationParameters
from nrsdark_xr.simulate.configuration import configure
from nrsdark_xr.simulate.populations import draw_pixels


@pytest.fixture(scope="module")
def truth(slit_set: SimulatedSet) -> xr.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return xr.open_zarr(slit_set.truth).load()


def raw(slit_set: SimulatedSet, index: int) -> np.ndarray:
    return fits.getdata(slit_set.exposures[index], "SCI")[0].astype(np.float64)


def gap(values: np.ndarray) -> float:
    """Gaussian standard deviation from the median absolute deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def test_maps_have_detector_coordinates_and_units(truth: xr.Dataset) -> None:
    assert dict(truth.sizes) == {"y": 64, "x": 2048, "file": 2}
    assert truth.y.values.tolist() == list(range(930, 994))
    assert truth.x.values.tolist() == list(range(1, 2049))
    assert truth.dark_rate.attrs["units"] == "DN/s"
    assert truth.cosmic_ray_group.dtype == np.uint16
    assert truth.snowball_core_group.dtype == np.uint16
    parameters = SimulationParameters.model_validate_json(truth.attrs["parameters"])
    assert parameters.seed == 3


def test_maps_count_the_populations(
    truth: xr.Dataset, slit_parameters: SimulationParameters
) -> None:
    pixels = draw_pixels(slit_parameters, configure(slit_parameters))
    assert int(truth.rc.sum()) == pixels.rc.index.size > 0
    assert int(truth.rtn.sum()) == pixels.telegraph.index.size > 0
    assert int(truth.hot.sum()) == pixels.hot.index.size > 0
    assert int(truth.bad_reference.sum()) == pixels.bad_reference.sum() > 0
    assert int(truth.dead.sum()) == pixels.dead.sum() > 0
    np.testing.assert_array_equal(truth.hot, np.isfinite(truth.hot_date))
    np.testing.assert_array_equal(truth.rtn, truth.rtn_amplitude > 0)
    for strength in ("rtn_dwell_low", "rtn_dwell_high"):
        assert np.all(truth[strength].values[truth.rtn] >= 5)
        assert not truth[strength].values[~truth.rtn].any()
    np.testing.assert_array_equal(truth.rc, truth.rc_amplitude > 12_000)
    np.testing.assert_array_equal(truth.rc, truth.rc_slow_time > 1)
    # A bad reference pixel is either noisy or intermittent.
    noisy, steps = truth.noise_factor > 2, truth.bad_reference_offset != 0
    np.testing.assert_array_equal(truth.bad_reference, noisy ^ steps)
    assert float(truth.dark_rate.where(truth.hot).min()) > 0.99


def test_reset_level_is_the_bias(slit_set: SimulatedSet, truth: xr.Dataset) -> None:
    quiet = ~(truth.hot | truth.rc | truth.rtn | truth.bad_reference).values
    residual = raw(slit_set, 0)[0] - truth.bias.values
    science = residual[:, 4:-4][quiet[:, 4:-4]]
    # kTC noise of 29 e- and read noise at a gain of 1.429
    assert gap(science) == pytest.approx(np.hypot(29, 10) / 1.429, rel=0.05)
    border = np.concatenate([residual[:, :4], residual[:, -4:]], axis=1)
    assert gap(border) < 9


def test_noise_of_a_pair_of_frames(slit_set: SimulatedSet, truth: xr.Dataset) -> None:
    quiet = ~(truth.hot | truth.rc | truth.rtn | truth.bad_reference | truth.dead).values
    pairs = np.diff(raw(slit_set, 0), axis=0) * 1.429
    science = np.mean([gap(pair[:, 4:-4][quiet[:, 4:-4]]) for pair in pairs])
    assert science == pytest.approx(14, rel=0.08)
    edge = quiet & (np.minimum(np.arange(2048), np.arange(2048)[::-1]) < 4)
    border = [gap(pair[edge]) for pair in pairs]
    assert np.mean(border) == pytest.approx(0.8 * science, rel=0.08)


def test_hits_jump_in_their_group_and_nowhere_before(
    slit_set: SimulatedSet, truth: xr.Dataset
) -> None:
    quiet = ~(truth.hot | truth.rc | truth.rtn | truth.dead).values
    for index, name in enumerate(truth.file.values):
        data = raw(slit_set, index)
        hits = truth.sel(file=name)
        group = hits.cosmic_ray_group.values
        strong = quiet & (group > 2) & (hits.cosmic_ray_charge.values > 1000)
        assert strong.sum() > 20
        y, x = np.nonzero(strong)
        last = group[y, x] - 1
        jump = (data[last, y, x] - data[last - 1, y, x]) * 1.429
        charge = hits.cosmic_ray_charge.values[y, x]
        unsaturated = charge < 30_000
        np.testing.assert_allclose(jump[unsaturated], charge[unsaturated], rtol=0.15, atol=250)
        before = data[last - 1, y, x] - data[last - 2, y, x]
        assert gap(before) < 20


def test_new_hot_pixels_are_not_hot_before_their_date(
    slit_set: SimulatedSet, truth: xr.Dataset
) -> None:
    seconds = (fits.getval(slit_set.exposures[0], "NGROUPS") - 1) * 1.558
    strong = truth.hot.values & (truth.dark_rate.values > 5) & (truth.dark_rate.values < 300)
    checked = 0
    for index, path in enumerate(slit_set.exposures):
        start = fits.getval(path, "EXPSTART")
        data = raw(slit_set, index)
        hit = truth.cosmic_ray_group.values[index] > 0
        rate = (data[-1] - data[0]) / seconds
        is_hot = truth.hot_date.values <= start
        already = strong & is_hot & ~hit
        not_yet = strong & ~is_hot & ~hit
        np.testing.assert_allclose(rate[already], truth.dark_rate.values[already], rtol=0.3, atol=2)
        assert np.all(rate[not_yet] < 3)
        checked += int(not_yet.sum())
    assert checked > 0


def test_rc_pixels_start_high_and_settle(slit_set: SimulatedSet, truth: xr.Dataset) -> None:
    data = raw(slit_set, 0) - truth.bias.values
    ramps = data[:, truth.rc.values]
    assert np.median(ramps[0]) > 2000
    assert np.all(np.diff(ramps, axis=0).mean(axis=1)[:5] > 0)
    early, late = np.median(ramps[3] - ramps[0]), np.median(ramps[-1] - ramps[-4])
    assert early > 5 * late


def test_full_pixels_are_beyond_saturation(slit_set: SimulatedSet, truth: xr.Dataset) -> None:
    """Though a pixel among empty ones shows some percent less than its charge."""
    threshold = fits.getdata(slit_set.references["saturation"])
    full = ((truth.rc_amplitude > 75_000) & (truth.rc_slow_time < 10)).values
    assert full.sum() > 10
    assert np.all(raw(slit_set, 0)[-1][full] > threshold[full])


def test_telegraph_pixels_have_both_levels(slit_set: SimulatedSet, truth: xr.Dataset) -> None:
    large = truth.rtn.values & (truth.rtn_amplitude.values > 150)
    plain = ~(truth.rtn | truth.hot | truth.rc).values
    plain[:, :4] = plain[:, -4:] = False
    falls = (np.diff(raw(slit_set, 0), axis=0) < -100).any(axis=0)
    assert falls[large].mean() > 10 * falls[plain].mean()


def test_dead_pixels_collect_nothing(slit_set: SimulatedSet, truth: xr.Dataset) -> None:
    data = raw(slit_set, 0)
    growth = (data[-1] - data[0])[truth.dead.values]
    assert np.median(np.abs(growth)) < 30


def test_memory_does_not_grow_with_the_exposure(tmp_path: Path) -> None:
    """250 groups of SUB2048 are 33 MB of raw data."""
    script = (
        "import resource, sys\n"
        "from nrsdark_xr.simulate import SimulationParameters, simulate\n"
        "p = SimulationParameters(subarray='SUB2048', groups=int(sys.argv[2]), exposures=1)\n"
        "simulate(sys.argv[1], p)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peaks = []
    for groups in ("4", "250"):
        command = [sys.executable, "-c", script, str(tmp_path / groups), groups]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] - peaks[0] < 12
