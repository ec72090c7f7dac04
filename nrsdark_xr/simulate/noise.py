"""Noise of the readout electronics in the order in which the pixels are read.

The model is that of Rauscher 2015 (arXiv:1509.06264, program nghxrg): 1/f streams that run through
the pixels of an output in time, overheads included, and that all outputs share, or that each has
for itself, or for its even and odd columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from nrsdark_xr.detector import AMPLIFIER_WIDTH, DETECTOR_SIZE
from nrsdark_xr.detector.readout import ROW_OVERHEAD
from nrsdark_xr.simulate.parameters import NoiseParameters

FloatImage = NDArray[np.float32]

_CALIBRATION_TICKS = 2 * (AMPLIFIER_WIDTH + ROW_OVERHEAD) * DETECTOR_SIZE
"""Length of the stream whose standard deviation is the amplitude of a pink component (nghxrg)."""


@dataclass(frozen=True, slots=True)
class Clocking:
    """In which order and how fast the pixels of a frame are read.

    Attributes
    ----------
    rows : int
        Rows along the slow axis.
    columns : int
        Columns of each output along the fast axis.
    outputs : int
        Outputs that read at the same time. Every second one runs backwards (Rauscher 2015).
    ticks_per_row : int
        Pixel times from the start of one row to that of the next.
    """

    rows: int
    columns: int
    outputs: int
    ticks_per_row: int

    @property
    def ticks(self) -> int:
        """Pixel times of one frame."""
        return self.rows * self.ticks_per_row


def traditional_clocking(*, rows: int, columns: int, outputs: int) -> Clocking:
    """Clocking of a traditional full frame or subarray.

    Parameters
    ----------
    rows, columns : int
        Size of the frame in the detector frame: slow, fast.
    outputs : int
        4 in full frame, 1 in subarrays.
    """
    width = columns // outputs
    return Clocking(rows, width, outputs, ticks_per_row=width + ROW_OVERHEAD)


def lay_out(stream: FloatImage, clocking: Clocking, output: int) -> FloatImage:
    """Pixels of one output, in the detector frame, from its stream in time.

    Parameters
    ----------
    stream : ndarray, shape (ticks,)
        One value per pixel time; those of the overheads are dropped.
    clocking : Clocking
    output : int
        Counted from 0; the odd ones are read in the opposite direction.

    Returns
    -------
    ndarray, shape (rows, columns)
        A view of `stream`.
    """
    in_time = stream.reshape(clocking.rows, clocking.ticks_per_row)[:, : clocking.columns]
    return in_time[:, ::-1] if output % 2 else in_time


def pink_scale(length: int) -> FloatImage:
    """Scale of the real and imaginary parts of the spectrum of a stream of pink noise.

    Parameters
    ----------
    length : int
        Pixel times. The spectral density is that of a full frame, whatever the length.

    Returns
    -------
    ndarray of float32, shape (length // 2 + 1,)
    """
    harmonics = np.arange(length // 2 + 1, dtype=np.float64)
    harmonics[0] = np.inf
    density = 1 / np.sum(1 / np.arange(1, _CALIBRATION_TICKS // 2 + 1))
    return (0.5 * length * np.sqrt(density / harmonics)).astype(np.float32)


class PinkNoise:
    """Streams with a 1/f power spectrum.

    Twice the needed length is made in Fourier space and the first half kept, so that the end of a
    stream knows nothing of its start (nghxrg).

    Parameters
    ----------
    ticks : int
        Length of a stream.
    """

    def __init__(self, ticks: int) -> None:
        self.ticks = ticks
        self._length = scipy.fft.next_fast_len(2 * ticks, real=True)
        self._scale = pink_scale(self._length)

    def draw(self, rng: np.random.Generator, amplitude: float) -> FloatImage:
        """Draw one stream.

        Parameters
        ----------
        rng : Generator
        amplitude : float
            Standard deviation that a stream of twice a full frame has.

        Returns
        -------
        ndarray of float32, shape (ticks,)
        """
        spectrum = rng.standard_normal(2 * self._scale.size, dtype=np.float32).view(np.complex64)
        spectrum *= self._scale
        stream = scipy.fft.irfft(spectrum, self._length, overwrite_x=True)[: self.ticks]
        stream *= np.float32(amplitude)
        return stream


class FrameNoise:
    """Correlated noise of one frame after another.

    Parameters
    ----------
    clocking : Clocking
    parameters : NoiseParameters
        Electrons.
    """

    def __init__(self, clocking: Clocking, parameters: NoiseParameters) -> None:
        self._clocking = clocking
        self._parameters = parameters
        self._pink = PinkNoise(clocking.ticks)
        self._half_pink = PinkNoise(clocking.ticks // 2)

    def draw(self, rng: np.random.Generator) -> FloatImage:
        """Noise of the next frame: pedestal, pink and alternating columns; without white noise.

        Returns
        -------
        ndarray of float32, shape (rows, outputs * columns)
            In the detector frame, electrons.
        """
        clocking, parameters = self._clocking, self._parameters
        pedestal = parameters.pedestal_drift * rng.standard_normal(dtype=np.float32)
        common = self._pink.draw(rng, parameters.correlated_pink)
        common += np.float32(pedestal)
        image = np.empty((clocking.rows, clocking.outputs * clocking.columns), np.float32)
        for output in range(clocking.outputs):
            stream = common + self._pink.draw(rng, parameters.uncorrelated_pink)
            for parity in (0, 1):
                stream[parity::2] += self._half_pink.draw(rng, parameters.alternating_column)
            band = slice(output * clocking.columns, (output + 1) * clocking.columns)
            image[:, band] = lay_out(stream, clocking, output)
        return image
