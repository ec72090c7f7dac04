"""The reference files of one exposure, as arrays."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ
from nrsdark_xr.references.irs2 import Irs2Weights


@dataclass(frozen=True, slots=True)
class References:
    """What calibration needs, cut to the exposure's subarray; the arrays are not to be changed.

    Arrays are C-contiguous and of native byte order. DQ arrays have the bits of
    `nrsdark_xr.detector.DQ`, whatever bits the file used.

    Attributes
    ----------
    mask : ndarray of uint32, shape (y_raw, x)
    saturation : ndarray of float32, shape (y, x)
        Threshold in DN.
    saturation_dq : ndarray of uint32, shape (y, x)
    linearity : ndarray of float32, shape (coefficient, y, x)
    linearity_dq : ndarray of uint32, shape (y, x)
    gain : ndarray of float32, shape (y, x)
        Electrons per DN. Jump and ramp fit take it as it is; GAINFACT belongs to jwst's
        ``gain_scale`` alone, which is not among the steps of JWST-STScI-009226 §4.1.2.
    readnoise : ndarray of float32, shape (y, x)
        Of a correlated double sample, in DN.
    superbias : ndarray of float32, shape (y_raw, x), or None
        DN.
    superbias_dq : ndarray of uint32, shape (y_raw, x), or None
    inverse_linearity : ndarray of float32, shape (coefficient, y, x), or None
        Loaded only for exposures that average frames, where jwst's linearity uses it.
    sirskernel : ndarray of complex, shape (side, amplifier, frequency), or None
        Fourier coefficients of the kernels of the left (gamma) and right (zeta) reference pixels,
        as precise as they are in the file. Loaded only for traditional full frames.
    irs2 : Irs2Weights or None
        How IRS2 exposures are corrected by their reference samples. Loaded only for these.
    """

    mask: NDArray[np.uint32]
    saturation: NDArray[np.float32]
    saturation_dq: NDArray[np.uint32]
    linearity: NDArray[np.float32]
    linearity_dq: NDArray[np.uint32]
    gain: NDArray[np.float32]
    readnoise: NDArray[np.float32]
    superbias: NDArray[np.float32] | None = None
    superbias_dq: NDArray[np.uint32] | None = None
    inverse_linearity: NDArray[np.float32] | None = None
    sirskernel: NDArray[np.complexfloating] | None = None
    irs2: Irs2Weights | None = None

    def replace(self, **changes: Any) -> References:
        """Copy with some attributes replaced; arrays are shared."""
        return dataclasses.replace(self, **changes)


def clear_hot(mask: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Unflag hot pixels, so that they are calibrated and found again (JWST-STScI-009226 §4.1.2).

    HOT is cleared everywhere, DO_NOT_USE where nothing else accounts for it. REFERENCE_PIXEL says
    what a pixel is, not what is wrong with it, and accounts for nothing.

    Parameters
    ----------
    mask : ndarray of uint32
        Bits of `nrsdark_xr.detector.DQ`.

    Returns
    -------
    ndarray of uint32
        A new array of the same shape.
    """
    hot = np.uint32(DQ.HOT)
    unusable = np.uint32(DQ.DO_NOT_USE)
    other_reasons = ~np.uint32(DQ.HOT | DQ.DO_NOT_USE | DQ.REFERENCE_PIXEL)
    only_hot = ((mask & hot) != 0) & ((mask & other_reasons) == 0)
    cleared = mask & ~hot
    cleared[only_hot] &= ~unusable
    return cleared
