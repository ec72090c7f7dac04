"""Fixtures of tests that disturb a run: small darks, their products, a place at which to stop."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.projects import Project, copy_of, run_copy, simulated

NAME = "nrs1-sub32"
SMALLEST = {"subarray": "SUB32", "exposures": 4, "groups": 6, "seed": 5}

STOP_ONCE = """
import os, time
from {module} import {owner}

def stop_in_{place}(*arguments, **options):
    flag = {flag!r}
    try:
        with open(flag, "x") as file:
            file.write(f"{{os.getpid()}} {{os.environ.get('SLURM_JOB_ID')}} .")
    except FileExistsError:
        pass
    else:
        while not os.path.exists(flag + ".go"):
            time.sleep(0.05)
    return {owner}.real_{method}(*arguments, **options)

if not hasattr({owner}, "real_{method}"):  # Dask loads this more than once
    {owner}.real_{method}, {owner}.{method} = {owner}.{method}, stop_in_{place}
"""
PLACES = {
    "calibration": ("nrsdark_xr.store", "RampStore", "write_maps"),
    "averaging": ("nrsdark_xr.steps", "compute", "_write_block"),
}


@dataclass(frozen=True)
class Stop:
    """A place at which the first worker of a run that comes by waits, with half of a result made.

    Attributes
    ----------
    script : Path
        What workers have to load.
    flag : Path
        The file that the worker makes there.
    """

    script: Path
    flag: Path

    def reached(self) -> bool:
        return self.flag.exists() and self.flag.read_text().endswith(".")

    @property
    def process(self) -> int:
        """The worker that waits."""
        return int(self.flag.read_text().split()[0])

    @property
    def job(self) -> str:
        """Its job of a batch system."""
        return self.flag.read_text().split()[1]

    def go_on(self) -> None:
        Path(f"{self.flag}.go").touch()


@pytest.fixture(scope="session")
def raw_set(tmp_path_factory) -> Project:
    """Raw darks of the smallest subarray; not to be changed."""
    project = simulated(tmp_path_factory.mktemp("smallest"), **SMALLEST)
    shutil.rmtree(project.folder / "truth.zarr")
    return project


@pytest.fixture(scope="session")
def finished_set(raw_set, tmp_path_factory) -> Project:
    """The same after an undisturbed run on this machine; not to be changed."""
    return run_copy(raw_set, tmp_path_factory.mktemp("finished_set") / "run")


@pytest.fixture
def darks(raw_set, tmp_path) -> Project:
    return copy_of(raw_set, tmp_path / "run")


@pytest.fixture
def done(finished_set, tmp_path) -> Project:
    return copy_of(finished_set, tmp_path / "run")


@pytest.fixture
def stop_in(tmp_path) -> Callable[[str], Stop]:
    """Prepare a stop in "calibration" or "averaging", or, called twice, in both."""

    def prepare(place: str) -> Stop:
        module, owner, method = PLACES[place]
        stop = Stop(tmp_path / "preload.py", tmp_path / f"stopped-in-{place}")
        with stop.script.open("a") as script:
            script.write(
                STOP_ONCE.format(
                    module=module, owner=owner, method=method, place=place, flag=str(stop.flag)
                )
            )
        return stop

    return prepare
