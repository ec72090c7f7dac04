"""The files of a simulation: valid, complete, reproducible, of the right shape."""

from __future__ import annotations

import filecmp
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from astropy.io import fits
from stdatamodels.jwst import datamodels

from nrsdark_xr.detector import DQ, from_detector_frame, scan_axes, subarray, subarray_names
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.simulate import SimulatedSet, SimulationParameters, simulate
from nrsdark_xr.simulate.configuration import configure
from nrsdark_xr.simulate.populations import draw_pixels

MODELS = {
    "mask": datamodels.MaskModel,
    "saturation": datamodels.SaturationModel,
    "linearity": datamodels.LinearityModel,
    "gain": datamodels.GainModel,
    "readnoise": datamodels.ReadnoiseModel,
    "superbias": datamodels.SuperBiasModel,
}
KEYWORDS = """
DATE DATE-OBS TIME-OBS DATE-BEG DATE-END EXPSTART EXPEND TELESCOP INSTRUME DETECTOR FILTER GRATING
EXP_TYPE READPATT NINTS NGROUPS NFRAMES GROUPGAP FRMDIVSR TFRAME TGROUP TSAMPLE NOUTPUTS NSAMPLES
DRPFRMS1 DRPFRMS3 EFFINTTM EFFEXPTM DURATION NRSTSTRT NRESETS ZEROFRAM GAINFACT SUBARRAY SUBSTRT1
SUBSTRT2 SUBSIZE1 SUBSIZE2 FASTAXIS SLOWAXIS PROGRAM OBSERVTN VISIT VISITGRP SEQ_ID ACT_ID EXPOSURE
OBS_ID VISIT_ID FILENAME DATAMODL SCA_NUM
"""


def tree(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_the_same_parameters_give_the_same_bytes(
    slit_set: SimulatedSet, slit_parameters: SimulationParameters, tmp_path: Path
) -> None:
    again = simulate(tmp_path / "again", slit_parameters)
    first, second = tree(slit_set.directory), tree(again.directory)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_an_exposure_does_not_depend_on_how_many_there_are(
    slit_set: SimulatedSet, slit_parameters: SimulationParameters, tmp_path: Path
) -> None:
    one = simulate(tmp_path, slit_parameters.model_copy(update={"exposures": 1}))
    assert filecmp.cmp(one.exposures[0], slit_set.exposures[0], shallow=False)


def test_exposures_and_seeds_differ(
    slit_set: SimulatedSet, slit_parameters: SimulationParameters, tmp_path: Path
) -> None:
    other = simulate(tmp_path, slit_parameters.model_copy(update={"exposures": 1, "seed": 4}))
    first, second = (fits.getdata(path, "SCI") for path in slit_set.exposures)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, fits.getdata(other.exposures[0], "SCI"))


@pytest.mark.parametrize(
    ("name", "detector"),
    [(name, ("NRS1", "NRS2")[k % 2]) for k, name in enumerate(subarray_names())],
)
def test_every_subarray_has_its_shape_and_corner(name: str, detector: str, tmp_path: Path) -> None:
    parameters = SimulationParameters(subarray=name, detector=detector, groups=2, exposures=1)
    result = simulate(tmp_path, parameters)
    grating = "MIRROR" if name == "SUB32" else "G140H"
    area = subarray(name, detector=detector, grating=grating)
    with fits.open(result.exposures[0]) as hdus:
        hdus.verify("exception")
        header, data = hdus[0].header, hdus["SCI"].data
        assert data.shape == (1, 2, area.ysize, area.xsize)
        assert data.dtype == np.uint16
        corner = [header[key] for key in ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")]
        assert corner == [area.xstart, area.ystart, area.xsize, area.ysize]
        assert (header["FASTAXIS"], header["SLOWAXIS"]) == scan_axes(detector)
        assert header["NOUTPUTS"] == area.n_outputs
        assert header["GRATING"] == grating
    for path in result.references.values():
        with fits.open(path) as hdus:
            assert hdus[1].data.shape[-2:] == (area.ysize, area.xsize)
            assert hdus[0].header["SUBARRAY"] == name


def test_exposures_are_valid_and_complete(slit_set: SimulatedSet) -> None:
    for path in slit_set.exposures:
        header = fits.getheader(path)
        assert [key for key in KEYWORDS.split() if key not in header] == []
        assert header["FILENAME"] == path.name
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with datamodels.Level1bModel(path, strict_validation=True) as model:
                model.validate()
                assert model.data.shape == (1, 24, 64, 2048)
                assert model.group.size == 24
                assert model.int_times.size == 1
                assert model.meta.exposure.type == "NRS_DARK"


def test_times_agree(slit_set: SimulatedSet) -> None:
    with fits.open(slit_set.exposures[0]) as hdus:
        header, groups, times = hdus[0].header, hdus["GROUP"].data, hdus["INT_TIMES"].data
        assert header["TFRAME"] == pytest.approx(1.558)
        length = (header["EXPEND"] - header["EXPSTART"]) * 86400
        assert length == pytest.approx(header["DURATION"], abs=1e-3)
        assert times["int_start_MJD_UTC"][0] == pytest.approx(header["EXPSTART"], abs=1e-9)
        assert np.diff(groups["bary_end_time"]) * 86400 == pytest.approx(header["TGROUP"], abs=1e-3)
        assert groups["group_end_time"][-1][:10] == header["DATE-END"][:10]


def test_references_are_valid(slit_set: SimulatedSet) -> None:
    assert slit_set.references.keys() == MODELS.keys()
    for name, path in slit_set.references.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with MODELS[name](path, strict_validation=True) as model:
                model.validate()
                assert model.meta.instrument.detector == "NRS2"
                assert model.meta.subarray.name == "SUBS200A1"


def test_the_mask_knows_old_hot_dead_and_reference_pixels_only(
    slit_set: SimulatedSet, slit_parameters: SimulationParameters
) -> None:
    pixels = draw_pixels(slit_parameters, configure(slit_parameters))
    with datamodels.MaskModel(slit_set.references["mask"]) as model:
        dq = model.dq
    known = np.union1d(pixels.hot.index[pixels.hot.known], pixels.vanished_hot)
    assert 0 < pixels.hot.known.sum() < pixels.hot.index.size
    for bit, image in (
        (DQ.HOT, pixels.mask(known)),
        (DQ.DEAD, pixels.dead),
        (DQ.REFERENCE_PIXEL, pixels.reference),
        (DQ.DO_NOT_USE, pixels.mask(known) | pixels.dead),
    ):
        expected = from_detector_frame(image, "NRS2")
        np.testing.assert_array_equal((dq & np.uint32(bit)) > 0, expected)
    assert (dq & np.uint32(DQ.REFERENCE_PIXEL) > 0).sum() == 8 * 64


def test_the_superbias_is_near_the_true_one(slit_set: SimulatedSet) -> None:
    truth = xr.open_zarr(slit_set.truth).bias.values
    error = fits.getdata(slit_set.references["superbias"], "SCI") - truth
    assert error.std() == pytest.approx(10, rel=0.02)
    assert abs(error.mean()) < 0.1


def test_run_yaml_names_what_is_there(slit_set: SimulatedSet) -> None:
    run = yaml.safe_load(slit_set.run.read_text())
    assert run["name"] == "nrs2-subs200a1"
    assert sorted(slit_set.directory.glob(run["inputs"])) == sorted(slit_set.exposures)
    assert run["references"].keys() == MODELS.keys() - {"superbias"}
    for path in run["references"].values():
        assert (slit_set.directory / path).is_file()


def test_progress_counts_groups(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    parameters = SimulationParameters(subarray="SUB32", groups=3, exposures=2, integrations=2)
    simulate(tmp_path, parameters, progress=lambda *report: seen.append(report))
    assert [done for done, _, _ in seen] == list(range(1, 13))
    assert {total for _, total, _ in seen} == {12}
    assert seen[0][2] == "jw06634001001_02101_00001_nrs1"
    assert seen[-1][2] == "jw06634002001_02101_00001_nrs1"


def test_a_folder_with_exposures_is_left_alone(tmp_path: Path) -> None:
    stranger = tmp_path / "jw00000_uncal.fits"
    stranger.write_bytes(b"mine")
    with pytest.raises(NrsdarkError, match="already holds exposures; name another"):
        simulate(tmp_path, SimulationParameters(subarray="SUB32", groups=2, exposures=1))
    assert [path.name for path in tmp_path.iterdir()] == [stranger.name]


def test_a_folder_that_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NrsdarkError, match=r"file/under: cannot be written .*name a folder"):
        simulate(tmp_path / "file" / "under", SimulationParameters(subarray="SUB32"))


def test_averaged_frames_and_integrations(tmp_path: Path) -> None:
    given = {"subarray": "SUB512", "groups": 4, "exposures": 1}
    single = simulate(tmp_path / "a", SimulationParameters(**given))
    averaged = SimulationParameters(**given, readpatt="NRS", integrations=2)
    result = simulate(tmp_path / "b", averaged)
    header = fits.getheader(result.exposures[0])
    assert (header["NFRAMES"], header["FRMDIVSR"], header["NINTS"]) == (4, 4, 2)
    one, many = (fits.getdata(each.exposures[0], "SCI").astype(float) for each in (single, result))
    assert many.shape == (2, 4, 32, 512)
    spread = [np.median(np.abs(np.diff(data[0], axis=0))) for data in (one, many)]
    assert spread[1] == pytest.approx(spread[0] / 2, rel=0.15)
    names = xr.open_zarr(result.truth).file.values.tolist()
    root = "jw06634001001_02101_00001_nrs1"
    assert names == [root, f"{root}_i2"]
