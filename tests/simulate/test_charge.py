from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve

from nrsdark_xr.simulate import SimulationParameters
from nrsdark_xr.simulate.charge import (
    TelegraphState,
    bright_pixels,
    digitise,
    digitise_references,
    gather,
    poisson_tables,
    rc_charge,
    seen_by_neighbours,
)
from nrsdark_xr.simulate.pixels import RCPixels, Telegraph
from nrsdark_xr.simulate.populations import ipc_kernel

WELL = 77_000.0


def gathered(
    rate: float, deposit: float = 0.0, well: float = WELL, drift: float = 0.0, size: int = 400
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    shape = (size, size)
    charge, hit_charge = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    hit_group = np.zeros(shape, np.uint16)
    rates = np.full(shape, rate, np.float32)
    gather(
        charge,
        np.full(shape, deposit, np.float32),
        poisson_tables(rates, 10.0),
        rng.random(shape, dtype=np.float32),
        rng.standard_normal(shape, dtype=np.float32),
        np.float32(drift),
        np.full(shape, well, np.float32),
        hit_group,
        hit_charge,
        np.float32(10.0),
        7,
    )
    return charge, hit_group, hit_charge


@pytest.mark.parametrize("rate", [0.0, 0.0085, 0.1, 0.9])
def test_dark_current_is_poissonian(rate: float) -> None:
    charge, _, _ = gathered(rate)
    expected = 10 * rate
    assert np.all(charge == np.round(charge))
    error = np.sqrt(max(expected, 1e-9) / charge.size)
    assert abs(charge.mean() - expected) <= 5 * error
    assert charge.var() == pytest.approx(expected, rel=0.03)


def test_pixels_that_expect_many_electrons_are_left_to_others() -> None:
    rates = np.array([[0.5, 0.99, 1.0, 30.0]], np.float32)
    assert bright_pixels(rates, 10.0).tolist() == [2, 3]
    assert poisson_tables(rates, 10.0)[0, 2:].tolist() == [1.0, 1.0]


def test_the_drift_widens_the_charge() -> None:
    charge, _, _ = gathered(0.0, drift=2.0)
    assert charge.std() == pytest.approx(2.0, rel=0.02)


def test_hits_are_recorded_from_a_threshold_on() -> None:
    _, group, hit = gathered(0.0, deposit=9.5)
    assert not group.any()
    assert not hit.any()
    charge, group, hit = gathered(0.0, deposit=500.0)
    assert np.all(group == 7)
    assert np.all(hit == 500)
    assert np.all(charge == 500)


def test_full_wells_take_no_more_and_inert_pixels_nothing() -> None:
    charge, _, _ = gathered(0.5, deposit=1e6)
    assert np.all(charge == np.float32(WELL))
    charge, group, _ = gathered(0.5, deposit=1e6, well=0.0)
    assert not charge.any()
    assert not group.any()


def test_deposits_are_spent() -> None:
    shape = (3, 4)
    deposit, one = np.full(shape, 5.0, np.float32), np.ones(shape, np.float32)
    arrays = [np.zeros(shape, kind) for kind in (np.float32, np.uint16, np.float32)]
    args = (one, 0 * one, one, np.float32(0), one * 100, arrays[1], arrays[2], np.float32(10), 1)
    gather(arrays[0], deposit, *args)
    gather(arrays[0], deposit, *args)
    assert np.all(arrays[0] == 5)


def read(
    charge: np.ndarray, noise: float = 0.0, offset: float = 5000.0, **maps: float
) -> np.ndarray:
    shape = charge.shape
    kernel = maps.pop("kernel", np.pad(np.ones((1, 1), np.float32), 1))
    total = np.zeros(shape, np.uint32)
    values = {"full_well": WELL, "gain": 1.0, "curvature": 0.0, **maps}
    digitise(
        np.pad(charge.astype(np.float32), 1),
        np.full(shape, offset, np.float32),
        np.zeros(shape, np.float32),
        np.arange(shape[1]),
        kernel,
        *(np.broadcast_to(np.float32(value), shape).copy() for value in values.values()),
        total,
    )
    return total


def test_reading_equals_the_plain_formula() -> None:
    rng = np.random.default_rng(2)
    charge = rng.uniform(0, WELL, (40, 30)).astype(np.float32)
    kernel = ipc_kernel(SimulationParameters())
    curvature, gain = 6e-7, 1.3
    linear = (
        convolve(charge.astype(float), kernel.astype(float)[::-1, ::-1], mode="constant") / gain
    )
    measured = (np.sqrt(1 + 4 * curvature * linear) - 1) / (2 * curvature)
    raw = read(charge, kernel=kernel, curvature=curvature, gain=gain, offset=3000.25)
    assert np.all(np.abs(raw - (measured + 3000.25)) < 0.5 + 0.02)
    # The correction that the linearity file holds brings the linear signal back.
    corrected = (raw - 3000.25) + curvature * (raw - 3000.25) ** 2
    assert np.all(np.abs(corrected - linear) < 0.6)


@settings(deadline=None, max_examples=50)
@given(value=st.floats(-3e5, 3e5))
def test_the_converter_rounds_and_clips(value: float) -> None:
    raw = read(np.zeros((1, 1)), offset=value)[0, 0]
    exact = float(np.float32(value))
    assert abs(int(raw) - min(max(exact, 0), 65535)) <= 0.5 + 1e-2


def test_reference_pixels_see_no_charge() -> None:
    assert np.all(read(np.full((5, 5), 1000.0), full_well=0.0) == 5000)


def test_frames_add_up() -> None:
    total = np.full((2, 2), 7, np.uint32)
    zero, one = np.zeros((2, 2), np.float32), np.ones((2, 2), np.float32)
    kernel = np.pad(np.ones((1, 1), np.float32), 1)
    charge, place = np.zeros((4, 4), np.float32), np.arange(2)
    digitise(charge, 100 * one, zero, place, kernel, one, one, zero, total)
    assert np.all(total == 107)


def test_pixels_and_reference_samples_take_their_places() -> None:
    total = np.zeros((2, 5), np.uint32)
    noise = np.tile(np.arange(5, dtype=np.float32), (2, 1))
    zero, one = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    kernel, charge = np.pad(np.ones((1, 1), np.float32), 1), np.zeros((4, 5), np.float32)
    digitise(charge, 100 * one, noise, np.array([0, 2, 3]), kernel, one, one, zero, total)
    digitise_references(200 * one[:, :2], noise, np.array([1, 4]), total)
    np.testing.assert_array_equal(total, np.tile([100, 201, 102, 103, 204], (2, 1)))


def test_capacitance_loses_nothing_inside() -> None:
    charge = np.zeros((9, 8), np.float32)
    charge[4, 3] = 1000
    seen = seen_by_neighbours(charge, ipc_kernel(SimulationParameters()))
    assert seen.sum() == pytest.approx(1000, rel=1e-5)
    assert seen[4, 4] == pytest.approx(5.4)  # along the fast axis
    assert seen[5, 3] == pytest.approx(6.2)  # along the slow axis
    assert seen[5, 4] == pytest.approx(0.4)


def test_telegraph_pixels_dwell_as_told() -> None:
    n = 4000
    dwell = np.stack([np.full(n, 60.0), np.full(n, 20.0)])
    pixels = Telegraph(np.arange(n), np.full(n, 80.0), dwell)
    rng = np.random.default_rng(4)
    state = TelegraphState(pixels, rng)
    frames = []
    for _ in range(200):
        image = np.zeros((n, 1), np.float32)
        state.add(image)
        frames.append(image[:, 0])
        state.advance(rng, 2.0)
    levels = np.array(frames)
    assert set(np.unique(levels)) == {0.0, 80.0}
    assert (levels > 0).mean() == pytest.approx(0.25, abs=0.01)
    up = (levels[1:] > levels[:-1]).sum() / (levels[:-1] == 0).sum()
    rates = 1 / 60 + 1 / 20
    assert up == pytest.approx(0.25 * (1 - np.exp(-2 * rates)), rel=0.03)


def test_telegraph_pixels_keep_to_their_place() -> None:
    pixels = Telegraph(np.array([5]), np.array([80.0]), np.array([[1e-9], [1e9]]))
    image = np.zeros((2, 4), np.float32)
    TelegraphState(pixels, np.random.default_rng(0)).add(image)
    assert image[1, 1] == 80
    assert np.count_nonzero(image) == 1


def test_rc_pixels_charge_up_in_two_exponentials() -> None:
    pixels = RCPixels(np.array([0]), np.array([[5000.0], [16000.0]]), np.array([[0.4], [2.0]]))
    steps = [rc_charge(pixels, 0.5 * k, 0.5 * (k + 1))[0] for k in range(8)]
    end = 5000 * (1 - np.exp(-4 / 0.4)) + 16000 * (1 - np.exp(-4 / 2.0))
    assert sum(steps) == pytest.approx(end)
    assert np.all(np.diff(steps) < 0)
