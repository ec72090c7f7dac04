"""Small darks, what an undisturbed run on this machine makes of them, and ways to disturb one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nrsdark_xr.simulate import SimulationParameters, simulate
from tests.end_to_end.conftest import Project, copy_of

NAME = "nrs1-sub32"
SMALLEST = {"subarray": "SUB32", "exposures": 4, "groups": 6, "seed": 5}

HANG_ONCE = """
import os, time
from {module} import {owner}

def stop_here(*arguments, **options):
    try:
        flag = os.open({flag!r}, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return {owner}.real_{method}(*arguments, **options)
    os.write(flag, f"{{os.getpid()}} {{os.environ.get('SLURM_JOB_ID')}}".encode())
    os.close(flag)
    time.sleep(300)

if not hasattr({owner}, "real_{method}"):  # Dask loads this more than once
    {owner}.real_{method}, {owner}.{method} = {owner}.{method}, stop_here
"""
"""What a worker loads to hang, once in a run, where {method} would be called."""
PLACES = {
    "calibration": ("nrsdark_xr.store", "RampStore", "write_maps"),
    "averaging": ("nrsdark_xr.steps", "compute", "_write_block"),
}


@pytest.fixture(scope="session")
def raw_set(tmp_path_factory) -> Project:
    """Raw darks of the smallest subarray; not to be changed."""
    folder = tmp_path_factory.mktemp("smallest")
    simulate(folder, SimulationParameters(**SMALLEST))
    shutil.rmtree(folder / "truth.zarr")
    return Project(folder)


@pytest.fixture(scope="session")
def finished_set(raw_set, tmp_path_factory) -> Project:
    """The same after an undisturbed run on this machine; not to be changed."""
    project = copy_of(raw_set, tmp_path_factory.mktemp("finished_set") / "run")
    project.run()
    return project


@pytest.fixture
def darks(raw_set, tmp_path) -> Project:
    return copy_of(raw_set, tmp_path / "run")


@pytest.fixture
def hang_in(tmp_path) -> Callable[[str], tuple[Path, Path]]:
    """Write what makes a worker hang at a place, and name the file that it makes there."""

    def write(place: str) -> tuple[Path, Path]:
        module, owner, method = PLACES[place]
        script, flag = tmp_path / "preload.py", tmp_path / "flag"
        script.write_text(
            HANG_ONCE.format(module=module, owner=owner, method=method, flag=str(flag))
        )
        return script, flag

    return write
