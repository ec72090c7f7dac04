"""``NAME_report.html``: one self-contained page to judge a set of products by."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from nrsdark_xr.analysis import report_figures
from nrsdark_xr.analysis.figures.style import number
from nrsdark_xr.analysis.gates import Gate, is_deliverable
from nrsdark_xr.analysis.html import count, render
from nrsdark_xr.analysis.statistics import ProductStatistics
from nrsdark_xr.analysis.summary import write_whole
from nrsdark_xr.detector import DQ


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
    """

    superbias: NDArray[Any] | None = None
    superbias_file: str = ""
    mask: NDArray[np.uint32] | None = None
    mask_file: str = ""


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
    reference_pixels : ndarray of bool, shape (y, x)
    hot_rate : float
        Dark rate above which a pixel is HOT [DN/s].
    time : ndarray, shape (group,)
        Seconds since reset.
    examples : tuple of ExampleRamp
    absent_kinds : tuple of str
        Kinds of pixel of which there is none.
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
    reference_pixels: NDArray[np.bool_]
    hot_rate: float
    time: NDArray[Any]
    examples: tuple[ExampleRamp, ...]
    absent_kinds: tuple[str, ...] = ()
    baseline: Baseline = field(default_factory=Baseline)
    references: tuple[FileRecord, ...] = ()
    products: tuple[FileRecord, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()


def write_report(path: str | os.PathLike[str], content: ReportContent) -> None:
    """Write the report as one HTML file without external resources, complete or not at all.

    Parameters
    ----------
    path : path-like
    content : ReportContent
        The same content gives the same bytes.
    """
    page = render(
        "report.html.j2",
        content=content,
        gates=content.gates,
        deliverable=is_deliverable(content.gates),
        warnings=sum(not gate.passed for gate in content.gates if not gate.delivery),
        accepted=sum(row.accepted for row in content.inputs),
        tiles=_tiles(content),
        maps=report_figures.maps(content),
        flags=_flag_rows(content),
        histograms=report_figures.histograms(content),
        ramps=report_figures.ramps(content),
        absent=content.absent_kinds,
        changes=report_figures.changes(content),
        change_notes=_change_notes(content),
        parameters=yaml.safe_dump(dict(content.parameters), sort_keys=False, allow_unicode=True),
    )
    write_whole(path, page.encode())


def _tiles(content: ReportContent) -> list[tuple[str, str]]:
    statistics = content.statistics
    change = ""
    if statistics.n_new_hot is not None:
        change = f": {statistics.n_new_hot:,} new, {count(statistics.n_vanished_hot)} vanished"
    return [
        (f"{statistics.snr:.2f}", "signal-to-noise ratio of the dark"),
        (f"{_short(statistics.median_dark_rate)} DN/s", "median dark rate"),
        (f"{_short(statistics.median_uncertainty)} DN/s", "median uncertainty of the rate"),
        (f"{_short(100 * statistics.fraction_negative)}%", "science pixels with a negative rate"),
        (
            f"{_short(statistics.bias_level)} DN",
            f"superbias level; {_short(statistics.bias_scatter)} DN over pixels",
        ),
        (count(statistics.n_hot), f"hot pixels{change}"),
        (count(statistics.n_rc), "RC pixels"),
        (count(statistics.n_telegraph), "RTN (telegraph) pixels"),
        (count(statistics.n_bad_refpix), f"bad of {statistics.n_reference:,} reference pixels"),
        (f"{statistics.n_good} of {statistics.n_inputs}", "exposures used"),
    ]


def _short(value: float) -> str:
    return number(value, digits=3)


def _flag_rows(content: ReportContent) -> list[dict[str, Any]]:
    """Count every flag that the dark or the mask has."""
    rows = []
    for flag in DQ:
        in_dark = int(np.count_nonzero(content.dark_dq & np.uint32(flag)))
        in_mask = int(np.count_nonzero(content.mask & np.uint32(flag)))
        if in_dark or in_mask:
            rows.append(
                {
                    "name": flag.name,
                    "dark": in_dark,
                    "dark_share": in_dark / content.dark_dq.size,
                    "mask": in_mask,
                    "mask_share": in_mask / content.mask.size,
                }
            )
    return rows


def _change_notes(content: ReportContent) -> list[str]:
    notes = []
    statistics, baseline = content.statistics, content.baseline
    if baseline.superbias is None:
        notes.append(
            "The run was given no superbias: there is nothing to compare the new one with."
        )
    if baseline.mask is None:
        notes.append("The run was given no mask: every hot pixel is new.")
    else:
        notes.append(
            f"Against {baseline.mask_file}: {count(statistics.n_new_hot)} pixels became hot, "
            f"{count(statistics.n_vanished_hot)} no longer are; {statistics.n_hot:,} are hot now."
        )
    return notes
