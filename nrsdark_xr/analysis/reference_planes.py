"""Read from a reference file the planes that two of a kind are compared by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ, is_irs2
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.references.cut import Rectangle, reference_rectangle
from nrsdark_xr.storage.locations import normalise, reading

_KINDS = {
    "SUPERBIAS": ("SCI", "ERR"),
    "DARK": ("SCI", "DRK", "ERR", "UNC"),
    "READNOISE": ("SCI",),
    "MASK": (),
}
_MODELS = {
    "SuperBiasModel": "SUPERBIAS",
    "DarkModel": "DARK",
    "DarkNirspecModel": "DARK",
    "ReadnoiseModel": "READNOISE",
    "MaskModel": "MASK",
}
_REMEDY = "compare takes SUPERBIAS, DARK, MASK and READNOISE files of NIRSpec"


@dataclass(frozen=True, slots=True)
class ReferenceHeader:
    """What the headers of a reference file say.

    Attributes
    ----------
    file : str
    kind : str
        SUPERBIAS, DARK, MASK or READNOISE.
    detector, readpatt, subarray, pedigree, useafter : str
        Keywords; empty where the file lacks them.
    rectangle : Rectangle
        The detector pixels that it covers.
    n_groups : int or None
        Groups of a dark.
    """

    file: str
    kind: str
    detector: str
    readpatt: str
    subarray: str
    pedigree: str
    useafter: str
    rectangle: Rectangle
    n_groups: int | None

    @property
    def irs2(self) -> bool:
        """Whether it is for IRS2 readout, whose arrays may hold interleaved reference samples."""
        return is_irs2(self.readpatt)


@dataclass(frozen=True, slots=True)
class ReferencePlanes:
    """Planes of a reference file, all of shape (y, x).

    Attributes
    ----------
    arrays : dict of str to ndarray of float32
        By extension; of SCI and ERR of a dark one group.
    dq : ndarray of uint32, or None
        In today's bits, whatever the file's own definition.
    notes : tuple of str
        What was left out, and why.
    """

    arrays: dict[str, NDArray[np.float32]]
    dq: NDArray[np.uint32] | None
    notes: tuple[str, ...]


def read_reference_header(url: str) -> ReferenceHeader:
    """Find out what a reference file is, without reading its arrays.

    Raises
    ------
    NrsdarkError
        If it cannot be read, or is no NIRSpec reference file of a kind that can be compared.
    """
    from astropy.io import fits

    location = normalise(url)
    with reading(location), fits.open(location) as hdus:
        header = hdus[0].header
        kind = _text(header, "REFTYPE").upper() or _MODELS.get(_text(header, "DATAMODL"), "")
        if kind not in _KINDS:
            what = f"is a {kind} reference file" if kind else "is no reference file (no REFTYPE)"
            raise NrsdarkError(what, file=location, remedy=_REMEDY)
        if _text(header, "INSTRUME").upper() != "NIRSPEC":
            what = f"is not of NIRSpec: INSTRUME is {_text(header, 'INSTRUME') or 'missing'}"
            raise NrsdarkError(what, file=location, remedy=_REMEDY)
        main = "DQ" if kind == "MASK" else "SCI"
        if main not in hdus:
            raise NrsdarkError(f"has no {main} extension", file=location, remedy=_REMEDY)
        shape = hdus[main].shape
        if len(shape) != (3 if kind == "DARK" else 2):
            what = f"{main} of a {kind} file cannot have the shape {shape}"
            raise NrsdarkError(what, file=location, remedy=_REMEDY)
        return ReferenceHeader(
            file=location,
            kind=kind,
            detector=_text(header, "DETECTOR"),
            readpatt=_text(header, "READPATT"),
            subarray=_text(header, "SUBARRAY"),
            pedigree=_text(header, "PEDIGREE"),
            useafter=_text(header, "USEAFTER"),
            rectangle=reference_rectangle(header, shape, location),
            n_groups=shape[0] if kind == "DARK" else None,
        )


def read_planes(
    header: ReferenceHeader, want: Rectangle, *, group: int | None = None
) -> ReferencePlanes:
    """Read the planes of a reference file, cut to some detector pixels.

    Of a dark only one group is read, so that a full-frame cube never is in memory.

    Parameters
    ----------
    header : ReferenceHeader
        From `read_reference_header`.
    want : Rectangle
        Detector pixels; must lie within ``header.rectangle``.
    group : int, optional
        1-based group of a dark.

    Raises
    ------
    NrsdarkError
        If the file is damaged.
    """
    from astropy.io import fits

    have = header.rectangle
    window = (
        slice(want.ystart - have.ystart, want.ystart - have.ystart + want.ysize),
        slice(want.xstart - have.xstart, want.xstart - have.xstart + want.xsize),
    )
    arrays, notes, file = {}, [], Path(header.file).name
    try:
        with reading(header.file), fits.open(header.file) as hdus:
            for name in _KINDS[header.kind]:
                if name not in hdus:
                    notes.append(f"{file} has no {name} extension.")
                elif hdus[name].shape[-2:] != (have.ysize, have.xsize):
                    notes.append(f"{name} of {file} is left out: shape {hdus[name].shape}.")
                else:
                    index = (
                        window
                        if group is None or hdus[name].header["NAXIS"] == 2
                        else (
                            group - 1,
                            *window,
                        )
                    )
                    arrays[name] = np.asarray(hdus[name].section[index], dtype=np.float32)
            dq = None
            if "DQ" not in hdus:
                notes.append(f"{file} has no DQ extension.")
            elif hdus["DQ"].shape != (have.ysize, have.xsize):
                notes.append(f"DQ of {file} is left out: shape {hdus['DQ'].shape}.")
            else:
                table = hdus["DQ_DEF"].data if "DQ_DEF" in hdus else None
                dq = decode_dq(np.asarray(hdus["DQ"].section[window]), table)
    except (TypeError, ValueError) as error:  # astropy on truncated or odd arrays
        raise NrsdarkError(f"is damaged ({error})", file=header.file) from error
    return ReferencePlanes(arrays, dq, tuple(notes))


def decode_dq(dq: NDArray[Any], definitions: Any) -> NDArray[np.uint32]:
    """Translate a DQ array to today's bits, as ``stdatamodels.dynamicdq.dynamic_mask`` does.

    Parameters
    ----------
    dq : ndarray of integers
        As in the file.
    definitions : structured array with fields VALUE and NAME, or None
        DQ_DEF table; names that are no flag today are left out. Without one the bits stay.
    """
    if definitions is None or not len(definitions):
        return dq.astype(np.uint32)
    decoded = np.zeros(dq.shape, np.uint32)
    for row in definitions:
        name = str(row["NAME"]).strip()
        if name in DQ.__members__:
            decoded[(dq & dq.dtype.type(row["VALUE"])) != 0] |= np.uint32(DQ[name])
    return decoded


def _text(header: Any, key: str) -> str:
    return str(header.get(key, "")).strip()
