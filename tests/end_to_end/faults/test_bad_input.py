"""Each bad input and reference file ends in one clear line, and nothing is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests.end_to_end.faults.conftest import state
from tests.end_to_end.faults.spoil import (
    cut_in_header,
    cut_short,
    empty,
    fewer_groups,
    no_fits,
    other_header,
    other_subarray,
)
from tests.projects import Project, assert_same_products, copy_of
from tests.small_darks import NAME

BAD_INPUTS = [
    (cut_short, "is truncated: the last"),
    (cut_in_header, "is truncated or damaged within its header"),
    (empty, "is empty; give NIRSpec *_uncal.fits files"),
    (no_fits, "is not a FITS file; give NIRSpec *_uncal.fits files"),
    (other_header(INSTRUME="NIRCAM"), "was taken by NIRCAM, not NIRSPEC"),
    (other_header(EXP_TYPE="NRS_IFU"), "is no dark: EXP_TYPE is NRS_IFU; take it out"),
    (other_header(DETECTOR="NRS2", FASTAXIS=-2, SLOWAXIS=-1), "NRS2"),
    (other_header(READPATT="NRS", NFRAMES=4), "NRS"),
    (other_header(READPATT="SLOWR8"), "READPATT SLOWR8 is not one of"),
    (other_subarray, "subarray"),
    (fewer_groups, "n_groups 5"),
    (other_header(TGROUP=None), "TGROUP"),
    (other_header(TGROUP=-1.0), "TGROUP"),
    (other_header(**{"DATE-OBS": None}), "DATE-OBS"),
]
INPUT_IDS = [spoil.__name__ for spoil, _ in BAD_INPUTS]


@pytest.mark.parametrize(("spoil", "complaint"), BAD_INPUTS, ids=INPUT_IDS)
def test_a_bad_input_stops_the_run_and_nothing_is_lost(done, run, spoil, complaint):
    bad = done.raw[2]
    whole = bad.read_bytes()
    before = state(done)
    spoil(bad)
    line = run(done).refusal()
    assert str(bad) in line
    assert complaint in line
    assert ";" in line  # the remedy
    assert state(done) == before
    bad.write_bytes(whole)
    again = run(done)
    assert again.code == 0
    assert "Nothing to do" in again.err


def test_an_input_left_out_is_in_the_report(finished_set, darks, run):
    bad = darks.raw[2]
    whole = bad.read_bytes()
    cut_short(bad)
    assert run(darks, "--set", "on_error=skip").code == 0
    page = (darks.folder / f"products/{NAME}_report.html").read_text()
    assert bad.name in page
    assert "is truncated: the last" in page
    summary = json.loads((darks.folder / f"products/{NAME}_summary.json").read_text())
    assert (summary["n_inputs"], summary["n_good"]) == (4, 3)
    bad.write_bytes(whole)
    assert run(darks, "--until", "synthesize").code == 0
    assert_same_products(finished_set, darks, NAME)


def test_an_input_that_is_not_there(darks, run):
    darks.edit("'*_uncal.fits'", "[absent_uncal.fits]")
    assert f"{darks.folder}/absent_uncal.fits: no such file" in run(darks).refusal()


def test_a_pattern_that_matches_nothing(darks, run):
    darks.edit("'*_uncal.fits'", "'raw/*_uncal.fits'")
    assert f"{darks.folder}/raw/*_uncal.fits: " in run(darks).refusal()


def test_nothing_is_left_after_the_selection(darks, run):
    line = run(darks, "--set", "selection.last_date=2020-01-01").refusal()
    assert "no exposure is left of 4: too late (4)" in line
    assert str(darks.run_file) in line


def test_every_input_is_bad(darks, run):
    for path in darks.raw:
        empty(path)
    line = run(darks, "--set", "on_error=skip").refusal()
    assert "no readable exposure among the inputs" in line
    assert str(darks.run_file) in line


def test_fewer_than_min_inputs(darks, run):
    line = run(darks, "--set", "min_inputs=5").refusal()
    assert "a superbias needs 5 good inputs (min_inputs), there are 4" in line
    assert str(darks.run_file) in line
    assert run(darks, "--until", "bias").code == 0


HOSTILE = {
    "FILENAME": "../../../<script>evil{}</script>_uncal.fits",
    "TARGPROP": "<script>alert(1)</script>",
    "PROGRAM": "<script>",
    "OBSERVTN": "../..",
    "GRATING": "<b>&'\"",
    "FILTER": "../../../../tmp/x",
}


def test_what_headers_say_is_no_path_and_no_html(raw_set, tmp_path, run):
    project = copy_of(raw_set, tmp_path / "deep" / "down" / "in" / "run")
    for number, path in enumerate(project.raw):
        names = {"FILENAME": HOSTILE["FILENAME"].replace("</script>", "").format(number)}
        other_header(**(HOSTILE | names))(path)
    before = {path for path in tmp_path.rglob("*") if project.folder not in path.parents}
    ended = run(project)
    after = {path for path in tmp_path.rglob("*") if project.folder not in path.parents}
    assert after == before
    assert not any("<" in path.name for path in project.folder.rglob("*"))
    assert ended.code == 0
    page = (project.folder / f"products/{NAME}_report.html").read_text()
    for value in HOSTILE.values():
        assert value not in page
    assert "<script>" not in page


KINDS = ("mask", "saturation", "linearity", "gain", "readnoise", "superbias")
EXTENSIONS = {"mask": "DQ", "linearity": "COEFFS"}


def missing(path: Path, kind: str) -> None:
    path.unlink()


def truncated(path: Path, kind: str) -> None:
    cut_short(path)


def truncated_in_header(path: Path, kind: str) -> None:
    os.truncate(path, 1000)


def not_fits(path: Path, kind: str) -> None:
    no_fits(path)


def nan_throughout(path: Path, kind: str) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus[EXTENSIONS.get(kind, "SCI")].data[:] = np.nan


def too_small(path: Path, kind: str) -> None:
    with fits.open(path, mode="update") as hdus:
        for hdu in hdus[1:]:
            if hdu.is_image:
                hdu.data = np.ascontiguousarray(hdu.data[..., :-1])
        hdus[0].header["SUBSIZE1"] -= 1


def of_the_other_detector(path: Path, kind: str) -> None:
    other_header(DETECTOR="NRS2")(path)


def of_another_kind(path: Path, kind: str) -> None:
    other_header(REFTYPE="FLAT")(path)


SPOILT = {
    missing: "no such file",
    truncated: "",
    truncated_in_header: "",
    not_fits: "",
    nan_throughout: "is NaN throughout",
    too_small: "but the exposure needs 32 x 32 pixels",
    of_the_other_detector: "DETECTOR is NRS2, not NRS1",
    of_another_kind: "REFTYPE is FLAT, not",
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_a_bad_reference_stops_the_run_and_nothing_is_lost(with_superbias, run, spoil):
    before = state(with_superbias)
    for kind in KINDS:
        if spoil is nan_throughout and kind == "mask":
            continue  # it holds integers
        reference = with_superbias.folder / "references" / f"{kind}.fits"
        whole = reference.read_bytes()
        spoil(reference, kind)
        line = run(with_superbias, "--until", "prepare").refusal()
        assert f"{reference}: " in line
        assert SPOILT[spoil] in line
        assert ";" in line
        reference.write_bytes(whole)
    assert state(with_superbias) == before


@pytest.fixture(scope="module")
def prepared_set(raw_set, tmp_path_factory) -> Project:
    """Ramps calibrated with a given superbias; not to be changed."""
    project = copy_of(raw_set, tmp_path_factory.mktemp("prepared_set") / "run")
    project.edit("references:\n", "references:\n  superbias: references/superbias.fits\n")
    project.run(until="prepare")
    return project


@pytest.fixture
def with_superbias(prepared_set, tmp_path) -> Project:
    return copy_of(prepared_set, tmp_path / "run")
