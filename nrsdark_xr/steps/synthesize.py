"""Step 4, `synthesize`: the dark and the mask (JWST-STScI-009226 §4.1.4)."""

from __future__ import annotations

import xarray as xr

from nrsdark_xr.products import mean_rate, synthesize_dark, write_dark, write_mask
from nrsdark_xr.references import load_references, reference_checksums
from nrsdark_xr.steps.average import open_average
from nrsdark_xr.steps.compute import computing_here
from nrsdark_xr.steps.fingerprints import digest
from nrsdark_xr.steps.provenance import header_digest, make_provenance
from nrsdark_xr.steps.session import Session
from nrsdark_xr.steps.tasks import gather
from nrsdark_xr.store import open_ramps

STEP = "synthesize"
FRAMES = ("dq", "mask", "hot", "new_hot", "vanished_hot", "take_average")
"""Maps that the judgement of pixels gives, besides the cubes."""


def run(session: Session) -> None:
    """Make ``NAME_dark.fits`` and ``NAME_mask.fits``, or see that they are up to date.

    Raises
    ------
    NrsdarkError
        If the files cannot be written.
    """
    config = session.config
    dark_file, mask_file = config.product("dark.fits"), config.product("mask.fits")
    fingerprint = {
        "average": digest(session.state.fingerprint("average")),
        "references.mask": reference_checksums(config.references)["mask"]["sha256"],
        "parameters": digest(config.synthesize),
        "header": header_digest(config),
    }
    if session.is_current("dark and mask", fingerprint, [dark_file, mask_file]):
        return

    ramps = open_ramps(session.store.url, names=session.row_names)
    rates = gather(session, mean_rate(ramps, parameters=config.synthesize))
    average = open_average(session)
    flags = average[[name for name in average if "group" not in average[name].dims]].load()
    products = xr.merge(
        [average.drop_vars(list(flags)), flags, rates], compat="equals", join="exact"
    ).assign_coords(time=("group", ramps["time"].values))
    mask = load_references(config.references, session.exposures[0]).mask
    dark = synthesize_dark(products, mask=mask, parameters=config.synthesize)

    frames = dark[list(FRAMES)].compute(scheduler="threads")
    n_bytes = dark["dark"].nbytes + dark["dark_err"].nbytes + dark["groupdq"].nbytes
    with computing_here(session.progress, "dark and mask", n_bytes=n_bytes):
        write_dark(
            dark_file,
            dark["dark"],
            dark["dark_err"],
            frames["dq"].values,
            dark["groupdq"],
            rates["rate"].values,
            rates["rate_unc"].values,
            provenance=make_provenance(session, "dark"),
        )
        write_mask(mask_file, frames["mask"].values, provenance=make_provenance(session, "mask"))
    session.record("dark and mask", fingerprint, [dark_file, mask_file])
