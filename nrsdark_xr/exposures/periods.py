"""Periods: parts of a run's exposures that are looked at by themselves."""

from __future__ import annotations

from datetime import date
from typing import Self

from pydantic import Field, model_validator

from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.exposures.names import root_name
from nrsdark_xr.parameters import Parameters


class Period(Parameters):
    """Some of the exposures of a run, by date or by name."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """What it is called in products and report."""
    first_date: date | None = None
    """Holds what was taken on this day (UTC) or later."""
    last_date: date | None = None
    """Holds what was taken on this day (UTC) or earlier."""
    files: tuple[str, ...] = ()
    """Holds these exposures only, by name or file name."""

    @model_validator(mode="after")
    def _is_some_period(self) -> Self:
        if self.first_date is None and self.last_date is None and not self.files:
            raise ValueError("needs first_date, last_date or files")
        if self.first_date and self.last_date and self.first_date > self.last_date:
            raise ValueError("ends before it begins")
        return self

    def holds(self, exposure: Exposure) -> bool:
        """Whether an exposure belongs to it."""
        day = date.fromisoformat(exposure.date_obs[:10])
        return (
            (self.first_date is None or day >= self.first_date)
            and (self.last_date is None or day <= self.last_date)
            and (not self.files or exposure.name in {root_name(file) for file in self.files})
        )
