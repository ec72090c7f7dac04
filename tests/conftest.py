"""Options and settings that all tests share."""

from __future__ import annotations

import os

import pytest

# No test may reach out: references are always given, never looked up.
os.environ["CRDS_SERVER_URL"] = "https://crds.invalid"
os.environ.setdefault("CRDS_PATH", "/nonexistent")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="run the tests of real size, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-slow"):
        return
    skip = pytest.mark.skip(reason="real size: give --run-slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
