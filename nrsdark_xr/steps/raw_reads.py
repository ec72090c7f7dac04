"""What the steps read of raw exposures: bytes, and ranges of the file that they come in."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from nrsdark_xr.calibration.bias import BIAS_GROUPS
from nrsdark_xr.calibration.irs2_cross_spectra import GROUPS_OF_PAIR, chosen_groups
from nrsdark_xr.calibration.irs2_look import STRIP_ROWS
from nrsdark_xr.calibration.parameters import CrossSpectraParameters, RefpixParameters
from nrsdark_xr.detector import irs2, is_irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.exposures.raw import REQUEST_BYTES
from nrsdark_xr.store.layout import BAND_ROWS

RAW_PASSES = 2
"""Times that `prepare` reads the raw pixels: for the reference signal, and band by band (or, of
IRS2, amplifier by amplifier)."""


class Reads(NamedTuple):
    """Bytes, and ranges of the file: requests to object storage.

    Small change is left out: rows around bands (2 % of a traditional exposure), and of IRS2 single
    rows in place of bad ones.
    """

    n_bytes: int
    ranges: int


def refpix_reads(exposure: Exposure, parameters: CrossSpectraParameters) -> Reads:
    """Count what spectra take: a look at all groups, and pairs of them output by output."""
    pairs = len(chosen_groups(exposure.n_groups, parameters.max_pairs))
    groups = exposure.n_integrations * GROUPS_OF_PAIR * pairs
    look = _look(exposure)
    return Reads(look.n_bytes + groups * exposure.group_bytes, look.ranges + groups * irs2.OUTPUTS)


def bias_reads(exposure: Exposure, parameters: RefpixParameters) -> Reads:
    """Count what groups 1 and 2 take; an IRS2 exposure is looked at for each integration."""
    n_bytes = BIAS_GROUPS * exposure.group_bytes
    if not is_irs2(exposure.readpatt):
        each = Reads(n_bytes, ceil(n_bytes / REQUEST_BYTES))
    else:
        looks, look = _looks(parameters), _look(exposure)
        each = Reads(
            looks * look.n_bytes + n_bytes, looks * look.ranges + BIAS_GROUPS * irs2.OUTPUTS
        )
    return Reads(*(exposure.n_integrations * amount for amount in each))


def prepare_reads(exposure: Exposure, parameters: RefpixParameters) -> Reads:
    """Count what calibration takes: a look at all groups, and all of them again in pieces."""
    groups = exposure.n_integrations * exposure.n_groups
    if is_irs2(exposure.readpatt):
        looks, look = _looks(parameters), _look(exposure)
        return Reads(
            (looks + RAW_PASSES - 1) * exposure.data_bytes,
            looks * look.ranges + groups * irs2.OUTPUTS,
        )
    pieces = ceil(exposure.group_bytes / REQUEST_BYTES) + ceil(exposure.ysize / BAND_ROWS)
    return Reads(RAW_PASSES * exposure.data_bytes, groups * pieces)


def _look(exposure: Exposure) -> Reads:
    """One look at an IRS2 exposure, strip by strip."""
    groups = exposure.n_integrations * exposure.n_groups
    return Reads(exposure.data_bytes, groups * ceil(irs2.IRS2_RAW_ROWS / STRIP_ROWS))


def _looks(parameters: RefpixParameters) -> int:
    """Tell how often the groups are looked at: once more if levels are subtracted first."""
    return 2 if parameters.irs2_mean_subtraction else 1
