"""The pictures of the report and what their captions say."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.analysis.figures import (
    COLORS,
    HistogramSeries,
    Mark,
    change_map,
    flag_map,
    histogram,
    image_map,
    profiles,
    ramp_figure,
)
from nrsdark_xr.analysis.figures.maps import is_wide
from nrsdark_xr.analysis.figures.style import number
from nrsdark_xr.analysis.html import Picture, picture
from nrsdark_xr.analysis.report_content import ReportContent
from nrsdark_xr.analysis.statistics import robust_sigma
from nrsdark_xr.detector import DQ
from nrsdark_xr.products.clip import frame_statistics

_CAPTIONS = {
    "normal": "A pixel without flags, of median rate: the new dark is a straight line through the "
    "noise of the average ramp.",
    "hot": "A HOT pixel of median rate: it keeps its average ramp in the dark.",
    "RC": "An RC pixel charges up like a capacitor: the ramp bends over, and its first groups "
    "count as jumps.",
    "RTN": "An RTN (TELEGRAPH) pixel toggles between levels: jumps up and down. The average ramp "
    "ends with the last exposure that has not jumped.",
    "IPC neighbour": "Beside the brightest hot pixel: capacitive coupling bends the first groups, "
    "so the dark takes the average ramp. Dotted: the rate projected from the first group.",
}


def maps(content: ReportContent) -> list[Picture]:
    """Superbias and uncertainty, dark rate and uncertainty, their ratio, flags."""
    rate = np.where(content.reference_pixels, np.nan, content.rate)
    uncertainty = np.where(content.reference_pixels, np.nan, content.rate_unc)
    return [
        _image(
            content,
            content.bias,
            title="Superbias",
            unit="DN",
            caption="Amplifier bands and the offsets of single rows are normal. "
            "Rings or a bright frame point at exposures taken after a mode switch.",
        ),
        _image(
            content,
            content.bias_err,
            title="Uncertainty of the superbias",
            unit="DN",
            colormap="cividis",
            caption="Scatter between exposures. Structure here means that the exposures disagree.",
        ),
        _image(
            content,
            rate,
            title="Mean dark rate",
            unit="DN/s",
            scale="asinh",
            colormap="inferno",
            caption="Asinh scale. Look for glow at the edges, diagonal stripes (light through the "
            "micro-shutters) and traces of earlier sources (persistence).",
        ),
        _image(
            content,
            uncertainty,
            title="Uncertainty of the dark rate",
            unit="DN/s",
            colormap="cividis",
            caption="Clipped standard deviation of the rates over the root of their number.",
        ),
        _image(
            content,
            ratio(rate, uncertainty),
            title="Signal-to-noise ratio",
            unit="dark rate / uncertainty",
            caption="Its clipped median over science pixels is what the delivery gate judges.",
        ),
        picture(
            flag_map(
                content.dark_dq | content.mask,
                title="Flagged pixels",
                corner=(content.xstart, content.ystart),
            ),
            title="Map of flagged pixels",
            caption="DQ of the dark and of the mask together; markers are larger than a pixel. "
            "Clusters of hot pixels are normal, lines of RTN pixels are not.",
            wide=is_wide(content.rate.shape),
        ),
    ]


def histograms(content: ReportContent) -> list[Picture]:
    """Superbias, dark rate, its uncertainty, signal-to-noise ratio."""
    science = ~content.reference_pixels
    statistics = content.statistics
    rate, uncertainty = content.rate[science], content.rate_unc[science]
    snr_gate = next((gate for gate in content.gates if gate.name == "snr"), None)
    # Of an IRS2 bias all rows, with the interleaved reference samples.
    bias = content.bias[science] if content.bias.shape == science.shape else content.bias.ravel()
    median = frame_statistics(bias).median
    return [
        _histogram(
            rate,
            title="Dark rate",
            unit="dark rate [DN/s]",
            long_tail=True,
            marks=(
                Mark("median", statistics.median_dark_rate, COLORS["black"]),
                Mark("HOT above", content.hot_rate, COLORS["vermilion"], ":"),
            ),
            caption="Linear about 0, logarithmic beyond. Science pixels, all of them.",
        ),
        _histogram(
            uncertainty,
            title="Uncertainty of the dark rate",
            unit="uncertainty [DN/s]",
            long_tail=True,
            marks=(Mark("median", statistics.median_uncertainty, COLORS["black"]),),
            caption="A second peak means that groups of pixels have fewer good exposures.",
        ),
        _histogram(
            ratio(rate, uncertainty),
            title="Signal-to-noise ratio per pixel",
            unit="dark rate / uncertainty",
            long_tail=True,
            marks=(
                Mark("median", statistics.snr, COLORS["black"]),
                *(
                    (Mark("needed", snr_gate.threshold, COLORS["vermilion"], ":"),)
                    if snr_gate
                    else ()
                ),
            ),
            caption="The tail to the right are hot pixels; the clip keeps them out of the median.",
        ),
        _histogram(
            bias,
            title="Superbias",
            unit="superbias [DN]",
            marks=(Mark("median", median, COLORS["black"]),),
            caption="The end bins hold what lies beyond the axis.",
        ),
    ]


def readnoise(content: ReportContent) -> list[Picture]:
    """Read noise, and its ratio to the one that the run was given."""
    science = ~content.reference_pixels
    new, old = content.readnoise, content.baseline.readnoise
    median = Mark("median", frame_statistics(new[science]).median, COLORS["black"])
    series = [HistogramSeries("new", new[science], COLORS["blue"])]
    title = "Read noise of a double sample"
    pictures = [
        _image(
            content,
            new,
            title=title,
            unit="DN",
            colormap="cividis",
            caption="Of consecutive frames, jumps left out, dark signal subtracted. Amplifiers may "
            "differ; stripes and blotches should not be there.",
        )
    ]
    if old is not None:
        series.append(HistogramSeries("old", old[science], COLORS["vermilion"]))
        quotient = ratio(new, old)
        pictures.append(
            _image(
                content,
                quotient - 1,
                title="Read noise, new over old less 1",
                unit="relative change",
                scale="symmetric",
                colormap="RdBu_r",
                caption=f"Old: {content.baseline.readnoise_file}. Median ratio "
                f"{number(frame_statistics(quotient[science]).median)}.",
            )
        )
    figure = histogram(series, title=title, unit="read noise [DN]", marks=(median,))
    caption = "Pixels in the tail are noisy for themselves, such as telegraph pixels."
    return [*pictures, picture(figure, title=f"Histogram: {title}", caption=caption)]


def ratio(rate: NDArray[Any], uncertainty: NDArray[Any]) -> NDArray[Any]:
    """Rate over uncertainty, NaN where the uncertainty is not above 0."""
    return np.divide(rate, uncertainty, out=np.full_like(rate, np.nan), where=uncertainty > 0)


def ramps(content: ReportContent) -> list[Picture]:
    """One figure for each example."""
    return [
        picture(
            ramp_figure(
                content.time,
                example.ramp,
                example.groupdq,
                title=f"{example.kind[0].upper()}{example.kind[1:]} pixel "
                f"(y {example.y}, x {example.x})",
                average=example.average,
                dark=example.dark,
                rate=example.rate if example.kind == "IPC neighbour" else None,
            ),
            title=f"Ramps of one {example.kind} pixel",
            caption=_CAPTIONS.get(example.kind, ""),
        )
        for example in content.examples
    ]


def changes(content: ReportContent) -> list[Picture]:
    """Difference to the superbias and the mask that the run started from, as far as given."""
    pictures = []
    old = content.baseline.superbias
    if old is not None:
        difference = content.bias.astype(np.float64) - old
        sigma = robust_sigma(old)
        name = content.baseline.superbias_file
        pictures += [
            _image(
                content,
                difference,
                title="Superbias, new minus old",
                unit="DN",
                scale="symmetric",
                colormap="RdBu_r",
                caption=f"Old: {name}. Steps between amplifiers and row-to-row offsets are usual; "
                "they should be small against the spread of the bias.",
            ),
            _histogram(
                difference,
                title="Superbias, new minus old",
                unit="difference [DN]",
                marks=(
                    Mark("median", frame_statistics(difference).median, COLORS["black"]),
                    Mark("no change", 0.0, COLORS["vermilion"], ":"),
                ),
                caption="Clipped standard deviation "
                f"{number(frame_statistics(difference).std)} DN.",
            ),
            picture(
                profiles(
                    difference,
                    sigma=sigma,
                    sigma_label="old over pixels",
                    unit="DN",
                    corner=(content.xstart, content.ystart),
                ),
                title="Median column and row of the difference",
                caption="The column shows amplifiers and rows, the row shows 1/f noise. Shaded: "
                "one robust sigma of the old superbias over pixels.",
                wide=True,
            ),
        ]
    if content.baseline.mask is not None:
        pictures.append(
            picture(
                change_map(
                    (content.mask & np.uint32(DQ.HOT)) != 0,
                    (content.baseline.mask & np.uint32(DQ.HOT)) != 0,
                    title="Hot pixels, new against old",
                    corner=(content.xstart, content.ystart),
                ),
                title="Map of new and vanished hot pixels",
                caption="Hot pixels come and go with time, anywhere on the detector; a change that "
                "follows an amplifier or an edge is suspect.",
                wide=is_wide(content.mask.shape),
            )
        )
    return pictures


def _image(
    content: ReportContent,
    image: NDArray[Any],
    *,
    title: str,
    unit: str,
    caption: str,
    scale: Literal["linear", "asinh", "symmetric"] = "linear",
    colormap: str = "viridis",
) -> Picture:
    figure = image_map(
        image,
        title=title,
        unit=unit,
        scale=scale,
        colormap=colormap,
        corner=(content.xstart, content.ystart),
    )
    return picture(figure, title=title, caption=caption, few_colors=True, wide=is_wide(image.shape))


def _histogram(
    values: NDArray[Any],
    *,
    title: str,
    unit: str,
    caption: str,
    marks: tuple[Mark, ...],
    long_tail: bool = False,
) -> Picture:
    figure = histogram(
        (HistogramSeries("pixels", values, COLORS["blue"]),),
        title=title,
        unit=unit,
        marks=marks,
        long_tail=long_tail,
    )
    return picture(figure, title=f"Histogram: {title}", caption=caption)
