"""Darks to plan for, and a run of them."""

from __future__ import annotations

import pytest

from tests.projects import Project, run_copy, simulated


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp("plan")
    return simulated(folder, subarray="SUB512S", exposures=3, groups=6, seed=3)


@pytest.fixture(scope="module")
def run_once(raw, tmp_path_factory) -> Project:
    return run_copy(raw, tmp_path_factory.mktemp("plan-run") / "run")
