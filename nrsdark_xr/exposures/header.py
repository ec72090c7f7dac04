"""From the header blocks of a raw file to an `Exposure`, with every doubt told in one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, TypeVar

from nrsdark_xr.detector import DETECTOR_SIZE, DETECTORS, READOUTS, is_irs2, scan_axes
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.exposures.locations import (
    StorageOptions,
    file_system,
    normalise,
    reading,
)
from nrsdark_xr.exposures.names import root_name, safe_word

if TYPE_CHECKING:
    from astropy.io import fits

FITS_BLOCK = 2880
"""Bytes of a FITS block, in which headers and data are padded."""
UNSIGNED_ZERO = 32768
"""BZERO of unsigned 16-bit pixels, which FITS stores as signed ones."""
IRS2_RAW_ROWS = 3200
"""Rows of a full-frame IRS2 exposure with its interleaved reference pixels (DMS frame)."""
DARK_TYPE = "NRS_DARK"

_HEADER_READ = 64 * 1024
"""Bytes asked of a remote server at once: both headers of an uncal file."""
_UNCAL = "give NIRSpec *_uncal.fits files"
_AGAIN = "fetch the file again"

T = TypeVar("T")


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
        primary, science, offset = _read_headers(file, size, location)
    keywords = _Keywords(primary, location)
    _check_kind(keywords)
    shape = _raw_shape(science, location)
    _check_length(size, offset, shape, location)
    exposure = _exposure(keywords, shape, offset)
    _check_geometry(exposure, keywords)
    return exposure


@dataclass(frozen=True, slots=True)
class _Keywords:
    """Keywords of one header by type; what is missing or of another type is named."""

    header: fits.Header
    url: str

    def _get(self, key: str, convert: Callable[[Any], T], kind: str) -> T:
        value = self.header.get(key)
        if value == "" or not isinstance(value, (str, bool, int, float)):
            raise NrsdarkError(f"keyword {key} is missing", file=self.url, remedy=_AGAIN)
        try:
            return convert(value)
        except (TypeError, ValueError) as error:
            raise NrsdarkError(
                f"keyword {key} is {value!r}, not {kind}", file=self.url, remedy=_AGAIN
            ) from error

    def word(self, key: str) -> str:
        return self._get(key, lambda value: safe_word(str(value).strip()), "a word")

    def word_or(self, key: str, default: str) -> str:
        return self.word(key) if self.header.get(key) else default

    def number(self, key: str) -> int:
        return self._get(key, _whole, "a whole number")

    def count(self, key: str) -> int:
        return self._get(key, _positive_whole, "a positive whole number")

    def seconds(self, key: str) -> float:
        return self._get(key, _positive, "a positive number")

    def factor(self, key: str, default: float) -> float:
        return self.seconds(key) if self.header.get(key) is not None else default

    def date(self) -> str:
        day = self._get("DATE-OBS", lambda value: str(value).strip(), "a date")

        def join(time: object) -> str:
            return datetime.fromisoformat(f"{day}T{time}").isoformat(timespec="milliseconds")

        return self._get("TIME-OBS", join, f"a time of day (DATE-OBS is {day!r})")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise ValueError
    return int(value)


def _positive_whole(value: Any) -> int:
    if _whole(value) < 1:
        raise ValueError
    return int(value)


def _positive(value: Any) -> float:
    if isinstance(value, (bool, str)) or not (math.isfinite(value) and value > 0):
        raise ValueError
    return float(value)


def _read_headers(file: IO[bytes], size: int, url: str) -> tuple[fits.Header, fits.Header, int]:
    """Read the primary header and that of SCI; count the bytes before its first pixel."""
    start = file.read(len("SIMPLE  ="))
    if start.startswith(b"\x1f\x8b"):
        raise NrsdarkError("is gzip-compressed", file=url, remedy="gunzip it first")
    if start != b"SIMPLE  =":
        raise NrsdarkError("is not a FITS file", file=url, remedy=_UNCAL)
    file.seek(0)
    primary = _next_header(file, url)
    position = file.tell() + _padded(_data_bytes(primary))
    while position < size:
        file.seek(position)
        header = _next_header(file, url)
        if str(header.get("EXTNAME", "")).strip().upper() == "SCI":
            return primary, header, file.tell()
        position = file.tell() + _padded(_data_bytes(header))
    raise NrsdarkError("has no SCI extension", file=url, remedy=_UNCAL)


def _next_header(file: IO[bytes], url: str) -> fits.Header:
    from astropy.io import fits

    try:
        return fits.Header.fromfile(file)
    except (OSError, EOFError, ValueError) as error:
        raise NrsdarkError(
            "is truncated or damaged within its header", file=url, remedy=_AGAIN
        ) from error


def _data_bytes(header: fits.Header) -> int:
    """Bytes of the data that follow `header`, without padding (FITS standard 4.0, §4.4.1)."""
    axes = [header.get(f"NAXIS{axis}", 0) for axis in range(1, header.get("NAXIS", 0) + 1)]
    pixels = math.prod(axes) if axes else 0
    groups: int = header.get("GCOUNT", 1)
    parameters: int = header.get("PCOUNT", 0)
    return abs(header.get("BITPIX", 8)) // 8 * groups * (parameters + pixels)


def _padded(size: int) -> int:
    return -(-size // FITS_BLOCK) * FITS_BLOCK


def _check_kind(keywords: _Keywords) -> None:
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


def _raw_shape(science: fits.Header, url: str) -> tuple[int, int, int, int]:
    if str(science.get("XTENSION", "")).strip() != "IMAGE":
        raise NrsdarkError(
            "SCI is tile-compressed", file=url, remedy="uncompress it first (funpack)"
        )
    kind = (science.get("BITPIX"), science.get("BZERO", 0), science.get("BSCALE", 1))
    if kind != (16, UNSIGNED_ZERO, 1):
        raise NrsdarkError(
            "is not a raw file: SCI is not unsigned 16-bit (BITPIX {}, BZERO {}, BSCALE {})".format(
                *kind
            ),
            file=url,
            remedy=_UNCAL,
        )
    n_axes = science["NAXIS"]
    if n_axes != 4:
        what = f"is not a raw file: SCI has {n_axes} axes, not 4 (integration, group, y, x)"
        raise NrsdarkError(what, file=url, remedy=_UNCAL)
    return science["NAXIS4"], science["NAXIS3"], science["NAXIS2"], science["NAXIS1"]


def _check_length(size: int, offset: int, shape: tuple[int, ...], url: str) -> None:
    missing = offset + 2 * math.prod(shape) - size
    if missing > 0:
        raise NrsdarkError(
            f"is truncated: the last {missing} bytes of its pixels are missing",
            file=url,
            remedy=_AGAIN,
        )


def _exposure(keywords: _Keywords, shape: tuple[int, int, int, int], offset: int) -> Exposure:
    name = root_name(str(keywords.header.get("FILENAME") or keywords.url))
    return Exposure(
        url=keywords.url,
        name=name or root_name(keywords.url),
        detector=keywords.word("DETECTOR"),
        readpatt=keywords.word("READPATT"),
        subarray=keywords.word("SUBARRAY"),
        exp_type=keywords.word("EXP_TYPE"),
        grating=keywords.word("GRATING"),
        filter=keywords.word("FILTER"),
        program=keywords.word_or("PROGRAM", ""),
        observation=keywords.word_or("OBSERVTN", ""),
        date_obs=keywords.date(),
        n_integrations=keywords.count("NINTS"),
        n_groups=keywords.count("NGROUPS"),
        n_frames=keywords.count("NFRAMES"),
        group_gap=keywords.number("GROUPGAP"),
        frame_divisor=keywords.count("FRMDIVSR"),
        n_outputs=keywords.count("NOUTPUTS"),
        frame_time=keywords.seconds("TFRAME"),
        group_time=keywords.seconds("TGROUP"),
        xstart=keywords.count("SUBSTRT1"),
        ystart=keywords.count("SUBSTRT2"),
        xsize=keywords.count("SUBSIZE1"),
        ysize=keywords.count("SUBSIZE2"),
        gain_factor=keywords.factor("GAINFACT", 1.0),
        data_offset=offset,
        raw_shape=shape,
    )


def _check_geometry(exposure: Exposure, keywords: _Keywords) -> None:
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
        raise NrsdarkError(what, file=exposure.url, remedy=_AGAIN)
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
        raise NrsdarkError(what, file=exposure.url, remedy=_AGAIN)
    axes = (keywords.number("FASTAXIS"), keywords.number("SLOWAXIS"))
    if axes != scan_axes(exposure.detector):
        what = (
            f"FASTAXIS, SLOWAXIS are {axes}, but {exposure.detector} has "
            f"{scan_axes(exposure.detector)} in the DMS frame"
        )
        raise NrsdarkError(what, file=exposure.url, remedy=_UNCAL)
