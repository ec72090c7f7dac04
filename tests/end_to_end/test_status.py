"""What `nrsdark status` tells of failures and of runs under way."""

from __future__ import annotations

import os

import pytest

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.steps.status import read_status
from nrsdark_xr.store import RampStore
from nrsdark_xr.store.location import Location
from nrsdark_xr.store.lock import hold_lock


def shorten(monkeypatch, bad):
    """Let the reading of one exposure fail in the step `prepare`, as on a bad disk."""
    from nrsdark_xr.exposures import RawReader

    read = RawReader.read

    def failing(self, *arguments):
        if self.exposure.url == str(bad):
            raise OSError("bad disk")
        return read(self, *arguments)

    monkeypatch.setattr(RawReader, "read", failing)


@pytest.fixture
def given(darks):
    darks.edit("references:", "references:\n  superbias: references/superbias.fits")
    return darks


def test_a_failure_is_told_until_it_is_mended(given, monkeypatch):
    bad = given.raw[1]
    with monkeypatch.context() as patch:
        shorten(patch, bad)
        with pytest.raises(NrsdarkError, match="bad disk"):
            given.run(until="prepare")
        status = read_status(given.config())
        entry = next(entry for entry in status.files if entry.name in bad.name)
        assert "bad disk" in entry.failed["prepare"]
        assert "1 failed" in status.counts()
        row = next(row for row in status.rows() if row[0] == entry.name)
        assert row[3].startswith("prepare failed: ")
        assert entry.failed in [file["failed"] for file in status.as_dict()["files"]]

        _, said = given.run("on_error=skip", until="prepare")
        assert "left out" in said
        status = read_status(given.config("on_error=skip"))
        assert [bool(entry.failed) for entry in status.files].count(True) == 1
    given.run(until="prepare")
    status = read_status(given.config())
    assert not any(entry.failed or entry.begun for entry in status.files)
    assert status.counts() == "5 of 5 prepared"


def test_running_and_cut_off(given):
    given.run(until="prepare")
    config = given.config()
    name = read_status(config).files[0].name
    RampStore(config.store).forget("prepare", [name])
    status = read_status(config)
    assert status.running == ""
    assert status.rows()[0][3] == "prepare cut off"
    with hold_lock(Location.of(config.store, None)):
        status = read_status(config)
    assert str(os.getpid()) in status.running
    assert status.rows()[0][3] == "prepare running"
    assert "at work: process" in status.counts()


ALL = ["superbias.fits", "dark.fits", "mask.fits", "readnoise.fits", "summary.json", "report.html"]


@pytest.mark.parametrize(
    ("change", "rows", "products"),
    [
        ("author=somebody else", [], ALL),
        ("prepare.refpix.odd_even_columns=false", ["bias", "prepare"], ALL),
        ("prepare.jump.rejection_threshold=5", ["prepare"], ALL[1:]),
        ("average.clip.sigma=4", [], ALL[1:]),
        ("synthesize.hot_rate=2", [], ALL[1:]),
        ("analyze.min_snr=3", [], ALL[4:]),
        ("references.superbias=references/superbias.fits", [], []),
    ],
)
def test_what_a_change_makes_out_of_date(done, change, rows, products):
    status = read_status(done.config(change))
    assert [list(entry.outdated) for entry in status.files] == [rows] * 5
    assert [name.partition("_")[2] for name in status.outdated] == products
    assert all(status.products.values())
    remark = "; ".join(f"{step} out of date" for step in rows)
    assert {row[3] for row in status.rows()} == {remark}
    assert ("5 of these out of date" in status.counts()) is ("prepare" in rows)


def test_other_inputs_make_products_out_of_date(done, nrsdark):
    name = done.raw[0].name.removesuffix("_uncal.fits")
    option = ("--set", f"selection.exclude=[{name}]")
    told = nrsdark("status", done.run_file, *option).out.splitlines()
    assert sum(line.startswith("out of date  nrs1-sub512s_") for line in told) == len(ALL)
    assert nrsdark("run", done.run_file, "--cluster", "threads", *option).code == 0
    told = nrsdark("status", done.run_file, *option).out.splitlines()
    assert sum(line.startswith("complete     nrs1-sub512s_") for line in told) == len(ALL)


def test_nothing_is_out_of_date_after_a_run(done):
    status = read_status(done.config())
    assert status.outdated == ()
    assert not any(entry.outdated for entry in status.files)
