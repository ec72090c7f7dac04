"""Names from headers and files, made safe: they may become part of a file or store name."""

from __future__ import annotations

import re

from nrsdark_xr.storage.locations import file_name

_LONGEST_NAME = 120
"""Leaves room for a suffix within the 255 bytes that file systems allow."""


def safe_word(text: str) -> str:
    """Turn every character but letters, digits, ``_`` and ``-`` into ``_``."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)


def root_name(file: str) -> str:
    """Strip folder, ``.fits`` and ``_uncal`` off a file name and make the rest safe.

    Parameters
    ----------
    file : str
        File name, path, URL or FILENAME keyword.

    Returns
    -------
    str
        Such as ``jw06633001001_02101_00001_nrs1``; letters, digits, ``_`` and ``-`` only.
    """
    stem = re.sub(r"\.fits$", "", file_name(file), flags=re.IGNORECASE)
    return safe_word(stem.removesuffix("_uncal"))[:_LONGEST_NAME]
