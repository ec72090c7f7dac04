"""Whether workers run the same software as the client."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from nrsdark_xr.errors import NrsdarkError

if TYPE_CHECKING:
    from distributed import Client

PACKAGES = ("nrsdark_xr", "dask", "distributed", "numpy", "numba", "xarray", "zarr", "jwst")
"""Packages whose objects travel, or on which results depend."""
_PYTHON_PARTS = 2


def check_versions(client: Client, *, source: str) -> None:
    """Refuse workers whose software differs from that of this process.

    Parameters
    ----------
    client : distributed.Client
    source : str
        The cluster, to be named in messages.

    Raises
    ------
    NrsdarkError
        Names the first worker that differs, and all that differs there.
    """
    found = client.get_versions(packages=list(PACKAGES))
    ours = _relevant(found["client"])
    for address, report in sorted(found["workers"].items()):
        theirs = _relevant(report)
        differences = [
            f"{name} {theirs[name] or 'missing'} instead of {version}"
            for name, version in ours.items()
            if theirs[name] != version
        ]
        if differences:
            raise NrsdarkError(
                f"the worker at {address} has {', '.join(differences)}",
                file=source,
                remedy="start the workers in the environment of this command",
            )


def own_versions() -> dict[str, str]:
    """Return the versions of the software of this process, and so of all workers."""
    python = ".".join(str(part) for part in sys.version_info[:_PYTHON_PARTS])
    return {"python": python, **{name: version(name) for name in PACKAGES}}


def _relevant(report: Mapping[str, Any]) -> dict[str, str | None]:
    """Take the versions that matter: of Python, the first two numbers."""
    packages = report["packages"]
    python = ".".join(str(packages["python"]).split(".")[:_PYTHON_PARTS])
    return {"python": python, **{name: packages.get(name) for name in PACKAGES}}
