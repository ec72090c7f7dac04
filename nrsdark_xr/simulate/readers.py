"""How a frame is read: the pixels' charge plus all noise of the electronics, in 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DETECTOR_SIZE
from nrsdark_xr.detector.irs2 import IRS2_RAW_ROWS
from nrsdark_xr.simulate.charge import TelegraphState, digitise, digitise_references
from nrsdark_xr.simulate.configuration import Configuration
from nrsdark_xr.simulate.irs2_noise import add_streams, draw_streams
from nrsdark_xr.simulate.irs2_samples import ReferenceSamples, add_intermittent, pixel_columns
from nrsdark_xr.simulate.noise import FloatImage, FrameNoise
from nrsdark_xr.simulate.parameters import SimulationParameters
from nrsdark_xr.simulate.pixels import Pixels, Telegraph

Random = dict[str, np.random.Generator]


class Reader(Protocol):
    """Reads frame after frame of one integration."""

    shape: tuple[int, int]
    """Samples of a frame in the detector frame."""

    def read(self, charge: FloatImage, offset: FloatImage, total: NDArray[np.uint32]) -> None:
        """Read one frame and add it to the group.

        Parameters
        ----------
        charge : ndarray of float32, shape (rows + 2, columns + 2)
            Electrons, in a border of one pixel without charge.
        offset : ndarray of float32, shape (rows, columns)
            Signal at reset, DN.
        total : ndarray of uint32
            Of the reader's shape; the values read are added to it.
        """

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""


class TraditionalReader:
    """Reads the pixels and nothing else.

    Parameters
    ----------
    pixels : Pixels
    parameters : SimulationParameters
    configuration : Configuration
    random : dict
        The streams "electronics", "white" and "telegraph" are used.
    """

    def __init__(
        self,
        pixels: Pixels,
        parameters: SimulationParameters,
        configuration: Configuration,
        random: Random,
    ) -> None:
        self.shape = pixels.bias.shape
        self._pixels = pixels
        self._white = np.float32(parameters.noise.white)
        self._gain = np.float32(configuration.gain)
        self._random = random
        self._electronics = FrameNoise(configuration.clocking, parameters.noise)
        self._telegraphs = _states([pixels.telegraph, pixels.intermittent], random)
        self._scratch = np.empty(self.shape, np.float32)
        self._place = np.arange(self.shape[1])

    def read(self, charge: FloatImage, offset: FloatImage, total: NDArray[np.uint32]) -> None:
        """Read one frame and add it to the group, see `Reader`."""
        noise = self._electronics.draw(self._random["electronics"])
        white = self._scratch
        self._random["white"].standard_normal(out=white, dtype=np.float32)
        white *= self._pixels.noise_factor
        white *= self._white
        noise += white
        for telegraph in self._telegraphs:
            telegraph.add(noise)
        noise /= self._gain
        _digitise(charge, offset, noise, self._place, self._pixels, total)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        for telegraph in self._telegraphs:
            telegraph.advance(self._random["telegraph"], seconds)


class IRS2Reader:
    """Reads the pixels, the reference samples between them, and the reference output.

    Parameters
    ----------
    pixels : Pixels
    samples : ReferenceSamples
    parameters : SimulationParameters
    configuration : Configuration
    random : dict
        The streams "electronics", "white" and "telegraph" are used.
    """

    def __init__(
        self,
        pixels: Pixels,
        samples: ReferenceSamples,
        parameters: SimulationParameters,
        configuration: Configuration,
        random: Random,
    ) -> None:
        self.shape = (DETECTOR_SIZE, IRS2_RAW_ROWS)
        self._pixels, self._samples = pixels, samples
        self._gain = np.float32(configuration.gain)
        self._random = random
        self._streams = draw_streams(
            random["electronics"],
            parameters.noise,
            coupling=samples.coupling,
            delay=parameters.irs2.reference_output_delay,
        )
        self._place = pixel_columns()
        white = np.broadcast_to(samples.noise_factor, self.shape).copy()
        white[:, self._place] = pixels.noise_factor
        white *= np.float32(parameters.noise.white)
        self._white = white
        in_pixels = [_in_raw(each, self._place) for each in (pixels.telegraph, pixels.intermittent)]
        self._telegraphs = _states(in_pixels, random)
        self._intermittent = TelegraphState(samples.intermittent, random["telegraph"])
        self._noise = np.empty(self.shape, np.float32)

    def read(self, charge: FloatImage, offset: FloatImage, total: NDArray[np.uint32]) -> None:
        """Read one frame and add it to the group, see `Reader`."""
        noise = self._noise
        self._random["white"].standard_normal(out=noise, dtype=np.float32)
        noise *= self._white
        add_streams(noise, next(self._streams))
        for telegraph in self._telegraphs:
            telegraph.add(noise)
        add_intermittent(noise, self._samples.intermittent.index, self._intermittent.levels())
        noise /= self._gain
        _digitise(charge, offset, noise, self._place, self._pixels, total)
        digitise_references(self._samples.bias, noise, self._samples.column, total)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        for telegraph in (*self._telegraphs, self._intermittent):
            telegraph.advance(self._random["telegraph"], seconds)


def _digitise(
    charge: FloatImage,
    offset: FloatImage,
    noise: FloatImage,
    place: NDArray[np.intp],
    pixels: Pixels,
    total: NDArray[np.uint32],
) -> None:
    digitise(
        charge,
        offset,
        noise,
        place,
        pixels.kernel,
        pixels.full_well,
        pixels.gain,
        pixels.curvature,
        total,
    )


def _states(pixels: Sequence[Telegraph], random: Random) -> list[TelegraphState]:
    return [TelegraphState(each, random["telegraph"]) for each in pixels]


def _in_raw(pixels: Telegraph, place: NDArray[np.intp]) -> Telegraph:
    """Count the flat indices of pixels in the raw image."""
    row, column = np.divmod(pixels.index, DETECTOR_SIZE)
    return replace(pixels, index=row * IRS2_RAW_ROWS + place[column])
