"""The walls of the house: who imports whom, how long a file may be, what is documented."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nrsdark_xr"
ROOMS = (
    "detector",
    "storage",
    "exposures",
    "references",
    "calibration",
    "store",
    "products",
    "analysis",
    "steps",
)
"""Data flow in this order, so each room may import the earlier ones only."""
COMMON = {"compile", "errors", "parameters"}
"""Modules that all rooms may import."""
ABOVE = {"config", "progress", "cluster", "plan"}
"""Modules that the steps may import besides."""
NUMPY_ONLY = {"xarray", "dask", "distributed", "zarr", "fsspec", "stdatamodels", "jwst", "astropy"}
"""What kernels must not know of."""
KERNELS = ("clip", "flags", "bias", "mask", "synthesis", "_clip_kernels")
"""Modules of `products` that take and return arrays."""
MOST_LINES = 500

FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports anywhere, those for type checkers left out."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> set[str]:
    """Rooms and top modules of this package that a file imports."""
    parts = [name.split(".") for name in imports(path)]
    return {part[1] for part in parts if part[0] == "nrsdark_xr" and len(part) > 1}


def files_of(room: str) -> list[Path]:
    return sorted((PACKAGE / room).rglob("*.py"))


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(PACKAGE)) for path in paths]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_between_rooms_go_one_way(room):
    allowed = {*ROOMS[: ROOMS.index(room) + 1], *COMMON}
    if room == "steps":
        allowed |= ABOVE | {"simulate"}
    for path in files_of(room):
        assert own_imports(path) <= allowed, path


def test_the_simulator_knows_the_detector_only():
    for path in files_of("simulate"):
        assert own_imports(path) <= {"simulate", "detector", *COMMON}, path


def test_a_cluster_knows_nothing_of_the_data():
    for path in files_of("cluster"):
        assert own_imports(path) <= {"cluster", "progress", "yaml_files", *COMMON}, path


def test_every_folder_is_a_known_room():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert set(ROOMS) < folders <= {*ROOMS, "simulate", "cluster", "plan"}


NUMPY_FILES = [
    *files_of("detector"),
    *files_of("calibration"),
    *(PACKAGE / "products" / f"{name}.py" for name in KERNELS),
]


@pytest.mark.parametrize("path", NUMPY_FILES, ids=names(NUMPY_FILES))
def test_kernels_know_arrays_only(path):
    assert not {name.partition(".")[0] for name in imports(path)} & NUMPY_ONLY


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_no_file_is_two_rooms_in_one(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("room", [*ROOMS, "simulate", ""])
def test_what_is_public_is_there_and_documented(room):
    module = importlib.import_module(f"nrsdark_xr.{room}".rstrip("."))
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            assert inspect.getdoc(thing), f"{module.__name__}.{name}"
        if inspect.isfunction(thing):
            _check_parameters(thing)


def _check_parameters(function) -> None:
    """Every parameter is named in the docstring, unless the whole is told in a line or two."""
    text = inspect.getdoc(function)
    if "Parameters\n" not in text:
        assert len(text.splitlines()) <= 12, f"{function.__qualname__} has no Parameters section"
        return
    for name in inspect.signature(function).parameters:
        assert name in text, f"{function.__qualname__}: {name} is not documented"
