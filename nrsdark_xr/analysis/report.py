"""``NAME_report.html``: one self-contained page to judge a set of products by."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import yaml

from nrsdark_xr.analysis import report_figures
from nrsdark_xr.analysis.figures.style import number
from nrsdark_xr.analysis.gates import is_deliverable
from nrsdark_xr.analysis.html import count, render
from nrsdark_xr.analysis.period_figures import period_figures
from nrsdark_xr.analysis.report_content import ReportContent
from nrsdark_xr.analysis.summary import write_whole
from nrsdark_xr.detector import DQ


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
        readnoise=report_figures.readnoise(content),
        ramps=report_figures.ramps(content),
        absent=content.absent_kinds,
        changes=report_figures.changes(content),
        periods=period_figures(content),
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
