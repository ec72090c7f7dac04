"""What a user writes in RUN.yaml, validated.

The parameters of each step are defined beside the code that they steer; this module gathers them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, Field, PrivateAttr, ValidationError
from pydantic_core import ErrorDetails

from nrsdark_xr.analysis.gates import GateParameters
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.selection import SelectionParameters
from nrsdark_xr.parameters import Parameters
from nrsdark_xr.products.parameters import AverageParameters, BiasParameters, SynthesisParameters
from nrsdark_xr.references.paths import ReferencePaths


class RunConfig(Parameters):
    """One run: which darks go in, where everything lies, how each step works."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Prefix of every product."""
    inputs: str | tuple[str, ...]
    """Raw exposures: a path, a glob, a URL, or a list of these."""
    store: str
    """The ramp store (Zarr), a path or a URL."""
    output: str
    """Folder of the products."""
    references: ReferencePaths
    """Reference files that calibration needs."""
    previous_superbias: str | None = None
    """Superbias to show the difference to in the report; that among the references unless given."""

    min_inputs: int = Field(default=3, ge=1)
    """Fewest good inputs that make a product."""
    on_error: Literal["stop", "skip"] = "stop"
    """Whether a bad input stops the run or is reported and left out."""
    engine: Literal["nrsdark", "jwst"] = "nrsdark"
    """Who calibrates: this package, or the stock steps of jwst (slow; to check us)."""

    selection: SelectionParameters = SelectionParameters()
    """Which of the inputs take part."""
    bias: BiasParameters = BiasParameters()
    """Step `bias`."""
    prepare: CalibrationParameters = CalibrationParameters()
    """Step `prepare`."""
    average: AverageParameters = AverageParameters()
    """Step `average`."""
    synthesize: SynthesisParameters = SynthesisParameters()
    """Step `synthesize`."""
    analyze: GateParameters = GateParameters()
    """Step `analyze`."""

    pedigree: Literal["INFLIGHT", "GROUND", "SIMULATION", "DUMMY"] = "INFLIGHT"
    """PEDIGREE of the reference files; the period is added to INFLIGHT."""
    author: str = "nrsdark_xr"
    """AUTHOR of the reference files."""
    description: str | None = Field(default=None, max_length=65)
    """DESCRIP of the reference files; made from detector and readout unless given."""
    useafter: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$")
    """USEAFTER; the middle of the pedigree unless given."""

    _source: str = PrivateAttr(default="")

    @property
    def source(self) -> str:
        """The file that it was read from, to be named in messages; else the run's name."""
        return self._source or self.name

    def product(self, suffix: str) -> Path:
        """Path of the product ``NAME_suffix`` in the output folder."""
        return Path(self.output) / f"{self.name}_{suffix}"

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """Read RUN.yaml.

        Parameters
        ----------
        path : str or Path
            The file. Relative paths in it count from its folder.
        overrides : sequence of str
            ``key=value`` each, with dots for nested keys and the value in YAML; they beat the file.

        Raises
        ------
        NrsdarkError
            If the file is missing, is no YAML mapping, or has an unknown key or a wrong value.
        """
        path = Path(path)
        content = _read_yaml(path)
        for override in overrides:
            _override(content, override)
        try:
            config = cls.model_validate(content)
        except ValidationError as error:
            raise NrsdarkError(_first_complaint(cls, error), file=path) from error
        config = config._anchored(path.resolve().parent)
        config._source = str(path)
        return config

    def _anchored(self, base: Path) -> Self:
        """Return the same run with paths made absolute, relative ones counting from `base`."""

        def anchor(place: str) -> str:
            return place if "://" in place else str(base / place)

        inputs = (self.inputs,) if isinstance(self.inputs, str) else self.inputs
        telemetry = self.selection.telemetry
        return self.model_copy(
            update={
                "inputs": tuple(anchor(entry) for entry in inputs),
                "store": anchor(self.store),
                "output": anchor(self.output),
                "references": self.references.model_copy(
                    update={kind: anchor(url) for kind, url in self.references.given().items()}
                ),
                "previous_superbias": self.previous_superbias and anchor(self.previous_superbias),
                "selection": self.selection.model_copy(
                    update={"telemetry": telemetry and anchor(telemetry)}
                ),
            }
        )


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NrsdarkError(
            "no such file", file=path, remedy="`nrsdark simulate` writes an example run.yaml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NrsdarkError(f"cannot be read: {error}", file=path) from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where is not None else ""
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise NrsdarkError(f"not valid YAML{line}: {problem}", file=path) from error
    if not isinstance(content, dict):
        raise NrsdarkError("holds no mapping of keys to values", file=path)
    return content


def _override(content: dict[str, Any], override: str) -> None:
    """Set one dotted ``key=value`` in `content`."""
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise NrsdarkError(f"--set {override!r} is not of the form key=value")
    *parents, leaf = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise NrsdarkError(
                f"--set {override!r}: {parent!r} has a plain value, not keys of its own"
            )
    content[leaf] = yaml.safe_load(value)


def _first_complaint(model: type[BaseModel], error: ValidationError) -> str:
    """Tell the first thing that is wrong; an unknown key with the nearest known one."""
    details = error.errors()[0]
    place = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return _unknown_key(model, details, place)
    if details["type"] == "missing":
        return f"the key {place!r} is missing"
    return (
        f"{place}: {details['msg'][:1].lower()}{details['msg'][1:]} (given: {details['input']!r})"
    )


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
