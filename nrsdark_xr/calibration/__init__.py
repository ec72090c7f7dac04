"""Raw samples to calibrated ramps, flags and rates.

One module per detector1 step, arrays in and out; `exposure` applies them.
"""

from nrsdark_xr.calibration.bias import bias_groups
from nrsdark_xr.calibration.dq_init import init_dq
from nrsdark_xr.calibration.exposure import (
    CalibratedMaps,
    calibrate_exposure,
    check_supported,
)
from nrsdark_xr.calibration.group_scale import scale_groups
from nrsdark_xr.calibration.jump import JumpResult, find_jumps, flag_bad_gain, good_groups
from nrsdark_xr.calibration.linearity import (
    correct_averaged_linearity,
    correct_linearity,
    usable_coefficients,
)
from nrsdark_xr.calibration.linearize import linearize_band, linearize_by_steps
from nrsdark_xr.calibration.parameters import (
    CalibrationParameters,
    JumpParameters,
    RampFitParameters,
    RefpixParameters,
    SaturationParameters,
    SnowballParameters,
)
from nrsdark_xr.calibration.protocols import RampBuffer, RawSamples
from nrsdark_xr.calibration.ramp_fit import Rates, fit_ramps
from nrsdark_xr.calibration.refpix import (
    ReferencePixels,
    ReferenceSignal,
    find_reference_pixels,
)
from nrsdark_xr.calibration.saturation import flag_saturation, usable_thresholds
from nrsdark_xr.calibration.snowballs import SnowballResult, flag_snowballs
from nrsdark_xr.calibration.superbias import subtract_bias

__all__ = [
    "CalibratedMaps",
    "CalibrationParameters",
    "JumpParameters",
    "JumpResult",
    "RampBuffer",
    "RampFitParameters",
    "Rates",
    "RawSamples",
    "ReferencePixels",
    "ReferenceSignal",
    "RefpixParameters",
    "SaturationParameters",
    "SnowballParameters",
    "SnowballResult",
    "bias_groups",
    "calibrate_exposure",
    "check_supported",
    "correct_averaged_linearity",
    "correct_linearity",
    "find_jumps",
    "find_reference_pixels",
    "fit_ramps",
    "flag_bad_gain",
    "flag_saturation",
    "flag_snowballs",
    "good_groups",
    "init_dq",
    "linearize_band",
    "linearize_by_steps",
    "scale_groups",
    "subtract_bias",
    "usable_coefficients",
    "usable_thresholds",
]
