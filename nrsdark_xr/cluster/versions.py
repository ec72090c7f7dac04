"""Whether a cluster runs the same software as the client."""

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
    """Refuse a scheduler or workers whose software differs from that of this process.

    The scheduler takes tasks apart, whose arguments it must be able to unpickle.

    Parameters
    ----------
    client : distributed.Client
    source : str
        The cluster, to be named in messages.

    Raises
    ------
    NrsdarkError
        Names the first that differs, and all that differs there.
    """
    found = client.get_versions(packages=list(PACKAGES))
    ours = _relevant(found["client"])
    members = {f"worker at {address}": report for address, report in found["workers"].items()}
    for name, report in [("scheduler", found["scheduler"]), *sorted(members.items())]:
        theirs = _relevant(report)
        differences = [
            f"{package} {theirs[package] or 'missing'} instead of {version}"
            for package, version in ours.items()
            if theirs[package] != version
        ]
        if differences:
            raise NrsdarkError(
                f"the {name} has {', '.join(differences)}",
                file=source,
                remedy="start scheduler and workers in the environment of this command",
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
