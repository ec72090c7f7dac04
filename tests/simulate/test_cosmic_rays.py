from __future__ import annotations

import numpy as np
import pytest

from nrsdark_xr.simulate.cosmic_rays import add_cosmic_rays, add_snowball, add_snowballs
from nrsdark_xr.simulate.parameters import CosmicRayParameters, SnowballParameters


def rays(size: int = 512, seconds: float = 200.0, **parameters: float) -> np.ndarray:
    deposit = np.zeros((size, size), np.float32)
    rng = np.random.default_rng(8)
    add_cosmic_rays(deposit, rng, CosmicRayParameters(**parameters), seconds=seconds)
    return deposit


def events(size: int, seconds: float, rate: float) -> float:
    return rate * seconds * (size * 18e-4) ** 2


def test_cosmic_rays_come_at_their_rate() -> None:
    """Normal incidence onto a layer without diffusion leaves the same charge each time."""
    deposit = rays(rate=3.0, diffusion=0.01, energy_loss_scatter=0.0, depth=1.0, maximum_length=1.0)
    expected = events(512, 200.0, 3.0) * 860 * 0.867
    assert deposit.sum() == pytest.approx(expected, rel=0.1)


def test_a_typical_hit_is_that_of_the_source() -> None:
    """About 5200 charges in about 7 pixels (Rauscher & Fixsen 2025)."""
    deposit = rays(size=1024, seconds=20.0, rate=1.0)
    number = events(1024, 20.0, 1.0)
    pixels = np.count_nonzero(deposit > 50) / number
    assert 5.5 < pixels < 9
    assert 4000 < np.sum(deposit, dtype=float) / number < 13_000


def test_no_rays_at_rate_zero() -> None:
    assert not rays(rate=0.0).any()


def test_a_snowball_has_a_saturated_core_in_a_falling_ring() -> None:
    deposit = np.zeros((80, 90), np.float32)
    core = add_snowball(deposit, 40.3, 50.2, 5.0, SnowballParameters())
    inside = np.zeros(deposit.shape, bool)
    inside.flat[core] = True
    y, x = np.indices(deposit.shape)
    distance = np.hypot(y - 40.3, x - 50.2)
    np.testing.assert_array_equal(inside, distance <= 5)
    assert np.all(deposit[inside] > 77_000)
    ring = (distance > 5) & (distance < 25)
    expected = 8000 * np.exp(-(distance / 5 - 1) / 0.6)
    np.testing.assert_allclose(deposit[ring], expected[ring], rtol=1e-5)
    assert not deposit[distance > 25].any()


def test_a_snowball_beyond_the_edge_leaves_its_share() -> None:
    whole, part = np.zeros((100, 100), np.float32), np.zeros((100, 60), np.float32)
    add_snowball(whole, 50.0, 62.0, 4.0, SnowballParameters())
    core = add_snowball(part, 50.0, 62.0, 4.0, SnowballParameters())
    np.testing.assert_array_equal(part, whole[:, :60])
    assert set(core % 60) == {58, 59}
    far = np.zeros((10, 10), np.float32)
    assert add_snowball(far, 80.0, 5.0, 4.0, SnowballParameters()).size == 0
    assert not far.any()


def test_snowballs_come_at_their_rate_also_near_small_areas() -> None:
    parameters = SnowballParameters(rate=50.0)
    full = SnowballParameters(rate=1.0)
    rng = np.random.default_rng(3)
    covered = [
        np.unique(
            add_snowballs(np.zeros((64, 2048), np.float32), rng, parameters, seconds=1.0)
        ).size
        for _ in range(60)
    ]
    whole = np.zeros((2048, 2048), np.float32)
    cores = add_snowballs(whole, rng, full, seconds=1500.0)
    assert np.mean(covered) * 32 / 50 == pytest.approx(cores.size / 1500, rel=0.15)
