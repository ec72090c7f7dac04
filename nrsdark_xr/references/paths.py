"""Which reference files, and proof of which they were."""

from __future__ import annotations

import hashlib

from nrsdark_xr.parameters import Parameters
from nrsdark_xr.storage.locations import (
    StorageOptions,
    file_name,
    file_system,
    normalise,
    reading,
)

_CHUNK = 4 * 1024 * 1024
"""Bytes hashed at a time."""


class ReferencePaths(Parameters):
    """Local paths or URLs of the CRDS reference files that calibration uses."""

    mask: str
    """MASK: bad pixels."""
    saturation: str
    """SATURATION: thresholds in DN."""
    linearity: str
    """LINEARITY: polynomial coefficients."""
    gain: str
    """GAIN: electrons per DN."""
    readnoise: str
    """READNOISE: noise of a correlated double sample, in DN."""
    superbias: str | None = None
    """SUPERBIAS to subtract; without one, the bias just made is."""
    refpix: str | None = None
    """REFPIX: weights of the reference pixels, for IRS2."""
    sirskernel: str | None = None
    """SIRSKERNEL: kernels of the side reference pixels, for ``refpix_algorithm: sirs``."""

    def given(self) -> dict[str, str]:
        """Map each reference type to its file, in the order of the fields; absent ones left out."""
        return {kind: url for kind, url in self if url is not None}


def reference_checksums(
    paths: ReferencePaths, *, storage_options: StorageOptions | None = None
) -> dict[str, dict[str, str]]:
    """Hash the reference files, for the record.

    Parameters
    ----------
    paths : ReferencePaths
    storage_options : mapping, optional
        Options of the fsspec file system, for URLs.

    Returns
    -------
    dict
        By reference type: ``{"file": name without its folder, "sha256": hexadecimal digest}``.

    Raises
    ------
    NrsdarkError
        If a file is missing or cannot be read.
    """
    return {
        kind: {"file": file_name(url), "sha256": _sha256(url, storage_options)}
        for kind, url in paths.given().items()
    }


def _sha256(url: str, storage_options: StorageOptions | None) -> str:
    location = normalise(url)
    system, path = file_system(location, storage_options)
    digest = hashlib.sha256()
    with reading(location), system.open(path, "rb", block_size=_CHUNK) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
