"""What the instrument is: geometry, readout, subarrays and data-quality bits.

Imports nothing else of this package.
"""

from nrsdark_xr.detector.dq import DQ, GROUP_BITS, flag_names
from nrsdark_xr.detector.geometry import (
    AMPLIFIER_WIDTH,
    DETECTOR_SIZE,
    DETECTORS,
    REFERENCE_BORDER,
    amplifier_rows,
    from_detector_frame,
    reference_pixels,
    scan_axes,
    to_detector_frame,
)
from nrsdark_xr.detector.readout import READOUTS, Readout, frame_time, is_irs2
from nrsdark_xr.detector.subarrays import Subarray, subarray, subarray_names

__all__ = [
    "AMPLIFIER_WIDTH",
    "DETECTORS",
    "DETECTOR_SIZE",
    "DQ",
    "GROUP_BITS",
    "READOUTS",
    "REFERENCE_BORDER",
    "Readout",
    "Subarray",
    "amplifier_rows",
    "flag_names",
    "frame_time",
    "from_detector_frame",
    "is_irs2",
    "reference_pixels",
    "scan_axes",
    "subarray",
    "subarray_names",
    "to_detector_frame",
]
