"""From the header blocks of a raw file to an `Exposure`, with every doubt told in one line."""

from __future__ import annotations

import math
from typing import IO

from nrsdark_xr.detector import DETECTOR_SIZE, DETECTORS, READOUTS, is_irs2, scan_axes
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.exposures.keywords import AGAIN, Keywords
from nrsdark_xr.exposures.names import root_name
from nrsdark_xr.storage.locations import (
    StorageOptions,
    file_system,
    normalise,
    reading,
)

FITS_BLOCK = 2880
"""Bytes of a FITS block, in which headers and data are padded."""
UNSIGNED_ZERO = 32768
"""BZERO of unsigned 16-bit pixels, which FITS stores as signed ones."""
IRS2_RAW_ROWS = 3200
"""Rows of a full-frame IRS2 exposure with its interleaved reference pixels (DMS frame)."""
DARK_TYPE = "NRS_DARK"

_FITS_START = b"SIMPLE  ="
_END_CARD = b"END".ljust(80)
_MOST_HEADER_BLOCKS = 1000
"""36000 cards: a header without its END card must not make us read gigabytes."""
_MOST_AXES = 999
"""Of the FITS standard."""
_HEADER_READ = 64 * 1024
"""Bytes asked of a remote server at once: both headers of an uncal file."""
_UNCAL = "give NIRSpec *_uncal.fits files"


def read_exposure(url: str, storage_options: StorageOptions | None = None) -> Exposure:
    """Read the headers of a raw exposure, and nothing else of it.

    Parameters
    ----------
    url : str
        Local path, or URL that fsspec knows.
    storage_options : mapping, optional
        Options of the fsspec file system.

    Raises
    ------
    NrsdarkError
        If the file is missing, is no FITS file, is truncated, lacks a keyword, or is anything but
        a raw NIRSpec dark in DMS orientation.
    """
    location = normalise(url)
    system, path = file_system(location, storage_options)
    with (
        reading(location),
        system.open(path, "rb", block_size=_HEADER_READ) as file,
    ):
        size = file.seek(0, 2)
        file.seek(0)
        keywords, science, offset = _read_headers(file, size, location)
    _check_kind(keywords)
    shape = _raw_shape(science)
    _check_length(size, offset, shape, location)
    exposure = _exposure(keywords, shape, offset)
    _check_geometry(exposure, keywords)
    return exposure


def _read_headers(file: IO[bytes], size: int, url: str) -> tuple[Keywords, Keywords, int]:
    """Read the primary header and that of SCI; count the bytes before its first pixel."""
    start = file.read(len(_FITS_START))
    if start.startswith(b"\x1f\x8b"):
        raise NrsdarkError("is gzip-compressed", file=url, remedy="gunzip it first")
    if start != _FITS_START:
        what = "is not a FITS file" if start else "is empty"
        raise NrsdarkError(what, file=url, remedy=_UNCAL)
    file.seek(0)
    primary = _next_header(file, url)
    position = file.tell() + _padded(_data_bytes(primary))
    while position < size:
        file.seek(position)
        keywords = _next_header(file, url)
        if keywords.word("EXTNAME", "").upper() == "SCI":
            return primary, keywords, file.tell()
        position = file.tell() + _padded(_data_bytes(keywords))
    raise NrsdarkError("has no SCI extension", file=url, remedy=_UNCAL)


def _next_header(file: IO[bytes], url: str) -> Keywords:
    """Read blocks up to the END card, as many as any sane header may have."""
    from astropy.io import fits

    blocks: list[bytes] = []
    while len(blocks) < _MOST_HEADER_BLOCKS:
        block = file.read(FITS_BLOCK)
        if len(block) < FITS_BLOCK:
            break
        blocks.append(block)
        if any(block[card:].startswith(_END_CARD) for card in range(0, FITS_BLOCK, len(_END_CARD))):
            return Keywords(fits.Header.fromstring(b"".join(blocks)), url)
    raise NrsdarkError("is truncated or damaged within its header", file=url, remedy=AGAIN)


def _data_bytes(keywords: Keywords) -> int:
    """Count the bytes of data behind a header, without padding (FITS standard 4.0, §4.4.1)."""
    n_axes = min(keywords.whole("NAXIS", 0, least=0), _MOST_AXES)
    axes = [keywords.whole(f"NAXIS{axis + 1}", 0, least=0) for axis in range(n_axes)]
    pixels = math.prod(axes) if axes else 0
    values = keywords.whole("GCOUNT", 1, least=0) * (keywords.whole("PCOUNT", 0, least=0) + pixels)
    return abs(keywords.whole("BITPIX")) // 8 * values


def _padded(size: int) -> int:
    return -(-size // FITS_BLOCK) * FITS_BLOCK


def _check_kind(keywords: Keywords) -> None:
    instrument = keywords.word("INSTRUME")
    if instrument != "NIRSPEC":
        raise NrsdarkError(
            f"was taken by {instrument}, not NIRSPEC", file=keywords.url, remedy=_UNCAL
        )
    exp_type = keywords.word("EXP_TYPE")
    if exp_type != DARK_TYPE:
        raise NrsdarkError(
            f"is no dark: EXP_TYPE is {exp_type}",
            file=keywords.url,
            remedy=f"take it out of the inputs, which must be {DARK_TYPE}",
        )


def _raw_shape(science: Keywords) -> tuple[int, int, int, int]:
    if science.word("XTENSION") != "IMAGE":
        raise NrsdarkError(
            "SCI is tile-compressed", file=science.url, remedy="uncompress it first (funpack)"
        )
    kind = (
        science.whole("BITPIX"),
        science.whole("BZERO", 0, least=0),
        science.whole("BSCALE", 1, least=0),
    )
    if kind != (16, UNSIGNED_ZERO, 1):
        raise NrsdarkError(
            "is not a raw file: SCI is not unsigned 16-bit (BITPIX {}, BZERO {}, BSCALE {})".format(
                *kind
            ),
            file=science.url,
            remedy=_UNCAL,
        )
    n_axes = science.whole("NAXIS")
    if n_axes != 4:
        what = f"is not a raw file: SCI has {n_axes} axes, not 4 (integration, group, y, x)"
        raise NrsdarkError(what, file=science.url, remedy=_UNCAL)
    integrations, groups, rows, columns = (
        science.whole(f"NAXIS{axis}", least=1) for axis in (4, 3, 2, 1)
    )
    return integrations, groups, rows, columns


def _check_length(size: int, offset: int, shape: tuple[int, ...], url: str) -> None:
    missing = offset + 2 * math.prod(shape) - size
    if missing > 0:
        raise NrsdarkError(
            f"is truncated: the last {missing} bytes of its pixels are missing",
            file=url,
            remedy=AGAIN,
        )


def _exposure(keywords: Keywords, shape: tuple[int, int, int, int], offset: int) -> Exposure:
    return Exposure(
        url=keywords.url,
        name=root_name(keywords.text("FILENAME", "")) or root_name(keywords.url),
        detector=keywords.word("DETECTOR"),
        readpatt=keywords.word("READPATT"),
        subarray=keywords.word("SUBARRAY"),
        exp_type=keywords.word("EXP_TYPE"),
        grating=keywords.word("GRATING"),
        filter=keywords.word("FILTER"),
        program=keywords.word("PROGRAM", ""),
        observation=keywords.word("OBSERVTN", ""),
        date_obs=keywords.start(),
        n_integrations=keywords.whole("NINTS", least=1),
        n_groups=keywords.whole("NGROUPS", least=1),
        n_frames=keywords.whole("NFRAMES", least=1),
        group_gap=keywords.whole("GROUPGAP", least=0),
        frame_divisor=keywords.whole("FRMDIVSR", least=1),
        n_outputs=keywords.whole("NOUTPUTS", least=1),
        frame_time=keywords.positive("TFRAME"),
        group_time=keywords.positive("TGROUP"),
        xstart=keywords.whole("SUBSTRT1", least=1),
        ystart=keywords.whole("SUBSTRT2", least=1),
        xsize=keywords.whole("SUBSIZE1", least=1),
        ysize=keywords.whole("SUBSIZE2", least=1),
        gain_factor=keywords.positive("GAINFACT", 1.0),
        data_offset=offset,
        raw_shape=shape,
    )


def _check_geometry(exposure: Exposure, keywords: Keywords) -> None:
    """Refuse what is no NIRSpec readout, or where header and pixels tell different stories."""
    if exposure.detector not in DETECTORS:
        what = f"DETECTOR is {exposure.detector}, not {' or '.join(DETECTORS)}"
        raise NrsdarkError(what, file=exposure.url, remedy=_UNCAL)
    if exposure.readpatt not in READOUTS:
        what = f"READPATT {exposure.readpatt} is not one of {', '.join(READOUTS)}"
        raise NrsdarkError(what, file=exposure.url, remedy="take it out of the inputs")
    if (
        exposure.xstart - 1 + exposure.xsize > DETECTOR_SIZE
        or exposure.ystart - 1 + exposure.ysize > DETECTOR_SIZE
    ):
        what = (
            f"its subarray does not lie on the detector: corner ({exposure.xstart}, "
            f"{exposure.ystart}), size {exposure.xsize} x {exposure.ysize}"
        )
        raise NrsdarkError(what, file=exposure.url, remedy=AGAIN)
    full_irs2 = is_irs2(exposure.readpatt) and exposure.ysize == DETECTOR_SIZE
    expected = (
        exposure.n_integrations,
        exposure.n_groups,
        IRS2_RAW_ROWS if full_irs2 else exposure.ysize,
        exposure.xsize,
    )
    if exposure.raw_shape != expected:
        what = (
            f"SCI is {exposure.raw_shape} (integration, group, y, x), but READPATT, NINTS, "
            f"NGROUPS, SUBSIZE2 and SUBSIZE1 ask for {expected}"
        )
        raise NrsdarkError(what, file=exposure.url, remedy=AGAIN)
    axes = (keywords.whole("FASTAXIS"), keywords.whole("SLOWAXIS"))
    if axes != scan_axes(exposure.detector):
        what = (
            f"FASTAXIS, SLOWAXIS are {axes}, but {exposure.detector} has "
            f"{scan_axes(exposure.detector)} in the DMS frame"
        )
        raise NrsdarkError(what, file=exposure.url, remedy=_UNCAL)
