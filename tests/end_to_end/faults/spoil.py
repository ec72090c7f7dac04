"""What may be wrong with a raw exposure or a reference file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from astropy.io import fits


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_in_header(path: Path) -> None:
    os.truncate(path, 2880)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_fits(path: Path) -> None:
    path.write_text("<html>404 Not Found</html>\n" * 200)


def other_header(**keywords: object) -> Callable[[Path], None]:
    """Change (or with None: remove) keywords of the primary header."""

    def change(path: Path) -> None:
        with fits.open(path, mode="update") as hdus:
            for key, value in keywords.items():
                if value is None:
                    del hdus[0].header[key]
                else:
                    hdus[0].header[key] = value

    change.__name__ = "_".join(keywords)
    return change


def fewer_groups(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data = hdus["SCI"].data[:, :-1]
        hdus[0].header["NGROUPS"] -= 1


def other_subarray(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["SUBARRAY"] = "SUBX"
        hdus[0].header["SUBSTRT1"] += 8
