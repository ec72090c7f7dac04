from __future__ import annotations

import dataclasses
import gzip
import os
import pickle
import warnings
from pathlib import Path

import fsspec
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from stdatamodels.jwst import datamodels

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure, RawReader, read_exposure, root_name
from tests.exposures.conftest import keywords, write_uncal

REQUIRED = sorted(set(keywords()) - {"TELESCOP", "FILENAME", "PROGRAM", "OBSERVTN"})


def refusal(path: Path | str) -> str:
    with pytest.raises(NrsdarkError) as caught:
        read_exposure(str(path))
    assert caught.value.file == str(path)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tells_the_header(uncal):
    path, _ = uncal(GAINFACT=1.429, without=("PROGRAM",))
    exposure = read_exposure(str(path))
    with fits.open(path) as hdus:
        offset = hdus["SCI"].fileinfo()["datLoc"]
    assert dataclasses.asdict(dataclasses.replace(exposure, asic_t_min=0.0, asic_t_max=0.0)) == {
        "url": str(path),
        "name": "jw06633001001_02101_00001_nrs1",
        "detector": "NRS1",
        "readpatt": "NRSRAPID",
        "subarray": "SUB512S",
        "exp_type": "NRS_DARK",
        "grating": "G140M",
        "filter": "OPAQUE",
        "program": "",
        "observation": "001",
        "date_obs": "2025-01-02T03:04:05.600",
        "n_integrations": 1,
        "n_groups": 5,
        "n_frames": 1,
        "group_gap": 0,
        "frame_divisor": 1,
        "n_outputs": 1,
        "frame_time": 0.14392,
        "group_time": 0.14392,
        "xstart": 1025,
        "ystart": 971,
        "xsize": 32,
        "ysize": 16,
        "gain_factor": 1.429,
        "data_offset": offset,
        "raw_shape": (1, 5, 16, 32),
        "asic_t_min": 0.0,
        "asic_t_max": 0.0,
    }
    assert np.isnan([exposure.asic_t_min, exposure.asic_t_max]).all()
    assert pickle.loads(pickle.dumps(exposure)).name == exposure.name


def test_reads_what_the_data_model_of_jwst_writes(tmp_path):
    counts = np.random.default_rng(1).integers(0, 65536, (2, 3, 16, 32), dtype=np.uint16)
    path = tmp_path / "jw1_uncal.fits"
    with datamodels.Level1bModel(counts) as model:
        model.save(path)
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update(keywords(counts.shape))
    exposure = read_exposure(str(path))
    with RawReader(exposure) as reader:
        for integration in range(2):
            got = reader.read(integration, slice(None), slice(None))
            np.testing.assert_array_equal(got, counts[integration])


@pytest.mark.parametrize("kind", ["path", "relative", "file", "memory"])
def test_any_way_of_naming_a_file_gives_the_same_exposure(uncal, monkeypatch, kind):
    path, counts = uncal()
    monkeypatch.chdir(path.parent)
    fsspec.filesystem("memory").pipe_file("/raw/a.fits", path.read_bytes())
    names = {
        "path": str(path),
        "relative": f"../{path.parent.name}/./{path.name}",
        "file": f"file://{path}",
        "memory": "memory://raw/a.fits",
    }
    exposure = read_exposure(names[kind])
    assert exposure.url == (names[kind] if kind == "memory" else str(path))
    assert exposure.name == "jw06633001001_02101_00001_nrs1"
    np.testing.assert_array_equal(RawReader(exposure).read(0, slice(0, 5), slice(0, 16)), counts[0])


def test_reads_header_blocks_only(uncal, monkeypatch):
    path, _ = uncal(shape=(1, 40, 64, 512))
    url = "memory://lazy/a.fits"
    system = fsspec.filesystem("memory")
    system.pipe_file(url, path.read_bytes())
    read = []
    file = system.store["/lazy/a.fits"]
    original = type(file).read

    def counting(self, size=-1):
        block = original(self, size)
        read.append(len(block))
        return block

    monkeypatch.setattr(type(file), "read", counting)
    exposure = read_exposure(url)
    assert exposure.data_offset <= sum(read) <= exposure.data_offset + 2880


@pytest.mark.parametrize("shape", [(3, 2, 16, 32), (1, 2, 16, 32)])
def test_row_names(uncal, shape):
    path, _ = uncal("jw1", shape=shape)
    names = ("jw1", "jw1_i2", "jw1_i3")
    assert read_exposure(str(path)).row_names() == names[: shape[0]]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("jw1_nrs1_uncal.fits", "jw1_nrs1"),
        ("s3://bucket/some/jw1_nrs1_uncal.fits", "jw1_nrs1"),
        ("jw1_nrs1", "jw1_nrs1"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\a b<script>.FITS", "a_b_script_"),
        ("jw1.138.2_3.fits", "jw1_138_2_3"),
        ("ü" * 400, "_" * 120),
    ],
)
def test_names_are_safe(file, name):
    assert root_name(file) == name


def test_header_words_become_safe_too(uncal):
    path, _ = uncal(FILENAME="../../x/../evil;rm_uncal.fits", GRATING="G1/../..", PROGRAM="<b>")
    exposure = read_exposure(str(path))
    assert (exposure.name, exposure.grating, exposure.program) == ("evil_rm", "G1______", "_b_")


def test_without_filename_the_file_gives_the_name(tmp_path):
    path, _ = write_uncal(tmp_path / "jw9_nrs2_uncal.fits", without=("FILENAME",))
    assert read_exposure(str(path)).name == "jw9_nrs2"


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_keyword_is_named(uncal, key):
    path, _ = uncal(without=(key,))
    assert f"keyword {key} is missing" in refusal(path)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"INSTRUME": "NIRCAM"}, "was taken by NIRCAM, not NIRSPEC"),
        ({"EXP_TYPE": "NRS_LAMP"}, "is no dark: EXP_TYPE is NRS_LAMP; take it out"),
        ({"DETECTOR": "NRSX"}, "DETECTOR is NRSX, not NRS1 or NRS2"),
        ({"DETECTOR": "NRS2"}, r"FASTAXIS, SLOWAXIS are (2, 1), but NRS2 has (-2, -1)"),
        ({"READPATT": "SLOW"}, "READPATT SLOW is not one of NRSRAPID"),
        ({"NGROUPS": 6}, "SCI is (1, 5, 16, 32) (integration, group, y, x)"),
        ({"NINTS": 2}, "ask for (2, 5, 16, 32)"),
        ({"SUBSIZE1": 16}, "ask for (1, 5, 16, 16)"),
        ({"SUBSIZE2": 32}, "ask for (1, 5, 32, 32)"),
        ({"READPATT": "NRSIRS2RAPID", "SUBSIZE2": 2048, "SUBSTRT2": 1}, "ask for (1, 5, 3200, 32)"),
        ({"SUBSTRT1": 2018}, "does not lie on the detector: corner (2018, 971), size 32 x 16"),
        ({"SUBSTRT2": 0}, "keyword SUBSTRT2 is 0, not a whole number of at least 1"),
        ({"NGROUPS": "five"}, "keyword NGROUPS is 'five', not a whole number"),
        ({"NGROUPS": 5.5}, "keyword NGROUPS is 5.5, not a whole number"),
        ({"NFRAMES": True}, "keyword NFRAMES is True, not a whole number"),
        ({"TGROUP": -1.0}, "keyword TGROUP is -1.0, not a positive number"),
        ({"TGROUP": "x"}, "keyword TGROUP is 'x', not a positive number"),
        ({"GAINFACT": 0.0}, "keyword GAINFACT is 0.0, not a positive number"),
        ({"DATE_OBS": "yesterday"}, "not a time on 'yesterday', which DATE-OBS says"),
        ({"TIME_OBS": "25:00:00"}, "keyword TIME-OBS is '25:00:00', not a time"),
        ({"TIME_OBS": "01:00:00+02:00"}, "not a time"),
    ],
)
def test_a_wrong_header_is_told(uncal, changes, line):
    path, _ = uncal(**changes)
    assert line in refusal(path)


@pytest.mark.parametrize("missing", [1, 1000, 5 * 16 * 32 * 2])
def test_a_truncated_file_is_told_with_what_is_missing(uncal, missing):
    path, _ = uncal()
    exposure = read_exposure(str(path))
    end = exposure.data_offset + 5 * 16 * 32 * 2
    os.truncate(path, end)
    read_exposure(str(path))  # padding and later extensions are not needed
    os.truncate(path, end - missing)
    assert f"is truncated: the last {missing} bytes of its pixels are missing" in refusal(path)


def test_other_files_are_told(tmp_path, uncal):
    whole = uncal()[0].read_bytes()
    contents = {
        "is empty": b"",
        "is not a FITS file": b"<html>Not found</html>",
        "is gzip-compressed; gunzip it first": gzip.compress(whole),
        "is truncated or damaged within its header": whole[:2000],
        "has no SCI extension": whole[:2880],
    }
    for number, (line, content) in enumerate(contents.items()):
        bad = tmp_path / f"bad{number}_uncal.fits"
        bad.write_bytes(content)
        assert line in refusal(bad)
    assert "no such file" in refusal(tmp_path / "absent.fits")
    assert "is a folder" in refusal(tmp_path)


def test_a_header_without_end_costs_no_more_than_a_header(tmp_path):
    path = tmp_path / "endless.fits"
    path.write_bytes(b"SIMPLE  =".ljust(80))
    os.truncate(path, 2880 * 100_000)  # sparse
    assert "is truncated or damaged within its header" in refusal(path)


@pytest.mark.parametrize(
    ("science", "line"),
    [
        (fits.ImageHDU(np.zeros((1, 5, 16, 32), "f4")), "not unsigned 16-bit (BITPIX -32, BZERO 0"),
        (fits.ImageHDU(np.zeros((1, 5, 16, 32), "i2")), "not unsigned 16-bit (BITPIX 16, BZERO 0"),
        (fits.ImageHDU(np.zeros((16, 32), "u2")), "SCI has 2 axes, not 4"),
        (fits.CompImageHDU(np.zeros((1, 5, 16, 32), "u2")), "SCI is tile-compressed"),
    ],
)
def test_what_is_not_raw_is_told(tmp_path, science, line):
    header = fits.Header()
    header.update(keywords())
    science.name = "SCI"
    path = tmp_path / "jw1_rate.fits"
    fits.HDUList([fits.PrimaryHDU(header=header), science]).writeto(path)
    assert line in refusal(path)


def test_a_protocol_that_nobody_knows_is_told():
    assert "this kind of URL cannot be opened" in refusal("gopher://old/a_uncal.fits")


def test_an_unreadable_file_is_told(uncal, monkeypatch):
    path, _ = uncal()

    def deny(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(fsspec.filesystem("file")), "open", deny)
    assert "no permission to read it; check its permissions" in refusal(path)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damage_anywhere_in_the_headers_ends_in_one_line_or_an_exposure(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damage")
    path, _ = write_uncal(folder / "a_uncal.fits")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        card = data.draw(st.integers(0, 70)) * 80
        column = data.draw(st.integers(0, 79))
        damage = data.draw(st.binary(min_size=1, max_size=20))
        content[card + column : card + column + len(damage)] = damage
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = outcome_of(str(path))
    if isinstance(outcome, Exposure):
        RawReader(outcome).read(0, slice(0, 1), slice(0, 1))
    else:
        assert "\n" not in str(outcome)


def outcome_of(path: str) -> Exposure | NrsdarkError:
    try:
        return read_exposure(path)
    except NrsdarkError as error:
        return error
