"""What a result was made from, so that a second run can tell what is still valid.

A fingerprint maps the name of each thing that a result depends on to a short hash of it: the keys
in which two of them differ tell what has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from pydantic import BaseModel

from nrsdark_xr.exposures import Exposure
from nrsdark_xr.store.markers import Marker

Fingerprint = dict[str, str]


def digest(content: object) -> str:
    """Hash anything that JSON can hold, and parameters, to 16 hexadecimal digits."""
    if isinstance(content, BaseModel):
        content = content.model_dump(mode="json")
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def exposure_record(exposure: Exposure) -> dict[str, str]:
    """Tell an exposure from a later version of it by its header, wherever its file lies."""
    record = asdict(exposure)
    del record["url"]
    return {"exposure": digest(record)}


def rows_digest(markers: Mapping[str, Marker], names: Iterable[str]) -> str:
    """Hash what rows of the store were made from, by their markers."""
    return digest({name: [markers[name].fingerprint, markers[name].record] for name in names})
