from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import pytest

from nrsdark_xr import cli
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.simulate import SimulationParameters, simulate
from nrsdark_xr.steps.run import PRODUCTS

HEAVY = ("numpy", "xarray", "dask", "distributed", "zarr", "jwst", "stdatamodels")
HEAVY += ("matplotlib", "astropy", "scipy", "numba", "fsspec")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def nrsdark(capsys) -> Callable[..., Outcome]:
    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Outcome(end.value.code or 0, said.out, said.err)

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three darks of the smallest subarray; the tests use them in the order of this file."""
    place = tmp_path_factory.mktemp("darks")
    simulate(place, SimulationParameters(subarray="SUB32", exposures=3, groups=5, seed=2))
    return place


def test_version(nrsdark):
    assert nrsdark("--version") == Outcome(0, f"nrsdark_xr {version('nrsdark_xr')}\n", "")


def test_help_loads_nothing_heavy():
    script = (
        "import sys, nrsdark_xr.cli\n"
        "try: nrsdark_xr.cli.main(['run', '--help'])\n"
        "except SystemExit: pass\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"
    assert "RUN.yaml" in done.stdout


@pytest.mark.parametrize("command", ["demo", "simulate", "run", "status", "compare"])
def test_every_command_has_help(nrsdark, command):
    assert command in nrsdark("--help").out
    ended = nrsdark(command, "--help")
    assert ended.code == 0
    assert "Usage" in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run"],
        ["run", "run.yaml", "--nonsense"],
        ["run", "run.yaml", "--until", "lunch"],
        ["run", "run.yaml", "--workers", "0"],
        ["simulate", "x", "--detector", "NRS3"],
        ["compare", "one.fits"],
    ],
)
def test_wrong_usage_exits_with_2(nrsdark, arguments):
    ended = nrsdark(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert "Usage" in ended.err


def test_status_before_a_run(nrsdark, folder):
    ended = nrsdark("status", folder / "run.yaml")
    assert ended.code == 0
    assert ended.out.count("nothing yet") == 3
    assert ended.out.count("missing") == len(PRODUCTS)
    found = json.loads(nrsdark("status", folder / "run.yaml", "--json").out)
    assert [entry["done"] for entry in found["files"]] == [[], [], []]
    assert not any(found["products"].values())
    assert not (folder / "ramps.zarr").exists()  # to look changes nothing


def test_run_lists_the_products_with_the_report_last(nrsdark, folder):
    ended = nrsdark("run", folder / "run.yaml", "--cluster", "threads")
    assert ended.code == 0
    products = ended.out.splitlines()
    assert [line.rpartition("_")[2] for line in products] == [
        "superbias.fits",
        "dark.fits",
        "mask.fits",
        "readnoise.fits",
        "summary.json",
        "report.html",
    ]


def test_run_prints_its_summary_as_json(nrsdark, folder):
    ended = nrsdark("run", folder / "run.yaml", "--cluster", "threads", "--json")
    assert json.loads(ended.out)["n_good"] == 3
    assert "Nothing to do: everything is up to date." in ended.err


def test_status_after_a_run(nrsdark, folder):
    ended = nrsdark("status", folder / "run.yaml")
    assert ended.out.count("bias, prepare") == 3
    assert ended.out.count("complete") == len(PRODUCTS)
    found = json.loads(nrsdark("status", folder / "run.yaml", "--json").out)
    assert [entry["done"] for entry in found["files"]] == [["bias", "prepare"]] * 3
    assert all(found["products"].values())


@pytest.mark.parametrize("kind", ["superbias", "mask"])
def test_compare(nrsdark, folder, tmp_path, kind):
    new = folder / f"products/nrs1-sub32_{kind}.fits"
    old = folder / f"references/{kind}.fits"
    assert kind in nrsdark("compare", new, old).out.lower()
    ended = nrsdark("compare", new, old, "--json", "--out", tmp_path)
    assert ended.code == 0
    assert isinstance(json.loads(ended.out), dict)  # where the page is goes to stderr
    pages = [line for line in ended.err.splitlines() if line.startswith(str(tmp_path))]
    assert pages
    assert any(page.endswith(".html") for page in pages)


def test_compare_of_two_kinds_is_refused(nrsdark, folder):
    new = folder / "references/superbias.fits"
    ended = nrsdark("compare", new, folder / "references/mask.fits")
    assert ended.code == 1
    assert ended.err.startswith("nrsdark: ")
    assert len(ended.err.splitlines()) == 1


def test_an_unknown_key_is_told_with_the_nearest_known_one(nrsdark, folder):
    ended = nrsdark("run", folder / "run.yaml", "--set", "average.clip.sigmas=4")
    assert ended.code == 1
    assert "unknown key 'average.clip.sigmas'; did you mean 'sigma'?" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_simulate_says_where_run_yaml_is_and_refuses_a_full_folder(nrsdark, tmp_path):
    options = ("--subarray", "SUB32", "--exposures", "1", "--groups", "2")
    ended = nrsdark("simulate", tmp_path / "new", *options)
    assert (ended.code, ended.out) == (0, f"{tmp_path}/new/run.yaml\n")
    again = nrsdark("simulate", tmp_path / "new", *options)
    assert again.code == 1
    assert f"{tmp_path}/new: the folder already holds exposures" in again.err


def test_simulate_refuses_what_cannot_be(nrsdark, tmp_path):
    ended = nrsdark("simulate", tmp_path, "--subarray", "SUB4096")
    assert ended.code == 1
    assert "SUB4096" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_demo_leaves_a_full_folder_alone(nrsdark, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    ended = nrsdark("demo", "--out", tmp_path)
    assert ended.code == 1
    assert f"{tmp_path}: is not empty, and holds no demonstration; give another" in ended.err


def raising(error: BaseException) -> Callable[..., None]:
    def run_steps(*_arguments: object, **_options: object) -> None:
        raise error

    return run_steps


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (NrsdarkError("is odd", file="x.fits", remedy="mend it"), "x.fits: is odd; mend it"),
        (OSError(28, "No space left on device", "/x"), "/x: No space left on device"),
        (ValueError("two\nlines"), "unexpected ValueError: two lines; please report it"),
    ],
)
def test_an_error_is_one_line_unless_debugged(nrsdark, folder, monkeypatch, error, line):
    monkeypatch.setattr("nrsdark_xr.steps.run_steps", raising(error))
    ended = nrsdark("run", folder / "run.yaml")
    assert (ended.code, ended.out, ended.err) == (1, "", f"nrsdark: {line}\n")
    run_file = str(folder / "run.yaml")
    for arguments in (["--debug", "run", run_file], ["run", run_file, "--debug"]):
        with pytest.raises(type(error)):
            cli.main(arguments)


def test_ctrl_c_exits_with_130(nrsdark, folder, monkeypatch):
    monkeypatch.setattr("nrsdark_xr.steps.run_steps", raising(KeyboardInterrupt()))
    ended = nrsdark("run", folder / "run.yaml")
    assert ended.code == 130
    assert ended.err == "nrsdark: interrupted; the same command goes on from here\n"


def test_sigterm_ends_as_ctrl_c_does(nrsdark, folder, monkeypatch):
    left = []

    def run_steps(*_arguments: object, **_options: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        finally:
            left.append("lock given back")

    monkeypatch.setattr("nrsdark_xr.steps.run_steps", run_steps)
    before = signal.getsignal(signal.SIGTERM)
    ended = nrsdark("run", folder / "run.yaml")
    assert ended.code == 143
    assert ended.err == "nrsdark: terminated; the same command goes on from here\n"
    assert left
    assert signal.getsignal(signal.SIGTERM) is before
