"""What a user gets for each thing that may go wrong: one clear line, and nothing lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from nrsdark_xr.simulate import SimulationParameters, simulate
from nrsdark_xr.steps import average
from nrsdark_xr.steps.run import PRODUCTS
from nrsdark_xr.steps.session import Session
from nrsdark_xr.store import RampStore

from .commands import Outcome, outcome, spawn, wait_for
from .conftest import Project, assert_same_products, copy_of

NAME = "nrs1-sub32"
SMALLEST = {"subarray": "SUB32", "exposures": 5, "groups": 6, "seed": 5}


@pytest.fixture(scope="module")
def raw_set(tmp_path_factory) -> Project:
    """Raw darks of the smallest subarray; not to be changed."""
    folder = tmp_path_factory.mktemp("smallest")
    simulate(folder, SimulationParameters(**SMALLEST))
    shutil.rmtree(folder / "truth.zarr")
    return Project(folder)


@pytest.fixture(scope="module")
def finished_set(raw_set, tmp_path_factory) -> Project:
    """The same after a run; not to be changed."""
    project = copy_of(raw_set, tmp_path_factory.mktemp("finished_set") / "run")
    project.run()
    return project


@pytest.fixture
def darks(raw_set, tmp_path) -> Project:
    return copy_of(raw_set, tmp_path / "run")


@pytest.fixture
def done(finished_set, tmp_path) -> Project:
    return copy_of(finished_set, tmp_path / "run")


@pytest.fixture
def run(nrsdark) -> Callable[..., Outcome]:
    """Call ``nrsdark run`` on a project, within this process."""

    def call(project: Project, *options: str) -> Outcome:
        return nrsdark("run", project.run_file, "--cluster", "threads", *options)

    return call


def state(project: Project) -> dict[str, bytes]:
    """Every byte that a run has made."""
    places = [project.folder / "ramps.zarr", project.folder / "products"]
    return {
        str(path): path.read_bytes()
        for place in places
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


# Inputs ------------------------------------------------------------------------------------------


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_in_header(path: Path) -> None:
    os.truncate(path, 2880)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_fits(path: Path) -> None:
    path.write_text("<html>404 Not Found</html>\n" * 200)


def other_header(**keywords: object) -> Callable[[Path], None]:
    """Change (or with None: remove) keywords of the primary header."""

    def change(path: Path) -> None:
        with fits.open(path, mode="update") as hdus:
            for key, value in keywords.items():
                if value is None:
                    del hdus[0].header[key]
                else:
                    hdus[0].header[key] = value

    change.__name__ = "_".join(keywords)
    return change


def fewer_groups(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data = hdus["SCI"].data[:, :-1]
        hdus[0].header["NGROUPS"] -= 1


def other_subarray(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["SUBARRAY"] = "SUBX"
        hdus[0].header["SUBSTRT1"] += 8


BAD_INPUTS = [
    (cut_short, "is truncated: the last"),
    (cut_in_header, "is truncated or damaged within its header"),
    (empty, "is empty; give NIRSpec *_uncal.fits files"),
    (no_fits, "is not a FITS file; give NIRSpec *_uncal.fits files"),
    (other_header(INSTRUME="NIRCAM"), "was taken by NIRCAM, not NIRSPEC"),
    (other_header(EXP_TYPE="NRS_IFU"), "is no dark: EXP_TYPE is NRS_IFU; take it out"),
    (other_header(DETECTOR="NRS2", FASTAXIS=-2, SLOWAXIS=-1), "NRS2"),
    (other_header(READPATT="NRS", NFRAMES=4), "NRS"),
    (other_header(READPATT="SLOWR8"), "READPATT SLOWR8 is not one of"),
    (other_subarray, "subarray"),
    (fewer_groups, "n_groups 5"),
    (other_header(TGROUP=None), "TGROUP"),
    (other_header(TGROUP=-1.0), "TGROUP"),
    (other_header(**{"DATE-OBS": None}), "DATE-OBS"),
]
INPUT_IDS = [spoil.__name__ for spoil, _ in BAD_INPUTS]


@pytest.mark.parametrize(("spoil", "complaint"), BAD_INPUTS, ids=INPUT_IDS)
def test_a_bad_input_stops_the_run_and_nothing_is_lost(done, run, spoil, complaint):
    bad = done.raw[2]
    whole = bad.read_bytes()
    before = state(done)
    spoil(bad)
    line = run(done).refusal()
    assert str(bad) in line
    assert complaint in line
    assert ";" in line  # the remedy
    assert state(done) == before
    bad.write_bytes(whole)
    again = run(done)
    assert again.code == 0
    assert "Nothing to do" in again.err


def test_an_input_left_out_is_in_the_report(finished_set, darks, run):
    bad = darks.raw[2]
    whole = bad.read_bytes()
    cut_short(bad)
    assert run(darks, "--set", "on_error=skip").code == 0
    page = (darks.folder / f"products/{NAME}_report.html").read_text()
    assert bad.name in page
    assert "is truncated: the last" in page
    summary = json.loads((darks.folder / f"products/{NAME}_summary.json").read_text())
    assert (summary["n_inputs"], summary["n_good"]) == (5, 4)
    bad.write_bytes(whole)
    assert run(darks, "--until", "synthesize").code == 0
    assert_same_products(finished_set, darks, NAME)


def test_an_input_that_is_not_there(darks, run):
    darks.edit("'*_uncal.fits'", "[absent_uncal.fits]")
    assert f"{darks.folder}/absent_uncal.fits: no such file" in run(darks).refusal()


def test_a_pattern_that_matches_nothing(darks, run):
    darks.edit("'*_uncal.fits'", "'raw/*_uncal.fits'")
    assert f"{darks.folder}/raw/*_uncal.fits: " in run(darks).refusal()


def test_nothing_is_left_after_the_selection(darks, run):
    line = run(darks, "--set", "selection.last_date=2020-01-01").refusal()
    assert "no exposure is left of 5: too late (5)" in line
    assert str(darks.run_file) in line


def test_every_input_is_bad(darks, run):
    for path in darks.raw:
        empty(path)
    line = run(darks, "--set", "on_error=skip").refusal()
    assert "no readable exposure among the inputs" in line
    assert str(darks.run_file) in line


def test_fewer_than_min_inputs(darks, run):
    line = run(darks, "--set", "min_inputs=6").refusal()
    assert "a superbias needs 6 good inputs (min_inputs), there are 5" in line
    assert str(darks.run_file) in line
    assert run(darks, "--until", "bias").code == 0


HOSTILE = {
    "FILENAME": "../../../<script>evil{}</script>_uncal.fits",
    "TARGPROP": "<script>alert(1)</script>",
    "PROGRAM": "<script>",
    "OBSERVTN": "../..",
    "GRATING": "<b>&'\"",
    "FILTER": "../../../../tmp/x",
}


def test_what_headers_say_is_no_path_and_no_html(raw_set, tmp_path, run):
    project = copy_of(raw_set, tmp_path / "deep" / "down" / "in" / "run")
    for number, path in enumerate(project.raw):
        names = {"FILENAME": HOSTILE["FILENAME"].replace("</script>", "").format(number)}
        other_header(**(HOSTILE | names))(path)
    before = {path for path in tmp_path.rglob("*") if project.folder not in path.parents}
    ended = run(project)
    after = {path for path in tmp_path.rglob("*") if project.folder not in path.parents}
    assert after == before
    assert not any("<" in path.name for path in project.folder.rglob("*"))
    assert ended.code == 0
    page = (project.folder / f"products/{NAME}_report.html").read_text()
    for value in HOSTILE.values():
        assert value not in page
    assert "<script>" not in page


# References --------------------------------------------------------------------------------------

KINDS = ("mask", "saturation", "linearity", "gain", "readnoise", "superbias")
EXTENSIONS = {"mask": "DQ", "linearity": "COEFFS"}


def missing(path: Path, kind: str) -> None:
    path.unlink()


def truncated(path: Path, kind: str) -> None:
    cut_short(path)


def truncated_in_header(path: Path, kind: str) -> None:
    os.truncate(path, 1000)


def not_fits(path: Path, kind: str) -> None:
    no_fits(path)


def nan_throughout(path: Path, kind: str) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus[EXTENSIONS.get(kind, "SCI")].data[:] = np.nan


def too_small(path: Path, kind: str) -> None:
    with fits.open(path, mode="update") as hdus:
        for hdu in hdus[1:]:
            if hdu.is_image:
                hdu.data = np.ascontiguousarray(hdu.data[..., :-1])
        hdus[0].header["SUBSIZE1"] -= 1


def of_the_other_detector(path: Path, kind: str) -> None:
    other_header(DETECTOR="NRS2")(path)


def of_another_kind(path: Path, kind: str) -> None:
    other_header(REFTYPE="FLAT")(path)


SPOILT = {
    missing: "no such file",
    truncated: "",
    truncated_in_header: "",
    not_fits: "",
    nan_throughout: "is NaN throughout",
    too_small: "but the exposure needs 32 x 32 pixels",
    of_the_other_detector: "DETECTOR is NRS2, not NRS1",
    of_another_kind: "REFTYPE is FLAT, not",
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_a_bad_reference_stops_the_run_and_nothing_is_lost(with_superbias, run, spoil):
    before = state(with_superbias)
    for kind in KINDS:
        if spoil is nan_throughout and kind == "mask":
            continue  # it holds integers
        reference = with_superbias.folder / "references" / f"{kind}.fits"
        whole = reference.read_bytes()
        spoil(reference, kind)
        line = run(with_superbias, "--until", "prepare").refusal()
        assert f"{reference}: " in line
        assert SPOILT[spoil] in line
        assert ";" in line
        reference.write_bytes(whole)
    assert state(with_superbias) == before


@pytest.fixture(scope="module")
def prepared_set(raw_set, tmp_path_factory) -> Project:
    """Ramps calibrated with a given superbias; not to be changed."""
    project = copy_of(raw_set, tmp_path_factory.mktemp("prepared_set") / "run")
    project.edit("references:\n", "references:\n  superbias: references/superbias.fits\n")
    project.run(until="prepare")
    return project


@pytest.fixture
def with_superbias(prepared_set, tmp_path) -> Project:
    return copy_of(prepared_set, tmp_path / "run")


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

KILL_A_WORKER_ONCE = """
import os, signal
from nrsdark_xr.store import RampStore

def write_maps(store, *arguments):
    try:
        os.close(os.open({flag!r}, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return RampStore.real_write_maps(store, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)

if not hasattr(RampStore, "real_write_maps"):  # Dask loads this more than once
    RampStore.real_write_maps, RampStore.write_maps = RampStore.write_maps, write_maps
"""
KILL_WORKERS = """
import os, signal
from nrsdark_xr.store import RampStore

RampStore.write_maps = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
"""
HANG = """
import time
from pathlib import Path
from nrsdark_xr.store import RampStore

def write_maps(*arguments):
    Path({flag!r}).touch()
    time.sleep(300)

RampStore.write_maps = write_maps
"""


@pytest.fixture
def preload(tmp_path) -> Callable[[str], tuple[Path, Path]]:
    """Write what worker processes load before they work, and name the file that it makes."""

    def write(script: str) -> tuple[Path, Path]:
        path, flag = tmp_path / "preload.py", tmp_path / "flag"
        path.write_text(script.format(flag=str(flag)))
        return path, flag

    return write


def test_a_killed_worker_costs_nothing_and_only_progress_is_printed(finished_set, darks, preload):
    script, flag = preload(KILL_A_WORKER_ONCE)
    ended = outcome(spawn(darks, "--workers", "1", preload=script))
    assert flag.exists()
    assert ended.code == 0, ended.err
    assert_same_products(finished_set, darks, NAME)
    stages = "bias|superbias|prepare|average|flags|dark and mask|readnoise|report"
    told = re.compile(
        rf"Dask dashboard: http://127\.0\.0\.1:\d+/status|({stages}): .*"
        r"|WARNING: .* of 5 inputs: clipping at 3 standard deviations cannot reject .*"
    )
    strange = [line for line in ended.err.splitlines() if not told.fullmatch(line)]
    assert strange == []
    products = [darks.folder / "products" / f"{NAME}_{suffix}" for suffix in PRODUCTS]
    assert ended.out.splitlines() == [str(path) for path in products]


def test_workers_that_die_again_and_again(finished_set, darks, run, preload, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "1")
    script, _ = preload(KILL_WORKERS)
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


def test_a_second_run_is_refused_and_ctrl_c_ends_the_first(finished_set, darks, run, preload):
    script, flag = preload(HANG)
    first = spawn(darks, "--workers", "1", preload=script)
    wait_for(flag.exists, first)
    line = run(darks).refusal()
    assert f"{darks.folder}/ramps.zarr: another run is at work on this store" in line
    assert f"process {first.pid} on " in line
    assert "wait for it" in line

    started = time.monotonic()
    os.killpg(first.pid, signal.SIGINT)  # as a terminal does, to the workers as well
    ended = outcome(first)
    assert time.monotonic() - started < 60  # a few seconds; tests may share the machine
    line = ended.refusal(code=130)
    assert line == "nrsdark: interrupted; the same command goes on from here"

    again = run(darks, "--until", "synthesize")
    assert again.code == 0
    assert "bias: up to date (5 files)" in again.err
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
