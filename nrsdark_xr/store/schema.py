"""What a ramp store holds: variables, coordinates, their types and attributes.

The one place that knows names, dimensions and units; everything else in this room loops over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from math import isclose
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ, GROUP_BITS, irs2
from nrsdark_xr.exposures.exposure import Exposure

SCHEMA_VERSION = 2
"""Raised when a store written before could no longer be read rightly."""
TIME_UNITS = "milliseconds since 1970-01-01"
N_BIAS_GROUPS = 2
"""Groups from which the bias is extrapolated (JWST-STScI-009226 §4.1.1)."""

N_CROSS_SPECTRA = 8
"""Sums of spectra of which the IRS2 weights are made: `CROSS_SPECTRA` of
`nrsdark_xr.calibration.irs2_cross_spectra`, which would be slow to load here."""

Step = Literal["refpix", "bias", "prepare"]
"""The steps that write rows, each with a marker of its own."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One array of the store.

    Attributes
    ----------
    name : str
    dims : tuple of str
    dtype : str
        NumPy type, or "str" for text of any length.
    fill : float, int, bool or str
        What a reader would see where nothing was written.
    attributes : mapping
        CF attributes.
    step : {"refpix", "bias", "prepare"}, optional
        The step that writes it; None for coordinates.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    fill: float | int | bool | str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    step: Step | None = None


def _flags(long_name: str, dtype: str, bits: DQ) -> dict[str, Any]:
    """CF attributes of a variable of flags."""
    chosen = [flag for flag in DQ if flag & bits]
    return {
        "long_name": long_name,
        "flag_masks": [int(np.dtype(dtype).type(flag)) for flag in chosen],
        "flag_meanings": " ".join(str(flag.name) for flag in chosen),
    }


_CUBE = ("file", "group", "y", "x")
_MAP = ("file", "y", "x")
_ALL_BITS = DQ(sum(DQ))

VARIABLES = {
    variable.name: variable
    for variable in (
        Variable(
            "ramp",
            _CUBE,
            "float32",
            float("nan"),
            {"long_name": "calibrated ramp", "units": "DN"},
            "prepare",
        ),
        Variable(
            "groupdq",
            _CUBE,
            "uint8",
            0,
            _flags("data quality of each group", "uint8", GROUP_BITS),
            "prepare",
        ),
        Variable(
            "pixeldq",
            _MAP,
            "uint32",
            0,
            _flags("data quality of each pixel", "uint32", _ALL_BITS),
            "prepare",
        ),
        Variable(
            "rate",
            _MAP,
            "float32",
            float("nan"),
            {"long_name": "slope of the ramp", "units": "DN/s"},
            "prepare",
        ),
        Variable(
            "rate_err",
            _MAP,
            "float32",
            float("nan"),
            {"long_name": "uncertainty of the slope", "units": "DN/s"},
            "prepare",
        ),
        Variable(
            "good_groups",
            _MAP,
            "uint16",
            0,
            {
                "long_name": "groups before the first jump, saturated or unusable one",
                "units": "1",
            },
            "prepare",
        ),
        Variable(
            "negative_jumps",
            _MAP,
            "uint16",
            0,
            {
                "long_name": "groups in which the two-point test found a downward jump",
                "units": "1",
            },
            "prepare",
        ),
        Variable(
            "cds_noise",
            _MAP,
            "float32",
            float("nan"),
            {"long_name": "noise of the difference of two frames", "units": "DN"},
            "prepare",
        ),
        Variable(
            "bias_groups",
            ("file", "bias_group", "y_raw", "x"),
            "float32",
            float("nan"),
            {"long_name": "first groups with their own level, reference-corrected", "units": "DN"},
            "bias",
        ),
        Variable(
            "cross_spectra",
            ("file", "amplifier", "cross_spectrum", "frequency"),
            "float32",
            float("nan"),
            {
                "long_name": "sums over pairs of groups of products of the spectra of pixels (n), "
                "reference samples (r) and reference output (o); IRS2 only",
                "units": "DN2",
            },
            "refpix",
        ),
        Variable(
            "bad_reference_rows",
            ("file", "y_raw"),
            "uint8",
            0,
            {"long_name": "reference samples that stand out; IRS2 only", "units": "1"},
            "refpix",
        ),
    )
}
"""The data, by name."""

AXES = {
    axis.name: axis
    for axis in (
        Variable("group", ("group",), "int32", 0, {"long_name": "group, from 1", "units": "1"}),
        Variable(
            "time",
            ("group",),
            "float64",
            float("nan"),
            {"long_name": "mean time of the group since reset", "units": "s"},
        ),
        Variable("y", ("y",), "int32", 0, {"long_name": "detector row (DMS), from 1"}),
        Variable("x", ("x",), "int32", 0, {"long_name": "detector column (DMS), from 1"}),
        Variable("bias_group", ("bias_group",), "int32", 0, {"long_name": "group, from 1"}),
        Variable(
            "y_raw",
            ("y_raw",),
            "int32",
            0,
            {"long_name": "raw row, from 1: that of the detector, or of the frame in IRS2"},
        ),
    )
}
"""Coordinates that all rows share."""

ROW_COORDINATES = {
    coordinate.name: coordinate
    for coordinate in (
        Variable(
            "date_obs",
            ("file",),
            "int64",
            0,
            {
                "long_name": "start of the exposure (UTC)",
                "units": TIME_UNITS,
                "calendar": "proleptic_gregorian",
            },
        ),
        Variable("program", ("file",), "str", "", {"long_name": "programme"}),
        Variable("observation", ("file",), "str", "", {"long_name": "observation"}),
        Variable("grating", ("file",), "str", "", {"long_name": "grating wheel"}),
        Variable("filter", ("file",), "str", "", {"long_name": "filter wheel"}),
        Variable("readpatt", ("file",), "str", "", {"long_name": "readout pattern"}),
        Variable(
            "asic_t_min",
            ("file",),
            "float64",
            float("nan"),
            {"long_name": "lowest ASIC temperature", "units": "K"},
        ),
        Variable(
            "asic_t_max",
            ("file",),
            "float64",
            float("nan"),
            {"long_name": "highest ASIC temperature", "units": "K"},
        ),
        Variable(
            "accepted", ("file",), "bool", True, {"long_name": "taken by the latest selection"}
        ),
        Variable("reason", ("file",), "str", "", {"long_name": "why it was not taken"}),
    )
}
"""Coordinates of each row."""

FILE = Variable("file", ("file",), "str", "", {"long_name": "root name of the exposure"})
"""The row names; written last whenever rows are added."""

SELECTION = ("accepted", "reason")
"""Row coordinates that the selection sets, not the header."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What all exposures of a store share; two stores differ if any of it does.

    Attributes
    ----------
    detector, readpatt, subarray : str
    xstart, ystart, xsize, ysize : int
        1-based corner and size in the DMS frame.
    raw_rows : int
        Rows of a raw group: `ysize`, or 3200 for IRS2.
    n_groups, n_frames, group_gap : int
    frame_time, group_time : float
        Seconds.
    """

    detector: str
    readpatt: str
    subarray: str
    xstart: int
    ystart: int
    xsize: int
    ysize: int
    raw_rows: int
    n_groups: int
    n_frames: int
    group_gap: int
    frame_time: float
    group_time: float

    @classmethod
    def of(cls, exposure: Exposure) -> Self:
        """Take the configuration of an exposure."""
        own = {f.name: getattr(exposure, f.name) for f in fields(cls) if f.name != "raw_rows"}
        return cls(raw_rows=exposure.raw_shape[2], **own)

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Self:
        """Take the configuration that a store's attributes tell.

        Raises
        ------
        KeyError
            If one is missing.
        """
        return cls(**{f.name: attributes[f.name] for f in fields(cls)})

    def attributes(self) -> dict[str, Any]:
        """Make attributes of a store."""
        return asdict(self)

    def difference(self, other: Configuration) -> str | None:
        """Say the first thing in which `other` differs; None if nothing does."""
        for item in fields(self):
            mine, its = getattr(self, item.name), getattr(other, item.name)
            same = isclose(mine, its, rel_tol=1e-4) if isinstance(mine, float) else mine == its
            if not same:
                return f"{item.name} {its!r} instead of {mine!r}"
        return None

    def sizes(self) -> dict[str, int]:
        """Return the length of each dimension but ``file``."""
        return {
            "group": self.n_groups,
            "y": self.ysize,
            "x": self.xsize,
            "bias_group": N_BIAS_GROUPS,
            "y_raw": self.raw_rows,
            "amplifier": irs2.OUTPUTS - 1,
            "cross_spectrum": N_CROSS_SPECTRA,
            "frequency": irs2.FRAME_FREQUENCIES if self.raw_rows != self.ysize else 0,
        }

    def axes(self) -> dict[str, NDArray[Any]]:
        """Return the values of the coordinates in `AXES`.

        ``time`` is the mean over a group's frames of the time since reset, in seconds: group g
        (from 1) of one frame without gaps has g * TGROUP.
        """
        y = np.arange(self.ystart, self.ystart + self.ysize)
        own_rows = self.raw_rows == self.ysize
        groups = np.arange(1, self.n_groups + 1)
        return {
            "group": groups,
            "time": (groups - 1) * self.group_time + (self.n_frames + 1) / 2 * self.frame_time,
            "y": y,
            "x": np.arange(self.xstart, self.xstart + self.xsize),
            "bias_group": np.arange(1, N_BIAS_GROUPS + 1),
            "y_raw": y if own_rows else np.arange(1, self.raw_rows + 1),
        }


def row_values(exposure: Exposure) -> dict[str, Any]:
    """Take the row coordinates from the header, those of the selection left out."""
    date = np.datetime64(exposure.date_obs, "ms").astype(np.int64)
    plain = {name for name in ROW_COORDINATES if name not in (*SELECTION, "date_obs")}
    return {"date_obs": int(date), **{name: getattr(exposure, name) for name in plain}}


def step_variables(step: Step) -> tuple[Variable, ...]:
    """Return the variables that `step` writes."""
    return tuple(variable for variable in VARIABLES.values() if variable.step == step)
