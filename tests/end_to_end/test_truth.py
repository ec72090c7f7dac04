"""What the chain finds against what the simulator put in, with bounds that a broken rule misses.

docs/truth.md has the scores of a set of realistic length. Here telegraph pixels are fast and bad
reference pixels frequent, so that a short run shows many of them.
"""

from __future__ import annotations

from math import inf
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

import nrsdark_xr as nx
from nrsdark_xr.detector import DQ
from nrsdark_xr.products import science_pixels
from nrsdark_xr.products.flags import has_neighbour
from nrsdark_xr.simulate import SimulationParameters, simulate
from nrsdark_xr.simulate.scores import completeness, first_flagged, flagged_at, pulls, purity
from tests.projects import Project

PARAMETERS = {
    "subarray": "SUBS200A1",
    "exposures": 8,
    "groups": 20,
    "seed": 4,
    "telegraph": {"dwell_time": (2, 8), "amplitude": 150},
    "reference_pixels": {"bad_fraction": 0.05},
}
NAME = "nrs1-subs200a1"
CUT = DQ.JUMP_DET | DQ.SATURATED
KTC_NOISE, READ_NOISE = 29.0, 9.9


class Scored:
    """Truth and products as arrays."""

    def __init__(self, folder: Path) -> None:
        self.truth = xr.open_zarr(folder / "truth.zarr").load()
        self.ramps = nx.open_ramps(folder / "ramps.zarr").load()
        self.average = xr.open_zarr(folder / f"products/{NAME}_average.zarr", consolidated=False)
        self.folder = folder
        self.science = science_pixels(self.ramps).values
        special = self.map("hot") | self.map("rc") | self.map("rtn") | self.map("dead")
        self.quiet = self.science & ~special
        self.pair_noise = fits.getdata(folder / "references/readnoise.fits")

    def map(self, name: str) -> np.ndarray:
        return self.truth[name].values

    def found(self, name: str) -> np.ndarray:
        return self.average[name].values

    def product(self, kind: str, extension: str) -> np.ndarray:
        return fits.getdata(self.folder / f"products/{NAME}_{kind}.fits", extension)


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Scored:
    folder = tmp_path_factory.mktemp("truth")
    simulate(folder, SimulationParameters.model_validate(PARAMETERS))
    Project(folder).run(until="synthesize")
    return Scored(folder)


def fraction(shares, *, at_least: int) -> float:
    """Fraction of one bin that must hold enough pixels to say something."""
    (share,) = shares
    assert share.n >= at_least
    return share.fraction


def test_hot_pixels(scored):
    hot, rc, rate = scored.map("hot"), scored.map("rc"), scored.map("dark_rate")
    found = (scored.product("mask", "DQ") & DQ.HOT) != 0
    first_date = scored.ramps.date_obs.values.min().astype("datetime64[D]")
    steady = scored.map("hot_date") < (first_date - np.datetime64("1858-11-17")).astype(float)
    assert fraction(completeness(found, hot & steady, rate, [1.3, inf]), at_least=200) > 0.98
    truly = hot | (rate > 1)  # by itself, or by the charge of its neighbours
    measured = scored.product("dark", "DRK")
    bent = rc | has_neighbour(rc) | scored.map("rtn")  # what a line makes of these is no dark rate
    assert fraction(purity(found & ~bent, truly, measured, [1.3, inf]), at_least=200) > 0.95
    assert not found[~scored.science].any()


def test_rc_pixels(scored):
    rc, found = scored.map("rc"), scored.found("rc")
    unsaturated = rc & (scored.map("rc_amplitude") < 35_000)
    slow = scored.map("rc_slow_time")
    assert fraction(completeness(found, unsaturated, slow, [1.5, inf]), at_least=50) > 0.9
    assert fraction(purity(found, rc, slow, [0, inf]), at_least=50) > 0.95


def test_telegraph_pixels(scored):
    telegraph, found = scored.map("rtn"), scored.found("telegraph")
    height = scored.map("rtn_amplitude") / scored.pair_noise
    cycle = scored.map("rtn_dwell_low") + scored.map("rtn_dwell_high")
    often = telegraph & (cycle < 10)
    assert fraction(completeness(found, often, height, [8, inf]), at_least=100) > 0.9
    assert fraction(completeness(found, often, height, [0, 3]), at_least=10) < 0.5
    others = found & ~scored.map("rc") & ~scored.map("hot")  # their ramps bend, or are noisy
    assert fraction(purity(others, telegraph, height, [-inf, inf]), at_least=200) > 0.95


def test_read_noise(scored):
    measured = scored.product("readnoise", "SCI") / scored.pair_noise
    assert np.median(measured[scored.quiet]) == pytest.approx(1, abs=0.02)
    pixel_to_pixel = 1 / np.sqrt(2 * PARAMETERS["exposures"] * PARAMETERS["groups"] / 1.5)
    assert np.std(measured[scored.quiet]) < 1.15 * pixel_to_pixel
    steady = scored.science & ~scored.map("rc") & ~scored.map("rtn") & ~scored.map("dead")
    hot = steady & (scored.map("dark_rate") > 10)
    assert hot.sum() > 50
    assert np.median(measured[hot]) == pytest.approx(1, abs=0.1)


def test_bad_reference_pixels(scored):
    bad, found = scored.map("bad_reference"), scored.found("bad_reference")
    everything = np.ones(bad.shape)
    assert fraction(completeness(found, bad, everything, [0, inf]), at_least=15) > 0.9
    assert fraction(purity(found, bad, everything, [0, inf]), at_least=15) > 0.9


def test_cosmic_rays(scored):
    hits = scored.truth.sel(file=scored.ramps.file.values)
    group = hits.cosmic_ray_group.values
    charge = hits.cosmic_ray_charge.values / (scored.map("gain") * scored.pair_noise)
    groupdq = scored.ramps.groupdq.values
    at_hit = np.stack([flagged_at(*each, bits=CUT) for each in zip(groupdq, group, strict=True)])
    seen = scored.quiet & (group > 1)
    # Stronger ones flag weaker neighbours, whatever the threshold: the bound is a narrow one.
    assert fraction(completeness(at_hit, seen, charge, [6, 50]), at_least=1000) > 0.995

    first = np.stack([first_flagged(each, bits=CUT) for each in groupdq])
    ramp = scored.ramps.ramp.values
    later = np.maximum(first.astype(int) - 1, 1)[:, np.newaxis]
    jump = np.take_along_axis(ramp, later, 1) - np.take_along_axis(ramp, later - 1, 1)
    size = jump[:, 0] / scored.pair_noise
    beside = has_neighbour(scored.map("hot") | scored.map("rc"))
    flagged = scored.quiet & ~beside & (first > 1)
    assert fraction(purity(flagged, first == group, size, [6, inf]), at_least=1000) > 0.97


def test_cosmic_rays_are_no_longer_there_in_good_groups(scored):
    hits = scored.truth.sel(file=scored.ramps.file.values)
    group = hits.cosmic_ray_group.values
    strong = scored.quiet & (group > 1) & (hits.cosmic_ray_charge.values > 200)
    assert np.mean(scored.ramps.good_groups.values[strong] < group[strong]) > 0.99


def test_pulls_of_the_superbias(scored):
    """ERR is the scatter between exposures, 2 G1 - G2 errs less: kTC noise is common to both."""
    quiet, n_files = scored.quiet, scored.ramps.sizes["file"]
    bias, err = scored.product("superbias", "SCI"), scored.product("superbias", "ERR")
    found = pulls(bias[quiet], scored.map("bias")[quiet], err[quiet])
    true_error = np.sqrt((KTC_NOISE**2 + 5 * READ_NOISE**2) / n_files)
    scatter = np.sqrt(5 * (KTC_NOISE**2 + READ_NOISE**2))
    assert abs(found.median) < 0.1
    # Clipped population deviations of few samples are too small, by a tenth or so.
    assert 1 < found.scatter / (true_error / scatter) < 1.3


def test_pulls_of_the_dark_rate(scored):
    quiet, true = scored.quiet, scored.map("dark_rate")
    rate, uncertainty = scored.product("dark", "DRK"), scored.product("dark", "UNC")
    found = pulls(rate[quiet], true[quiet], uncertainty[quiet])
    assert abs(found.median) < 0.6  # the reference pixels leave a drift common to all pixels
    assert 1 < found.scatter < 1.3
    hot = scored.map("hot") & (true > 10) & (scored.map("hot_date") < 60_000)
    assert hot.sum() > 30
    assert np.median(np.abs(rate[hot] / true[hot] - 1)) < 0.02
