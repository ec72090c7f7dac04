from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from nrsdark_xr.detector import from_detector_frame
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.simulate import SimulationParameters
from nrsdark_xr.simulate.configuration import configure, modified_julian_date
from nrsdark_xr.simulate.parameters import TelegraphParameters
from nrsdark_xr.simulate.pixels import Pixels
from nrsdark_xr.simulate.populations import draw_pixels

ACTIVE = 2040**2


def drawn(**given: object) -> Pixels:
    parameters = SimulationParameters(**given)
    return draw_pixels(parameters, configure(parameters))


@pytest.fixture(scope="module")
def full() -> Pixels:
    return drawn(detector="NRS1", seed=11)


def test_populations_are_as_many_as_told_and_disjoint(full: Pixels) -> None:
    groups = {
        "rc": (full.rc.index, 0.001),
        "telegraph": (full.telegraph.index, 0.0061),
        "dead": (np.flatnonzero(full.dead), 0.001),
        "vanished": (full.vanished_hot, 0.0024 * 0.03),
        "old": (full.hot.index[full.hot.date < 60370], 0.0024),
    }
    for name, (index, fraction) in groups.items():
        assert index.size == np.unique(index).size == round(fraction * ACTIVE), name
        assert not full.reference.flat[index].any(), name
    for (index, _), (other, _) in combinations(groups.values(), 2):
        assert np.intersect1d(index, other).size == 0


def test_hot_pixels_appear_in_the_period_and_before(full: Pixels) -> None:
    configuration = configure(SimulationParameters())
    first, last = map(modified_julian_date, (configuration.first, configuration.last))
    new = full.hot.date >= first
    months = (last - first) / 30.4375
    assert new.sum() == round(70 * months)
    assert full.hot.date.max() <= last
    assert not full.hot.known[new].any()
    # What the mask knows is what turned hot first; it lacks 17 % of the old ones.
    old = ~new
    assert full.hot.known.sum() == round(0.83 * old.sum())
    assert full.hot.date[full.hot.known].max() < full.hot.date[old & ~full.hot.known].min()


def test_rates_are_those_of_the_parameters(full: Pixels) -> None:
    normal = ~full.reference & ~full.dead
    assert np.median(full.rate[normal]) == pytest.approx(0.0084, rel=0.01)
    assert full.rate[normal].max() < 0.85
    assert not full.rate[~normal].any()
    seen = full.hot.rate * full.kernel[1, 1] / full.gain.flat[full.hot.index]
    assert seen.min() >= 1.0 * (1 - 1e-6)
    assert seen.max() <= 1000.0 * (1 + 1e-6)
    above = [(seen > rate).sum() for rate in (2.0, 20.0)]
    tail = [(rate**-0.7 - 1000**-0.7) for rate in (2.0, 20.0)]
    assert above[0] / above[1] == pytest.approx(tail[0] / tail[1], rel=0.1)


def test_bias_has_its_rows_amplifiers_and_scatter(full: Pixels) -> None:
    science = ~full.reference
    assert np.median(full.bias[science]) == pytest.approx(5000, abs=150)
    assert full.bias[science].std() == pytest.approx(np.hypot(900, 600), rel=0.08)
    parity = full.bias[4:-4, 5:-4:2].mean() - full.bias[4:-4, 4:-4:2].mean()
    assert parity == pytest.approx(297, abs=5)
    assert full.bias.min() > 0
    assert full.bias.max() < 20_000


def test_only_reference_and_dead_pixels_collect_nothing(full: Pixels) -> None:
    np.testing.assert_array_equal(full.full_well == 0, full.reference | full.dead)
    np.testing.assert_array_equal(full.curvature == 0, full.reference | full.dead)


def test_bad_reference_pixels_are_reference_pixels(full: Pixels) -> None:
    assert full.bad_reference.sum() == round(0.01 * (2048**2 - ACTIVE))
    assert np.all(full.reference[full.bad_reference])
    noisy = full.noise_factor > 1
    steps = full.mask(full.intermittent.index)
    np.testing.assert_array_equal(noisy | steps, full.bad_reference)
    assert not (noisy & steps).any()
    assert np.all(full.noise_factor[full.reference & ~noisy] == np.float32(0.8))
    assert np.all(full.noise_factor[~full.reference] == 1)


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_full_frame_and_subarray_are_the_same_detector(detector: str) -> None:
    full = drawn(detector=detector, seed=2)
    slit_parameters = SimulationParameters(detector=detector, subarray="SUBS200A1", seed=2)
    area = configure(slit_parameters).area
    slit = drawn(detector=detector, subarray="SUBS200A1", seed=2)
    rows = slice(area.ystart - 1, area.ystart - 1 + area.ysize)

    def cut(image: np.ndarray) -> np.ndarray:
        return from_detector_frame(image, detector)[rows]

    def whole(image: np.ndarray) -> np.ndarray:
        return from_detector_frame(image, detector)

    for name in ("reference", "dead", "bad_reference"):
        np.testing.assert_array_equal(cut(getattr(full, name)), whole(getattr(slit, name)))
    for name in ("telegraph", "rc", "hot"):
        here, there = getattr(slit, name), getattr(full, name)
        np.testing.assert_array_equal(cut(full.mask(there.index)), whole(slit.mask(here.index)))
    np.testing.assert_allclose(whole(slit.gain), 1.429 * cut(full.gain), rtol=1e-6)
    # The pattern is scaled by the gain; amplifier offsets are a matter of full frame alone.
    pattern = (whole(slit.bias) - 6684) * 1.429 - (cut(full.bias) - 5000)
    assert pattern.std() < 0.01


def test_detectors_and_seeds_differ() -> None:
    kinds = [drawn(subarray="SUB512S", detector=d, seed=s) for d, s in (("NRS1", 0), ("NRS2", 0))]
    kinds.append(drawn(subarray="SUB512S", detector="NRS1", seed=1))
    for one, other in combinations(kinds, 2):
        assert abs(np.corrcoef(one.gain.ravel(), other.gain.ravel())[0, 1]) < 0.1


def test_too_many_special_pixels_are_refused() -> None:
    with pytest.raises(NrsdarkError, match="add up to more than 1"):
        drawn(subarray="SUB32", telegraph=TelegraphParameters(fraction=1.0))
