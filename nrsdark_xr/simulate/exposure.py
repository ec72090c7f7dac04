"""One exposure, group by group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import from_detector_frame
from nrsdark_xr.simulate.charge import bright_pixels, gather, poisson_tables, rc_charge
from nrsdark_xr.simulate.configuration import Configuration, Visit, modified_julian_date
from nrsdark_xr.simulate.cosmic_rays import add_cosmic_rays, add_snowballs
from nrsdark_xr.simulate.irs2_samples import ReferenceSamples
from nrsdark_xr.simulate.parameters import SimulationParameters
from nrsdark_xr.simulate.pixels import Pixels
from nrsdark_xr.simulate.readers import IRS2Reader, Random, Reader, TraditionalReader

_EXPOSURES = 1
"""First word of the spawn keys of everything about exposures."""
_STREAMS = ("reset", "charge", "electronics", "white", "events", "telegraph")


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Where particles hit in one integration; DMS frame, shape (y, x).

    Attributes
    ----------
    group : ndarray of uint16
        First group (counted from 1) that has charge of a particle, 0 for none.
    charge : ndarray of float32
        What that group got of it, electrons.
    snowball_core : ndarray of uint16
        First group in which the pixel is in the core of a snowball, 0 for none.
    """

    group: NDArray[np.uint16]
    charge: NDArray[np.float32]
    snowball_core: NDArray[np.uint16]


class Integration:
    """Simulates one integration; iterate over `groups`, then ask for `hits`.

    Parameters
    ----------
    pixels : Pixels
    parameters : SimulationParameters
    configuration : Configuration
    visit : Visit
        The exposure.
    number : int
        Integration within the exposure, counted from 0.
    samples : ReferenceSamples, optional
        What IRS2 reads besides the pixels.
    """

    def __init__(
        self,
        pixels: Pixels,
        parameters: SimulationParameters,
        configuration: Configuration,
        visit: Visit,
        number: int,
        samples: ReferenceSamples | None = None,
    ) -> None:
        self._pixels = pixels
        self._parameters = parameters
        self._configuration = configuration
        self._random = _streams(parameters.seed, visit.index, number)
        self._rate = _rate_at(pixels, modified_julian_date(visit.start))
        self._nothing = poisson_tables(self._rate, configuration.frame_time)
        self._bright = bright_pixels(self._rate, configuration.frame_time)
        shape = pixels.bias.shape
        self._offset = self._reset()
        self._bordered_charge = np.zeros((shape[0] + 2, shape[1] + 2), np.float32)
        self._charge = self._bordered_charge[1:-1, 1:-1]
        self._deposit = np.zeros(shape, np.float32)
        self._scratch = np.empty(shape, np.float32)
        self._hit_group = np.zeros(shape, np.uint16)
        self._hit_charge = np.zeros(shape, np.float32)
        self._core_group = np.zeros(shape, np.uint16)
        self._reader = _reader(pixels, samples, parameters, configuration, self._random)

    def groups(self) -> Iterator[NDArray[np.uint16]]:
        """Yield one group after another, in the DMS frame, shape (raw rows, x)."""
        readout = self._configuration.readout
        frame = 0
        for group in range(1, self._configuration.n_groups + 1):
            total = np.zeros(self._reader.shape, np.uint32)
            for _ in range(readout.n_frames):
                self._expose(frame, group)
                self._reader.read(self._bordered_charge, self._offset, total)
                frame += 1
            # On board, frames are summed and divided by a power of two.
            values = (total // readout.frame_divisor).astype(np.uint16)
            yield np.ascontiguousarray(from_detector_frame(values, self._configuration.detector))

    def hits(self) -> Hits:
        """Return the hits of the groups made so far."""
        detector = self._configuration.detector
        images = (self._hit_group, self._hit_charge, self._core_group)
        return Hits(*(np.ascontiguousarray(from_detector_frame(each, detector)) for each in images))

    def _reset(self) -> NDArray[np.float32]:
        """Signal at reset, DN: bias and kTC noise."""
        noise = self._random["reset"].standard_normal(self._pixels.bias.shape, dtype=np.float32)
        noise *= np.float32(self._parameters.noise.reset)
        noise /= self._pixels.gain
        noise[self._pixels.reference] = 0
        noise += self._pixels.bias
        return noise

    def _expose(self, frame: int, group: int) -> None:
        """Gather the charge of one frame."""
        p, seconds = self._parameters, self._configuration.frame_time
        events, rng = self._random["events"], self._random["charge"]
        add_cosmic_rays(self._deposit, events, p.cosmic_rays, seconds=seconds)
        core = add_snowballs(self._deposit, events, p.snowballs, seconds=seconds)
        core = core[(self._core_group.flat[core] == 0) & (self._pixels.full_well.flat[core] > 0)]
        self._core_group.flat[core] = group
        rc = self._pixels.rc
        expected = rc_charge(rc, frame * seconds, (frame + 1) * seconds)
        self._charge.flat[rc.index] += rng.poisson(expected)
        self._charge.flat[self._bright] += rng.poisson(self._rate.flat[self._bright] * seconds)
        uniform = rng.random(self._charge.shape, dtype=np.float32)
        rng.standard_normal(out=self._scratch, dtype=np.float32)
        gather(
            self._charge,
            self._deposit,
            self._nothing,
            uniform,
            self._scratch,
            np.float32(p.noise.random_walk * np.sqrt(seconds)),
            self._pixels.full_well,
            self._hit_group,
            self._hit_charge,
            np.float32(p.cosmic_rays.recorded),
            group,
        )
        self._reader.advance(seconds)


def _reader(
    pixels: Pixels,
    samples: ReferenceSamples | None,
    parameters: SimulationParameters,
    configuration: Configuration,
    random: Random,
) -> Reader:
    if samples is None:
        return TraditionalReader(pixels, parameters, configuration, random)
    return IRS2Reader(pixels, samples, parameters, configuration, random)


def _rate_at(pixels: Pixels, date: float) -> NDArray[np.float32]:
    """Dark current at `date` (MJD), electrons per second."""
    is_hot = pixels.hot.date <= date
    rate = pixels.rate.copy()
    rate.flat[pixels.hot.index[is_hot]] = pixels.hot.rate[is_hot]
    return rate


def _streams(seed: int, exposure: int, integration: int) -> Random:
    """Make the random streams of one integration: one per process, none depends on another."""
    key = (_EXPOSURES, exposure, integration)
    children = np.random.SeedSequence(seed, spawn_key=key).spawn(len(_STREAMS))
    generators = (np.random.Generator(np.random.SFC64(child)) for child in children)
    return dict(zip(_STREAMS, generators, strict=True))
