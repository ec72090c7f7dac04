"""Store -> bias, average ramp, flags, synthesized dark, mask; and the reference files they become.

Kernels take and return numpy arrays. The labelled functions on top take a Dataset and return a lazy
one.
"""

from nrsdark_xr.products.certify import certify
from nrsdark_xr.products.clip import (
    Clipped,
    FrameStatistics,
    clipped_mean,
    frame_statistics,
)
from nrsdark_xr.products.dark import synthesize_dark
from nrsdark_xr.products.flagging import flag_bad_reference_pixels, flag_rc, flag_rtn
from nrsdark_xr.products.irs2_weights import bad_pair_table, solve_weights
from nrsdark_xr.products.labelled import science_pixels
from nrsdark_xr.products.mask import HotChanges, hot_changes, update_mask
from nrsdark_xr.products.parameters import (
    AverageParameters,
    BadReferenceParameters,
    BiasParameters,
    ClipParameters,
    RCParameters,
    RefpixWeightsParameters,
    RTNParameters,
    SynthesisParameters,
)
from nrsdark_xr.products.provenance import (
    Input,
    Provenance,
    gratings_with_corner,
    middle_of_period,
)
from nrsdark_xr.products.readnoise import fill_readnoise, mean_readnoise
from nrsdark_xr.products.reductions import average_ramp, common_flags, make_bias, mean_rate
from nrsdark_xr.products.reference_files import (
    dq_definitions,
    write_dark,
    write_mask,
    write_readnoise,
    write_refpix,
    write_superbias,
)
from nrsdark_xr.products.refpix import sum_cross_spectra

__all__ = [
    "AverageParameters",
    "BadReferenceParameters",
    "BiasParameters",
    "ClipParameters",
    "Clipped",
    "FrameStatistics",
    "HotChanges",
    "Input",
    "Provenance",
    "RCParameters",
    "RTNParameters",
    "RefpixWeightsParameters",
    "SynthesisParameters",
    "average_ramp",
    "bad_pair_table",
    "certify",
    "clipped_mean",
    "common_flags",
    "dq_definitions",
    "fill_readnoise",
    "flag_bad_reference_pixels",
    "flag_rc",
    "flag_rtn",
    "frame_statistics",
    "gratings_with_corner",
    "hot_changes",
    "make_bias",
    "mean_rate",
    "mean_readnoise",
    "middle_of_period",
    "science_pixels",
    "solve_weights",
    "sum_cross_spectra",
    "synthesize_dark",
    "update_mask",
    "write_dark",
    "write_mask",
    "write_readnoise",
    "write_refpix",
    "write_superbias",
]
