"""Run one task per exposure on the cluster, show progress, and deal with what fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure, RawReader
from nrsdark_xr.progress import Stage
from nrsdark_xr.steps.fingerprints import Fingerprint, digest, exposure_record
from nrsdark_xr.steps.futures import as_finished, died, result_of
from nrsdark_xr.steps.session import Session
from nrsdark_xr.storage import StorageParameters
from nrsdark_xr.store import Step
from nrsdark_xr.store.failures import delete_failures, write_failures

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger(__name__)

PROGRESS_TOPIC = "nrsdark-progress"
_AT_WORK = Lock()
"""Held by the one task of this process that works on an exposure."""
_NEXT = Lock()
"""Held by the one task that is next, whose exposure is fetched meanwhile."""
COPIES = 2
"""Of remote exposures, on the disk of a worker at most: the one worked on, and the next."""


@dataclass(frozen=True)
class CountingReader:
    """A `RawReader` that reports the bytes that it reads to the client's progress.

    Attributes
    ----------
    reader : RawReader
    exposure : str
        Name of the exposure.
    """

    reader: RawReader
    exposure: str

    def read(
        self,
        integration: int,
        groups: slice,
        rows: slice,
        out: NDArray[np.uint16] | None = None,
    ) -> NDArray[np.uint16]:
        """Read as `RawReader.read`."""
        samples = self.reader.read(integration, groups, rows, out)
        report_bytes(self.exposure, samples.nbytes)
        return samples


def report_bytes(exposure: str, n_bytes: int) -> None:
    """Tell the client, from within a task, that `n_bytes` of an exposure were worked through."""
    from distributed import get_worker

    get_worker().log_event(PROGRESS_TOPIC, (exposure, int(n_bytes)))


@dataclass
class Ledger:
    """Bytes of each exposure that are still to be worked through.

    What tasks report is about right: rows around a band are read twice, a task that another worker
    takes over reports twice, the stock engine reports nothing. So no exposure counts for more than
    was announced, and one that is done counts for all of it.

    Attributes
    ----------
    stage : Stage
        Where it is shown.
    left : dict
        By name of the exposure.
    """

    stage: Stage
    left: dict[str, float]
    _lock: Lock = field(default_factory=Lock)

    def report(self, event: tuple[float, tuple[str, int]]) -> None:
        """Take what `report_bytes` sent, in the thread that listens to the cluster."""
        _, (exposure, n_bytes) = event
        self._work_off(exposure, n_bytes)

    def settle(self, exposure: str) -> None:
        """Count all that is left of an exposure."""
        self._work_off(exposure, self.left[exposure])

    def _work_off(self, exposure: str, n_bytes: float) -> None:
        with self._lock:
            part = min(n_bytes, self.left.get(exposure, 0.0))
            if part:
                self.left[exposure] -= part
                self.stage.advance(part)


@contextmanager
def whole_worker() -> Iterator[int]:
    """Have a worker to oneself, from within a task on an exposure; others of its tasks wait.

    Dask hands a worker a task for each of its threads. Exposures one after the other, each with all
    threads, take the time of exposures side by side, and the memory of one.

    A process-wide lock, not a resource of the worker, does it: workers of a running scheduler have
    declared none, and the scheduler does not look again at tasks that wait for one that a restarted
    worker declares later.

    Yields
    ------
    int
        Threads to use.

    Raises
    ------
    distributed.Reschedule
        If nobody wants the task any more when its turn comes; Dask then drops it.
    """
    from distributed import Reschedule, get_worker

    worker = get_worker()
    key = worker.get_current_task()
    with _AT_WORK:
        if worker.state.tasks[key].state == "cancelled":
            raise Reschedule
        yield worker.state.nthreads


@contextmanager
def working_on(
    exposure: Exposure, storage: StorageParameters, *, whole: bool
) -> Iterator[tuple[CountingReader, int]]:
    """Have a worker to oneself, as `whole_worker`, and a reader of an exposure.

    A remote exposure is fetched while the one before is worked on, if the worker has threads for
    two tasks: so there are never more than `COPIES` of them there.

    Parameters
    ----------
    exposure : Exposure
    storage : StorageParameters
    whole : bool
        Whether all of the exposure will be read, so that it is fetched if it is remote.

    Yields
    ------
    raw : CountingReader
    threads : int
        To use.
    """
    from distributed import get_worker

    with ExitStack() as stack:
        with _NEXT:
            reader = stack.enter_context(RawReader(exposure, storage))
            if whole:
                reader.fetch(get_worker().local_directory)
            threads = stack.enter_context(whole_worker())
        yield CountingReader(reader, exposure.name), threads


def task_key(step: str, exposure: Exposure, fingerprint: Fingerprint) -> str:
    """Name the task of an exposure: the same work has the same name."""
    return f"{step}-{exposure.name}-{digest([fingerprint, exposure_record(exposure)])}"


def run_first(session: Session, function: Callable[..., Any], *arguments: Any) -> Future:
    """Run what all other tasks need; its value stays on the cluster.

    So that a reference that cannot be used is refused before any row is given up for a new one.

    Raises
    ------
    NrsdarkError
        If it fails for something that the user can mend.
    """
    future = session.client.submit(function, *arguments)
    next(as_finished(session.client, [future]))
    if future.status == "error":
        raise future.exception()
    return future


def submit_evenly(
    client: Client, exposures: Sequence[Exposure], submit: Callable[[Exposure], Future]
) -> dict[Future, Exposure]:
    """Submit the task of each exposure; where workers have several threads, to each in turn.

    The scheduler would fill all threads of the worker that holds the references, only one of which
    then works (`whole_worker`), while others have nothing to do. It may still decide otherwise:
    when a worker is lost, say. Of tasks that have not begun, workers take from each other.
    """
    import dask

    workers = client.nthreads()
    if max(workers.values(), default=1) == 1:
        return {submit(exposure): exposure for exposure in exposures}
    futures = {}
    for exposure, address in zip(exposures, cycle(workers), strict=False):
        with dask.annotate(workers=[address], allow_other_workers=True):
            futures[submit(exposure)] = exposure
    return futures


def run_per_exposure(
    session: Session,
    step: Step,
    exposures: Sequence[Exposure],
    submit: Callable[[Exposure], Future],
    *,
    n_bytes: Callable[[Exposure], float],
) -> None:
    """Run a task for each exposure; a failure stops the run or leaves the exposure out.

    Rows of these exposures are hidden from readers until they are done.

    Parameters
    ----------
    session : Session
        Its `failures` grow by the exposures that are left out (``on_error: skip``).
    step : {"refpix", "bias", "prepare"}
    exposures : sequence of Exposure
    submit : callable
        Submits the task of one exposure to the session's client.
    n_bytes : callable
        Bytes that the task of an exposure is about to report through `report_bytes`.

    Raises
    ------
    NrsdarkError
        If a task fails and ``on_error`` is ``stop``; what other tasks finished stays.
    """
    client = session.client
    names = [name for exposure in exposures for name in exposure.row_names()]
    session.store.forget(step, names)
    delete_failures(session.store_location, step, names)
    announced = {exposure.name: float(n_bytes(exposure)) for exposure in exposures}
    with session.progress.stage(
        step, total_bytes=sum(announced.values()), total_items=len(exposures)
    ) as stage:
        ledger = Ledger(stage, announced)
        client.subscribe_topic(PROGRESS_TOPIC, ledger.report)
        futures = submit_evenly(client, exposures, submit)
        try:
            for future in as_finished(client, futures):
                exposure = futures[future]
                ledger.settle(exposure.name)
                if future.status == "finished":
                    stage.advance(items=1)
                    session.work.append(f"{step} {exposure.name}")
                else:
                    _leave_out(session, step, exposure, future.exception())
        finally:
            client.cancel(list(futures))
            client.unsubscribe_topic(PROGRESS_TOPIC)


def _leave_out(session: Session, step: Step, exposure: Exposure, error: BaseException) -> None:
    """Leave a bad input out if the user wants that; what is not about the input stops the run."""
    failure = _explain(error, exposure)
    _note(session, step, exposure, failure)
    about_input = isinstance(failure, NrsdarkError) and failure.file == exposure.url
    if session.config.on_error == "stop" or not about_input:
        raise failure
    session.failures[exposure.name] = str(failure)
    session.progress.say(f"left out: {failure}")


def _note(session: Session, step: Step, exposure: Exposure, failure: BaseException) -> None:
    """Note a failure for `nrsdark status`."""
    reason = str(failure) or type(failure).__name__
    try:
        write_failures(session.store_location, step, exposure.row_names(), reason)
    except NrsdarkError as error:  # a full disk, say: then the failure itself is told all the same
        logger.warning("the failure of %s could not be noted: %s", exposure.name, error)


def _explain(error: BaseException, exposure: Exposure) -> BaseException:
    """Turn what a worker raised into a line about the exposure, unless it is a bug of ours."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return died(exposure.url)
    if isinstance(error, OSError):
        return NrsdarkError(f"{type(error).__name__}: {error}", file=exposure.url)
    return error


def gather(session: Session, collection: Any) -> Any:
    """Compute a dataset on the cluster into memory here; one that is not lazy is returned."""
    from dask import is_dask_collection

    if not is_dask_collection(collection):
        return collection
    client = session.client
    (future,) = as_finished(client, [client.compute(collection)])
    return result_of(future, session.store.url)
