"""The files of an IRS2 simulation are those of the instrument, and the stock steps run on them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from astropy.io import fits
from stdatamodels.jwst import datamodels

from nrsdark_xr.detector import DQ
from nrsdark_xr.detector.irs2 import FRAME_TICKS, science_rows
from nrsdark_xr.references.irs2 import read_irs2_weights
from nrsdark_xr.simulate import SimulatedSet, SimulationParameters, simulate
from nrsdark_xr.simulate.irs2_samples import draw_samples, known_bad_table
from nrsdark_xr.simulate.irs2_weights import optimal_weights

CORRECTED = 1.02
"""Noise after the correction of `jwst`, at most, in terms of what the best weights leave."""


def test_exposures_have_the_raw_rows(irs2_set: SimulatedSet) -> None:
    path = irs2_set.exposures[0]
    with fits.open(path) as hdus:
        hdus.verify("exception")
        header = hdus[0].header
        assert hdus["SCI"].data.shape == (1, 3, 3200, 2048)
        assert (header["NRS_NORM"], header["NRS_REF"], header["NOUTPUTS"]) == (16, 4, 5)
        assert (header["SUBARRAY"], header["SUBSIZE1"], header["SUBSIZE2"]) == ("FULL", 2048, 2048)
        assert header["TFRAME"] == header["TGROUP"] == 14.58889
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with datamodels.Level1bModel(path, strict_validation=True) as model:
            model.validate()


def test_references_have_the_rows_that_their_steps_want(irs2_set: SimulatedSet) -> None:
    rows = dict.fromkeys(("saturation", "linearity", "gain", "readnoise"), 2048)
    rows |= {"mask": 3200, "superbias": 3200}
    for name, expected in rows.items():
        assert fits.getdata(irs2_set.references[name], 1).shape[-2:] == (expected, 2048), name
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with datamodels.IRS2Model(irs2_set.references["refpix"], strict_validation=True) as model:
            model.validate()
            assert len(model.irs2_table) == 2 * FRAME_TICKS
            assert len(model.dq_table) == 8
            assert model.meta.instrument.detector == "NRS2"


def test_the_refpix_file_holds_the_best_weights_and_the_known_bad_samples(
    irs2_set: SimulatedSet,
) -> None:
    parameters = SimulationParameters.model_validate_json(
        xr.open_zarr(irs2_set.truth).attrs["parameters"]
    )
    samples = draw_samples(parameters, "NRS2")
    expected = optimal_weights(parameters, samples.coupling)
    with fits.open(irs2_set.references["refpix"]) as hdus:
        found = read_irs2_weights(hdus, "refpix.fits")
    np.testing.assert_array_equal(found.alpha, expected.alpha)
    np.testing.assert_array_equal(found.beta, expected.beta)
    table = zip(found.output, found.odd_even, found.mask, strict=True)
    assert list(table) == known_bad_table(samples.known)


def test_the_run_has_a_name_and_the_refpix_file(irs2_set: SimulatedSet) -> None:
    run = yaml.safe_load(irs2_set.run.read_text())
    assert run["name"] == "nrs2-full-irs2"
    assert run["references"]["refpix"] == "references/refpix.fits"


def test_the_truth_has_all_samples(irs2_set: SimulatedSet) -> None:
    truth = xr.open_zarr(irs2_set.truth)
    assert dict(truth.sizes) == {"y": 2048, "x": 2048, "y_raw": 3200, "file": 1}
    rows = science_rows("NRS2")
    np.testing.assert_array_equal(truth.bias_raw.values[rows], truth.bias.values)
    assert not truth.bad_reference_raw.values[rows].any()
    superbias = fits.getdata(irs2_set.references["superbias"], "SCI")
    assert (superbias - truth.bias_raw.values).std() == pytest.approx(10, rel=0.02)


def corrected(dark: SimulatedSet) -> tuple[Any, np.ndarray, np.ndarray]:
    """Run all steps up to linearity; also the pixels before and after the correction."""
    from jwst.pipeline import Detector1Pipeline

    pipeline = Detector1Pipeline()
    paths = {name: str(path) for name, path in dark.references.items()}
    for step, names in {
        "dq_init": ["mask"],
        "saturation": ["saturation", "superbias"],
        "superbias": ["superbias"],
        "refpix": ["refpix"],
        "linearity": ["linearity"],
    }.items():
        for name in names:
            setattr(getattr(pipeline, step), f"override_{name}", paths[name])
    pipeline.refpix.refpix_algorithm = "median"
    model: Any = str(dark.exposures[0])
    for name in ("group_scale", "dq_init", "saturation", "superbias"):
        model = getattr(pipeline, name).process(model)
    before = model.data[0][:, science_rows(model.meta.instrument.detector)].copy()
    model = pipeline.refpix.process(model)
    after = model.data[0].copy()
    return pipeline.linearity.process(model), before, after


def quiet_pixels(dark: SimulatedSet) -> tuple[np.ndarray, np.ndarray]:
    truth = xr.open_zarr(dark.truth).isel(file=0).load()
    good = ~(truth.hot | truth.rc | truth.rtn | truth.dead | truth.bad_reference).values
    good &= truth.cosmic_ray_group.values == 0
    good[:4] = good[-4:] = good[:, :4] = good[:, -4:] = False
    return good, truth.read_noise.values


def spread(values: np.ndarray) -> float:
    """Standard deviation without the few that no truth map has, such as skirts of hits."""
    centred = values - np.median(values)
    limit = 5 * 1.4826 * np.median(np.abs(centred))
    return float(np.std(centred[np.abs(centred) < limit], dtype=np.float64))


def noises(ramp: np.ndarray, good: np.ndarray) -> tuple[float, float]:
    """Noise of a pair difference: of a pixel, and of the median of an amplifier's line."""
    pixel, line = [], []
    for difference in np.diff(ramp, axis=0):
        pixel.append(spread(difference[good]))
        lines = np.where(good, difference, np.nan).reshape(4, 512, 2048)[:, :, 4:-4]
        line.append(np.std(np.nanmedian(lines, axis=1)))
    return float(np.mean(pixel)), float(np.mean(line))


def test_the_stock_correction_reaches_what_the_weights_promise(irs2_set: SimulatedSet) -> None:
    model, before, after = corrected(irs2_set)
    for name in ("dq_init", "saturation", "superbias", "refpix", "linearity"):
        assert getattr(model.meta.cal_step, name) == "COMPLETE", name
    assert model.data.shape == (1, 3, 2048, 2048)
    good, expected = quiet_pixels(irs2_set)
    pixel, line = noises(after, good)
    pixel_before, line_before = noises(before, good)
    assert pixel == pytest.approx(np.median(expected[good]), rel=CORRECTED - 1)
    assert pixel < 0.97 * pixel_before
    assert line < 0.4 * line_before


@pytest.mark.slow
def test_it_does_so_on_the_other_detector_and_with_averaged_frames(tmp_path: Path) -> None:
    parameters = SimulationParameters(readpatt="NRSIRS2", groups=3, exposures=1, seed=5)
    dark = simulate(tmp_path, parameters)
    header = fits.getheader(dark.exposures[0])
    assert (header["NFRAMES"], header["FRMDIVSR"]) == (5, 8)
    assert header["TGROUP"] == pytest.approx(5 * header["TFRAME"], abs=1e-5)
    model, before, after = corrected(dark)
    assert model.meta.cal_step.group_scale == "COMPLETE"
    good, expected = quiet_pixels(dark)
    pixel, line = noises(after, good)
    _, line_before = noises(before, good)
    # The division by 8 on board leaves steps of 1.6 DN, whose noise adds to that of 5 frames.
    rounding = np.sqrt(2 * 1.6**2 / 12)
    assert pixel == pytest.approx(np.hypot(np.median(expected[good]) / np.sqrt(5), rounding), 0.04)
    assert line < 0.5 * line_before
    flagged = model.pixeldq & np.uint32(DQ.BAD_REF_PIXEL) > 0
    assert not flagged[4:-4, 4:-4].any()
