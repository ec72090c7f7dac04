"""Step 4, `synthesize`: dark, mask (JWST-STScI-009226 §4.1.4) and read noise."""

from __future__ import annotations

import xarray as xr

from nrsdark_xr.detector import irs2, reference_pixels
from nrsdark_xr.products import (
    fill_readnoise,
    mean_rate,
    mean_readnoise,
    synthesize_dark,
    write_dark,
    write_mask,
    write_readnoise,
)
from nrsdark_xr.references import load_references
from nrsdark_xr.steps.average import open_average
from nrsdark_xr.steps.compute import computing_here
from nrsdark_xr.steps.fingerprints import digest
from nrsdark_xr.steps.periods import without_periods
from nrsdark_xr.steps.provenance import header_digest, make_provenance
from nrsdark_xr.steps.session import Session
from nrsdark_xr.steps.tasks import gather
from nrsdark_xr.store import open_ramps

STEP = "synthesize"
FRAMES = ("dq", "mask", "hot", "new_hot", "vanished_hot", "take_average")
"""Maps that the judgement of pixels gives, besides the cubes."""


def run(session: Session) -> None:
    """Make ``NAME_dark.fits``, ``NAME_mask.fits`` and ``NAME_readnoise.fits``.

    What is up to date is left as it is.

    Raises
    ------
    NrsdarkError
        If the files cannot be written.
    """
    _make_dark_and_mask(session)
    _make_readnoise(session)


def _make_dark_and_mask(session: Session) -> None:
    config = session.config
    dark_file, mask_file = config.product("dark.fits"), config.product("mask.fits")
    fingerprint = {
        "average": digest(without_periods(session.state.fingerprint("average"))),
        "references.mask": session.reference_checksums["mask"]["sha256"],
        "parameters": digest(config.synthesize),
        "header": header_digest(config),
    }
    if session.is_current("dark and mask", fingerprint, [dark_file, mask_file]):
        return

    ramps = open_ramps(
        session.store.url, names=session.row_names, storage_options=session.config.storage
    )
    rates = gather(session, mean_rate(ramps, parameters=config.synthesize))
    average = open_average(session).drop_dims("period", errors="ignore")
    flags = average[[name for name in average if "group" not in average[name].dims]].load()
    products = xr.merge(
        [average.drop_vars(list(flags)), flags, rates], compat="equals", join="exact"
    ).assign_coords(time=("group", ramps["time"].values))
    first = session.exposures[0]
    raw_mask = load_references(config.references, first, storage_options=config.storage).mask
    mask = irs2.strip(raw_mask, first.detector)
    dark = synthesize_dark(products, mask=mask, parameters=config.synthesize)

    frames = dark[list(FRAMES)].compute(scheduler="threads")
    n_bytes = dark["dark"].nbytes + dark["dark_err"].nbytes + dark["groupdq"].nbytes
    with computing_here(session.progress, "dark and mask", n_bytes=n_bytes):
        with dark_file.writing() as path:
            write_dark(
                path,
                dark["dark"],
                dark["dark_err"],
                frames["dq"].values,
                dark["groupdq"],
                rates["rate"].values,
                rates["rate_unc"].values,
                provenance=make_provenance(session, "dark"),
            )
        with mask_file.writing() as path:
            new_mask = irs2.put_back(frames["mask"].values, raw_mask, first.detector)
            write_mask(path, new_mask, provenance=make_provenance(session, "mask"))
    session.record("dark and mask", fingerprint, [dark_file, mask_file])


def _make_readnoise(session: Session) -> None:
    config, first = session.config, session.exposures[0]
    product = config.product("readnoise.fits")
    fingerprint = {
        "inputs": session.rows_fingerprint("prepare"),
        "parameters": digest(config.synthesize),
        "header": header_digest(config),
    }
    if session.is_current("readnoise", fingerprint, [product]):
        return
    ramps = open_ramps(
        session.store.url, names=session.row_names, storage_options=session.config.storage
    )
    n_bytes = ramps["cds_noise"].nbytes
    with session.progress.stage(
        "readnoise", total_bytes=n_bytes, total_items=1, item="product"
    ) as stage:
        made = gather(session, mean_readnoise(ramps, parameters=config.synthesize))
        border = reference_pixels(
            xstart=first.xstart, ystart=first.ystart, xsize=first.xsize, ysize=first.ysize
        )
        with product.writing() as path:
            write_readnoise(
                path,
                fill_readnoise(made["readnoise"].values, border),
                provenance=make_provenance(session, "readnoise"),
            )
        stage.advance(n_bytes, items=1)
    session.record("readnoise", fingerprint, [product])
