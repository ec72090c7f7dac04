"""Reference files: what JWST's data models read back, and how they come into being."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from stdatamodels.jwst import datamodels

from nrsdark_xr.detector import DQ
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products import (
    dq_definitions,
    write_dark,
    write_mask,
    write_superbias,
)
from nrsdark_xr.products.reference_files import dark_model
from tests.products.files import all_bits, make_dark, make_provenance

VOLATILE = ["DATE", "FILENAME"]


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def as_dask(array):
    return da.from_array(array, chunks=(3, 24, 700))


@pytest.mark.parametrize("kind", [np.asarray, as_dask, "labelled"])
def test_dark_is_what_the_data_model_saves(tmp_path, kind):
    dark, err, dq, groupdq, rate, unc = make_dark()
    provenance = make_provenance()
    convert = kind
    if kind == "labelled":

        def convert(array):
            return xr.DataArray(as_dask(array), dims=("group", "y", "x"))

    streamed = write_dark(
        tmp_path / "streamed.fits",
        convert(dark),
        convert(err),
        dq,
        convert(groupdq),
        rate,
        unc,
        provenance=provenance,
    )
    with dark_model(dark, err, dq, groupdq, rate, unc, provenance=provenance) as model:
        model.save(tmp_path / "saved.fits")
    difference = fits.FITSDiff(streamed, tmp_path / "saved.fits", ignore_keywords=VOLATILE)
    assert difference.identical, difference.report()
    assert fits.getval(streamed, "FILENAME") == "streamed.fits"
    assert names_in(tmp_path) == ["saved.fits", "streamed.fits"]


def test_dark_opens_and_saves_again(tmp_path):
    arrays = make_dark()
    dark, err, dq, groupdq, rate, unc = arrays
    path = write_dark(tmp_path / "dark.fits", *arrays, provenance=make_provenance())
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus][1:] == [
            "SCI",
            "DQ",
            "ERR",
            "DRK",
            "UNC",
            "DQ_DEF",
            "GROUPDQ",
        ]
        assert hdus["GROUPDQ"].data.dtype == np.uint8
        assert {hdus[name].header["BUNIT"] for name in ("SCI", "ERR")} == {"DN"}
        assert {hdus[name].header["BUNIT"] for name in ("DRK", "UNC")} == {"DN/s"}
    with datamodels.open(path) as model:
        assert isinstance(model, datamodels.DarkNirspecModel)
        model.validate()
        again = tmp_path / "again.fits"
        model.save(again)
    for file in (path, again):
        with datamodels.DarkNirspecModel(file) as model:
            for name, expected in {
                "data": dark,
                "err": err,
                "dq": dq,
                "dark_rate": rate,
                "dark_rate_unc": unc,
            }.items():
                np.testing.assert_array_equal(getattr(model, name), expected)
            np.testing.assert_array_equal(model.extra_fits.GROUPDQ.data, groupdq)


def test_keywords_of_the_dark(tmp_path):
    path = write_dark(tmp_path / "dark.fits", *make_dark(), provenance=make_provenance())
    header = fits.getheader(path)
    expected = {
        "TELESCOP": "JWST",
        "INSTRUME": "NIRSPEC",
        "REFTYPE": "DARK",
        "DATAMODL": "DarkNirspecModel",
        "DETECTOR": "NRS1",
        "EXP_TYPE": "NRS_DARK",
        "READPATT": "NRSRAPID",
        "P_READPA": "NRSRAPID|NRS|",
        "P_GRATIN": "G140M|G235M|G140H|G235H|G395H|PRISM|MIRROR|",
        "SUBARRAY": "SUBS200A1",
        "SUBSTRT1": 1,
        "SUBSTRT2": 1054,
        "SUBSIZE1": 2048,
        "SUBSIZE2": 64,
        "FASTAXIS": 2,
        "SLOWAXIS": 1,
        "NOUTPUTS": 1,
        "NFRAMES": 1,
        "NGROUPS": 4,
        "GROUPGAP": 0,
        "GAINFACT": 1.0,
        "PEDIGREE": "INFLIGHT 2024-01-03 2024-05-03",
        "USEAFTER": "2024-03-04T00:00:00",
        "AUTHOR": "The nrsdark_xr developers",
        "DESCRIP": "NIRSpec NRS1 SUBS200A1, 5 darks",
    }
    assert {key: header[key] for key in expected} == expected
    history = "\n".join(header["HISTORY"])
    for word in ("jw06633001001_02101_00001_nrs1", "average.clip.sigma = 3.0", "jwst 3.0.0"):
        assert word in history


def test_every_bit_survives(tmp_path):
    dq = all_bits((64, 2048))
    assert np.bitwise_or.reduce(dq, axis=None) == sum(DQ)
    bias = np.zeros((64, 2048), np.float32)
    provenance = make_provenance()
    files = {
        datamodels.SuperBiasModel: write_superbias(
            tmp_path / "bias.fits", bias, bias, dq, provenance=provenance
        ),
        datamodels.MaskModel: write_mask(tmp_path / "mask.fits", dq, provenance=provenance),
    }
    for kind, path in files.items():
        with datamodels.open(path) as model:
            assert type(model) is kind
            model.validate()
            np.testing.assert_array_equal(model.dq, dq)


def test_a_bit_without_a_name_is_refused(tmp_path):
    dq = np.full((64, 2048), 1 << 8, np.uint32)
    with pytest.raises(NrsdarkError, match="0x100"):
        write_mask(tmp_path / "mask.fits", dq, provenance=make_provenance())
    assert not names_in(tmp_path)


def test_dq_definitions_are_those_of_jwst():
    for row in dq_definitions():
        assert datamodels.dqflags.pixel[row["NAME"].decode()] == row["VALUE"]
        assert int(row["VALUE"]) == 1 << int(row["BIT"])


def test_superbias_arrays(tmp_path):
    rng = np.random.default_rng(0)
    bias = rng.normal(10000, 10, (64, 2048)).astype(np.float32)
    err = rng.random((64, 2048)).astype(np.float32)
    path = write_superbias(
        tmp_path / "bias.fits",
        bias,
        err,
        np.zeros((64, 2048), np.uint32),
        provenance=make_provenance(),
    )
    with datamodels.SuperBiasModel(path) as model:
        np.testing.assert_array_equal(model.data, bias)
        np.testing.assert_array_equal(model.err, err)
        assert model.meta.bunit_data == "DN"


def test_cubes_must_have_one_shape(tmp_path):
    dark, err, dq, groupdq, rate, unc = make_dark()
    with pytest.raises(NrsdarkError, match="ERR has shape"):
        write_dark(
            tmp_path / "d.fits", dark, err[1:], dq, groupdq, rate, unc, provenance=make_provenance()
        )
    with pytest.raises(NrsdarkError, match="SCI has shape"):
        write_dark(
            tmp_path / "d.fits",
            dark,
            err,
            dq,
            groupdq,
            rate,
            unc,
            provenance=make_provenance(n_groups=5),
        )


def broken(array):
    def fail(block):
        raise RuntimeError("lost worker")

    return as_dask(array).map_blocks(fail, meta=np.empty((0, 0, 0), array.dtype))


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path):
    dark, err, dq, groupdq, rate, unc = make_dark()
    path = tmp_path / "dark.fits"
    path.write_bytes(b"the last delivery")
    with pytest.raises(RuntimeError, match="lost worker"):
        write_dark(path, dark, broken(err), dq, groupdq, rate, unc, provenance=make_provenance())
    assert names_in(tmp_path) == ["dark.fits"]
    assert path.read_bytes() == b"the last delivery"


def test_a_full_disk_is_told_in_one_line(tmp_path, monkeypatch):
    def no_space(file, data, offset):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", no_space)
    with pytest.raises(NrsdarkError, match=r"dark.fits: .*No space left on device.*run again"):
        write_dark(tmp_path / "dark.fits", *make_dark(), provenance=make_provenance())
    assert not names_in(tmp_path)


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NrsdarkError, match="cannot be written"):
        write_mask(
            tmp_path / "file" / "mask.fits", all_bits((64, 2048)), provenance=make_provenance()
        )


def test_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "mask.fits"
    write_mask(path, all_bits((64, 2048)), provenance=make_provenance())
    assert names_in(path.parent) == ["mask.fits"]


STREAM = """
    import resource, sys
    import dask.array as da, numpy as np
    from nrsdark_xr.products import write_dark
    from tests.products.files import make_dark, make_provenance

    groups, ny, nx = map(int, sys.argv[2:])
    frame = np.zeros((ny, nx), np.uint32)
    # A first file brings in what is imported on the way.
    write_dark(sys.argv[1], *make_dark(), provenance=make_provenance())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunks = (22, 128, 256)
    cube = da.random.default_rng(0).random((groups, ny, nx), chunks=chunks, dtype=np.float32)
    write_dark(
        sys.argv[1], cube, cube * 2, frame, (cube * 9).astype(np.uint8),
        frame.astype(np.float32), frame.astype(np.float32),
        provenance=make_provenance(n_groups=groups, ysize=ny, xsize=nx),
    )
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(before // 1024, after // 1024)
"""


def peak_memory(path, *shape):
    """MiB before and after writing a dark of this shape, in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(STREAM), str(path), *map(str, shape)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()[-2:]]


def test_a_cube_is_streamed(tmp_path):
    before, after = peak_memory(tmp_path / "dark.fits", 44, 256, 2048)
    assert (tmp_path / "dark.fits").stat().st_size > 200e6
    assert after - before < 80


@pytest.mark.slow
def test_a_full_frame_dark_fits_in_600_mib(tmp_path):
    _, after = peak_memory(tmp_path / "dark.fits", 88, 2048, 2048)
    assert (tmp_path / "dark.fits").stat().st_size > 3.3e9
    assert after < 600
