"""The whole chain: raw exposures to products, resumed, reordered, by many workers."""

from __future__ import annotations

import json
import os
import shutil
import signal

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

import nrsdark_xr as nx
from nrsdark_xr.detector import DQ
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products import certify
from nrsdark_xr.store import RampStore
from tests.end_to_end.commands import outcome, spawn
from tests.projects import assert_same_products, copy_of
from tests.waiting import wait_for

NAME = "nrs1-sub512s"
SUMMARY_KEYS = {
    "n_inputs",
    "n_good",
    "snr",
    "median_dark_rate",
    "fraction_negative",
    "n_hot",
    "n_rc",
    "n_telegraph",
    "n_bad_refpix",
    "n_new_hot",
    "n_vanished_hot",
    "gates",
}


def test_products_are_there_and_pass_the_rules_of_crds(finished):
    for kind in ("superbias", "dark", "mask", "readnoise"):
        certify(finished.folder / f"products/{NAME}_{kind}.fits")


def test_summary_tells_what_the_files_hold(finished):
    summary = json.loads((finished.folder / f"products/{NAME}_summary.json").read_text())
    assert summary.keys() >= SUMMARY_KEYS
    assert summary["n_inputs"] == summary["n_good"] == 5
    assert summary["gates"]["snr"].keys() >= {"value", "threshold", "passed"}
    with fits.open(finished.folder / f"products/{NAME}_mask.fits") as hdus:
        assert summary["n_hot"] == np.count_nonzero(hdus["DQ"].data & DQ.HOT)
    with fits.open(finished.folder / f"products/{NAME}_dark.fits") as hdus:
        assert summary["n_rc"] == np.count_nonzero(hdus["DQ"].data & DQ.RC)
        assert np.isfinite(hdus["SCI"].data).all()
        assert np.isfinite(hdus["ERR"].data).all()


def test_report_is_one_self_contained_page(finished):
    page = (finished.folder / f"products/{NAME}_report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "data:image/png;base64," in page
    for outside in ('src="http', 'href="http', "<script src", "@import"):
        assert outside not in page
    for exposure in finished.raw:
        assert exposure.name.removesuffix("_uncal.fits") in page


def test_a_second_run_does_nothing_and_says_so(done):
    before = {path: path.stat().st_mtime_ns for path in done.folder.rglob("*") if path.is_file()}
    _, said = done.run()
    assert "Nothing to do: everything is up to date." in said
    assert "dashboard" not in said  # no cluster is started for nothing
    written = {path for path, stamp in before.items() if path.stat().st_mtime_ns != stamp}
    assert {path for path in written if "products" in path.parts} == set()
    assert {path for path in written if "/c/" in str(path) and "ramp/" in str(path)} == set()


def test_only_what_depends_on_a_changed_parameter_is_made_again(done):
    _, said = done.run("synthesize.hot_rate=2.0")
    assert "prepare: up to date (5 files)" in said
    assert "average: up to date" in said
    assert "dark and mask: made again, since parameters changed" in said
    _, said = done.run("average.clip.sigma=4", "synthesize.hot_rate=2.0")
    assert "prepare: up to date (5 files)" in said
    assert "average: made again, since parameters changed" in said
    assert "dark and mask: made again, since average changed" in said


def test_a_deleted_product_is_made_again_without_calibrating_anew(done):
    (done.folder / f"products/{NAME}_dark.fits").unlink()
    (done.folder / f"products/{NAME}_superbias.fits").unlink()
    _, said = done.run()
    assert f"{NAME}_dark.fits is gone" in said
    assert "prepare: up to date (5 files)" in said
    assert_same_products(done, done)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_order_of_inputs_change_no_bit(finished, raw_darks, tmp_path, workers):
    project = copy_of(raw_darks, tmp_path / "run")
    names = [path.name for path in project.raw]
    project.edit("inputs: '*_uncal.fits'", f"inputs: {json.dumps(names[::-1])}")
    project.run(cluster="local", workers=workers)
    assert_same_products(finished, project)


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(finished, darks):
    process = spawn(darks, "--workers", "1")
    markers = darks.folder / "ramps.zarr" / "file" / "markers" / "prepare"
    wait_for(lambda: markers.exists() and any(markers.iterdir()), process)
    os.killpg(process.pid, signal.SIGKILL)
    outcome(process)
    assert not (darks.folder / f"products/{NAME}_dark.fits").exists()
    _, said = darks.run()
    assert "files are done already" in said or "prepare: up to date" in said
    assert_same_products(finished, darks)


def test_new_inputs_join_and_old_ones_may_leave(darks, finished):
    last = darks.raw[-1]
    aside = darks.folder / "later.fits"
    last.rename(aside)
    darks.run()
    assert fits.getheader(darks.folder / f"products/{NAME}_dark.fits")["DESCRIP"]
    aside.rename(last)
    _, said = darks.run()
    assert "bias: 4 of 5 files are done already" in said
    assert_same_products(finished, darks)


def test_several_integrations_become_rows(tmp_path):
    from nrsdark_xr.simulate import SimulationParameters, simulate
    from tests.projects import Project

    simulate(
        tmp_path,
        SimulationParameters(subarray="SUB32", exposures=2, groups=6, integrations=2, seed=3),
    )
    Project(tmp_path).run()
    ds = nx.open_ramps(tmp_path / "ramps.zarr")
    names = list(ds.file.values)
    assert len(names) == 4
    assert sum(name.endswith("_i2") for name in names) == 2
    with fits.open(tmp_path / "products" / "nrs1-sub32_dark.fits") as hdus:
        assert hdus["SCI"].shape == (6, 32, 32)


def test_prepare_works_with_one_input_and_a_superbias(raw_darks, tmp_path):
    project = copy_of(raw_darks, tmp_path / "run")
    first = project.raw[0].name
    project.edit("inputs: '*_uncal.fits'", f"inputs: {first}")
    project.run("references.superbias=references/superbias.fits", until="prepare")
    assert nx.open_ramps(project.folder / "ramps.zarr").sizes["file"] == 1


def test_the_stock_engine_gives_the_same_flags_and_rates(finished, darks):
    darks.run("engine=jwst", until="prepare")
    ours = nx.open_ramps(finished.folder / "ramps.zarr").compute()
    stock = nx.open_ramps(darks.folder / "ramps.zarr").compute()
    for flags in ("groupdq", "pixeldq", "good_groups", "negative_jumps"):
        np.testing.assert_array_equal(ours[flags].values, stock[flags].values, err_msg=flags)
    for values in ("ramp", "rate", "rate_err"):
        np.testing.assert_allclose(
            ours[values].values, stock[values].values, rtol=1e-5, atol=1e-3, err_msg=values
        )


def test_too_few_inputs_are_refused(darks):
    for path in darks.raw[2:]:
        path.unlink()
    with pytest.raises(NrsdarkError, match="a superbias needs 3 good inputs"):
        darks.run()


def test_average_is_open_to_look_at(finished):
    average = xr.open_zarr(finished.folder / f"products/{NAME}_average.zarr", consolidated=False)
    assert {"average", "average_std", "average_count", "rc", "telegraph"} <= set(average)
    assert average["average"].attrs["units"] == "DN"


def test_a_selection_is_recorded(done):
    name = done.raw[0].name.removesuffix("_uncal.fits")
    _, said = done.run(f"selection.exclude=[{name}]")
    assert f"left out: {name}" in said
    ds = nx.open_ramps(done.folder / "ramps.zarr")
    left_out = ds.sel(file=name)
    assert not left_out.accepted
    assert left_out.reason
    assert RampStore(done.folder / "ramps.zarr").names  # the row itself stays
    shutil.rmtree(done.folder / "products")


def test_another_author_means_new_headers_only(done):
    _, said = done.run("author=somebody else")
    assert "superbias: made again, since header changed" in said
    assert "prepare: up to date (5 files)" in said
    header = fits.getheader(done.folder / f"products/{NAME}_superbias.fits")
    assert header["AUTHOR"] == "somebody else"


def test_a_run_leaves_a_performance_report_and_tells_who_worked(darks, nrsdark):
    page = darks.folder / "dask.html"
    options = ("--cluster", "threads", "--workers", "2", "--until", "prepare")
    assert nrsdark("run", darks.run_file, *options, "--report", page).code == 0
    assert "prepare" in page.read_text()
    (run,) = json.loads(nx.open_ramps(darks.folder / "ramps.zarr").attrs["runs"])
    assert (run["cluster"], run["workers"], run["threads"]) == ("threads", 1, 2)
    assert run["versions"].keys() >= {"python", "nrsdark_xr", "dask", "numpy", "jwst"}
    nrsdark("run", darks.run_file, *options)  # finds all done, so nobody works
    nrsdark("run", darks.run_file, *options, "--set", "prepare.jump.rejection_threshold=5")
    runs = json.loads(nx.open_ramps(darks.folder / "ramps.zarr").attrs["runs"])
    assert len(runs) == 2
    assert runs[0] == run
