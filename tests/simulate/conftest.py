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


@pytest.fixture(scope="session")
def irs2_set(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSet:
    """One NRSIRS2RAPID exposure of NRS2."""
    parameters = SimulationParameters(
        detector="NRS2", readpatt="NRSIRS2RAPID", groups=3, exposures=1, seed=5
    )
    return simulate(tmp_path_factory.mktemp("irs2"), parameters)
