"""What the tests of this folder share; they spoil the smallest set of darks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.end_to_end.commands import Outcome
from tests.projects import Project
from tests.small_darks import darks, done, finished_set, raw_set, stop_in

__all__ = ["darks", "done", "finished_set", "raw_set", "stop_in"]


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
