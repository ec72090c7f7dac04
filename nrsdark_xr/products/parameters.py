"""Thresholds of the products; each may be set in RUN.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nrsdark_xr.calibration.parameters import CrossSpectraParameters
from nrsdark_xr.parameters import Parameters


class ClipParameters(Parameters):
    """How to clip, with the semantics of `astropy.stats.sigma_clip`."""

    sigma: float = 3.0
    """Reject beyond this many standard deviations (JWST-STScI-009226 §4.1.3)."""
    maxiters: int = 5
    """Iterations at most (the default of astropy)."""
    center: Literal["median", "mean"] = "median"
    """What deviations are counted from."""
    spread: Literal["std", "mad_std"] = "std"
    """The standard deviation, or the one that the median absolute deviation implies.

    With fewer than 8 inputs no single outlier is 3 standard deviations off, so that ``std`` cannot
    reject it: ``mad_std`` can."""


class BiasParameters(Parameters):
    """How the superbias is made (JWST-STScI-009226 §4.1.1)."""

    clip: ClipParameters = ClipParameters()
    """Clipping over exposures, and over pixels for the statistics of the error."""
    unreliable_sigma: float = 5.0
    """UNRELIABLE_BIAS where the error is more than this many standard deviations above its mean."""


class RefpixWeightsParameters(Parameters):
    """How the weights of the IRS2 correction are made."""

    measure: CrossSpectraParameters = CrossSpectraParameters()
    """What is taken from each exposure."""
    smoothing: int = Field(default=64, ge=0)
    """Frequencies on each side that spectra are averaged over, of 0.069 Hz each ..."""
    smoothing_share: float = Field(default=0.25, ge=0, lt=1)
    """... but at most this share of the distance to the nearest multiple of the line frequency, at
    which the spectrum of the reference samples, read in visits, repeats itself."""
    bad_fraction: float = Field(default=0.5, ge=0, lt=1)
    """Pairs of reference samples that stand out in more than this share of the exposures are named
    in the table of bad ones."""


class RCParameters(Parameters):
    """Which pixels are RC (JWST-STScI-009226 §4.1.3)."""

    clip: ClipParameters = ClipParameters()
    """Clipping over the science pixels of group 1."""
    sigma: float = 10.0
    """Candidates lie more than this many standard deviations above the mean of group 1."""
    min_fraction: float = 0.5
    """RC where a pixel is a candidate in more than this share of the ramps."""


class RTNParameters(Parameters):
    """Which pixels show random telegraph noise (JWST-STScI-009226 §4.1.3)."""

    method: Literal["report", "cap"] = "report"
    """``report``: negative jumps, ramp by ramp. ``cap``: the rule of ESA's CAP-008 code, which
    counts all groups flagged JUMP_DET, those of neighbours and snowballs too."""
    sigma: float = 5.0
    """``report``: candidates have more negative jumps than the mean plus this many standard
    deviations."""
    max_ramps: int = 1
    """``report``: TELEGRAPH where a pixel is a candidate in more ramps than this."""
    cap_confidence: float = 0.9973
    """``cap``: TELEGRAPH where jumps per ramp exceed (1 - this) (groups - 1) `cap_factor`."""
    cap_factor: float = 4.0
    """``cap``: see `cap_confidence`."""


class BadReferenceParameters(Parameters):
    """Which reference pixels are bad (JWST-STScI-009226 §4.1.3)."""

    clip: ClipParameters = ClipParameters()
    """Clipping over reference pixels for the standard deviation, which bad ones would inflate.

    The report does not say whether its standard deviation is clipped."""
    sigma: float = 4.0
    """Bad beyond this many standard deviations from the median."""


class AverageParameters(Parameters):
    """How ramps are averaged and flagged (JWST-STScI-009226 §4.1.3)."""

    clip: ClipParameters = ClipParameters()
    """Clipping over exposures."""
    cut_reference_pixels: bool = False
    """Mask groups after a jump in reference pixels, too.

    They see no particles: their jumps are those of bad ones and of what lies next to these. Cut
    short, the good neighbours of a bad reference pixel look bad themselves (`docs/truth.md`)."""
    rc: RCParameters = RCParameters()
    """RC pixels."""
    rtn: RTNParameters = RTNParameters()
    """Telegraph pixels."""
    bad_reference: BadReferenceParameters = BadReferenceParameters()
    """Bad reference pixels."""


class SynthesisParameters(Parameters):
    """How the dark is synthesized (JWST-STScI-009226 §4.1.4)."""

    clip: ClipParameters = ClipParameters()
    """Clipping over exposures for the mean rate, and over pixels for the statistics of a frame."""
    hot_rate: float = 1.0
    """HOT above this mean dark rate, in DN/s."""
    unreliable_sigma: float = 3.0
    """UNRELIABLE_DARK where the rate's uncertainty is more than this many standard deviations above
    its mean."""
