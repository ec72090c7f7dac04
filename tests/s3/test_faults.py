"""Raw exposures to products on a real S3 server, disturbed in every way that we could think of.

Products and ramps must be those of an undisturbed run on local files, bit for bit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import s3fs
import yaml

from nrsdark_xr.store import RampStore, open_ramps
from tests.end_to_end.commands import Outcome, outcome, spawn
from tests.projects import Project, assert_same_products
from tests.small_darks import NAME, Stop
from tests.waiting import wait_for

from .conftest import make_bucket

OUTAGES = (10.0, pytest.param(60.0, marks=pytest.mark.slow))
"""Seconds for which the server is gone."""
HERE = ("--cluster", "threads")
QUICK = ("--until", "synthesize")
"""For the report takes as long as all the rest of such small darks."""


@dataclass(frozen=True)
class BucketProject(Project):
    """A run file on this machine, and all that it names in a bucket."""

    bucket: str

    def fetched(self) -> Project:
        """Get the products of the bucket onto this machine."""
        s3fs.S3FileSystem().get(
            f"{self.bucket}/products/", f"{self.folder}/products/", recursive=True
        )
        return Project(self.folder)

    def objects(self) -> dict[str, str]:
        """Path and checksum of everything in the bucket."""
        files = s3fs.S3FileSystem(use_listings_cache=False)
        found = files.find(self.bucket, detail=True)
        return {path: entry["ETag"] for path, entry in found.items()}


@pytest.fixture
def in_bucket(fragile_s3, raw_set, tmp_path) -> BucketProject:
    """Raw darks and references in a bucket of one's own, nothing but the run file here."""
    bucket = make_bucket()
    files = s3fs.S3FileSystem()
    for path in [*raw_set.raw, *(raw_set.folder / "references").iterdir()]:
        files.put_file(str(path), f"{bucket}/{path.relative_to(raw_set.folder)}")
    content = yaml.safe_load(raw_set.run_file.read_text())
    content["inputs"] = f"{bucket}/*_uncal.fits"
    content["references"] = {k: f"{bucket}/{path}" for k, path in content["references"].items()}
    content["previous_superbias"] = f"{bucket}/{content['previous_superbias']}"
    content |= {"store": f"{bucket}/ramps.zarr", "output": f"{bucket}/products"}
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.yaml").write_text(yaml.safe_dump(content))
    return BucketProject(folder, bucket)


def assert_same(finished: Project, project: BucketProject) -> None:
    """Compare products and ramps of a run on S3 with those of the undisturbed one."""
    assert_same_products(finished, project.fetched(), NAME)
    ours = open_ramps(f"{project.bucket}/ramps.zarr").compute()
    theirs = open_ramps(finished.folder / "ramps.zarr").compute()
    assert list(ours.file.values) == list(theirs.file.values)
    for name in theirs.data_vars:
        np.testing.assert_array_equal(ours[name].values, theirs[name].values, err_msg=name)


def start(
    project: Project, *, workers: int = 1, stops: Sequence[Stop] = ()
) -> subprocess.Popen[str]:
    """Start a run, which will make the stops that have been prepared."""
    script = stops[0].script if stops else None
    return spawn(project, "--workers", str(workers), *QUICK, preload=script)


@pytest.fixture
def run(nrsdark) -> Callable[..., Outcome]:
    """Run a project within this process."""

    def call(project: Project, *options: str) -> Outcome:
        return nrsdark("run", project.run_file, *HERE, *options)

    return call


@pytest.fixture
def stops(stop_in) -> list[Stop]:
    """A stop in calibration, and one in averaging."""
    return [stop_in("calibration"), stop_in("averaging")]


def test_killed_workers_and_a_second_run(finished_set, in_bucket, stops, run):
    first = start(in_bucket, workers=2, stops=stops)
    wait_for(stops[0].reached, first)
    line = run(in_bucket).refusal()
    assert f"{in_bucket.bucket}/ramps.zarr: another run is at work on this store" in line
    assert f"process {first.pid} on " in line
    for stop in stops:
        wait_for(stop.reached, first)
        os.kill(stop.process, signal.SIGKILL)
    ended = outcome(first)
    assert ended.code == 0, ended.err
    assert_same(finished_set, in_bucket)
    assert run(in_bucket).code == 0  # adds the report
    before = in_bucket.objects()
    again = run(in_bucket)
    assert again.code == 0
    assert "Nothing to do" in again.err
    assert in_bucket.objects() == before


@pytest.mark.parametrize("seconds", OUTAGES)
def test_a_server_that_is_gone_for_a_while(fragile_s3, finished_set, in_bucket, stops, seconds):
    running = start(in_bucket, workers=2, stops=stops)
    for stop in stops:
        wait_for(stop.reached, running)
        fragile_s3.call("stop")
        stop.go_on()
        time.sleep(seconds)
        assert running.poll() is None
        fragile_s3.call("start")
    ended = outcome(running)
    assert ended.code == 0, ended.err
    assert_same(finished_set, in_bucket)


def test_killed_clients(finished_set, in_bucket, stops, run):
    for stop in stops:
        running = start(in_bucket, stops=stops)
        wait_for(stop.reached, running)
        running.kill()  # its workers find that out by themselves
        running.communicate()
        assert not any("dark.fits" in path for path in in_bucket.objects())
    assert run(in_bucket, *QUICK).code == 0
    assert_same(finished_set, in_bucket)


def test_a_quota_that_is_exceeded_and_raised(fragile_s3, finished_set, in_bucket, run, monkeypatch):
    write_maps = RampStore.write_maps

    def exceed(*arguments: object) -> None:
        fragile_s3.call("quota", 4096)
        write_maps(*arguments)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(RampStore, "write_maps", exceed)
            line = run(in_bucket, *QUICK).refusal()
    finally:
        fragile_s3.call("quota", 0)
    assert in_bucket.bucket in line
    assert "quota" in line
    assert ";" in line
    assert run(in_bucket, *QUICK).code == 0
    assert_same(finished_set, in_bucket)


@pytest.mark.slow
def test_ctrl_c(finished_set, in_bucket, stop_in, run):
    stop = stop_in("calibration")
    running = start(in_bucket, stops=[stop])
    wait_for(stop.reached, running)
    started = time.monotonic()
    os.killpg(running.pid, signal.SIGINT)
    line = outcome(running).refusal(code=130)
    assert time.monotonic() - started < 180  # a few seconds; tests may share the machine
    assert line == "nrsdark: interrupted; the same command goes on from here"
    assert not any(path.endswith(".lock") for path in in_bucket.objects())
    assert run(in_bucket, *QUICK).code == 0
    assert_same(finished_set, in_bucket)


def test_a_truncated_input(in_bucket, run):
    files = s3fs.S3FileSystem()
    bad = sorted(files.glob(f"{in_bucket.bucket}/*_uncal.fits"))[1]
    whole = files.cat_file(bad)
    files.pipe_file(bad, whole[: len(whole) // 2])
    before = in_bucket.objects()
    line = run(in_bucket).refusal()
    assert f"s3://{bad}: is truncated" in line
    assert in_bucket.objects() == before


@pytest.mark.slow
def test_a_temporary_folder_that_is_full(finished_set, in_bucket, tmp_path, monkeypatch, run):
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        monkeypatch.setenv("TMPDIR", str(place))
        line = outcome(start(in_bucket)).refusal()
        monkeypatch.delenv("TMPDIR")
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
    assert str(place) in line
    assert "space" in line
    assert not Path(in_bucket.folder / "products").exists()
    assert run(in_bucket, *QUICK).code == 0
    assert_same(finished_set, in_bucket)
