"""What a user writes in RUN.yaml, validated.

The parameters of each step are defined beside the code that they steer; this module gathers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, field_validator

from nrsdark_xr.analysis.gates import GateParameters
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.periods import Period
from nrsdark_xr.exposures.selection import SelectionParameters
from nrsdark_xr.parameters import Parameters
from nrsdark_xr.products.parameters import (
    AverageParameters,
    BiasParameters,
    RefpixWeightsParameters,
    SynthesisParameters,
)
from nrsdark_xr.references.paths import ReferencePaths
from nrsdark_xr.storage import StorageParameters
from nrsdark_xr.store.location import Location
from nrsdark_xr.store.output import OutputFile
from nrsdark_xr.store.rounding import RampParameters
from nrsdark_xr.yaml_files import first_complaint, parse_yaml, read_yaml

_TIME = "%Y-%m-%dT%H:%M:%S"


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
    storage: StorageParameters = StorageParameters()
    """How to reach what lies on object storage (S3)."""

    min_inputs: int = Field(default=3, ge=1)
    """Fewest good inputs that make a product."""
    on_error: Literal["stop", "skip"] = "stop"
    """Whether a bad input stops the run or is reported and left out."""
    engine: Literal["nrsdark", "jwst"] = "nrsdark"
    """Who calibrates: this package, or the stock steps of jwst (slow; to check us)."""

    selection: SelectionParameters = SelectionParameters()
    """Which of the inputs take part."""
    periods: tuple[Period, ...] = ()
    """Parts of the inputs to be averaged besides, and compared with all of them in the report."""
    refpix: RefpixWeightsParameters = RefpixWeightsParameters()
    """Weights of the IRS2 correction, made in step `bias` where no refpix is given."""
    bias: BiasParameters = BiasParameters()
    """Step `bias`."""
    prepare: CalibrationParameters = CalibrationParameters()
    """Step `prepare`."""
    ramps: RampParameters = RampParameters()
    """How `store` keeps the ramps."""
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
    useafter: str | None = None
    """USEAFTER, such as 2024-01-01T00:00:00; the middle of the pedigree unless given."""

    _source: str = PrivateAttr(default="")

    @field_validator("periods")
    @classmethod
    def _names_differ(cls, periods: tuple[Period, ...]) -> tuple[Period, ...]:
        names = [period.name for period in periods]
        if len(set(names)) < len(names):
            raise ValueError("two periods have one name")
        return periods

    @field_validator("useafter", mode="before")
    @classmethod
    def _date_and_time(cls, given: object) -> str | None:
        if given is None:
            return None
        try:
            # YAML makes a datetime of it unless it is quoted.
            when = given if isinstance(given, datetime) else datetime.strptime(str(given), _TIME)
        except ValueError:
            raise ValueError("must be a date and time such as 2024-01-01T00:00:00") from None
        return when.strftime(_TIME)

    @property
    def source(self) -> str:
        """The file that it was read from, to be named in messages; else the run's name."""
        return self._source or self.name

    def product(self, suffix: str) -> OutputFile:
        """Give the product ``NAME_suffix`` of the output folder; nothing is looked up."""
        folder = Location.of(self.output, self.storage)
        return OutputFile(folder, f"{self.name}_{suffix}")

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
        content = read_yaml(path, example="`nrsdark simulate` writes an example run.yaml")
        for override in overrides:
            _override(content, override)
        try:
            config = cls.model_validate(content)
        except ValidationError as error:
            raise NrsdarkError(first_complaint(cls, error), file=path) from error
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
    content[leaf] = parse_yaml(value, place=f"--set {override!r}")
