"""Read what a user writes in YAML, and tell what is wrong with it in one line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nrsdark_xr.errors import NrsdarkError


def read_yaml(path: Path, *, example: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Parameters
    ----------
    path : Path
    example : str
        Where the user finds an example, in case the file is not there.

    Raises
    ------
    NrsdarkError
        If it is missing, cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NrsdarkError("no such file", file=path, remedy=example) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NrsdarkError(f"cannot be read: {error}", file=path) from error
    content = parse_yaml(text, place=path)
    if not isinstance(content, dict):
        raise NrsdarkError("holds no mapping of keys to values", file=path)
    return content


def parse_yaml(text: str, *, place: object) -> Any:
    """Parse YAML, safely; `place` is where it is from.

    Raises
    ------
    NrsdarkError
        If it is not valid, or holds a date that there is not.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where is not None else ""
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise NrsdarkError(f"not valid YAML{line}: {problem}", file=place) from error
    except ValueError as error:
        raise NrsdarkError(f"has a date that there is not: {error}", file=place) from error


def first_complaint(model: type[BaseModel], error: ValidationError) -> str:
    """Tell the first thing that is wrong; an unknown key with the nearest known one.

    Unknown keys come first: one that is misspelled is also missing.
    """
    details = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return _unknown_key(model, details, place)
    if details["type"] == "missing":
        return f"the key {place!r} is missing"
    what = details["msg"].removeprefix("Value error, ")
    return f"{place}: {what[:1].lower()}{what[1:]} (given: {details['input']!r})"


def _unknown_key(model: type[BaseModel], details: ErrorDetails, place: str) -> str:
    *parents, key = details["loc"]
    known = _fields_at(model, [str(parent) for parent in parents])
    nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys: {', '.join(known)}"
    return f"unknown key {place!r}; {hint}"


def _fields_at(model: type[BaseModel], parents: Sequence[str]) -> list[str]:
    fields: Mapping[str, Any] = model.model_fields
    for parent in parents:
        annotation = fields[parent].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            fields = annotation.model_fields
    return list(fields)
