"""Step 2, `prepare`: raw exposures to calibrated ramps and rates (JWST-STScI-009226 §4.1.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.exposure import calibrate_exposure
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.calibration.protocols import RampBuffer
from nrsdark_xr.calibration.rounding import round_to
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import (
    ReferencePaths,
    References,
    clear_hot,
    load_references,
)
from nrsdark_xr.steps import refpix
from nrsdark_xr.steps.fingerprints import Fingerprint, digest, exposure_record
from nrsdark_xr.steps.raw_reads import prepare_bytes, reads_all
from nrsdark_xr.steps.session import Session
from nrsdark_xr.steps.stock_engine import calibrate_with_jwst
from nrsdark_xr.steps.tasks import (
    report_bytes,
    run_first,
    run_per_exposure,
    task_key,
    whole_worker,
    working_on,
)
from nrsdark_xr.storage import StorageParameters
from nrsdark_xr.store import RampStore

if TYPE_CHECKING:
    from distributed import Future

STEP: Final = "prepare"


def run(session: Session) -> None:
    """Put calibrated ramps, flags and rates of every exposure into the store.

    Raises
    ------
    NrsdarkError
        If an input fails and ``on_error`` is ``stop``.
    """
    config = session.config
    paths = references_in_use(session)
    checksums = session.reference_checksums
    fingerprint = {
        "engine": config.engine,
        "parameters": digest(config.prepare),
        "ramps": digest(config.ramps),
        "references.superbias": _own_superbias(session),
        **{f"references.{name}": entry["sha256"] for name, entry in checksums.items()},
        **refpix.own_refpix(session),
    }
    pending = session.pending(STEP, fingerprint)
    if not pending:
        return
    references = run_first(session, _load, paths, pending[0], config.storage)
    run_per_exposure(
        session,
        STEP,
        pending,
        _submit_ours(session, references, fingerprint)
        if config.engine == "nrsdark"
        else _submit_stock(session, paths, fingerprint),
        n_bytes=lambda exposure: _bytes_of_work(exposure, config.prepare),
    )


def _bytes_of_work(exposure: Exposure, parameters: CalibrationParameters) -> int:
    """Bytes that a task reports: raw ones that it reads, and ramps that it keeps."""
    pixels = exposure.ysize * exposure.xsize
    kept = exposure.n_integrations * exposure.n_groups * pixels * np.dtype(np.float32).itemsize
    return prepare_bytes(exposure, parameters.refpix) + kept


def _own_superbias(session: Session) -> str:
    """Digest of what the superbias just made holds; its header (author, date) is no matter."""
    made_from = session.state.fingerprint("superbias") or {}
    return digest({key: value for key, value in made_from.items() if key != "header"})


def references_in_use(session: Session) -> ReferencePaths:
    """Return the references, with superbias and refpix just made where none are given."""
    paths = refpix.with_own_refpix(session, session.config.references)
    if paths.superbias is not None:
        return paths
    return paths.model_copy(update={"superbias": str(session.config.product("superbias.fits"))})


def _submit_ours(
    session: Session, references: Future, fingerprint: Fingerprint
) -> Callable[[Exposure], Future]:
    client, config = session.client, session.config
    return lambda exposure: client.submit(
        _prepare_task,
        exposure,
        references,
        config.prepare,
        config.storage,
        session.store,
        config.ramps.quantum,
        fingerprint,
        key=task_key(STEP, exposure, fingerprint),
    )


def _submit_stock(
    session: Session, paths: ReferencePaths, fingerprint: Fingerprint
) -> Callable[[Exposure], Future]:
    client, config = session.client, session.config
    return lambda exposure: client.submit(
        _stock_task,
        exposure,
        paths,
        config.prepare,
        session.store,
        config.ramps.quantum,
        fingerprint,
        key=task_key(STEP, exposure, fingerprint),
    )


def _load(paths: ReferencePaths, exposure: Exposure, storage: StorageParameters) -> References:
    """Load the references, hot pixels unflagged so that they are processed."""
    references = load_references(paths, exposure, storage_options=storage)
    return replace(references, mask=clear_hot(references.mask))


def _prepare_task(
    exposure: Exposure,
    references: References,
    parameters: CalibrationParameters,
    storage: StorageParameters,
    store: RampStore,
    quantum: float | None,
    fingerprint: Fingerprint,
) -> None:
    """Calibrate one exposure into its rows of the store; the markers come last."""
    names = exposure.row_names()
    ramps = [CountingRamps(store.ramp_buffer(name), exposure.name) for name in names]
    with working_on(exposure, storage, whole=reads_all(exposure, STEP)) as (raw, threads):
        results = calibrate_exposure(
            raw,
            exposure,
            references,
            parameters,
            ramps,
            quantum=quantum,
            threads=threads,
        )
        for name, maps in zip(names, results, strict=True):
            store.write_maps(name, maps, threads)
            store.mark_done(STEP, name, exposure_record(exposure), fingerprint=fingerprint)


def _stock_task(
    exposure: Exposure,
    paths: ReferencePaths,
    parameters: CalibrationParameters,
    store: RampStore,
    quantum: float | None,
    fingerprint: Fingerprint,
) -> None:
    """Calibrate one exposure with jwst's own steps; its ramp is rounded when it is written."""
    with whole_worker() as threads:
        results = calibrate_with_jwst(exposure, paths, parameters)
        for name, (ramp, maps) in zip(exposure.row_names(), results, strict=True):
            if quantum is not None:
                ramp = round_to(ramp, quantum)
            store.ramp_buffer(name).write(slice(0, exposure.ysize), ramp)
            store.write_maps(name, maps, threads)
            store.mark_done(STEP, name, exposure_record(exposure), fingerprint=fingerprint)


@dataclass(frozen=True)
class CountingRamps:
    """A `RampBuffer` that reports the bytes that are kept to the client's progress.

    Attributes
    ----------
    ramps : RampBuffer
    exposure : str
        Name of the exposure.
    """

    ramps: RampBuffer
    exposure: str

    @property
    def chunk_columns(self) -> int:
        """As `RampBuffer.chunk_columns`."""
        return self.ramps.chunk_columns

    def write(self, rows: slice, ramp: NDArray[np.float32]) -> None:
        """Write as `RampBuffer.write`."""
        self.ramps.write(rows, ramp)
        report_bytes(self.exposure, ramp.nbytes)

    def read(self, rows: slice, columns: slice, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Read as `RampBuffer.read`."""
        return self.ramps.read(rows, columns, out)
