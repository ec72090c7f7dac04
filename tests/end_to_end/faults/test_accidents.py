"""Disks, stores, workers and runs that fail: one clear line, and the same command goes on."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from astropy.io import fits

from nrsdark_xr.steps import average
from nrsdark_xr.steps.run import PRODUCTS
from nrsdark_xr.steps.session import Session
from nrsdark_xr.store import RampStore
from tests.end_to_end.commands import outcome, spawn
from tests.end_to_end.faults.conftest import state
from tests.end_to_end.faults.spoil import fewer_groups, no_fits
from tests.projects import assert_same_products
from tests.small_darks import NAME
from tests.waiting import wait_for

# Places to write ---------------------------------------------------------------------------------


@pytest.fixture
def mounted(tmp_path) -> Iterator[Callable[[str], Path]]:
    """Mount a file system of memory."""
    places: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"mount{len(places)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no right to mount a small or read-only disk")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("key", ["store", "output"])
def test_a_file_in_place_of_a_folder(darks, run, key):
    (darks.folder / "occupied").write_text("mine")
    for place in ("occupied", "occupied/below"):
        line = run(darks, "--set", f"{key}={place}").refusal()
        assert f"{darks.folder}/{place}" in line
        assert ";" in line
    assert (darks.folder / "occupied").read_text() == "mine"


@pytest.mark.parametrize("key", ["store", "output"])
def test_a_read_only_disk(darks, run, mounted, key):
    place = mounted("ro")
    line = run(darks, "--set", f"{key}={place}/sub").refusal()
    assert str(place) in line
    assert ";" in line


@pytest.mark.parametrize(
    ("key", "size"),
    [("store", "200k"), ("output", "16k"), ("output", "200k"), ("output", "600k")],
)
def test_a_full_disk(finished_set, darks, run, mounted, key, size):
    place = mounted(f"size={size}")
    where = f"{key}={place}/sub"
    line = run(darks, "--set", where, "--no-check").refusal()
    assert str(place) in line
    assert re.search("space.* run again", line)
    products = place / "sub" if key == "output" else darks.folder / "products"
    for product in products.glob("*.fits"):
        with fits.open(product) as hdus:  # whole, or not there under its name
            hdus.verify("exception")
            assert product.stat().st_size % 2880 == 0
    subprocess.run(["mount", "-o", "remount,size=8m", str(place)], check=True)
    assert run(darks, "--set", where, "--until", "synthesize").code == 0
    if key == "output":
        shutil.copytree(products, darks.folder / "products")
    assert_same_products(finished_set, darks, NAME)


def test_the_store_of_another_configuration(done, run):
    before = state(done)
    for path in done.raw:
        fewer_groups(path)
    line = run(done).refusal()
    assert f"{done.folder}/ramps.zarr" in line
    assert "n_groups" in line
    assert "give another path for the store" in line
    assert state(done) == before
    assert run(done, "--set", "store=other.zarr", "--until", "bias").code == 0


def test_a_store_that_is_no_store(darks, run):
    folder = darks.folder / "ramps.zarr"
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    line = run(darks).refusal()
    assert f"{folder}: is a folder with something else than a ramp store" in line
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_a_store_whose_metadata_are_damaged(done, run):
    metadata = done.folder / "ramps.zarr" / "zarr.json"
    metadata.write_text(metadata.read_text()[:40])
    line = run(done).refusal()
    assert f"{done.folder}/ramps.zarr" in line
    assert "zarr.json is damaged" in line


# Processes ---------------------------------------------------------------------------------------

KILL_WORKERS = """
import os, signal
from nrsdark_xr.store import RampStore

RampStore.write_maps = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_worker_costs_nothing_and_only_progress_is_printed(finished_set, darks, stop_in):
    stop = stop_in("calibration")
    running = spawn(darks, "--workers", "1", preload=stop.script)
    wait_for(stop.reached, running)
    os.kill(stop.process, signal.SIGKILL)
    ended = outcome(running)
    assert ended.code == 0, ended.err
    assert_same_products(finished_set, darks, NAME)
    stages = "bias|superbias|prepare|average|flags|dark and mask|readnoise|report"
    told = re.compile(
        rf"Dask dashboard: http://127\.0\.0\.1:\d+/status|({stages}): .*"
        r"|WARNING: .* of 4 inputs: clipping at 3 standard deviations cannot reject .*"
    )
    strange = [line for line in ended.err.splitlines() if not told.fullmatch(line)]
    assert strange == []
    products = [darks.folder / "products" / f"{NAME}_{suffix}" for suffix in PRODUCTS]
    assert ended.out.splitlines() == [str(path) for path in products]


def test_workers_that_die_again_and_again(finished_set, darks, run, tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "1")
    script = tmp_path / "preload.py"
    script.write_text(KILL_WORKERS)
    ended = outcome(spawn(darks, "--workers", "1", preload=script))
    line = ended.refusal()
    assert str(darks.folder) in line
    assert "its worker died again and again" in line
    assert run(darks, "--until", "synthesize").code == 0
    assert_same_products(finished_set, darks, NAME)


def test_a_failing_worker_prints_nothing_of_its_own(darks):
    reference = darks.folder / "references" / "gain.fits"
    no_fits(reference)
    ended = outcome(spawn(darks, "--workers", "1"))
    line = ended.refusal()
    assert f"{reference}: " in line
    assert ended.err.splitlines()[1:] == [line]  # after the address of the dashboard


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_second_run_is_refused_and_a_signal_ends_the_first(
    finished_set, darks, run, stop_in, number, code, word
):
    stop = stop_in("calibration")
    first = spawn(darks, "--workers", "1", preload=stop.script)
    wait_for(stop.reached, first)
    line = run(darks).refusal()
    assert f"{darks.folder}/ramps.zarr: another run is at work on this store" in line
    assert f"process {first.pid} on " in line
    assert "wait for it" in line

    started = time.monotonic()
    os.killpg(first.pid, number)  # as a terminal does on Ctrl-C, to the workers as well
    ended = outcome(first)
    assert time.monotonic() - started < 180  # a few seconds; tests may share the machine
    line = ended.refusal(code=code)
    assert line == f"nrsdark: {word}; the same command goes on from here"

    again = run(darks, "--until", "synthesize")
    assert again.code == 0
    assert "bias: up to date (4 files)" in again.err
    assert_same_products(finished_set, darks, NAME)


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("average._flag", "average.clip.sigma=2"),
        ("Session.record", "average.clip.sigma=2"),
        ("Session.record", "bias.clip.sigma=2"),
        ("RampStore.write_maps", "prepare.jump.rejection_threshold=20"),
    ],
)
def test_what_a_cut_off_run_had_changed_is_made_again(
    finished_set, done, run, monkeypatch, place, change
):
    room = {"Session": Session, "RampStore": RampStore, "average": average}
    owner, _, name = place.partition(".")
    with monkeypatch.context() as patch:
        patch.setattr(room[owner], name, _cut_off)
        with pytest.raises(RuntimeError, match="cut off"):
            done.run(change)
    assert run(done, "--until", "synthesize").code == 0
    assert_same_products(finished_set, done, NAME)


def _cut_off(*_arguments: object) -> None:
    raise RuntimeError("cut off")
