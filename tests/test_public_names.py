from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import nrsdark_xr as nx


@pytest.mark.parametrize("name", nx.__all__)
def test_public_names_are_what_they_say_however_often_they_are_used(name):
    first, second = getattr(nx, name), getattr(nx, name)
    assert first is second
    assert callable(first)
    assert not isinstance(first, ModuleType)
    assert name in dir(nx)


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'open_ramp'"):
        nx.open_ramp  # noqa: B018


def test_importing_the_package_is_light():
    script = "import sys, nrsdark_xr; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"xarray", "dask", "zarr", "jwst", "numba"} & set(done.stdout.split())


def test_the_accessor_comes_with_the_dataset(finished_store):
    assert hasattr(nx.open_ramps(finished_store), "nrsdark")


@pytest.fixture
def finished_store(tmp_path):
    from .store.helpers import make_exposure, make_store

    make_store(tmp_path / "ramps.zarr", [make_exposure()])
    return tmp_path / "ramps.zarr"
