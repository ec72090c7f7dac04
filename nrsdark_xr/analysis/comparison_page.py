"""``NAME_comparison.html`` and ``NAME_comparison.json``: a comparison for people and programs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from nrsdark_xr.analysis.compare import COLUMNS, Comparison, PlaneComparison
from nrsdark_xr.analysis.figures import (
    COLORS,
    HistogramSeries,
    Mark,
    change_map,
    flag_map,
    histogram,
    image_map,
    profiles,
)
from nrsdark_xr.analysis.figures.maps import is_wide, linear_limits
from nrsdark_xr.analysis.html import Picture, picture, render
from nrsdark_xr.analysis.summary import write_summary, write_whole
from nrsdark_xr.errors import NrsdarkError


def write_comparison(
    comparison: Comparison, directory: str | os.PathLike[str]
) -> tuple[Path, Path]:
    """Write page and JSON, named after the new file.

    Parameters
    ----------
    comparison : Comparison
    directory : path-like
        Made if it is not there.

    Returns
    -------
    (Path, Path)
        Page and JSON.

    Raises
    ------
    NrsdarkError
        If the folder cannot be written to.
    """
    folder = Path(directory)
    stem = Path(comparison.new.file).name.removesuffix(".gz").removesuffix(".fits")
    page, record = folder / f"{stem}_comparison.html", folder / f"{stem}_comparison.json"
    html = render(
        "comparison.html.j2",
        comparison=comparison,
        new_name=Path(comparison.new.file).name,
        old_name=Path(comparison.old.file).name,
        columns=COLUMNS,
        rows=comparison.rows(),
        sections=[(plane, _plane_pictures(comparison, plane)) for plane in comparison.planes],
        flag_pictures=_flag_pictures(comparison),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_summary(record, comparison.record())
        write_whole(page, html.encode())
    except OSError as error:
        raise NrsdarkError(
            f"cannot be written to ({error.strerror or error})",
            file=folder,
            remedy="name another folder with --out",
        ) from error
    return page, record


def _plane_pictures(comparison: Comparison, plane: PlaneComparison) -> list[Picture]:
    """Draw new, old, difference, histograms, median column and row."""
    corner = comparison.rectangle.xstart, comparison.rectangle.ystart
    wide = is_wide(plane.new.shape)
    difference = plane.new.astype(np.float64) - plane.old
    label = plane.name[0].upper() + plane.name[1:]
    long_tail = comparison.kind == "DARK"  # hot pixels
    pictures = []
    if not plane.uncertainty:
        limits = linear_limits(plane.old)
        pictures = [
            picture(
                image_map(
                    values,
                    title=f"{label}, {which}",
                    unit=plane.unit,
                    limits=limits,
                    corner=corner,
                ),
                title=f"{label}, {which}",
                caption="New and old have the same scale, that of the old file.",
                few_colors=True,
                wide=wide,
            )
            for which, values in (("new", plane.new), ("old", plane.old))
        ]
    pictures += [
        picture(
            image_map(
                difference,
                title=f"{label}, new minus old",
                unit=plane.unit,
                scale="symmetric",
                colormap="RdBu_r",
                corner=corner,
            ),
            title=f"{label}, new minus old",
            caption="Steps between amplifiers and row-to-row offsets are usual; they should be "
            "small against the spread over pixels.",
            few_colors=True,
            wide=wide,
        ),
        picture(
            histogram(
                (
                    HistogramSeries("new", plane.new, COLORS["blue"]),
                    HistogramSeries("old", plane.old, COLORS["orange"]),
                ),
                title=label,
                unit=f"{plane.name} [{plane.unit}]",
                marks=(
                    Mark("median new", plane.median_new, COLORS["blue"]),
                    Mark("median old", plane.median_old, COLORS["orange"]),
                ),
                long_tail=long_tail,
            ),
            title=f"Histogram: {label}",
            caption="Both files. Linear about 0, logarithmic beyond."
            if long_tail
            else "Both files; the end bins hold what lies beyond the axis.",
        ),
    ]
    if not plane.uncertainty:
        pictures += [
            picture(
                histogram(
                    (HistogramSeries("new minus old", difference, COLORS["blue"]),),
                    title=f"{label}, new minus old",
                    unit=f"difference [{plane.unit}]",
                    marks=(
                        Mark("median", plane.median, COLORS["black"]),
                        Mark("no change", 0.0, COLORS["vermilion"], ":"),
                    ),
                    long_tail=True,
                ),
                title="Histogram of the difference",
                caption="Linear about 0, logarithmic beyond.",
            ),
            picture(
                profiles(
                    difference,
                    sigma=plane.sigma_old,
                    sigma_label="old over pixels",
                    unit=plane.unit,
                    corner=corner,
                ),
                title="Median column and row of the difference",
                caption="The column shows amplifiers and rows, the row shows 1/f noise. Shaded: "
                "one robust sigma of the old file over pixels.",
                wide=True,
            ),
        ]
    return pictures


def _flag_pictures(comparison: Comparison) -> list[Picture]:
    """Draw the flags of both files, and new and vanished hot pixels."""
    corner = comparison.rectangle.xstart, comparison.rectangle.ystart
    pictures = []
    for which, dq in (("new", comparison.new_dq), ("old", comparison.old_dq)):
        if dq is not None:
            pictures.append(
                picture(
                    flag_map(dq, title=f"Flagged pixels, {which}", corner=corner),
                    title=f"Map of flagged pixels, {which}",
                    caption="Markers are larger than a pixel.",
                    wide=is_wide(dq.shape),
                )
            )
    hot = comparison.hot
    if hot is not None:
        pictures.append(
            picture(
                change_map(hot.new, hot.old, title="Hot pixels, new and vanished", corner=corner),
                title="Map of new and vanished hot pixels",
                caption=f"Rule: {hot.rule}. "
                "A change that follows an amplifier or an edge is suspect.",
                wide=is_wide(hot.new.shape),
            )
        )
    return pictures
