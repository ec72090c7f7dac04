"""A small set of simulated darks, run once, that the tests copy and spoil."""

from __future__ import annotations

import pytest

from tests.projects import Project, copy_of, run_copy, simulated

SMALL = {"subarray": "SUB512S", "exposures": 5, "groups": 8, "seed": 11}


@pytest.fixture(scope="session")
def raw_darks(tmp_path_factory) -> Project:
    """Raw darks; not to be changed."""
    return simulated(tmp_path_factory.mktemp("raw"), **SMALL)


@pytest.fixture(scope="session")
def finished(raw_darks, tmp_path_factory) -> Project:
    """A finished run; not to be changed."""
    return run_copy(raw_darks, tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture
def darks(raw_darks, tmp_path) -> Project:
    """Raw darks of one's own."""
    return copy_of(raw_darks, tmp_path / "run")


@pytest.fixture
def done(finished, tmp_path) -> Project:
    """A finished run of one's own."""
    return copy_of(finished, tmp_path / "run")
