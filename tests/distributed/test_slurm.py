"""Runs whose workers are jobs of a real SLURM cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from nrsdark_xr.cluster import connect
from nrsdark_xr.cluster.batch import jobs_wait
from nrsdark_xr.errors import NrsdarkError
from tests.end_to_end.commands import outcome, spawn
from tests.projects import assert_same_products
from tests.servers.start import SlurmServer, start_slurm
from tests.small_darks import NAME
from tests.waiting import PATIENCE, wait_for

FOLDER = Path(__file__).parents[2] / "cluster"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[SlurmServer]:
    server = start_slurm(tmp_path_factory.mktemp("slurm") / "s")
    yield server
    server.call("down")


@pytest.fixture
def slurm(server, monkeypatch) -> SlurmServer:
    """The cluster, for the commands that are called here."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    folder = Path(sys.executable).parent  # that of `nrsdark`, `dask` and `python`
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return server


@pytest.fixture
def cluster_file(tmp_path) -> Callable[..., Path]:
    """Write the file of `cluster/` with what this cluster has got, and options of one's own."""

    def write(workers: int, *, wait: int = PATIENCE, **options: object) -> Path:
        content = yaml.safe_load((FOLDER / "slurm.yaml").read_text())
        here = {"queue": "ci", "interface": "lo", "memory": "2GB", "walltime": "00:10:00"}
        del content["kwargs"]["account"]  # there is no accounting
        here |= {"local_directory": str(tmp_path), "log_directory": str(tmp_path / "logs")}
        content["kwargs"] |= here | options
        content |= {"workers": workers, "wait": wait}
        path = tmp_path / "slurm.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def queue() -> str:
    done = subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=True)
    return done.stdout


def assert_queue_empties() -> None:
    wait_for(lambda: not queue())


@pytest.mark.slow
def test_two_jobs_make_the_same_bits(slurm, finished_set, darks, cluster_file):
    darks.run(cluster=str(cluster_file(2)))
    assert_same_products(finished_set, darks, NAME)
    assert_queue_empties()


def test_a_killed_job_is_replaced_and_the_run_ends_with_the_same_bits(
    slurm, finished_set, darks, cluster_file, stop_in
):
    stop = stop_in("calibration")
    soon = {"DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "1s"}
    one = ["--cluster", str(cluster_file(1))]
    running = spawn(darks, *one, preload=stop.script, environment=soon)
    wait_for(stop.reached, running)
    subprocess.run(["scancel", "--signal=KILL", "--full", stop.job], check=True)
    ended = outcome(running)
    assert ended.code == 0, ended.err
    assert_same_products(finished_set, darks, NAME)
    assert_queue_empties()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"memory": "640GB"}, "Memory specification can not be satisfied"),
        ({"queue": "none"}, "invalid partition specified: none"),
    ],
)
def test_an_impossible_job_is_told_in_one_line(slurm, cluster_file, options, reason):
    path = cluster_file(2, **options)
    with pytest.raises(NrsdarkError) as caught:
        connect(str(path)).__enter__()
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: the batch system refuses a job: {reason}, ")
    assert line.endswith("; correct `kwargs` (queue, account, cores, memory, walltime)")
    assert not queue()


def test_jobs_that_wait_for_ever_are_told_with_what_for(slurm, cluster_file):
    told = ""
    for wait in (1, 20):  # a busy machine may not have submitted them any sooner
        path = cluster_file(2, wait=wait, job_extra_directives=["--hold"])
        with pytest.raises(NrsdarkError, match=f"has got no worker within {wait} s") as caught:
            connect(str(path)).__enter__()
        assert_queue_empties()
        told = str(caught.value)
        if "jobs" in told:
            break
    assert ", its jobs wait for: JobHeldUser; give more time (`wait`)" in told


def test_time_in_the_queue_is_no_time_without_workers(slurm, cluster_file):
    with connect(str(cluster_file(1))) as client:
        assert not jobs_wait(client)
        subprocess.run(["scontrol", "update", "partition=ci", "state=down"], check=True)
        try:
            client.cluster.scale(2)
            wait_for(lambda: jobs_wait(client))
        finally:
            subprocess.run(["scontrol", "update", "partition=ci", "state=up"], check=True)
    assert_queue_empties()


def test_one_job_holds_client_scheduler_and_workers(slurm, finished_set, darks, tmp_path):
    log = tmp_path / "job.log"
    options = ["--wait", "--ntasks=2", "--mem-per-cpu=2G", "--time=10", f"--output={log}"]
    job = [*options, FOLDER / "slurm-single-job.sh", darks.run_file]
    subprocess.run(["sbatch", *map(str, job)], cwd=tmp_path, check=True, capture_output=True)
    assert_same_products(finished_set, darks, NAME)
    assert str(darks.folder / "products" / f"{NAME}_dark.fits") in log.read_text()
    assert not list(tmp_path.glob(".nrsdark-*"))
    assert_queue_empties()
