"""The smallest set of darks, raw and run, that the tests here spoil."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from nrsdark_xr.simulate import SimulationParameters, simulate
from tests.end_to_end.commands import Outcome
from tests.end_to_end.conftest import Project, copy_of

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
