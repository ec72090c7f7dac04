"""What a user reads when object storage refuses: one line that says what to do; exit code 1."""

from __future__ import annotations

import time

import numpy as np
import pytest
import s3fs

from nrsdark_xr import cli
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.storage import StorageParameters
from nrsdark_xr.store import RampStore, open_ramps
from nrsdark_xr.store.location import Location
from nrsdark_xr.store.output import OutputFile
from tests.s3.conftest import make_bucket
from tests.store.helpers import make_exposure, make_row, make_store, write_row
from tests.waiting import PATIENCE

EXPOSURE = make_exposure()


@pytest.fixture(params=["s3fs", "obstore"])
def storage(request):
    if request.param == "obstore":
        pytest.importorskip("obstore", reason="the extra obstore is not installed")
    return StorageParameters(backend=request.param, patience=1.0)


def refused(action) -> str:
    with pytest.raises(NrsdarkError) as caught:
        action()
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ("stranger", "access is denied; check whose keys these are"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "the secret key is wrong; check AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "the server does not know the access key; check AWS_"),
        ({"AWS_PROFILE": "nobody"}, "there is no such profile; check storage.profile"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "its server does not answer; check storage."),
    ],
)
def test_reading_and_writing_without_the_right(
    s3, bucket, storage, monkeypatch, variables, expected
):
    url = f"{bucket}/ramps.zarr"
    make_store(url, [EXPOSURE], storage_options=storage)
    given = s3.strangers_environment if variables == "stranger" else variables
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for action in (
        lambda: open_ramps(url, storage_options=storage),
        lambda: RampStore.open_or_create(url, [EXPOSURE], storage_options=storage),
        lambda: OutputFile(Location.of(bucket, storage), "x.json").write(b"x"),
    ):
        assert expected in refused(action)


def test_keys_that_end_during_a_run(bucket, storage, s3, monkeypatch):
    url = f"{bucket}/ramps.zarr"
    make_store(url, [EXPOSURE], storage_options=storage)
    ramps = open_ramps(url, storage_options=storage)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    import pickle

    on_worker = pickle.loads(pickle.dumps(ramps))
    assert "the secret key is wrong" in refused(lambda: on_worker.rate.compute(scheduler="sync"))


def test_no_keys_at_all(bucket, storage, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    line = refused(lambda: open_ramps(f"{bucket}/r.zarr", storage_options=storage))
    assert "there are no credentials for it; set AWS_ACCESS_KEY_ID" in line


def test_no_such_bucket(s3, storage):
    url = "s3://nobody-has-made-this/ramps.zarr"
    line = refused(lambda: RampStore.open_or_create(url, [EXPOSURE], storage_options=storage))
    assert "there is no such bucket; make it, or check the URL" in line


def test_no_such_store(bucket, storage):
    line = refused(lambda: open_ramps(f"{bucket}/r.zarr", storage_options=storage))
    assert line == f"{bucket}/r.zarr: there is no ramp store; check the path"


def test_a_quota_that_is_used_up_and_then_raised(fragile_s3, storage):
    url = f"{make_bucket()}/ramps.zarr"
    store = RampStore.open_or_create(url, [EXPOSURE], storage_options=storage)
    row = make_row(EXPOSURE, 1)
    fragile_s3.call("quota", 4096)
    try:
        deadline = time.monotonic() + PATIENCE
        line = ""
        while not line and time.monotonic() < deadline:  # the server looks now and then
            try:
                write_row(store, "jw_a", row)
                store.forget("prepare", ["jw_a"])
                store.forget("bias", ["jw_a"])
            except NrsdarkError as error:
                line = str(error)
        assert "the quota of this storage is used up; free some or have it raised" in line
        assert "\n" not in line
    finally:
        fragile_s3.call("quota", 0)
    for step in ("bias", "prepare"):
        store.forget(step, ["jw_a"])
    write_row(store, "jw_a", row)
    ramps = open_ramps(url, storage_options=storage)
    np.testing.assert_array_equal(ramps.ramp.sel(file="jw_a"), row["ramp"])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], "no such file; check the path"),
        (["storage.endpoint_url=http://127.0.0.1:9"], "its server does not answer"),
        (["storage.profile=nobody"], "there is no such profile"),
        (["storage.anonymous=true"], "access is denied"),
        (["storage.secret=x"], "unknown key 'storage.secret'"),
    ],
)
def test_the_command_line(bucket, tmp_path, capsys, settings, expected):
    s3fs.S3FileSystem().pipe_file(f"{bucket}/other", b"x")
    kinds = ("mask", "saturation", "linearity", "gain", "readnoise")
    run_file = tmp_path / "run.yaml"
    run_file.write_text(
        f"name: x\ninputs: {bucket}/a_uncal.fits\nstore: {bucket}/r.zarr\noutput: {bucket}/p\n"
        f"references: {{{', '.join(f'{kind}: {bucket}/{kind}.fits' for kind in kinds)}}}\n"
        "storage: {patience: 1}\n"
    )
    options = [part for setting in settings for part in ("--set", setting)]
    with pytest.raises(SystemExit) as end:
        cli.main(["run", str(run_file), *options])
    error = capsys.readouterr().err.strip()
    assert end.value.code == 1
    assert expected in error
    assert error.startswith("nrsdark: ")
    assert "\n" not in error
