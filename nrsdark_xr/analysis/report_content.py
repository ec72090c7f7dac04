"""What a report shows, gathered by the step that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.analysis.gates import Gate
from nrsdark_xr.analysis.periods import PeriodRate
from nrsdark_xr.analysis.statistics import ProductStatistics


@dataclass(frozen=True, slots=True)
class InputRow:
    """One exposure that was offered.

    Attributes
    ----------
    name, date_obs, grating, filter : str
        Of its header; `date_obs` in ISO format.
    asic_drift : float
        ASIC temperature, largest less smallest [K]; NaN if unknown.
    accepted : bool
    reason : str
        Why it was left out; else empty.
    """

    name: str
    date_obs: str
    grating: str
    filter: str
    asic_drift: float
    accepted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExampleRamp:
    """All ramps of one pixel.

    Attributes
    ----------
    kind : str
        One of `nrsdark_xr.analysis.PIXEL_KINDS`.
    y, x : int
        1-based detector pixel.
    ramp : ndarray, shape (file, group)
        Counts [DN].
    groupdq : ndarray of uint8, shape (file, group)
    average, dark : ndarray, shape (group,)
        Average ramp and synthesized dark [DN].
    rate : float
        Mean dark rate [DN/s].
    """

    kind: str
    y: int
    x: int
    ramp: NDArray[Any]
    groupdq: NDArray[np.uint8]
    average: NDArray[Any]
    dark: NDArray[Any]
    rate: float


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the run started from, cut to the same pixels.

    Attributes
    ----------
    superbias : ndarray, shape (y, x), or None
        Superbias among the references [DN].
    superbias_file : str
        Its name; empty without one.
    mask : ndarray of uint32, shape (y, x), or None
        Input mask with its HOT bits.
    mask_file : str
    readnoise : ndarray, shape (y, x), or None
        Input read noise [DN].
    readnoise_file : str
    """

    superbias: NDArray[Any] | None = None
    superbias_file: str = ""
    mask: NDArray[np.uint32] | None = None
    mask_file: str = ""
    readnoise: NDArray[Any] | None = None
    readnoise_file: str = ""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """Cost of one step: wall time [s] and peak memory of the process tree, None if not measured."""

    name: str
    seconds: float
    peak_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file and its checksum."""

    kind: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ReportContent:
    """Everything that a report shows.

    Attributes
    ----------
    name, detector, readpatt, subarray : str
    xstart, ystart : int
        1-based detector pixel of the first column and row.
    period : (str, str)
        Dates of the first and last exposure that went in.
    created : str
        When the products were made (ISO).
    inputs : tuple of InputRow
    statistics : ProductStatistics
    gates : tuple of Gate
    bias, bias_err : ndarray, shape (y_raw, x)
        Superbias and its uncertainty [DN].
    rate, rate_unc : ndarray, shape (y, x)
        Mean dark rate and its uncertainty [DN/s].
    dark_dq, mask : ndarray of uint32, shape (y, x)
    readnoise : ndarray, shape (y, x)
        Noise of the difference of two frames [DN].
    reference_pixels : ndarray of bool, shape (y, x)
    hot_rate : float
        Dark rate above which a pixel is HOT [DN/s].
    time : ndarray, shape (group,)
        Seconds since reset.
    examples : tuple of ExampleRamp
    absent_kinds : tuple of str
        Kinds of pixel of which there is none.
    periods : tuple of PeriodRate
        Parts of the inputs, against all of them.
    baseline : Baseline
    references, products : tuple of FileRecord
    parameters : mapping
        Parameters of all steps, of plain types.
    versions : mapping of str to str
    steps : tuple of StepRecord
    """

    name: str
    detector: str
    readpatt: str
    subarray: str
    xstart: int
    ystart: int
    period: tuple[str, str]
    created: str
    inputs: tuple[InputRow, ...]
    statistics: ProductStatistics
    gates: tuple[Gate, ...]
    bias: NDArray[Any]
    bias_err: NDArray[Any]
    rate: NDArray[Any]
    rate_unc: NDArray[Any]
    dark_dq: NDArray[np.uint32]
    mask: NDArray[np.uint32]
    readnoise: NDArray[Any]
    reference_pixels: NDArray[np.bool_]
    hot_rate: float
    time: NDArray[Any]
    examples: tuple[ExampleRamp, ...]
    absent_kinds: tuple[str, ...] = ()
    periods: tuple[PeriodRate, ...] = ()
    baseline: Baseline = field(default_factory=Baseline)
    references: tuple[FileRecord, ...] = ()
    products: tuple[FileRecord, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
