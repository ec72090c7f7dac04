"""What a user may set about each calibration step.

Names are those of the JWST pipeline's step specifications, so that a value means the same in both.
Defaults are those of jwst 3.0.0 unless a field says otherwise.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nrsdark_xr.parameters import Parameters


class SaturationParameters(Parameters):
    """Saturation and A/D floor (``SaturationStep``)."""

    n_pix_grow_sat: int = Field(default=1, ge=0)
    """Layers of pixels around a saturated one that are flagged too."""
    use_readpatt: bool = True
    """Use the averaging of frames into groups to find saturation that the average hides."""


class RefpixParameters(Parameters):
    """Reference-pixel correction of traditional readout (``RefPixStep``)."""

    odd_even_columns: bool = True
    """One level for odd and one for even detector columns of each amplifier."""
    use_side_ref_pixels: bool = True
    """Subtract the smoothed signal of the side reference pixels (full frame)."""
    refpix_algorithm: Literal["median", "sirs"] = "median"
    """How the side pixels of a full frame are smoothed: running median, or optimal filtering by the
    kernels of a SIRSKERNEL reference (Simple Improved Reference Subtraction). Subarrays, which have
    no side correction, are the same with both."""
    side_smoothing_length: int = Field(default=11, ge=3)
    """Median: height in detector rows; an even number is taken one higher."""
    side_gain: float = 1.0
    """Median: what the side signal is multiplied by before it is subtracted."""
    sigreject: float = Field(default=4.0, gt=0)
    """SIRS: standard deviations from the median of its side beyond which a sample is left out."""
    gaussmooth: float = Field(default=1.0, gt=0)
    """SIRS: standard deviation of the Gaussian that smooths the kernels, in detector rows."""
    halfwidth: int = Field(default=30, ge=1)
    """SIRS: detector rows on each side of its centre that a kernel reaches."""
    siglimit: float = Field(default=3.0, gt=0)
    """Clipping limit of the reference-pixel means, in standard deviations."""
    ovr_corr_mitigation_ftr: float = Field(default=3.0, gt=0)
    """IRS2: clipped standard deviations by which a bad pair of reference samples stands out."""
    irs2_mean_subtraction: bool = False
    """IRS2: subtract the levels of traditional readout from each group before its correction."""


class JumpParameters(Parameters):
    """Two-point difference jump detection (``JumpStep``)."""

    rejection_threshold: float = Field(default=4.0, ge=0)
    """Sigma for pixels with more than four usable groups."""
    three_group_rejection_threshold: float = Field(default=6.0, ge=0)
    """Sigma for pixels with three usable groups."""
    four_group_rejection_threshold: float = Field(default=5.0, ge=0)
    """Sigma for pixels with four usable groups."""
    flag_4_neighbors: bool = True
    """Flag the four neighbours of a jump as well."""
    min_jump_to_flag_neighbors: float = 30.0
    """Smallest jump, in sigma, that flags its neighbours.

    As CRDS ``pars-jumpstep`` for NIRSpec has it; the specification of jwst says 10.
    """
    max_jump_to_flag_neighbors: float = 1000.0
    """Largest jump, in sigma, that flags its neighbours."""
    min_diffs_single_pass: int = Field(default=10, ge=1)
    """Usable differences from which jumps are found in one pass rather than one at a time."""
    minimum_groups: int = Field(default=3, ge=3)
    """Fewest usable groups for which jumps are looked for."""


class SnowballParameters(Parameters):
    """Snowballs: large cosmic-ray events with a saturated core (``JumpStep``, large events)."""

    expand_large_events: bool = True
    """Look for snowballs (CRDS ``pars-jumpstep`` for NIRSpec; jwst: off)."""
    min_jump_area: float = 5.0
    """Smallest area of a jump, in pixels, that may be a snowball."""
    min_sat_area: float = 1.0
    """Smallest area of its saturated core, in pixels."""
    expand_factor: float = 2.0
    """What the radii of the jump's ellipse are multiplied by."""
    sat_required_snowball: bool = True
    """A snowball needs a saturated core, except near the detector's edge."""
    min_sat_radius_extend: float = 2.5
    """Smallest radius of a saturated core, in pixels, that is grown."""
    sat_expand: int = 2
    """Pixels by which the radius of a saturated core is grown."""
    edge_size: int = 25
    """Pixels from the detector's edge within which no saturated core is needed."""
    max_extended_radius: int = 200
    """Largest radius of a grown snowball, in pixels."""
    mask_snowball_core_next_int: bool = True
    """Flag the saturated cores in the next integration too."""
    snowball_time_masked_next_int: int = 4000
    """Seconds for which they are flagged there."""


class RampFitParameters(Parameters):
    """Slope fitting (``RampFitStep``)."""

    algorithm: Literal["OLS_C"] = "OLS_C"
    """Ordinary least squares with optimal weighting."""
    suppress_one_group: bool = True
    """Give no rate to ramps that saturate in their second group."""


class ReadnoiseParameters(Parameters):
    """Noise of the differences of consecutive groups, measured beside the ramp."""

    rejection_threshold: float = Field(default=4.0, gt=0)
    """Sigma beyond which a difference counts as a jump that was missed, as in `JumpParameters`.

    Of normal noise, it takes 0.05 % off the result."""
    maxiters: int = Field(default=2, ge=0)
    """Times that differences are clipped."""
    min_differences: int = Field(default=2, ge=2)
    """Fewest differences that tell a noise."""


class CrossSpectraParameters(Parameters):
    """What of an IRS2 exposure the weights of its reference samples are made from."""

    max_pairs: int = Field(default=24, ge=1)
    """Pairs of groups that are used, evenly spaced: time grows with them, and 40 in all exposures
    together come within 0.1 % of the least noise (`docs/irs2.md`)."""
    rejection_threshold: float = Field(default=5.0, gt=0)
    """Pixels further than this many robust standard deviations from the median of their amplifier,
    in the difference of two groups, have been hit by a particle."""
    bad_sigma: float = Field(default=3.0, gt=0)
    """Pairs of reference samples that stand out by so much are replaced (``RefPixStep``, IRS2)."""


class CalibrationParameters(Parameters):
    """All that `nrsdark_xr.calibration` can be told."""

    saturation: SaturationParameters = SaturationParameters()
    refpix: RefpixParameters = RefpixParameters()
    jump: JumpParameters = JumpParameters()
    snowballs: SnowballParameters = SnowballParameters()
    ramp_fit: RampFitParameters = RampFitParameters()
    readnoise: ReadnoiseParameters = ReadnoiseParameters()
