from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from stdatamodels.dynamicdq import dynamic_mask
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import dqflags

from nrsdark_xr.analysis import (
    COLUMNS,
    ComparisonParameters,
    compare_references,
    write_comparison,
)
from nrsdark_xr.analysis.reference_planes import decode_dq
from nrsdark_xr.detector import DQ
from nrsdark_xr.errors import NrsdarkError

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "nirspec"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real CRDS files are not beside the project"
)
SHAPE = (16, 48)
CORNER = (101, 201)
DEFINITIONS = [
    (0, 1, "DO_NOT_USE", ""),
    (1, 2, "HOT", ""),
    (2, 4, "UNRELIABLE_DARK", ""),
    (3, 8, "NO_FLAG_OF_TODAY", ""),
]


def definitions(rows=DEFINITIONS):
    return np.array(rows, dtype=[("BIT", "u4"), ("VALUE", "u4"), ("NAME", "U40"),
                                 ("DESCRIPTION", "U80")])  # fmt: skip


def write(path, kind, arrays, *, corner=CORNER, dq=None, dq_def=None, **keywords):
    """A reference file with just what the comparison needs."""
    header = fits.Header(
        {
            "REFTYPE": kind,
            "INSTRUME": "NIRSPEC",
            "DETECTOR": "NRS1",
            "READPATT": "NRSRAPID",
            "SUBARRAY": "SUBX",
            "PEDIGREE": "GROUND",
            "USEAFTER": "2022-01-01T00:00:00",
            "SUBSTRT1": corner[0],
            "SUBSTRT2": corner[1],
        }
        | keywords
    )
    hdus = [fits.PrimaryHDU(header=header)]
    hdus += [fits.ImageHDU(values, name=name) for name, values in arrays.items()]
    if dq is not None:
        hdus.append(fits.ImageHDU(dq, name="DQ"))
    if dq_def is not None:
        hdus.append(fits.BinTableHDU(dq_def, name="DQ_DEF"))
    fits.HDUList(hdus).writeto(path)
    return str(path)


def bias(seed=0, shape=SHAPE):
    return np.random.default_rng(seed).normal(3000, 20, shape).astype(np.float32)


@pytest.fixture
def pair(tmp_path):
    """Two superbiases that differ by 2 DN, with an outlier and a pixel without value."""
    old = bias()
    new = old + np.float32(2)
    new[3, 4] += 500
    new[5, 6] = np.nan
    return (
        write(tmp_path / "new.fits", "SUPERBIAS", {"SCI": new}),
        write(tmp_path / "old.fits", "SUPERBIAS", {"SCI": old}),
    )


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 15), min_size=4, max_size=4), st.booleans())
def test_dq_is_decoded_as_jwst_does(values, defined):
    class Model:
        dq = np.array(values, np.uint32).reshape(2, 2)
        dq_def = definitions() if defined else None

    expected = dynamic_mask(Model, dqflags.pixel)
    np.testing.assert_array_equal(decode_dq(Model.dq, Model.dq_def), expected)


def test_differences_of_a_superbias(pair):
    comparison = compare_references(*pair)
    assert comparison.kind == "SUPERBIAS"
    (plane,) = comparison.planes
    both = np.isfinite(plane.new)
    difference = plane.new[both].astype(float) - plane.old[both]
    assert plane.n_pixels == SHAPE[0] * SHAPE[1] - 1
    assert plane.n_only_old == 1
    assert plane.n_only_new == 0
    assert plane.n_differ == plane.n_pixels
    assert plane.n_outliers >= 1
    assert plane.median == pytest.approx(np.median(difference))
    assert plane.maximum == pytest.approx(502, abs=0.01)
    assert plane.percentiles["95"] == pytest.approx(np.percentile(difference, 95))
    assert plane.sigma < 0.01
    assert any("no DQ" in note for note in comparison.notes)
    assert all(len(row) == len(COLUMNS) for row in comparison.rows())


def test_a_file_equals_itself(pair):
    comparison = compare_references(pair[1], pair[1])
    (plane,) = comparison.planes
    assert (plane.n_differ, plane.median, plane.sigma, plane.n_outliers) == (0, 0, 0, 0)


def test_a_full_frame_file_is_cut(tmp_path):
    full = bias(shape=(2048, 2048))
    y, x = CORNER[1] - 1, CORNER[0] - 1
    small = full[y : y + SHAPE[0], x : x + SHAPE[1]] + np.float32(1)
    new = write(tmp_path / "new.fits", "SUPERBIAS", {"SCI": small})
    old = write(tmp_path / "old.fits", "SUPERBIAS", {"SCI": full}, corner=(1, 1))
    for first, second, sign in ((new, old, 1), (old, new, -1)):
        comparison = compare_references(first, second)
        (plane,) = comparison.planes
        assert plane.new.shape == SHAPE
        assert plane.median == pytest.approx(sign, abs=1e-3)
        assert any("was cut to" in note for note in comparison.notes)


def test_reference_pixels_do_not_count(tmp_path):
    old, new = bias(), bias() + np.float32(1)
    new[:, :4] = 9e9
    corner = (1, 201)
    comparison = compare_references(
        write(tmp_path / "n.fits", "SUPERBIAS", {"SCI": new}, corner=corner),
        write(tmp_path / "o.fits", "SUPERBIAS", {"SCI": old}, corner=corner),
    )
    assert comparison.planes[0].n_pixels == SHAPE[0] * (SHAPE[1] - 4)
    assert comparison.planes[0].maximum == pytest.approx(1, abs=1e-3)


def test_darks_are_compared_in_the_last_common_group(tmp_path):
    cube = np.arange(6, dtype=np.float32)[:, None, None] * np.ones(SHAPE, np.float32)
    rate = np.full(SHAPE, 0.01, np.float32)
    new_rate, old_rate = rate.copy(), rate.copy()
    new_rate[1, 1] = new_rate[2, 2] = old_rate[2, 2] = old_rate[3, :3] = 5
    new = write(tmp_path / "n.fits", "DARK", {"SCI": cube + 10, "DRK": new_rate, "UNC": rate})
    old = write(tmp_path / "o.fits", "DARK", {"SCI": cube[:4], "DRK": old_rate})
    comparison = compare_references(new, old)
    planes = {plane.name: plane for plane in comparison.planes}
    assert planes.keys() == {"dark, group 4", "dark rate"}
    assert (planes["dark, group 4"].median_new, planes["dark, group 4"].median_old) == (13, 3)
    counts = comparison.hot.counts()
    assert (counts.n_new, counts.n_old, counts.n_gained, counts.n_lost) == (2, 4, 1, 3)
    assert any("6 and 4 groups" in note for note in comparison.notes)
    lenient = ComparisonParameters(hot_rate=10)
    assert compare_references(new, old, parameters=lenient).hot.counts().n_new == 0


def test_masks_are_compared_by_flag(tmp_path):
    new_dq, old_dq = np.zeros((2, *SHAPE), np.uint32)
    new_dq[0, :5] = DQ.HOT | DQ.DO_NOT_USE
    old_dq[0, 3:9] = 2  # HOT in the old file's own bits
    old_dq[1, 1] = 8  # means nothing today
    comparison = compare_references(
        write(tmp_path / "n.fits", "MASK", {}, dq=new_dq),
        write(tmp_path / "o.fits", "MASK", {}, dq=old_dq, dq_def=definitions()),
    )
    flags = {flag.name: flag for flag in comparison.flags}
    assert flags.keys() == {"HOT", "DO_NOT_USE"}
    hot = flags["HOT"]
    assert (hot.n_new, hot.n_old, hot.n_gained, hot.n_lost) == (5, 6, 3, 4)
    assert comparison.hot.by_flag
    assert comparison.planes == ()
    names = [row[0] for row in comparison.rows()]
    assert names == ["DO_NOT_USE", "HOT"]


def test_files_of_the_data_models_are_read(tmp_path):
    paths = []
    for index in range(2):
        model = datamodels.DarkNirspecModel(data=np.full((5, *SHAPE), 3.0 + index, np.float32))
        model.dark_rate = np.full(SHAPE, 0.01 + index, np.float32)
        model.dark_rate_unc = np.full(SHAPE, 0.001, np.float32)
        model.dq = np.full(SHAPE, DQ.RC if index else DQ.TELEGRAPH, np.uint32)
        model.dq_def = [(14, DQ.RC, "RC", ""), (15, DQ.TELEGRAPH, "TELEGRAPH", "")]
        model.meta.reftype = "DARK"
        model.meta.instrument.name = "NIRSPEC"
        model.meta.instrument.detector = "NRS2"
        model.meta.exposure.readpatt = "NRSRAPID"
        model.meta.subarray.xstart, model.meta.subarray.ystart = CORNER
        paths.append(str(tmp_path / f"dark{index}.fits"))
        model.save(paths[-1])
    comparison = compare_references(paths[1], paths[0])
    names = [plane.name for plane in comparison.planes]
    assert names[:2] == ["dark, group 5", "dark rate"]
    assert comparison.planes[0].median == 1
    assert comparison.hot.counts().n_gained == SHAPE[0] * SHAPE[1]
    assert {flag.name for flag in comparison.flags} == {"RC", "TELEGRAPH"}


@needs_data
def test_old_crds_files_are_read(tmp_path):
    old = DATA / "jwst_nirspec_dark_0046.fits"
    with fits.open(old) as hdus:
        hdus["SCI"].data[-1] += 5
        hdus["DQ"].data[hdus["DQ"].data == 4] = 0  # bit 4 is HOT in this file
        hdus.writeto(tmp_path / "new.fits")
    comparison = compare_references(str(tmp_path / "new.fits"), str(old))
    assert comparison.planes[0].name == "dark, group 10"
    assert comparison.planes[0].median == pytest.approx(5, abs=1e-3)
    flags = {flag.name: flag for flag in comparison.flags}
    assert flags["HOT"].n_gained == 0
    assert flags["HOT"].n_lost > 0
    assert flags["WARM"].n_gained == flags["WARM"].n_lost == 0
    assert any("DRK" in note for note in comparison.notes)
    assert any("UNC" in note for note in comparison.notes)  # stored with its axes swapped


@needs_data
def test_an_old_superbias_is_read():
    old = str(DATA / "jwst_nirspec_superbias_0075.fits")
    comparison = compare_references(old, old)
    assert [plane.name for plane in comparison.planes] == [
        "superbias",
        "uncertainty of the superbias",
    ]


def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path, pair):
    good = pair[0]
    science = {"SCI": bias()}
    text = tmp_path / "text.fits"
    text.write_text("no FITS file")
    cases = {
        str(tmp_path / "none.fits"): "no such file",
        str(text): "cannot be read",
        write(tmp_path / "a.fits", "READNOISE", science): "another kind",
        write(tmp_path / "b.fits", "SUPERBIAS", science, DETECTOR="NRS2"): "another detector",
        write(tmp_path / "c.fits", "SUPERBIAS", science, READPATT="NRSIRS2"): "IRS2",
        write(tmp_path / "d.fits", "GAIN", science): "is a GAIN reference file",
        write(tmp_path / "e.fits", "", science): "no REFTYPE",
        write(tmp_path / "f.fits", "SUPERBIAS", science, INSTRUME="NIRCAM"): "NIRCAM",
        write(tmp_path / "g.fits", "SUPERBIAS", {}): "no SCI",
        write(tmp_path / "h.fits", "SUPERBIAS", {"SCI": bias(shape=(2, *SHAPE))}): "shape",
        write(tmp_path / "i.fits", "SUPERBIAS", science, corner=(120, 201)): "covers",
    }
    for path, words in cases.items():
        with pytest.raises(NrsdarkError) as refused:
            compare_references(good, path)
        line = str(refused.value)
        assert words in line
        assert path in line
        assert "\n" not in line


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_a_truncated_file_is_refused_in_one_line(tmp_path, pair):
    whole = Path(pair[1]).read_bytes()
    broken = tmp_path / "broken.fits"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NrsdarkError) as refused:
        compare_references(pair[0], str(broken))
    assert "broken.fits" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_page_and_json_are_written(tmp_path, pair):
    evil = "<script>alert(1)</script>"
    with fits.open(pair[0], mode="update") as hdus:
        hdus[0].header["PEDIGREE"] = evil
    out = tmp_path / "a" / "b"
    page, record = write_comparison(compare_references(*pair), out)
    assert (page.name, record.name) == ("new_comparison.html", "new_comparison.json")
    assert sorted(path.name for path in out.iterdir()) == [page.name, record.name]
    html = page.read_text()
    assert "<script" not in html
    assert html.count("data:image/png") == 6
    written = json.loads(record.read_text())
    assert written["kind"] == "SUPERBIAS"
    assert written["planes"][0]["median"] == pytest.approx(2, abs=1e-3)
    assert written["new"]["pedigree"] == evil


def test_a_mask_page_shows_the_flags(tmp_path):
    dq = np.zeros(SHAPE, np.uint32)
    dq[4, 4] = DQ.HOT
    new = write(tmp_path / "n.fits", "MASK", {}, dq=dq)
    old = write(tmp_path / "o.fits", "MASK", {}, dq=dq * 0)
    page, _ = write_comparison(compare_references(new, old), tmp_path)
    assert page.read_text().count("data:image/png") == 3


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, pair):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(NrsdarkError, match="file: cannot be written to"):
        write_comparison(compare_references(*pair), blocked)


@pytest.mark.slow
def test_a_full_frame_dark_is_never_whole_in_memory(tmp_path):
    shape = (88, 2048, 2048)
    for name in ("new.fits", "old.fits"):
        header = fits.Header({"NAXIS": 3, "NAXIS1": 2048, "NAXIS2": 2048, "NAXIS3": 88})
        primary = write(tmp_path / f"p{name}", "DARK", {}, corner=(1, 1))
        image = fits.ImageHDU(np.zeros((1, 1, 1), np.float32), name="SCI").header
        image.update(header)
        with (tmp_path / name).open("wb") as file:  # sparse: takes no room on disk
            file.write(Path(primary).read_bytes())
            file.write(image.tostring().encode())
            size = 4 * int(np.prod(shape))
            file.seek(size + -size % 2880 - 1, os.SEEK_CUR)
            file.write(b"\0")
    script = """
        import resource, sys
        from nrsdark_xr.analysis import compare_references
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        comparison = compare_references(*sys.argv[1:])
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert comparison.planes[0].name == "dark, group 88"
        print((after - before) // 1024)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    command += [str(tmp_path / name) for name in ("new.fits", "old.fits")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 700  # MiB; one cube alone is 1408
