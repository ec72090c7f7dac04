"""Run the five steps in order on one cluster and one store."""

from __future__ import annotations

import time
from pathlib import Path

from nrsdark_xr.analysis import StepRecord
from nrsdark_xr.cluster import Cluster
from nrsdark_xr.config import RunConfig
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.progress import Progress
from nrsdark_xr.steps import analyze, average, bias, prepare, synthesize
from nrsdark_xr.steps.inputs import choose_inputs
from nrsdark_xr.steps.memory import give_back_maps, peak_memory
from nrsdark_xr.steps.provenance import versions
from nrsdark_xr.steps.references import check_references
from nrsdark_xr.steps.session import Session
from nrsdark_xr.storage import is_remote
from nrsdark_xr.store import RampStore

STEPS = {
    "bias": bias.run,
    "prepare": prepare.run,
    "average": average.run,
    "synthesize": synthesize.run,
    "analyze": analyze.run,
}
"""The five steps by name, in order."""
PRODUCTS = (
    "superbias.fits", "dark.fits", "mask.fits", "readnoise.fits", "summary.json", "report.html"
)  # fmt: skip
"""What a run makes, by the end of the name."""
IRS2_PRODUCTS = ("refpix.fits", *PRODUCTS)
"""What a run of IRS2 exposures makes without a refpix among the references."""


def run_steps(
    config: RunConfig,
    *,
    cluster: str = "local",
    workers: int | None = None,
    until: str = "analyze",
    check: bool = True,
    progress: Progress | None = None,
    report: Path | None = None,
) -> list[Path | str]:
    """Run the steps up to and including `until`; what is up to date is left as it is.

    Parameters
    ----------
    config : RunConfig
    cluster : str
        As `nrsdark_xr.cluster.connect` takes it.
    workers : int, optional
        Workers of a cluster on this machine; one per core unless given.
    until : str
        Name of the last step to run.
    check : bool
        Whether to refuse a run that this machine cannot hold, before anything is done.
    progress : Progress, optional
        Where progress is shown; stderr unless given.
    report : Path, optional
        Where Dask's performance report of the run goes (HTML).

    Returns
    -------
    list of Path or str
        The products that are there now, the report last; URLs of those on object storage.

    Raises
    ------
    NrsdarkError
        If the run would not fit, or a step refuses or fails; what was finished before stays.
    """
    from nrsdark_xr.plan import check_plan, make_plan  # which look into the records of steps

    give_back_maps()
    progress = progress or Progress()
    selected, rejected = choose_inputs(config, say=progress.say)
    exposures = [entry.exposure for entry in selected if entry.accepted]
    check_references(config, exposures[0])
    if check:
        check_plan(make_plan(config, exposures, cluster=cluster, workers=workers, until=until))
    _make_output_folder(config)
    store = RampStore.open_or_create(
        config.store,
        [entry.exposure for entry in selected],
        storage_options=config.storage,
        attributes={
            "parameters": config.prepare.model_dump(mode="json"),
            "ramps": config.ramps.model_dump(mode="json"),
            "versions": versions(),
        },
    )
    workforce = Cluster(cluster, workers=workers, progress=progress, report=report)
    with store.lock(), workforce:
        store.set_selection(
            {
                name: (entry.accepted, entry.reason)
                for entry in selected
                for name in entry.exposure.row_names()
            }
        )
        session = Session(config, selected, rejected, store, workforce, progress)
        for name, step in STEPS.items():
            started, made_before = time.monotonic(), len(session.work)
            with peak_memory() as peak:
                step(session)
            if (who := workforce.description()) is not None:
                store.note_run(who)
            note = "" if len(session.work) > made_before else "up to date"
            seconds = time.monotonic() - started
            session.costs[name] = StepRecord(name, seconds, peak.n_bytes, note)
            if name == until:
                break
    if not session.work:
        progress.say("Nothing to do: everything is up to date.")
    return _products(config)


def _make_output_folder(config: RunConfig) -> None:
    if is_remote(config.output):
        return
    try:
        Path(config.output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NrsdarkError(
            f"cannot be made: {error.strerror}",
            file=config.output,
            remedy="choose another `output`",
        ) from error


def _products(config: RunConfig) -> list[Path | str]:
    """List the products that are there, the report last."""
    files = [config.product(suffix) for suffix in IRS2_PRODUCTS]
    return [file.place for file in files if file.exists()]
