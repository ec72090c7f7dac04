"""Whether the reference files of a run are what its later steps will need."""

from __future__ import annotations

from nrsdark_xr.config import RunConfig
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references.load import has_side_pixels, load_superbias


def check_references(config: RunConfig, exposure: Exposure) -> None:
    """Refuse at the start of a run what only its last step, or a worker, would stumble over.

    All other references are read before the first exposure is worked on.

    Parameters
    ----------
    config : RunConfig
    exposure : Exposure
        Any of the run's.

    Raises
    ------
    NrsdarkError
        If `previous_superbias` cannot be used, or SIRS lacks its kernels.
    """
    if config.previous_superbias is not None:
        load_superbias(config.previous_superbias, exposure, storage_options=config.storage)
    sirs = config.prepare.refpix.refpix_algorithm == "sirs"
    if sirs and config.references.sirskernel is None and has_side_pixels(exposure):
        raise NrsdarkError(
            "`refpix_algorithm: sirs` needs a sirskernel among the references of a full frame",
            file=config.source,
            remedy="give one, or take `median`",
        )
