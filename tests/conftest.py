"""Options and settings that all tests share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.end_to_end.commands import Outcome

# No test may reach out: references are always given, never looked up.
os.environ["CRDS_SERVER_URL"] = "https://crds.invalid"
os.environ.setdefault("CRDS_PATH", "/nonexistent")

# The same examples at every run of CI, however slow the machine is just then;
# `--hypothesis-profile default` looks for new ones.
settings.register_profile(
    "repeatable", derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


@pytest.fixture
def nrsdark(capfd) -> Callable[..., Outcome]:
    """Call the command line in this process."""
    from nrsdark_xr.cli import main
    from tests.end_to_end.commands import Outcome

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return Outcome(end.value.code or 0, said.out, said.err)

    return call


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: tests wait for servers and commands half the time."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="run the tests of real size, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-slow"):
        return
    skip = pytest.mark.skip(reason="real size: give --run-slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
