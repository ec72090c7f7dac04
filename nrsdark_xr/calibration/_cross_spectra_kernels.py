"""Sums of products of spectra."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nrsdark_xr.compile import kernel


@kernel
def add_products(
    sums: NDArray[Any], pixels: NDArray[Any], reference: NDArray[Any], output: NDArray[Any]
) -> None:
    """Add the products of three spectra to their sums, in place.

    Parameters
    ----------
    sums : ndarray of float32, shape (8, y, x)
        In the order of `nrsdark_xr.calibration.irs2_cross_spectra.CROSS_SPECTRA`.
    pixels, reference, output : ndarray of complex64, shape (y, x)
    """
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            n, r, o = pixels[y, x], reference[y, x], output[y, x]
            sums[0, y, x] += n.real * r.real + n.imag * r.imag
            sums[1, y, x] += n.imag * r.real - n.real * r.imag
            sums[2, y, x] += n.real * o.real + n.imag * o.imag
            sums[3, y, x] += n.imag * o.real - n.real * o.imag
            sums[4, y, x] += r.real * o.real + r.imag * o.imag
            sums[5, y, x] += r.imag * o.real - r.real * o.imag
            sums[6, y, x] += r.real * r.real + r.imag * r.imag
            sums[7, y, x] += o.real * o.real + o.imag * o.imag
