"""Reference files, read as the data models of jwst do and cut to an exposure."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DETECTOR_SIZE, is_irs2
from nrsdark_xr.detector.irs2 import science_rows
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references.cut import Rectangle, cut, reference_rectangle
from nrsdark_xr.references.decode import extension, read_array
from nrsdark_xr.references.irs2 import Irs2Weights, read_irs2_weights
from nrsdark_xr.references.paths import ReferencePaths
from nrsdark_xr.references.references import References
from nrsdark_xr.references.sirskernel import load_sirskernel
from nrsdark_xr.storage.locations import (
    StorageOptions,
    file_system,
    is_remote,
    normalise,
    reading,
)

_CRDS = "give the file that CRDS names for these exposures"
_RAW_KINDS = ("mask", "superbias")
"""References used while IRS2 exposures still have their interleaved reference pixels."""


def load_references(
    paths: ReferencePaths, exposure: Exposure, *, storage_options: StorageOptions | None = None
) -> References:
    """Load the reference files of an exposure.

    The bits of each DQ array are translated by its DQ_DEF as jwst does
    (``stdatamodels.dynamicdq.dynamic_mask``). A reference larger than the exposure is cut as jwst's
    ``reffile_utils.get_subarray_model`` does. Single NaN pixels stay, for the steps to flag.

    Parameters
    ----------
    paths : ReferencePaths
        `refpix` is for IRS2 only, `sirskernel` for traditional full frames.
    exposure : Exposure
        Tells detector and subarray.
    storage_options : mapping, optional
        Options of the fsspec file system, for URLs.

    Raises
    ------
    NrsdarkError
        If a file is missing, damaged, of another kind, instrument or detector, does not cover the
        exposure, or is NaN throughout.
    """
    mask = _load("mask", paths.mask, ["dq"], exposure, storage_options)
    saturation = _load("saturation", paths.saturation, ["data", "dq"], exposure, storage_options)
    coefficients = ["coeffs", "dq"] + (["inv_coeffs"] if exposure.n_frames > 1 else [])
    linearity = _load("linearity", paths.linearity, coefficients, exposure, storage_options)
    gain = _load("gain", paths.gain, ["data"], exposure, storage_options)
    readnoise = _load("readnoise", paths.readnoise, ["data"], exposure, storage_options)
    superbias = superbias_dq = None
    if paths.superbias is not None:
        superbias, superbias_dq = load_superbias(
            paths.superbias, exposure, storage_options=storage_options
        )
    if len(readnoise["data"]) != exposure.ysize:  # of IRS2, with its reference samples
        readnoise["data"] = readnoise["data"][science_rows(exposure.detector)]
    weights = None
    if paths.refpix is not None and is_irs2(exposure.readpatt):
        weights = _load_irs2_weights(paths.refpix, exposure, storage_options)
    sirskernel = None
    if paths.sirskernel is not None and has_side_pixels(exposure):
        sirskernel = load_sirskernel(
            paths.sirskernel, exposure.detector, storage_options=storage_options
        )
    return References(
        mask=mask["dq"],
        saturation=saturation["data"],
        saturation_dq=saturation["dq"],
        linearity=linearity["coeffs"],
        linearity_dq=linearity["dq"],
        gain=gain["data"],
        readnoise=readnoise["data"],
        superbias=superbias,
        superbias_dq=superbias_dq,
        inverse_linearity=linearity.get("inv_coeffs"),
        sirskernel=sirskernel,
        irs2=weights,
    )


def load_superbias(
    url: str, exposure: Exposure, *, storage_options: StorageOptions | None = None
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Load a superbias as `load_references` does: data [DN] and DQ, both of shape (y_raw, x)."""
    arrays = _load("superbias", url, ["data", "dq"], exposure, storage_options)
    return arrays["data"], arrays["dq"]


def has_side_pixels(exposure: Exposure) -> bool:
    """Whether jwst corrects rows by the side pixels: in traditional full frames."""
    shape = (exposure.ysize, exposure.xsize)
    return shape == (DETECTOR_SIZE, DETECTOR_SIZE) and not is_irs2(exposure.readpatt)


def _load(
    kind: str,
    url: str,
    names: list[str],
    exposure: Exposure,
    storage_options: StorageOptions | None,
) -> dict[str, NDArray[Any]]:
    """Load the arrays `names` of one reference file; one that the file lacks is left out."""
    location = normalise(url)
    with _opened(location, storage_options) as hdus:
        header = hdus[0].header
        _check_kind(header, kind, exposure, location)
        arrays = _arrays(kind, hdus, names, location)
    main = arrays[names[0]]
    have = reference_rectangle(header, main.shape, location)
    as_read = kind == "readnoise" and main.shape[-2] == exposure.raw_shape[2]
    want = Rectangle.of(exposure, raw=kind in _RAW_KINDS or as_read)
    loaded = {}
    for name in names:
        array = arrays.pop(name)
        if array is None:
            continue
        if array.shape[-2:] != main.shape[-2:] or (name == "dq" and array.ndim != 2):
            what = f"its arrays have different shapes: {array.shape} and {main.shape}"
            raise NrsdarkError(what, file=location, remedy=_CRDS)
        loaded[name] = cut(array, have, want, location)
    values = loaded[names[0]]
    if values.dtype.kind == "f" and np.isnan(values).all():
        what = f"is NaN throughout the {want} of this exposure"
        raise NrsdarkError(what, file=location, remedy=_CRDS)
    return loaded


def _load_irs2_weights(
    url: str, exposure: Exposure, storage_options: StorageOptions | None
) -> Irs2Weights:
    location = normalise(url)
    with _opened(location, storage_options) as hdus:
        _check_kind(hdus[0].header, "refpix", exposure, location)
        return read_irs2_weights(hdus, location)


@contextmanager
def _opened(url: str, storage_options: StorageOptions | None) -> Iterator[Any]:
    """Open a FITS file; one on a server is fetched whole."""
    from astropy.io import fits

    source: str | io.BytesIO = url
    if is_remote(url):
        system, path = file_system(url, storage_options)
        with reading(url):
            source = io.BytesIO(system.cat_file(path))
    with reading(url), fits.open(source, memmap=False) as hdus:
        _check_length(hdus, url)
        yield hdus


def _check_length(hdus: Any, url: str) -> None:
    """Refuse a truncated file, of which astropy would only warn and give what is there."""
    from astropy.utils.exceptions import AstropyUserWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # we tell it in our own words
        last = hdus[-1]
    info = last.fileinfo()
    size = info["file"].size
    missing = info["datLoc"] + last.size - size
    if missing > 0:
        what = f"is truncated: its last {missing} bytes are missing"
        raise NrsdarkError(what, file=url, remedy=_CRDS)
    if size > info["datLoc"] + info["datSpan"]:  # astropy stops at a header that it cannot read
        what = "is truncated or damaged within a header"
        raise NrsdarkError(what, file=url, remedy=_CRDS)


def _check_kind(header: Any, kind: str, exposure: Exposure, url: str) -> None:
    expected = {
        "REFTYPE": kind.upper(),
        "INSTRUME": "NIRSPEC",
        "DETECTOR": exposure.detector,
    }
    for key, value in expected.items():
        found = str(header.get(key, "missing")).strip()
        if found.upper() != value:
            what = f"is no {kind} reference of {exposure.detector}: {key} is {found}, not {value}"
            raise NrsdarkError(what, file=url, remedy=_CRDS)


def _arrays(kind: str, hdus: Any, names: list[str], url: str) -> dict[str, Any]:
    """Read the arrays `names`, of which the first must be in the file."""
    if extension(names[0]) not in hdus:
        raise NrsdarkError(f"has no {extension(names[0])} extension", file=url, remedy=_CRDS)
    try:
        arrays = {name: read_array(hdus, name) for name in names}
    except (TypeError, ValueError) as error:  # astropy and numpy on truncated or odd arrays
        reason = " ".join(str(error).split())
        raise NrsdarkError(
            f"cannot be read as a {kind} reference ({reason})", file=url, remedy=_CRDS
        ) from error
    main = arrays[names[0]]
    if "dq" in arrays and arrays["dq"] is None and main is not None:
        arrays["dq"] = np.zeros(main.shape[-2:], dtype=np.uint32)
    return arrays
