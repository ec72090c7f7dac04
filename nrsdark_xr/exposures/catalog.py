"""Which raw files there are, and whether they belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.exposures.header import read_exposure
from nrsdark_xr.storage.locations import (
    StorageOptions,
    file_name,
    file_system,
    is_remote,
    normalise,
    reading,
)

CONFIGURATION = (
    "detector",
    "readpatt",
    "subarray",
    "xstart",
    "ystart",
    "xsize",
    "ysize",
    "n_groups",
    "n_frames",
    "group_gap",
    "frame_divisor",
    "n_outputs",
    "frame_time",
    "group_time",
    "gain_factor",
)
"""Attributes of `Exposure` that all inputs of one reference file share."""
TIME_DIGITS = 6
"""Decimals to which seconds and factors of two headers are compared."""
_READERS = 8
"""Headers read side by side; over a network each waits for two answers."""
_MOST_NAMED = 5
"""Files that one line names before it only counts."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that cannot go in, and why.

    Attributes
    ----------
    url : str
    reason : str
        One readable line.
    """

    url: str
    reason: str


def find_exposures(
    inputs: str | Sequence[str],
    *,
    base: Path | None = None,
    storage_options: StorageOptions | None = None,
) -> list[str]:
    """List the raw files that paths, URLs and glob patterns name.

    Parameters
    ----------
    inputs : str or sequence of str
        Local paths, ``file://`` or other URLs, each with or without ``*``, ``?``, ``[…]``.
    base : Path, optional
        Folder from which relative paths count; the current one by default.
    storage_options : mapping, optional
        Options of the fsspec file system.

    Returns
    -------
    list of str
        Absolute paths and URLs, each once, sorted. A URL without a pattern is not looked up.

    Raises
    ------
    NrsdarkError
        If a pattern matches no file, a local path does not exist or is a folder, or there is
        nothing to look for.
    """
    patterns = [inputs] if isinstance(inputs, str) else list(inputs)
    if not patterns:
        raise NrsdarkError("no inputs given", remedy="name *_uncal.fits files under `inputs`")
    found = {url for pattern in patterns for url in _matches(pattern, base, storage_options)}
    files = {url if is_remote(url) else str(Path(url).resolve()): url for url in sorted(found)}
    return sorted(files.values())


def read_exposures(
    urls: Sequence[str],
    *,
    on_error: Literal["stop", "skip"] = "stop",
    storage_options: StorageOptions | None = None,
) -> tuple[list[Exposure], list[Rejected]]:
    """Read the headers of many files.

    Parameters
    ----------
    urls : sequence of str
    on_error : {"stop", "skip"}
        Whether a bad file stops everything or is left out and told.
    storage_options : mapping, optional

    Returns
    -------
    exposures : list of Exposure
        Sorted by date, then name.
    rejected : list of Rejected
        Files left out, in the order of `urls`; the second of two files of one name among them.

    Raises
    ------
    NrsdarkError
        The first failure of `read_exposure`, or two files of one name, if `on_error` is "stop".
    """
    with ThreadPoolExecutor(_READERS) as pool:
        results = list(pool.map(_attempt(storage_options), urls))
    errors = [result for result in results if isinstance(result, NrsdarkError)]
    exposures = [result for result in results if isinstance(result, Exposure)]
    unique, repeated = _without_repeats(exposures)
    errors += repeated
    if errors and on_error == "stop":
        raise errors[0]
    unique.sort(key=lambda exposure: (exposure.date_obs, exposure.name))
    return unique, [Rejected(error.file or "", _reason(error)) for error in errors]


def find_odd_exposures(exposures: Sequence[Exposure]) -> list[Rejected]:
    """Name the exposures that are of another configuration than most.

    Parameters
    ----------
    exposures : sequence of Exposure

    Returns
    -------
    list of Rejected
        One per exposure that differs from the most frequent configuration (the earliest of equally
        frequent ones), with what differs.
    """
    configurations = [_configuration(exposure) for exposure in exposures]
    if not configurations:
        return []
    norm = Counter(configurations).most_common(1)[0][0]
    return [
        Rejected(exposure.url, _difference(configuration, norm))
        for exposure, configuration in zip(exposures, configurations, strict=True)
        if configuration != norm
    ]


def check_same_configuration(exposures: Sequence[Exposure]) -> None:
    """Refuse exposures that cannot go into one reference file.

    Detector, readout, subarray and number of groups have to be the same; the number of integrations
    may differ.

    Raises
    ------
    NrsdarkError
        Names the files that differ from most, and in what.
    """
    odd = find_odd_exposures(exposures)
    if not odd:
        return
    also = [f"{file_name(other.url)} ({other.reason})" for other in odd[1:_MOST_NAMED]]
    more = len(odd) - _MOST_NAMED
    what = f"{len(odd)} of {len(exposures)} inputs differ from the rest, this one: {odd[0].reason}"
    if also:
        what += f"; also {', '.join(also)}"
    if more > 0:
        what += f" and {more} more"
    raise NrsdarkError(
        what,
        file=odd[0].url,
        remedy="give the exposures of one detector, readout and subarray only",
    )


def _matches(pattern: str, base: Path | None, storage_options: StorageOptions | None) -> list[str]:
    location = normalise(pattern, base)
    is_pattern = any(character in location for character in "*?[")
    if is_remote(location):
        if not is_pattern:
            return [location]
    elif Path(location).is_file():
        return [location]
    elif not is_pattern:
        folder = Path(location).is_dir()
        raise NrsdarkError(
            "is a folder" if folder else "no such file",
            file=location,
            remedy="use a pattern such as FOLDER/*_uncal.fits" if folder else "check the path",
        )
    system, path = file_system(location, storage_options)
    with reading(location):
        found = system.glob(path, detail=True)
    urls = [
        normalise(system.unstrip_protocol(name))
        for name, details in found.items()
        if details["type"] != "directory"
    ]
    if not urls:
        raise NrsdarkError("matches no file", file=location, remedy="check the pattern")
    return urls


def _attempt(
    storage_options: StorageOptions | None,
) -> Callable[[str], Exposure | NrsdarkError]:
    def attempt(url: str) -> Exposure | NrsdarkError:
        try:
            return read_exposure(url, storage_options)
        except NrsdarkError as error:
            return error

    return attempt


def _without_repeats(
    exposures: Sequence[Exposure],
) -> tuple[list[Exposure], list[NrsdarkError]]:
    """Split off exposures of which a name along ``file`` is taken already."""
    owners: dict[str, str] = {}
    unique, repeated = [], []
    for exposure in exposures:
        taken = [name for name in exposure.row_names() if name in owners]
        if taken:
            error = NrsdarkError(
                f"is the same exposure as {owners[taken[0]]} ({taken[0]})",
                file=exposure.url,
                remedy="give each exposure once",
            )
            repeated.append(error)
            continue
        owners.update(dict.fromkeys(exposure.row_names(), exposure.url))
        unique.append(exposure)
    return unique, repeated


def _reason(error: NrsdarkError) -> str:
    return error.what if error.remedy is None else f"{error.what}; {error.remedy}"


def _configuration(exposure: Exposure) -> tuple[object, ...]:
    values = (getattr(exposure, field) for field in CONFIGURATION)
    return tuple(
        round(value, TIME_DIGITS) if isinstance(value, float) else value for value in values
    )


def _difference(configuration: tuple[object, ...], norm: tuple[object, ...]) -> str:
    return ", ".join(
        f"{field} {value} instead of {usual}"
        for field, value, usual in zip(CONFIGURATION, configuration, norm, strict=True)
        if value != usual
    )
