"""What each pixel of the area that is read is like, in the detector frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
BoolImage = NDArray[np.bool_]
Index = NDArray[np.int64]

ADC_MAXIMUM = 65535
"""Highest value of the 16-bit converter."""


@dataclass(frozen=True, slots=True, eq=False)
class Telegraph:
    """Pixels that switch between two levels; all arrays have shape (n,).

    Attributes
    ----------
    index : ndarray of int
        Flat index into the image.
    amplitude : ndarray
        Height of the upper level, electrons.
    dwell : ndarray, shape (2, n)
        Mean time in the lower and in the upper level, seconds.
    """

    index: Index
    amplitude: NDArray[np.float64]
    dwell: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RCPixels:
    """Pixels that charge up in two exponentials.

    Attributes
    ----------
    index : ndarray of int, shape (n,)
        Flat index into the image.
    amplitude, time : ndarray, shape (2, n)
        Electrons and seconds.
    """

    index: Index
    amplitude: NDArray[np.float64]
    time: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class HotPixels:
    """Pixels that are hot from some date on; all arrays have shape (n,).

    Attributes
    ----------
    index : ndarray of int
        Flat index into the image.
    rate : ndarray
        Electrons per second.
    date : ndarray
        MJD at which they turned hot.
    known : ndarray of bool
        Whether the input mask has them.
    """

    index: Index
    rate: NDArray[np.float64]
    date: NDArray[np.float64]
    known: BoolImage


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """All pixels of the area that is read, in the detector frame (slow, fast).

    Attributes
    ----------
    reference, dead : ndarray of bool
    bias : ndarray
        DN at reset.
    gain : ndarray
        Electrons per DN.
    rate : ndarray
        Dark current without hot pixels, electrons per second.
    full_well : ndarray
        Electrons; 0 where a pixel collects nothing.
    curvature : ndarray
        c in (linear signal) = m + c m**2, with the measured signal m in DN.
    noise_factor : ndarray
        White noise in terms of that of a normal pixel.
    kernel : ndarray, shape (3, 3)
        Share of a pixel's charge that is seen in it and in its neighbours.
    hot : HotPixels
    vanished_hot : ndarray of int
        Flat indices of pixels that the input mask wrongly calls hot.
    rc : RCPixels
    telegraph : Telegraph
    intermittent : Telegraph
        Bad reference pixels whose offset comes and goes.
    bad_reference : ndarray of bool
    """

    reference: BoolImage
    dead: BoolImage
    bias: FloatImage
    gain: FloatImage
    rate: FloatImage
    full_well: FloatImage
    curvature: FloatImage
    noise_factor: FloatImage
    kernel: FloatImage
    hot: HotPixels
    vanished_hot: Index
    rc: RCPixels
    telegraph: Telegraph
    intermittent: Telegraph
    bad_reference: BoolImage

    def mask(self, index: Index) -> BoolImage:
        """Image that is true at the flat indices."""
        image = np.zeros(self.bias.shape, np.bool_)
        image.flat[index] = True
        return image

    def image(self, index: Index, values: NDArray[np.float64]) -> FloatImage:
        """Image with `values` at the flat indices and 0 elsewhere."""
        image = np.zeros(self.bias.shape, np.float32)
        image.flat[index] = values
        return image
