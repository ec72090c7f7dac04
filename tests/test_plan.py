"""The plan of a run: what it tells, what it refuses, and that memory is as predicted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster

from benchmarks.memory import measure
from nrsdark_xr.calibration import CalibrationParameters
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.plan import Plan, check_plan, plan_run
from nrsdark_xr.plan import memory as memory_module
from nrsdark_xr.plan.steps import refit_traffic, row_traffic
from nrsdark_xr.plan.text import step_rows, summary_lines
from nrsdark_xr.steps import run_steps
from nrsdark_xr.steps.inputs import choose_inputs
from nrsdark_xr.store import RampStore
from nrsdark_xr.store.schema import Configuration, step_variables
from tests.projects import Project, copy_of, run_copy, simulated

MARGIN = 1.2
EXAMPLES = Path(__file__).parents[1] / "cluster"
GB = 10**9
STEPS = ["bias", "prepare", "average", "synthesize", "analyze"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp("plan")
    return simulated(folder, subarray="SUB512S", exposures=3, groups=6, seed=3)


@pytest.fixture(scope="module")
def run_once(raw, tmp_path_factory) -> Project:
    return run_copy(raw, tmp_path_factory.mktemp("plan-run") / "run")


def plan(project: Project, *overrides: str, **options: Any) -> Plan:
    return plan_run(project.config(*overrides), say=lambda _: None, **options)


def full_frame(raw: Project, readpatt: str, n_groups: int) -> Exposure:
    """An exposure of a full frame, none of which has to be there."""
    exposure = choose_inputs(raw.config(), say=lambda _: None)[0][0].exposure
    rows, time = (3200, 14.58889) if "IRS2" in readpatt else (2048, 10.73677)
    return replace(
        exposure,
        readpatt=readpatt,
        n_groups=n_groups,
        xsize=2048,
        ysize=2048,
        subarray="FULL",
        group_time=time,
        raw_shape=(1, n_groups, rows, 2048),
    )


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
    assert "memory: up to" in told.stdout
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
            dashboard_address=None,
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


def test_irs2_takes_memory_for_spectra_and_one_amplifier(raw):
    options = {"n_files": 3, "threads": 1, "client_threads": 1}
    plain, irs2 = (
        memory_module.step_memory(full_frame(raw, readpatt, 200), **options)["prepare"].task
        for readpatt in ("NRSRAPID", "NRSIRS2RAPID")
    )
    amplifier = 200 * 512 * 2048 * 4
    assert irs2 - plain > amplifier
    assert irs2 < 7 * GB


def test_weights_of_irs2_are_planned_as_measured(raw):
    """Of three exposures of 20 groups: 0.93 GB in the worker, 0.96 GB in the client."""
    irs2 = full_frame(raw, "NRSIRS2RAPID", 20)
    options = {"n_files": 3, "threads": 1, "client_threads": 1}
    given, made = (
        memory_module.step_memory(irs2, **options, makes_weights=weights)
        for weights in (False, True)
    )
    assert 0.93 * GB < made["bias"].worker < MARGIN * 0.93 * GB
    assert 0.96 * GB < made["bias"].client < MARGIN * 0.96 * GB
    assert given["bias"].worker < made["bias"].worker
    assert given["prepare"] == made["prepare"]


# Memory ----------------------------------------------------------------------------------


def run_command(project: Project, workers: int, cluster: str = "local") -> list[str]:
    command = [sys.executable, "-m", "nrsdark_xr.cli", "run", str(project.run_file)]
    return [*command, "--workers", str(workers), "--cluster", cluster]


@pytest.fixture(scope="module")
def libraries(run_once, tmp_path_factory) -> tuple[int, int]:
    """What libraries take here in addition to what is predicted: of a worker, of the client.

    Measured on the smallest run there is, after another one, so that kernels come from the cache.
    """
    project = simulated(
        tmp_path_factory.mktemp("libraries"), subarray="SUB32", exposures=3, groups=5
    )
    told = plan(project, workers=1)
    peaks = measure(run_command(project, 1))
    return peaks.worker - told.worker_peak(), peaks.client - told.client_peak()


@pytest.mark.parametrize(
    ("subarray", "groups", "workers", "threads"),
    [("SUBS200A1", 60, 1, 3), ("ALLSLITS", 30, 2, 1)],
)
def test_measured_memory_is_at_most_the_predicted_and_not_far_below(
    tmp_path, monkeypatch, libraries, subarray, groups, workers, threads
):
    project = simulated(tmp_path, subarray=subarray, exposures=3, groups=groups)
    file = tmp_path / "cluster.yaml"
    file.write_text(f"kind: local\nkwargs: {{threads_per_worker: {threads}}}\n")
    peaks = measure(run_command(project, workers, str(file)))
    # Libraries differ between machines: never more than predicted on that which they came from.
    for name, more in zip(("WORKER_LIBRARIES", "CLIENT_LIBRARIES"), libraries, strict=True):
        known = getattr(memory_module, name)
        monkeypatch.setattr(memory_module, name, known + max(0, more))
    elsewhere = ("store=another.zarr", "output=another")
    told = plan(project, *elsewhere, workers=workers, cluster=str(file))
    assert told.workforce.threads == threads
    assert peaks.worker <= told.worker_peak() <= MARGIN * peaks.worker
    assert peaks.tree <= told.tree_peak() <= MARGIN * peaks.tree


def test_the_stock_engine_takes_memory_for_the_whole_exposure(raw):
    exposure = choose_inputs(raw.config(), say=lambda _: None)[0][0].exposure
    long = replace(exposure, n_groups=6000)
    samples = long.n_groups * long.ysize * long.xsize
    options = {"n_files": 3, "threads": 1, "client_threads": 1}
    needs = memory_module.step_memory(long, engine="jwst", **options)
    assert needs["prepare"].task > memory_module.STOCK_SAMPLE * samples
    assert needs["prepare"].task > memory_module.step_memory(long, **options)["prepare"].task
    assert plan(raw, "engine=jwst").memory["bias"] == plan(raw).memory["bias"]


def test_memory_grows_with_what_it_is_for(raw):
    exposure = choose_inputs(raw.config(), say=lambda _: None)[0][0].exposure

    def peak(step: str, files: int = 3, threads: int = 1, **changes: Any) -> int:
        changed = replace(exposure, **changes)
        needs = memory_module.step_memory(changed, n_files=files, threads=threads, client_threads=1)
        return needs[step].worker

    assert peak("prepare", n_groups=600) > peak("prepare")
    assert peak("prepare", files=300) == peak("prepare")
    assert peak("average", files=300) > peak("average")
    large = {"n_groups": 88, "ysize": 2048, "xsize": 2048, "files": 15}
    blocks = 4 * 16 * 8
    one, two, all_at_once, more = (
        peak("average", threads=threads, **large) for threads in (1, 2, blocks, blocks + 1)
    )
    assert one < two < all_at_once == more  # a block for each thread
    assert peak("prepare", n_integrations=200) > peak("prepare")


DOCUMENTED = {
    "`prepare`, traditional, 88 groups": ("NRSRAPID", 88, 15),
    "`prepare`, IRS2, 200 groups": ("NRSIRS2RAPID", 200, 15),
    "other steps, 15 exposures": ("NRSIRS2RAPID", 200, 15),
    "other steps, 40 exposures": ("NRSIRS2RAPID", 200, 40),
    "other steps, 100 exposures": ("NRSIRS2RAPID", 200, 100),
}
"""Rows of the table of memory in docs/operations.md: readout, groups, exposures."""


def documented_memory(raw: Project, row: str, threads: int, **options: Any) -> Any:
    readpatt, n_groups, n_files = DOCUMENTED[row]
    return memory_module.step_memory(
        full_frame(raw, readpatt, n_groups),
        n_files=n_files,
        threads=threads,
        client_threads=2,
        makes_weights="IRS2" in readpatt,
        **options,
    )


@pytest.mark.parametrize("row", DOCUMENTED)
def test_users_are_told_the_memory_that_is_planned(raw, row):
    told = (Path(__file__).parents[1] / "docs/operations.md").read_text()
    figures = []
    for threads in (1, 2, 4):
        needs = documented_memory(raw, row, threads)
        steps = ["prepare"] if "prepare" in row else [step for step in STEPS if step != "prepare"]
        figures.append(max(needs[step].worker for step in steps) / GB)
    assert f"| {row} | {' | '.join(f'{figure:.1f} GB' for figure in figures)} |" in told
    client = max(need.client for need in needs.values()) / GB
    assert f"The client takes {client:.1f} GB" in told


def test_users_are_told_what_the_stock_engine_takes(raw):
    told = (Path(__file__).parents[1] / "docs/operations.md").read_text()
    needs = documented_memory(raw, "`prepare`, traditional, 88 groups", 1, engine="jwst")
    assert f"`engine: jwst` holds whole exposures: {needs['prepare'].worker / GB:.1f} GB" in told
