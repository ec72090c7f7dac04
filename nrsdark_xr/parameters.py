"""The base of everything that a user may write under a step's name in RUN.yaml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """Frozen, validated parameters; an unknown name is an error.

    Each room defines its own subclasses, next to the code that they steer, with one documented
    field per threshold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
