"""Step 1, `bias`: the superbias from the first two groups (JWST-STScI-009226 §4.1.1)."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nrsdark_xr.calibration.bias import bias_groups
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.detector import irs2, is_irs2, reference_pixels
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.products import make_bias, write_superbias
from nrsdark_xr.references import References, load_references
from nrsdark_xr.steps import refpix
from nrsdark_xr.steps.fingerprints import Fingerprint, digest, exposure_record
from nrsdark_xr.steps.provenance import header_digest, make_provenance
from nrsdark_xr.steps.raw_reads import bias_bytes, reads_all
from nrsdark_xr.steps.session import Session
from nrsdark_xr.steps.tasks import (
    gather,
    run_first,
    run_per_exposure,
    task_key,
    working_on,
)
from nrsdark_xr.storage import StorageParameters
from nrsdark_xr.store import RampStore, open_bias_groups

STEP: Final = "bias"
REFERENCES = ("mask", "sirskernel", "refpix")
"""Reference files that the reference-pixel correction of groups 1 and 2 depends on."""


def run(session: Session) -> None:
    """Make ``NAME_superbias.fits``, or see that it is up to date; for IRS2 its weights before.

    Raises
    ------
    NrsdarkError
        If fewer than `min_inputs` inputs are good, or an input fails and ``on_error`` is ``stop``.
    """
    config = session.config
    refpix.run(session)
    if config.references.superbias is not None:
        session.progress.say(f"bias: not made, {config.references.superbias} is given")
        return
    session.require_inputs("superbias")
    _fill_store(session)
    session.require_inputs("superbias")

    product = config.product("superbias.fits")
    fingerprint = {
        "inputs": session.rows_fingerprint(STEP),
        "parameters": digest(config.bias),
        "header": header_digest(config),
    }
    if session.is_current("superbias", fingerprint, [product]):
        return
    groups = open_bias_groups(
        session.store.url, names=session.row_names, storage_options=config.storage
    )
    with session.progress.stage(
        "superbias", total_bytes=groups["bias_groups"].nbytes, total_items=1, item="product"
    ) as stage:
        bias = gather(
            session, make_bias(groups, science=_science_pixels(session), parameters=config.bias)
        )
        with product.writing() as path:
            write_superbias(
                path,
                bias=bias["bias"].values,
                err=bias["bias_err"].values,
                dq=_without_samples(bias["bias_dq"].values, session),
                provenance=make_provenance(session, "superbias"),
            )
        stage.advance(groups["bias_groups"].nbytes, items=1)
    session.record("superbias", fingerprint, [product])


def _fill_store(session: Session) -> None:
    """Put the reference-pixel corrected groups 1 and 2 of every exposure into the store."""
    config = session.config
    checksums = session.reference_checksums
    fingerprint = {
        "refpix": digest(config.prepare.refpix),
        **{
            f"references.{kind}": checksums[kind]["sha256"]
            for kind in REFERENCES
            if kind in checksums
        },
        **refpix.own_refpix(session),
    }

    pending = session.pending(STEP, fingerprint)
    if not pending:
        return
    client = session.client
    load = partial(load_references, storage_options=config.storage)
    paths = refpix.with_own_refpix(session, config.references)
    references = run_first(session, load, paths, pending[0])
    run_per_exposure(
        session,
        STEP,
        pending,
        lambda exposure: client.submit(
            _bias_task,
            exposure,
            references,
            config.prepare,
            config.storage,
            session.store,
            fingerprint,
            key=task_key(STEP, exposure, fingerprint),
        ),
        n_bytes=lambda exposure: bias_bytes(exposure, config.prepare.refpix),
    )


def _science_pixels(session: Session) -> xr.DataArray | None:
    """Pixels that statistics of an IRS2 bias run over; else None: coordinates tell."""
    first = session.exposures[0]
    if not is_irs2(first.readpatt):
        return None
    border = reference_pixels(
        xstart=first.xstart, ystart=first.ystart, xsize=first.xsize, ysize=first.ysize
    )
    nowhere = np.zeros(first.raw_shape[2:], bool)
    return xr.DataArray(irs2.put_back(~border, nowhere, first.detector), dims=("y_raw", "x"))


def _without_samples(dq: NDArray[np.uint32], session: Session) -> NDArray[np.uint32]:
    """Keep flags to pixels: those of reference samples of IRS2 would say nothing."""
    first = session.exposures[0]
    return irs2.put_back(irs2.strip(dq, first.detector), np.zeros_like(dq), first.detector)


def _bias_task(
    exposure: Exposure,
    references: References,
    parameters: CalibrationParameters,
    storage: StorageParameters,
    store: RampStore,
    fingerprint: Fingerprint,
) -> None:
    with working_on(exposure, storage, whole=reads_all(exposure, STEP)) as (raw, threads):
        for integration, name in enumerate(exposure.row_names()):
            groups = bias_groups(
                raw, exposure, integration, references, parameters, threads=threads
            )
            store.write_bias_groups(name, groups)
            store.mark_done(STEP, name, exposure_record(exposure), fingerprint=fingerprint)
