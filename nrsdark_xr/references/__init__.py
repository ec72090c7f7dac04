"""The reference files that calibration needs: load, match, cut to the subarray."""

from nrsdark_xr.references.irs2 import Irs2Weights
from nrsdark_xr.references.load import load_references
from nrsdark_xr.references.paths import ReferencePaths, reference_checksums
from nrsdark_xr.references.references import References, clear_hot

__all__ = [
    "Irs2Weights",
    "ReferencePaths",
    "References",
    "clear_hot",
    "load_references",
    "reference_checksums",
]
