"""Fourier transforms of an IRS2 frame in time order, without ever putting it in time order.

A frame of one output has 2048 lines of 712 pixel times (ticks). Written as an array (tick, line),
as the raw rows of the DMS frame lie, its transform over time goes in three parts (Cooley and
Tukey): along each row over lines; a turn of phase that grows with the tick; over ticks. With n =
712 j + t and k = k1 + 2048 k2, ::

    X[k2, k1] = sum_t exp(-2 pi i k2 t / 712) exp(-2 pi i k1 t / N) sum_j exp(-2 pi i k1 j / 2048)
                x[t, j]

Since x is real, k1 from 0 to 1024 tell all. Rows that were not read are zero and cost nothing in
the first part; rows that nobody asks for cost nothing in the way back.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy  # which loads scipy.fft when it is used: 0.1 s that others need not wait
from numpy.typing import NDArray

from nrsdark_xr.calibration import _irs2_kernels
from nrsdark_xr.detector import DETECTOR_SIZE, irs2

FREQUENCIES = DETECTOR_SIZE // 2 + 1
"""Frequencies of a line transform."""
NOT_READ = -1
"""In `to_frequencies`: nothing was read at this tick."""


def to_frequencies(samples: NDArray[np.float32], source: NDArray[np.intp]) -> NDArray[np.complex64]:
    """Transform a frame.

    Parameters
    ----------
    samples : ndarray of float32, shape (sample, line)
    source : ndarray of int, shape (712,)
        The sample at each tick, or `NOT_READ` for zero.

    Returns
    -------
    ndarray of complex64, shape (712, 1025)
        X[k2, k1], as `numpy.fft.fft` of the frame in time order has at k1 + 2048 k2.
    """
    spectra = scipy.fft.rfft(samples, axis=1)
    frame = np.empty((irs2.LINE_TICKS, FREQUENCIES), np.complex64)
    _irs2_kernels.place(spectra, source, _phases(), frame)
    return _complex(scipy.fft.fft(frame, axis=0, overwrite_x=True))


def from_frequencies(frame: NDArray[np.complex64], ticks: NDArray[np.intp]) -> NDArray[np.float32]:
    """Transform back, at some ticks only.

    Parameters
    ----------
    frame : ndarray of complex64, shape (712, 1025)
        As `to_frequencies` gives it; overwritten.
    ticks : ndarray of int, shape (tick,)

    Returns
    -------
    ndarray of float32, shape (tick, line)
    """
    turned = _complex(scipy.fft.ifft(frame, axis=0, overwrite_x=True))
    spectra = np.empty((len(ticks), FREQUENCIES), np.complex64)
    _irs2_kernels.take(turned, ticks, _phases(), spectra)
    samples: NDArray[np.float32] = scipy.fft.irfft(
        spectra, n=DETECTOR_SIZE, axis=1, overwrite_x=True
    )
    return samples


def real_part(weights: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Arrange weights as `to_frequencies` arranges spectra.

    Parameters
    ----------
    weights : ndarray of complex64, shape (1458176,)
        In the order of `numpy.fft.fft`.

    Returns
    -------
    ndarray of complex64, shape (712, 1025)
        Their Hermitian part: jwst keeps the real part of what it transforms back, and the real part
        of ``ifft(weights * spectrum)`` of a real signal is ``ifft`` with this part of the weights.
    """
    reverse = np.roll(weights[::-1], 1)
    hermitian = (weights + reverse.conj()) / np.float32(2)
    return np.ascontiguousarray(hermitian.reshape(irs2.LINE_TICKS, DETECTOR_SIZE)[:, :FREQUENCIES])


def arrange(weights: NDArray[np.floating]) -> NDArray[np.float32]:
    """Arrange real weights, the same for k and N - k, as `real_part` does complex ones."""
    frame = weights.reshape(irs2.LINE_TICKS, DETECTOR_SIZE)[:, :FREQUENCIES]
    return np.ascontiguousarray(frame, np.float32)


@cache
def _phases() -> NDArray[np.complex64]:
    """Turn of each tick (712, 1025)."""
    product = np.multiply.outer(np.arange(irs2.LINE_TICKS), np.arange(FREQUENCIES))
    phases: NDArray[np.complex64] = np.exp(-2j * np.pi / irs2.FRAME_TICKS * product).astype(
        np.complex64
    )
    return phases


def _complex(frame: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
    """Say which precision scipy has kept."""
    return frame.astype(np.complex64, copy=False)
