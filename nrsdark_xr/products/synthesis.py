"""The synthesized dark (JWST-STScI-009226 §4.1.4): pixels are judged once, then groups follow.

Two cases that the report leaves open:

- A pixel that takes the average ramp may have groups without a survivor in any exposure. These
  groups are projected, and the pixel is DO_NOT_USE | UNRELIABLE_DARK. Elsewhere a group without
  survivors lacks an error only, which is projected from the uncertainty of the rate.
- A pixel may have no rate in any exposure. It takes the average ramp, and is UNRELIABLE_DARK.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ
from nrsdark_xr.products.clip import frame_statistics
from nrsdark_xr.products.flags import has_neighbour
from nrsdark_xr.products.mask import hot_changes, update_mask
from nrsdark_xr.products.parameters import SynthesisParameters

_NO_CONCERN = np.uint32(DQ.JUMP_DET | DQ.REFERENCE_PIXEL)
"""Bits of the pixel DQ that make no dark unreliable: jumps, by §4.1.4, and where a pixel lies."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the synthesis judges the pixels by; arrays of shape (y, x).

    Attributes
    ----------
    rate, rate_unc : ndarray of float32
        Mean dark rate and its uncertainty, in DN/s; NaN where there is none.
    rc, telegraph, bad_reference : ndarray of bool
        Flags of the average step.
    common_dq : ndarray of uint32
        Pixel DQ bits set in all inputs.
    incomplete : ndarray of bool
        Where some group of the average ramp has no survivor.
    mask : ndarray of uint32
        The bad-pixel mask that went in, with its HOT pixels.
    science : ndarray of bool
        Pixels that are not reference pixels: those that may be hot, and that statistics run over.
    """

    rate: NDArray[np.float32]
    rate_unc: NDArray[np.float32]
    rc: NDArray[np.bool_]
    telegraph: NDArray[np.bool_]
    bad_reference: NDArray[np.bool_]
    common_dq: NDArray[np.uint32]
    incomplete: NDArray[np.bool_]
    mask: NDArray[np.uint32]
    science: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DarkPixels:
    """What the synthesis decides per pixel; arrays of shape (y, x).

    Attributes
    ----------
    dq : ndarray of uint32
        Pixel DQ of the dark.
    mask : ndarray of uint32
        The new bad-pixel mask.
    hot, new_hot, vanished_hot : ndarray of bool
        Hot pixels, and the difference to the mask that went in.
    take_average : ndarray of bool
        Pixels that take the average ramp.
    rate, rate_unc : ndarray of float32
        What the other pixels are projected with, in DN/s; finite everywhere.
    """

    dq: NDArray[np.uint32]
    mask: NDArray[np.uint32]
    hot: NDArray[np.bool_]
    new_hot: NDArray[np.bool_]
    vanished_hot: NDArray[np.bool_]
    take_average: NDArray[np.bool_]
    rate: NDArray[np.float32]
    rate_unc: NDArray[np.float32]


def judge_pixels(evidence: Evidence, parameters: SynthesisParameters | None = None) -> DarkPixels:
    """Decide what each pixel of the dark is made of and how it is flagged.

    Parameters
    ----------
    evidence : Evidence
    parameters : SynthesisParameters, optional

    Returns
    -------
    DarkPixels
    """
    parameters = SynthesisParameters() if parameters is None else parameters
    rate, rate_unc, science = evidence.rate, evidence.rate_unc, evidence.science
    rc, bad_reference = evidence.rc, evidence.bad_reference
    hot = science & (rate > parameters.hot_rate)
    new_mask = update_mask(evidence.mask, hot)
    changes = hot_changes(evidence.mask, hot)

    excluded = (new_mask & np.uint32(DQ.DO_NOT_USE)) != 0
    take_average = excluded | rc | bad_reference | has_neighbour(hot | rc) | ~np.isfinite(rate)

    frame_unc = frame_statistics(rate_unc[science], parameters=parameters.clip)
    uncertain = rate_unc > frame_unc.mean + parameters.unreliable_sigma * frame_unc.std
    uncertain |= science & ~np.isfinite(rate_unc)
    concern = (evidence.common_dq & ~_NO_CONCERN) != 0
    nothing = take_average & evidence.incomplete
    dq = (
        _where(rc, DQ.RC | DQ.DO_NOT_USE)
        | _where(evidence.telegraph & ~hot, DQ.TELEGRAPH)
        | _where(bad_reference, DQ.BAD_REF_PIXEL | DQ.DO_NOT_USE)
        | _where(nothing, DQ.DO_NOT_USE)
        | _where(concern | hot | rc | bad_reference | uncertain | nothing, DQ.UNRELIABLE_DARK)
    )
    frame_rate = frame_statistics(rate[science], parameters=parameters.clip)
    return DarkPixels(
        dq=dq,
        mask=new_mask,
        hot=hot,
        new_hot=changes.new,
        vanished_hot=changes.vanished,
        take_average=take_average,
        rate=np.where(rate >= 0, rate, np.float32(_finite(frame_rate.mean))),
        rate_unc=np.where(np.isfinite(rate_unc), rate_unc, np.float32(_finite(frame_unc.mean))),
    )


def synthesize_groups(
    average: NDArray[np.float32],
    average_std: NDArray[np.float32],
    time: NDArray[np.float64],
    rate: NDArray[np.float32],
    rate_unc: NDArray[np.float32],
    take_average: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Make a block of the dark cube.

    Parameters
    ----------
    average, average_std : ndarray of float32, shape (group, y, x)
        Any groups of the average ramp and its standard deviation, in DN; NaN where nothing
        survived.
    time : ndarray of float64, shape (group,)
        Mean time of these groups since reset, in s.
    rate, rate_unc, take_average : ndarray, shape (y, x)
        See `DarkPixels`.

    Returns
    -------
    dark, err : ndarray of float32, shape (group, y, x)
        In DN; never NaN.
    """
    elapsed = time[:, np.newaxis, np.newaxis].astype(np.float64)
    projected = (rate * elapsed).astype(np.float32)
    projected_err = (rate_unc * elapsed).astype(np.float32)
    dark = np.where(take_average & np.isfinite(average), average, projected)
    err = np.where(np.isfinite(average_std), average_std, projected_err)
    return dark, err


def _where(pixels: NDArray[np.bool_], flags: DQ) -> NDArray[np.uint32]:
    return np.where(pixels, np.uint32(flags), np.uint32(0))


def _finite(value: float) -> float:
    """Zero for a frame without a single good pixel."""
    return value if np.isfinite(value) else 0.0
