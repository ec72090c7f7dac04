"""Weights of the IRS2 correction, which step `bias` makes where no refpix is given."""

from __future__ import annotations

from typing import Final

import numpy as np

from nrsdark_xr.calibration.irs2_cross_spectra import measure_cross_spectra
from nrsdark_xr.calibration.parameters import CrossSpectraParameters
from nrsdark_xr.detector import is_irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.products import (
    bad_pair_table,
    solve_weights,
    sum_cross_spectra,
    write_refpix,
)
from nrsdark_xr.references import ReferencePaths
from nrsdark_xr.steps.fingerprints import Fingerprint, digest, exposure_record
from nrsdark_xr.steps.provenance import header_digest, make_provenance
from nrsdark_xr.steps.raw_reads import reads_all, refpix_bytes
from nrsdark_xr.steps.session import Session
from nrsdark_xr.steps.tasks import gather, run_per_exposure, task_key, working_on
from nrsdark_xr.storage import StorageParameters
from nrsdark_xr.store import RampStore, open_cross_spectra

STEP: Final = "refpix"


def run(session: Session) -> None:
    """Make ``NAME_refpix.fits`` of IRS2 exposures, or see that it is up to date or not wanted.

    Raises
    ------
    NrsdarkError
        If fewer than `min_inputs` inputs are good, or an input fails and ``on_error`` is ``stop``.
    """
    if not is_made(session):
        return
    config = session.config
    session.require_inputs("refpix")
    _fill_store(session)
    session.require_inputs("refpix")

    product = config.product("refpix.fits")
    fingerprint = {
        "inputs": session.rows_fingerprint(STEP),
        "parameters": digest(config.refpix),
        "header": header_digest(config),
    }
    if session.is_current("refpix", fingerprint, [product]):
        return
    spectra = open_cross_spectra(
        session.store.url, names=session.row_names, storage_options=config.storage
    )
    n_bytes = spectra["cross_spectra"].nbytes
    with session.progress.stage(
        "weights", total_bytes=n_bytes, total_items=1, item="product"
    ) as stage:
        total = gather(session, sum_cross_spectra(spectra))
        solved = [
            solve_weights(sums, parameters=config.refpix) for sums in total["cross_spectra"].values
        ]
        alpha, beta = (np.stack(weights) for weights in zip(*solved, strict=True))
        bad = total["bad_fraction"].values > config.refpix.bad_fraction
        with product.writing() as path:
            write_refpix(
                path,
                alpha,
                beta,
                bad_pair_table(bad, session.exposures[0].detector),
                provenance=make_provenance(session, "refpix"),
            )
        stage.advance(n_bytes, items=1)
    session.record("refpix", fingerprint, [product])


def is_made(session: Session) -> bool:
    """Whether this run makes the weights itself."""
    given = session.config.references.refpix is not None
    return not given and any(is_irs2(entry.readpatt) for entry in session.exposures)


def with_own_refpix(session: Session, paths: ReferencePaths) -> ReferencePaths:
    """Return `paths` with the refpix just made where one is made."""
    if not is_made(session):
        return paths
    return paths.model_copy(update={"refpix": str(session.config.product("refpix.fits"))})


def own_refpix(session: Session) -> Fingerprint:
    """Tell by what the correction depends on the refpix just made; its header is no matter."""
    if not is_made(session):
        return {}
    made_from = session.state.fingerprint("refpix") or {}
    content = {key: value for key, value in made_from.items() if key != "header"}
    return {"references.refpix": digest(content)}


def _fill_store(session: Session) -> None:
    """Put the spectra of every exposure into the store."""
    config, client = session.config, session.client
    fingerprint = {"parameters": digest(config.refpix.measure)}
    pending = session.pending(STEP, fingerprint)
    if not pending:
        return
    run_per_exposure(
        session,
        STEP,
        pending,
        lambda exposure: client.submit(
            _refpix_task,
            exposure,
            config.refpix.measure,
            config.storage,
            session.store,
            fingerprint,
            key=task_key(STEP, exposure, fingerprint),
        ),
        n_bytes=lambda exposure: refpix_bytes(exposure, config.refpix.measure),
    )


def _refpix_task(
    exposure: Exposure,
    parameters: CrossSpectraParameters,
    storage: StorageParameters,
    store: RampStore,
    fingerprint: Fingerprint,
) -> None:
    with working_on(exposure, storage, whole=reads_all(exposure, STEP)) as (raw, threads):
        for integration, name in enumerate(exposure.row_names()):
            found = measure_cross_spectra(raw, exposure, integration, parameters, threads=threads)
            store.write_cross_spectra(name, found.sums, found.bad_rows)
            store.mark_done(STEP, name, exposure_record(exposure), fingerprint=fingerprint)
