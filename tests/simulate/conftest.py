from __future__ import annotations

from pathlib import Path

import pytest

from nrsdark_xr.simulate import SimulatedSet, SimulationParameters, simulate

GROUPS = 24


@pytest.fixture(scope="session")
def slit_parameters() -> SimulationParameters:
    return SimulationParameters(
        detector="NRS2", subarray="SUBS200A1", exposures=2, groups=GROUPS, seed=3
    )


@pytest.fixture(scope="session")
def slit_set(
    slit_parameters: SimulationParameters, tmp_path_factory: pytest.TempPathFactory
) -> SimulatedSet:
    """Two NRS2 exposures of a slit, 64 x 2048 pixels with reference columns on both sides."""
    directory: Path = tmp_path_factory.mktemp("slit")
    return simulate(directory, slit_parameters)
