"""The plan of a run: what it tells, and what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster

from nrsdark_xr.calibration import CalibrationParameters
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.fetch import FETCH_BYTES
from nrsdark_xr.plan import check_plan, make_plan, plan_run
from nrsdark_xr.plan.steps import refit_traffic, row_traffic
from nrsdark_xr.plan.text import step_rows, summary_lines
from nrsdark_xr.steps import run_steps
from nrsdark_xr.steps.inputs import choose_inputs
from nrsdark_xr.store import RampStore
from nrsdark_xr.store.schema import Configuration, step_variables
from tests.plan.helpers import GB, STEPS, full_frame, plan
from tests.projects import copy_of

EXAMPLES = Path(__file__).parents[2] / "cluster"


def nrsdark(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nrsdark_xr.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def everything_below(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))


def size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def test_a_plan_makes_nothing_and_prints_a_table(raw):
    before = everything_below(raw.folder)
    told = nrsdark("plan", raw.run_file, "--workers", "1")
    assert told.returncode == 0, told.stderr
    assert all(step in told.stdout for step in STEPS)
    assert "SUB512S" in told.stdout
    assert re.search(r"memory: up to .* for 1 worker,", told.stdout)
    assert everything_below(raw.folder) == before


def test_json_holds_every_figure(raw):
    told = nrsdark("plan", raw.run_file, "--workers", "1", "--json")
    content = json.loads(told.stdout)
    assert [step["name"] for step in content["steps"]] == STEPS
    for step in content["steps"]:
        for key in ("raw", "references", "store_read", "store_written", "output", "read"):
            assert step[key].keys() == {"n_bytes", "objects"}
        assert step["tasks"] == step["exposures"] + step["blocks"]
    assert content["memory"].keys() == set(STEPS)
    assert content["memory"]["prepare"].keys() == {"worker", "task", "client"}
    assert {place["key"] for place in content["places"]} == {"store", "output"}
    total = content["total"]
    assert total["tree_peak"] >= total["worker_peak"] > 0
    assert total["read"]["n_bytes"] == sum(s["read"]["n_bytes"] for s in content["steps"])
    assert content["workforce"]["workers"] == 1
    assert content["requests"] == 0
    assert content["good"] == 3


def test_bytes_and_objects_are_those_of_the_run(raw, run_once):
    told = plan(raw)
    bias, prepare, average, synthesize, _ = told.steps
    store, output = (Path(run_once.config().store), Path(run_once.config().output))
    chunks = [path for path in store.glob("*/c/**/*") if path.is_file()]
    names = {variable.name for variable in step_variables("prepare")}
    prepared = [path for path in chunks if path.relative_to(store).parts[0] in names]
    assert prepare.store_written.objects == len(prepared) + 3  # a marker for each row
    exposure = choose_inputs(run_once.config(), say=lambda _: None)[0][0].exposure
    assert bias.raw.n_bytes == 3 * 2 * exposure.group_bytes
    assert prepare.raw.n_bytes == 3 * 2 * exposure.data_bytes
    assert average.output.objects == len(
        [p for p in output.glob("*_average.zarr/*/c/**/*") if p.is_file() and ndim(p) == 3]
    )
    dark = size(output / "nrs1-sub512s_dark.fits")
    mask = size(output / "nrs1-sub512s_mask.fits")
    readnoise = size(output / "nrs1-sub512s_readnoise.fits")
    headers = dark + mask + readnoise - synthesize.output.n_bytes
    assert 0 < headers < 300_000


def ndim(chunk: Path) -> int:
    return len(chunk.parts) - 1 - len(chunk.parts) + chunk.parts[::-1].index("c") + 1


def test_disk_needs_bound_what_is_written(raw, run_once):
    store, output = plan(raw).places
    assert size(Path(run_once.config().store)) <= store.needed
    assert size(Path(run_once.config().output)) <= output.needed
    assert store.free is not None
    assert store.free > 0


@pytest.mark.parametrize("quantum", [None, 1 / 64])
def test_ramps_are_planned_as_small_as_rounding_makes_them(raw, tmp_path, quantum):
    project, rounding = copy_of(raw, tmp_path / "run"), f"ramps.quantum={quantum or 'null'}"
    project.run(rounding, until="prepare")
    exposure = choose_inputs(project.config(), say=lambda _: None)[0][0].exposure
    row = row_traffic(Configuration.of(exposure), ["ramp"], quantum=quantum)
    written = size(Path(project.config().store) / "ramp" / "c")
    assert 0.8 * 3 * row.n_bytes < written <= 3 * row.n_bytes
    told = plan(project, rounding, "store=another.zarr"), plan(project, "store=another.zarr")
    rounded, whole = (p.places[0].needed for p in told)
    assert (rounded < whole) if quantum else (rounded == whole)


def test_what_is_done_is_not_planned_again(run_once):
    told = plan(run_once)
    assert all(step.read.n_bytes == 0 for step in told.steps)
    assert [step.exposures_done for step in told.steps[:2]] == [3, 3]
    assert told.tree_peak() == 0
    assert summary_lines(told)[1:] == ["nothing is left to do"]
    assert [row[1] for row in step_rows(told)] == [
        "(+3 done)",
        "(+3 done)",
        "nothing",
        "nothing",
        "nothing",
    ]
    check_plan(told)


@pytest.mark.parametrize(
    ("override", "left"),
    [
        ("prepare.jump.rejection_threshold=5", STEPS[1:]),
        ("prepare.refpix.odd_even_columns=false", STEPS),
        ("average.clip.sigma=4", STEPS[2:]),
        ("synthesize.hot_rate=2", STEPS[3:]),
        ("analyze.min_snr=3", STEPS[4:]),
    ],
)
def test_a_changed_parameter_is_planned_anew(run_once, override, left):
    told = plan(run_once, override)
    assert [step.name for step in told.steps if step.read.n_bytes] == left
    if "prepare" in left:  # its chunks are replaced
        assert told.places[0].needed == 0
        assert told.steps[1].exposures == 3


def test_a_new_exposure_is_planned_alone_unless_the_superbias_changes_with_it(run_once, tmp_path):
    project = copy_of(run_once, tmp_path / "run")
    name = choose_inputs(project.config(), say=lambda _: None)[0][-1].exposure.name
    for step in ("bias", "prepare"):
        RampStore(project.config().store).forget(step, [name])
    own = plan(project)
    assert [step.exposures for step in own.steps[:2]] == [1, 3]
    given = plan(project, "references.superbias=references/superbias.fits")
    assert [step.exposures for step in given.steps[:2]] == [0, 1]
    assert given.steps[1].exposures_done == 2


def test_a_given_superbias_leaves_nothing_to_the_first_step(raw):
    told = plan(raw, "references.superbias=references/superbias.fits")
    assert told.steps[0].read.n_bytes == 0
    assert told.steps[1].exposures == 3


def test_periods_are_planned_for(raw):
    def average(*overrides: str) -> Any:
        return plan(raw, *overrides).steps[2]

    none = average()
    two = average("periods=[{name: a, last_date: 2026-01-01}, {name: b, first_date: 2020-01-01}]")
    assert two.blocks == none.blocks
    assert two.output.n_bytes > 2.5 * none.output.n_bytes  # of ramps, all but the flags
    assert two.store_read.n_bytes < 1.2 * none.store_read.n_bytes  # rates only: one pass


def test_what_snowballs_change_is_read_back(raw):
    def read_back(*overrides: str) -> int:
        return plan(raw, *overrides).steps[1].store_read.n_bytes

    exposure = choose_inputs(raw.config(), say=lambda _: None)[0][0].exposure
    ramps = 3 * row_traffic(Configuration.of(exposure), ["ramp"]).n_bytes
    assert 0 < read_back() < ramps
    assert read_back("prepare.snowballs.expand_large_events=false") == 0
    assert read_back("engine=jwst") == 0


@pytest.mark.parametrize(
    ("readpatt", "n_groups", "measured"),
    [("NRSRAPID", 88, 0.6875), ("NRSIRS2RAPID", 20, 0.4375), ("NRSIRS2RAPID", 200, 0.914)],
)
def test_as_much_is_read_back_as_was_measured(raw, readpatt, n_groups, measured):
    """Parts of the first exposure of three simulated sets of full frames."""
    exposure = full_frame(raw, readpatt, n_groups)
    planned = refit_traffic(exposure, CalibrationParameters())
    whole = row_traffic(Configuration.of(exposure), ["ramp"])
    assert planned.n_bytes == pytest.approx(measured * whole.n_bytes, rel=0.25)
    assert planned.objects == pytest.approx(measured * whole.objects, rel=0.25)


def test_requests_are_counted_for_what_is_remote(raw, monkeypatch):
    from nrsdark_xr.plan import plan as plan_module

    told = plan(raw)
    config = told.steps
    local = plan_module._requests(raw.config(), config)
    assert local == 0
    remote = raw.config().model_copy(update={"store": "s3://bucket/ramps.zarr"})
    expected = sum(s.store_read.objects + s.store_written.objects for s in config)
    assert plan_module._requests(remote, config) == expected


@pytest.mark.parametrize(("threads", "copies"), [(1, 1), (2, 2), (3, 2)])
def test_remote_inputs_are_fetched_and_copied(raw, tmp_path, threads, copies):
    local = [entry.exposure for entry in choose_inputs(raw.config(), say=lambda _: None)[0]]
    remote = [replace(each, url=f"s3://bucket/{each.name}_uncal.fits") for each in local]
    size, file = local[0].data_bytes, tmp_path / "cluster.yaml"
    file.write_text(
        f"kind: local\nkwargs: {{threads_per_worker: {threads}, local_directory: {tmp_path}}}\n"
    )
    here, there = (
        make_plan(raw.config(), exposures, cluster=str(file), workers=2)
        for exposures in (local, remote)
    )
    bias, prepare = (step.raw for step in there.steps[:2])
    assert (bias.n_bytes, bias.objects) == (3 * 2 * local[0].group_bytes, 3)
    assert (prepare.n_bytes, prepare.objects) == (3 * size, 3 * ceil(size / FETCH_BYTES))
    assert [place.key for place in here.places] == ["store", "output"]
    (copy,) = there.places[2:]
    assert (copy.key, copy.url) == ("temporary-directory", str(tmp_path))
    assert copy.needed == 2 * copies * size
    assert copy.free > 0
    with pytest.raises(NrsdarkError, match="use another `temporary-directory`"):
        check_plan(replace(there, places=(replace(copy, free=copy.needed - 1),)))
    assert there.memory["prepare"].worker > here.memory["prepare"].worker
    assert there.memory["average"] == here.memory["average"]
    elsewhere = make_plan(raw.config(), remote, cluster=str(EXAMPLES / "slurm.yaml"))
    assert (elsewhere.places[2].url, elsewhere.places[2].free) == ("each worker", None)


def test_inputs_that_are_left_out_are_told(raw, tmp_path):
    project = copy_of(raw, tmp_path / "run")
    project.raw[0].write_bytes(b"no FITS")
    said: list[str] = []
    told = plan_run(project.config("on_error=skip"), say=said.append)
    assert told.good == 2
    assert len(told.left_out) == 1
    assert project.raw[0].name in said[0]
    assert "2 good exposures, 1 left out" in summary_lines(told)[0]


# Refusals --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("key", ["store", "output"])
def test_a_disk_that_is_too_small_is_refused_before_anything_is_made(raw, small_disk, key):
    where = f"{key}={small_disk}/sub/below"
    for command in ("plan", "run"):
        told = nrsdark(command, raw.run_file, "--set", where)
        assert told.returncode == 1
        line = told.stderr.splitlines()[-1]
        assert line.startswith(f"nrsdark: {small_disk}/sub/below: a run needs ")
        assert " are free" in line
        assert f"use another `{key}`" in line
        assert not list(small_disk.iterdir())


def test_places_on_one_disk_share_it(raw):
    told = plan(raw)
    store, output = (replace(p, free=5 * GB, needed=3 * GB, device=1) for p in told.places)
    with pytest.raises(NrsdarkError, match=r"needs 6\.0 GB .*store 3\.0 GB, output 3\.0 GB"):
        check_plan(replace(told, places=(store, output)))
    check_plan(replace(told, places=(store, replace(output, device=2))))
    check_plan(replace(told, places=(store, replace(output, free=None, device=None))))


def test_too_many_workers_for_the_memory_are_refused_with_a_number_that_does(raw):
    told = plan(raw, workers=8)
    available = told.tree_peak(3) + 1
    told = replace(told, workforce=replace(told.workforce, available=available))
    with pytest.raises(
        NrsdarkError, match=r"a run with 8 workers takes up to .*; give --workers 3"
    ):
        check_plan(told)
    check_plan(replace(told, workforce=replace(told.workforce, workers=3)))


def test_a_machine_that_is_too_small_is_refused(raw):
    told = plan(raw, workers=1)
    told = replace(told, workforce=replace(told.workforce, available=10**8))
    with pytest.raises(NrsdarkError, match=r"1 worker takes .* 100 MB are available; free some"):
        check_plan(told)


def test_a_run_refuses_what_its_plan_does_unless_told_not_to_check(raw, tmp_path, monkeypatch):
    project = copy_of(raw, tmp_path / "run")
    monkeypatch.setattr("nrsdark_xr.plan.machine.available_memory", lambda: 10**8)
    with pytest.raises(NrsdarkError, match="are available"):
        run_steps(project.config(), cluster="threads", until="bias")
    assert not (project.folder / "ramps.zarr").exists()
    project.run(until="bias", check=False)
    assert (project.folder / "products/nrs1-sub512s_superbias.fits").exists()


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of a running scheduler, with one worker of 3 threads and 300 MB."""
    with (
        # Its process is that of the tests, which take more, so that it would not work any more.
        dask.config.set({"distributed.worker.memory.pause": False}),
        LocalCluster(
            n_workers=1,
            threads_per_worker=3,
            memory_limit="300MB",
            processes=False,
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
    ):
        yield cluster.scheduler_address


def test_a_running_scheduler_is_asked_about_its_workers(raw, scheduler, tmp_path):
    file = tmp_path / "address.yaml"
    file.write_text(f"kind: address\nkwargs: {{address: '{scheduler}'}}\n")
    here = plan(raw, workers=1)
    for cluster in (scheduler, str(file)):
        remote = plan(raw, cluster=cluster)
        assert remote.workforce.workers is None
        assert (remote.workforce.threads, remote.workforce.worker_memory) == (3, 300_000_000)
        assert remote.tree_peak() < here.tree_peak()  # workers elsewhere take no memory here
        assert remote.worker_peak() >= here.worker_peak()
    for refused in (lambda: check_plan(remote), lambda: run_steps(raw.config(), cluster=scheduler)):
        with pytest.raises(NrsdarkError, match=r"each worker takes up to .*, 300 MB are given to"):
            refused()
    assert not (raw.folder / "ramps.zarr").exists()


def test_a_scheduler_is_asked_only_if_there_is_anything_to_do(raw, run_once, monkeypatch):
    monkeypatch.setattr("nrsdark_xr.cluster.connection._CONNECT_TIMEOUT", "1s")
    nobody = "tcp://127.0.0.1:9"
    with pytest.raises(NrsdarkError, match="no scheduler answers"):
        plan(raw, cluster=nobody)
    assert plan(run_once, cluster=nobody).worker_peak() == 0


def test_a_cluster_that_nobody_knows_is_planned_for_nothing(raw):
    with pytest.raises(NrsdarkError, match="unknown cluster 'moon'"):
        plan(raw, cluster="moon")


def test_threads_are_planned_as_one_worker_that_the_client_is(raw):
    told = plan(raw, cluster="threads", workers=3)
    assert (told.workforce.workers, told.workforce.threads) == (1, 3)
    assert told.tree_peak() < plan(raw, workers=3).tree_peak()


def test_workers_of_a_file_are_planned_for(raw, tmp_path):
    file = tmp_path / "local.yaml"
    file.write_text("kind: local\nworkers: 3\n")
    assert plan(raw, cluster=str(file)).workforce.workers == 3
    assert plan(raw, cluster=str(file), workers=2).workforce.workers == 2


def test_workers_that_would_be_killed_for_their_memory_are_refused(raw, tmp_path):
    file = tmp_path / "slurm.yaml"
    file.write_text("kind: slurm\nkwargs: {cores: 2, memory: 100MB}\n")
    told = plan(raw, cluster=str(file))
    assert told.workforce.threads == 2
    assert "each worker may take 100 MB" in "\n".join(summary_lines(told))
    with pytest.raises(NrsdarkError, match=r"slurm\.yaml: each worker takes up to .*, 100 MB are"):
        check_plan(told)
    assert told.as_dict()["workforce"]["worker_memory"] == 10**8
    check_plan(plan(raw, cluster=str(EXAMPLES / "slurm.yaml")))


@pytest.mark.parametrize(
    ("terminate", "part", "said"),
    [(0.95, 0.95, "kills it at 95% of that"), (0.5, 0.5, "at 50% of that"), (False, 1.0, None)],
)
def test_a_worker_is_killed_at_the_part_of_its_memory_that_dask_is_told(raw, terminate, part, said):
    told = plan(raw, workers=1)
    fits = told.worker_peak() / part
    with dask.config.set({"distributed.worker.memory.terminate": terminate}):
        for memory in (fits + 1, 2 * fits):
            force = replace(told.workforce, worker_memory=int(memory))
            check_plan(replace(told, workforce=force))
        force = replace(told.workforce, worker_memory=int(fits) - 1)
        with pytest.raises(NrsdarkError) as caught:
            check_plan(replace(told, workforce=force))
    assert (said or "are given to it; give each worker") in str(caught.value)
