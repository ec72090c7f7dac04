"""Step 5, `analyze`: gates, summary and report (JWST-STScI-009226 §4.2)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nrsdark_xr.analysis import (
    Baseline,
    ExampleRamp,
    FileRecord,
    InputRow,
    ReportContent,
    evaluate_gates,
    example_pixels,
    measure_products,
    summarize,
    write_report,
    write_summary,
)
from nrsdark_xr.config import RunConfig
from nrsdark_xr.detector import irs2, reference_pixels
from nrsdark_xr.exposures import Selected
from nrsdark_xr.references import ReferencePaths, load_references
from nrsdark_xr.steps.average import open_average
from nrsdark_xr.steps.fingerprints import digest
from nrsdark_xr.steps.periods import compare_periods, periods_fingerprint
from nrsdark_xr.steps.provenance import parameters, versions
from nrsdark_xr.steps.session import Session
from nrsdark_xr.store import open_ramps
from nrsdark_xr.store.location import Location

STEP = "analyze"


def run(session: Session) -> None:
    """Make ``NAME_summary.json`` and ``NAME_report.html``, or see that they are up to date."""
    config = session.config
    report, summary = config.product("report.html"), config.product("summary.json")
    fingerprint = {
        "products": digest(session.state.fingerprint("dark and mask")),
        "superbias": digest(session.state.fingerprint("superbias")),
        "readnoise": digest(session.state.fingerprint("readnoise")),
        "previous_superbias": digest(_previous_superbias(session)),
        "selection": digest([[s.exposure.name, s.accepted, s.reason] for s in session.selected]),
        "left out": digest([entry.url for entry in session.rejected] + sorted(session.failures)),
        "parameters": digest(config.analyze),
        **periods_fingerprint(session),
    }
    if session.is_current("report", fingerprint, [report, summary]):
        return
    with session.progress.stage("report", total_bytes=0, total_items=2, item="pages") as stage:
        content = _gather(session)
        with summary.writing() as path:
            write_summary(path, _summary(content))
        stage.advance(items=1)
        with report.writing() as path:
            write_report(path, content)
        stage.advance(items=1)
    session.record("report", fingerprint, [report, summary])


@dataclass(frozen=True)
class _Maps:
    """The maps of the products, as they are in the files."""

    bias: NDArray[np.float32]
    bias_err: NDArray[np.float32]
    rate: NDArray[np.float32]
    rate_unc: NDArray[np.float32]
    dark_dq: NDArray[np.uint32]
    mask: NDArray[np.uint32]
    readnoise: NDArray[np.float32]


def _read_maps(session: Session) -> _Maps:
    """Read the products back, of IRS2 their pixels: the report shows what was written."""
    from astropy.io import fits

    detector = session.exposures[0].detector

    def planes(url: str, *names: str) -> list[NDArray[Any]]:
        place = Location.of(url, session.config.storage)
        with place.open() as file, fits.open(file, memmap=False) as hdus:
            images = (hdus[name].data for name in names)
            return [
                irs2.strip(image.astype(image.dtype.newbyteorder("=")), detector)
                for image in images
            ]

    config = session.config
    superbias = config.references.superbias or config.product("superbias.fits").url
    bias, bias_err = planes(superbias, "SCI", "ERR")
    rate, rate_unc, dark_dq = planes(config.product("dark.fits").url, "DRK", "UNC", "DQ")
    (mask,) = planes(config.product("mask.fits").url, "DQ")
    (readnoise,) = planes(config.product("readnoise.fits").url, "SCI")
    return _Maps(bias, bias_err, rate, rate_unc, dark_dq, mask, readnoise)


def _gather(session: Session) -> ReportContent:
    config, first = session.config, session.exposures[0]
    maps = _read_maps(session)
    border = reference_pixels(
        xstart=first.xstart, ystart=first.ystart, xsize=first.xsize, ysize=first.ysize
    )
    baseline = _baseline(session)
    statistics = measure_products(
        bias=maps.bias,
        rate=maps.rate,
        uncertainty=maps.rate_unc,
        dark_dq=maps.dark_dq,
        mask=maps.mask,
        input_mask=baseline.mask,
        reference_pixels=border,
        n_inputs=len(session.selected) + len(session.rejected),
        n_good=len(session.exposures),
    )
    ramps = open_ramps(session.store.url, names=session.row_names, storage_options=config.storage)
    examples, absent = _examples(session, maps, border, ramps)
    dates = [entry.date_obs[:10] for entry in session.exposures]
    return ReportContent(
        name=config.name,
        detector=first.detector,
        readpatt=first.readpatt,
        subarray=first.subarray,
        xstart=first.xstart,
        ystart=first.ystart,
        period=(min(dates), max(dates)),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        inputs=_inputs(session),
        statistics=statistics,
        gates=evaluate_gates(statistics, readpatt=first.readpatt, parameters=config.analyze),
        bias=maps.bias,
        bias_err=maps.bias_err,
        rate=maps.rate,
        rate_unc=maps.rate_unc,
        dark_dq=maps.dark_dq,
        mask=maps.mask,
        readnoise=maps.readnoise,
        reference_pixels=border,
        hot_rate=config.synthesize.hot_rate,
        time=ramps["time"].values,
        examples=examples,
        absent_kinds=absent,
        periods=compare_periods(
            session, open_average(session), rate=maps.rate, reference_pixels=border
        ),
        baseline=baseline,
        references=tuple(
            FileRecord(kind, entry["file"], entry["sha256"])
            for kind, entry in session.reference_checksums.items()
        ),
        products=_products(session),
        parameters=parameters(session),
        versions=versions(),
        steps=tuple(session.costs.values()),
    )


def _products(session: Session) -> tuple[FileRecord, ...]:
    kinds = ("refpix", "superbias", "dark", "mask", "readnoise")
    files = {kind: session.config.product(f"{kind}.fits") for kind in kinds}
    return tuple(
        FileRecord(kind, file.name, file.location.digest())
        for kind, file in files.items()
        if file.exists()
    )


def _started_from(config: RunConfig) -> ReferencePaths:
    """Tell the references that the report compares the products with."""
    superbias = config.previous_superbias or config.references.superbias
    return config.references.model_copy(update={"superbias": superbias})


def _previous_superbias(session: Session) -> dict[str, str] | None:
    """Tell the superbias that the report compares the new one with, from all others."""
    config = session.config
    if config.previous_superbias is None:
        return session.reference_checksums.get("superbias")
    place = Location.of(config.previous_superbias, config.storage)
    return {"file": place.name, "sha256": place.digest()}


def _baseline(session: Session) -> Baseline:
    """Load what the run started from, cut to its pixels."""
    paths = _started_from(session.config)
    first = session.exposures[0]
    references = load_references(paths, first, storage_options=session.config.storage)
    superbias = references.superbias
    return Baseline(
        superbias=None if superbias is None else irs2.strip(superbias, first.detector),
        superbias_file="" if paths.superbias is None else Path(paths.superbias).name,
        mask=irs2.strip(references.mask, first.detector),
        mask_file=Path(paths.mask).name,
        readnoise=references.readnoise,
        readnoise_file=Path(paths.readnoise).name,
    )


def _examples(
    session: Session, maps: _Maps, border: NDArray[np.bool_], ramps: xr.Dataset
) -> tuple[tuple[ExampleRamp, ...], tuple[str, ...]]:
    """Take the ramps of one pixel of each kind, and name the kinds of which there is none."""
    from astropy.io import fits

    average = open_average(session)
    pixels = example_pixels(
        rate=maps.rate,
        dq=maps.dark_dq | maps.mask,
        reference_pixels=border,
        rc_count=average["rc_count"].values,
        telegraph_count=average["telegraph_count"].values,
    )
    examples, absent = [], []
    dark = session.config.product("dark.fits").location
    with dark.open() as file, fits.open(file, memmap=False) as hdus:
        for pixel in pixels:
            if pixel.y is None or pixel.x is None:
                absent.append(pixel.kind)
                continue
            place = {"y": pixel.y, "x": pixel.x}
            ramp = ramps[["ramp", "groupdq"]].isel(place).transpose("file", "group").compute()
            examples.append(
                ExampleRamp(
                    kind=pixel.kind,
                    y=int(ramp["y"]),
                    x=int(ramp["x"]),
                    ramp=ramp["ramp"].values,
                    groupdq=ramp["groupdq"].values,
                    average=average["average"].isel(place).values,
                    dark=hdus["SCI"].section[:, pixel.y, pixel.x].astype(np.float32),
                    rate=float(maps.rate[pixel.y, pixel.x]),
                )
            )
    return tuple(examples), tuple(absent)


def _inputs(session: Session) -> tuple[InputRow, ...]:
    """List every exposure that was offered, with what became of it."""
    rows = [_input_row(entry, session.failures) for entry in session.selected]
    unreadable = [
        InputRow(Path(entry.url).name, "", "", "", float("nan"), False, entry.reason)
        for entry in session.rejected
    ]
    return tuple(rows + unreadable)


def _input_row(entry: Selected, failures: dict[str, str]) -> InputRow:
    exposure = entry.exposure
    failure = failures.get(exposure.name)
    return InputRow(
        name=exposure.name,
        date_obs=exposure.date_obs,
        grating=exposure.grating,
        filter=exposure.filter,
        asic_drift=exposure.asic_t_max - exposure.asic_t_min,
        accepted=entry.accepted and failure is None,
        reason=failure or entry.reason,
    )


def _summary(content: ReportContent) -> dict[str, Any]:
    extra = {
        "name": content.name,
        "detector": content.detector,
        "readpatt": content.readpatt,
        "subarray": content.subarray,
        "period": list(content.period),
        "inputs": [row.name for row in content.inputs if row.accepted],
        "periods": {
            period.statistics.name: asdict(period.statistics) for period in content.periods
        },
        "products": {record.kind: record.file for record in content.products},
        "versions": dict(content.versions),
    }
    return summarize(content.statistics, content.gates, extra=extra)
