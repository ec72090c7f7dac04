"""What the reference files of a run say about where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from nrsdark_xr.config import RunConfig
from nrsdark_xr.products import Input, Provenance
from nrsdark_xr.steps.fingerprints import digest
from nrsdark_xr.steps.session import Session

SOFTWARE = (
    "nrsdark_xr",
    "jwst",
    "stcal",
    "stdatamodels",
    "numpy",
    "numba",
    "xarray",
    "dask",
    "zarr",
)
"""Packages whose versions are recorded."""
PARAMETER_SECTIONS = ("engine", "refpix", "bias", "prepare", "ramps", "average", "synthesize")
"""Keys of RUN.yaml that are recorded."""


def versions() -> dict[str, str]:
    """Return the versions of the software that makes the products."""
    return {name: version(name) for name in SOFTWARE}


def parameters(session: Session) -> dict[str, Any]:
    """Return the parameters of all steps, of plain types."""
    content = session.config.model_dump(mode="json")
    return {section: content[section] for section in PARAMETER_SECTIONS}


def header_digest(config: RunConfig) -> str:
    """Hash what the user writes for the headers."""
    return digest([config.author, config.description, config.useafter, config.pedigree])


def make_provenance(session: Session, product: str) -> Provenance:
    """Gather what the header of a product tells.

    Parameters
    ----------
    session : Session
    product : str
        What it is, for DESCRIP.
    """
    config, first = session.config, session.exposures[0]
    checksums = session.reference_checksums
    default = f"NIRSpec {first.detector} {first.subarray} {first.readpatt} {product}"
    return Provenance(
        inputs=[Input(entry.name, entry.date_obs) for entry in session.exposures],
        detector=first.detector,
        readpatt=first.readpatt,
        subarray=first.subarray,
        xstart=first.xstart,
        ystart=first.ystart,
        xsize=first.xsize,
        ysize=first.ysize,
        n_frames=first.n_frames,
        n_groups=first.n_groups,
        group_gap=first.group_gap,
        n_outputs=first.n_outputs,
        gain_factor=first.gain_factor,
        exp_type=first.exp_type,
        gratings=tuple(sorted({entry.grating for entry in session.exposures})),
        pedigree=config.pedigree,
        author=config.author,
        description=config.description or default,
        useafter=config.useafter,
        parameters=dict(_flat(parameters(session))),
        versions=versions(),
        reference_files={
            kind: f"{entry['file']} sha256 {entry['sha256']}" for kind, entry in checksums.items()
        },
    )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of nested mappings by dotted name."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
