"""Cosmic rays and snowballs: how many, where, and the charge that they leave.

Cosmic rays are straight tracks through a thin layer (cf. ``cr.py`` of romanisim) with the rate and
the energy loss of Rauscher & Fixsen 2025; snowballs are saturated discs in a ring of charge that
falls exponentially. Each event happens within one frame.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.compile import kernel as compiled
from nrsdark_xr.detector import DETECTOR_SIZE
from nrsdark_xr.simulate.parameters import CosmicRayParameters, SnowballParameters

PIXEL_PITCH = 18.0
"""Micrometres (H2RG)."""
_STEPS_PER_PIXEL = 4
_REACH = 3
"""Half-width of the box, in pixels, over which the charge of a step is spread."""
_CORE_CHARGE = 1e6
"""Electrons in each pixel of a snowball's core: beyond any full well."""
_SQUARE_CENTIMETRES = (PIXEL_PITCH * 1e-4) ** 2


def add_cosmic_rays(
    deposit: NDArray[np.float32],
    rng: np.random.Generator,
    parameters: CosmicRayParameters,
    *,
    seconds: float,
) -> None:
    """Add the charge of the cosmic rays of one frame.

    Parameters
    ----------
    deposit : ndarray of float32, shape (rows, columns)
        Electrons; changed in place, so that no frame costs a new image.
    rng : Generator
    parameters : CosmicRayParameters
    seconds : float
        Length of the frame.
    """
    p = parameters
    number = rng.poisson(p.rate * deposit.size * _SQUARE_CENTIMETRES * seconds)
    rows, columns = deposit.shape
    y = rng.uniform(-0.5, rows - 0.5, number)
    x = rng.uniform(-0.5, columns - 0.5, number)
    direction = rng.uniform(0, 2 * np.pi, number)
    # An isotropic flux through a plane: the cosine of incidence is the root of a uniform.
    cosine = np.sqrt(1 - rng.random(number))
    path = np.minimum(p.depth / cosine, p.maximum_length)
    length = path * np.sqrt(1 - cosine**2) / PIXEL_PITCH
    loss = p.energy_loss * np.exp(p.energy_loss_scatter * rng.standard_normal(number))
    charge = loss.clip(*p.energy_loss_range) * path * p.electrons_per_ev
    _add_tracks(
        deposit, y, x, length * np.sin(direction), length * np.cos(direction), charge, p.diffusion
    )


@compiled
def _add_tracks(
    deposit: NDArray[np.float32],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    dy: NDArray[np.float64],
    dx: NDArray[np.float64],
    charge: NDArray[np.float64],
    diffusion: float,
) -> None:
    """Spread each charge along its track, with a Gaussian of `diffusion` pixels about it."""
    rows, columns = deposit.shape
    scale = 1 / (math.sqrt(2) * diffusion)
    for event in range(y.size):
        steps = 1 + int(_STEPS_PER_PIXEL * math.hypot(dy[event], dx[event]))
        for step in range(steps):
            centre_y = y[event] + dy[event] * (step + 0.5) / steps
            centre_x = x[event] + dx[event] * (step + 0.5) / steps
            near_y, near_x = round(centre_y), round(centre_x)
            for row in range(max(near_y - _REACH, 0), min(near_y + _REACH + 1, rows)):
                above = math.erf((row + 0.5 - centre_y) * scale)
                in_row = 0.5 * (above - math.erf((row - 0.5 - centre_y) * scale))
                for column in range(max(near_x - _REACH, 0), min(near_x + _REACH + 1, columns)):
                    right = math.erf((column + 0.5 - centre_x) * scale)
                    in_column = 0.5 * (right - math.erf((column - 0.5 - centre_x) * scale))
                    deposit[row, column] += charge[event] / steps * in_row * in_column


def add_snowballs(
    deposit: NDArray[np.float32],
    rng: np.random.Generator,
    parameters: SnowballParameters,
    *,
    seconds: float,
) -> NDArray[np.int64]:
    """Add the charge of the snowballs of one frame, also of those that are centred outside.

    Parameters
    ----------
    deposit : ndarray of float32, shape (rows, columns)
        Electrons; changed in place.
    rng : Generator
    parameters : SnowballParameters
    seconds : float
        Length of the frame.

    Returns
    -------
    ndarray of int
        Flat indices of the pixels of the cores.
    """
    p = parameters
    rows, columns = deposit.shape
    margin = p.reach * p.core_radius[1]
    area = (rows + 2 * margin) * (columns + 2 * margin)
    number = rng.poisson(p.rate * seconds * area / DETECTOR_SIZE**2)
    cores = [np.empty(0, np.int64)]
    for _ in range(number):
        y = rng.uniform(-margin, rows + margin)
        x = rng.uniform(-margin, columns + margin)
        smallest, largest = (radius**-2 for radius in p.core_radius)
        radius = (smallest - rng.random() * (smallest - largest)) ** -0.5
        cores.append(add_snowball(deposit, y, x, radius, p))
    return np.concatenate(cores)


def add_snowball(
    deposit: NDArray[np.float32], y: float, x: float, radius: float, parameters: SnowballParameters
) -> NDArray[np.int64]:
    """Add the charge of one snowball.

    Parameters
    ----------
    deposit : ndarray of float32, shape (rows, columns)
        Electrons; changed in place.
    y, x, radius : float
        Centre and radius of the core, pixels.
    parameters : SnowballParameters

    Returns
    -------
    ndarray of int
        Flat indices of the pixels of the core.
    """
    p = parameters
    reach = p.reach * radius
    rows = np.arange(max(math.ceil(y - reach), 0), min(math.floor(y + reach) + 1, deposit.shape[0]))
    columns = np.arange(
        max(math.ceil(x - reach), 0), min(math.floor(x + reach) + 1, deposit.shape[1])
    )
    if not rows.size or not columns.size:
        return np.empty(0, np.int64)
    distance = np.hypot(rows[:, np.newaxis] - y, columns[np.newaxis, :] - x) / radius
    ring = p.ring_charge * np.exp(-(distance - 1) / p.ring_scale) * (distance < p.reach)
    core = distance <= 1
    deposit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += np.where(
        core, _CORE_CHARGE, ring
    ).astype(np.float32)
    core_row, core_column = np.nonzero(core)
    return (core_row + rows[0]) * deposit.shape[1] + core_column + columns[0]
