"""What the steps read of raw exposures, and what is asked of a server for it."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from nrsdark_xr.calibration.bias import BIAS_GROUPS
from nrsdark_xr.calibration.irs2_cross_spectra import GROUPS_OF_PAIR, chosen_groups
from nrsdark_xr.calibration.parameters import CrossSpectraParameters, RefpixParameters
from nrsdark_xr.detector import is_irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.exposures.fetch import FETCH_BYTES
from nrsdark_xr.exposures.raw import REQUEST_BYTES
from nrsdark_xr.store.schema import Step

RAW_PASSES = 2
"""Times that `prepare` reads the raw pixels: for the reference signal, and band by band (or, of
IRS2, amplifier by amplifier)."""


class Fetched(NamedTuple):
    """Bytes, and the requests in which they come."""

    n_bytes: int
    requests: int


def reads_all(exposure: Exposure, step: Step) -> bool:
    """Whether a step looks at all groups of an exposure: a remote one is then fetched whole."""
    return step != "bias" or is_irs2(exposure.readpatt)


def fetched(exposure: Exposure, step: Step) -> Fetched:
    """Count what a step asks of the server of a remote exposure."""
    if reads_all(exposure, step):
        return Fetched(exposure.data_bytes, ceil(exposure.data_bytes / FETCH_BYTES))
    n_bytes = BIAS_GROUPS * exposure.group_bytes
    integrations = exposure.n_integrations
    return Fetched(integrations * n_bytes, integrations * ceil(n_bytes / REQUEST_BYTES))


# What is read of a file or of its copy; left out are rows around bands (2 %), and of IRS2 single
# rows in place of bad ones.


def refpix_bytes(exposure: Exposure, parameters: CrossSpectraParameters) -> int:
    """Count the bytes for spectra: a look at all groups, and pairs of them output by output."""
    pairs = len(chosen_groups(exposure.n_groups, parameters.max_pairs))
    groups = exposure.n_integrations * GROUPS_OF_PAIR * pairs
    return exposure.data_bytes + groups * exposure.group_bytes


def bias_bytes(exposure: Exposure, parameters: RefpixParameters) -> int:
    """Count the bytes for groups 1 and 2; IRS2 is looked at for each integration."""
    each = BIAS_GROUPS * exposure.group_bytes
    if is_irs2(exposure.readpatt):
        each += _looks(parameters) * exposure.data_bytes
    return exposure.n_integrations * each


def prepare_bytes(exposure: Exposure, parameters: RefpixParameters) -> int:
    """Count the bytes for calibration: a look at all groups, and all of them again in pieces."""
    more_looks = _looks(parameters) - 1 if is_irs2(exposure.readpatt) else 0
    return (RAW_PASSES + more_looks) * exposure.data_bytes


def _looks(parameters: RefpixParameters) -> int:
    """Tell how often the groups are looked at: once more if levels are subtracted first."""
    return 2 if parameters.irs2_mean_subtraction else 1
