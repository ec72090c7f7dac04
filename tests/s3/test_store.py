"""The ramp store on a real S3 server, by both libraries."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import s3fs

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.storage import StorageParameters, object_store
from nrsdark_xr.store import RampStore, open_bias_groups, open_ramps, remote_lock
from nrsdark_xr.store.location import Location
from tests.s3.conftest import make_bucket
from tests.s3.requests import counted
from tests.store.helpers import make_exposure, make_row, make_store, write_row

BACKENDS = ("s3fs", "obstore")
EXPOSURES = [make_exposure("jw_b", "2025-02-01"), make_exposure("jw_a", "2025-01-01")]
OUTAGE = 3.0
HOLDER = """
import sys, time
from nrsdark_xr.store.location import Location
from nrsdark_xr.store.lock import hold_lock
with hold_lock(Location.of(sys.argv[1], None)):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(params=BACKENDS)
def storage(request):
    if request.param == "obstore":
        pytest.importorskip("obstore", reason="the extra obstore is not installed")
    return StorageParameters(backend=request.param)


@pytest.fixture
def url(bucket):
    return f"{bucket}/a/ramps.zarr"


def test_comes_back_as_from_a_disk(url, storage, tmp_path):
    make_store(tmp_path / "r.zarr", EXPOSURES)
    make_store(url, EXPOSURES, storage_options=storage)
    for open_it in (open_ramps, open_bias_groups):
        local = open_it(tmp_path / "r.zarr").compute()
        remote = open_it(url, storage_options=storage).compute()
        assert remote.identical(local)


def test_chunks_go_by_the_library_that_was_asked_for(url, storage, monkeypatch):
    used = []
    make = object_store.object_store
    monkeypatch.setattr(
        object_store, "object_store", lambda *given: used.append(given) or make(*given)
    )
    make_store(url, EXPOSURES[:1], storage_options=storage)
    assert bool(used) is (storage.backend == "obstore")


def test_rows_are_added_and_only_finished_ones_are_seen(url, storage):
    make_store(url, EXPOSURES[:1], storage_options=storage)
    store = RampStore.open_or_create(url, EXPOSURES, storage_options=storage)
    assert store.names == ("jw_b", "jw_a")
    assert list(open_ramps(url, storage_options=storage).file.values) == ["jw_b"]
    write_row(store, "jw_a", make_row(EXPOSURES[1], 5))
    assert list(open_ramps(url, storage_options=storage).file.values) == ["jw_a", "jw_b"]


def test_opening_asks_for_everything_at_once(url, storage):
    """Requests wait for each other in four rounds at most, whatever their number."""
    make_store(url, EXPOSURES, storage_options=storage)
    with counted() as requests:
        open_ramps(url, storage_options=storage)
    assert requests.pop("list_objects_v2") == 2  # of markers
    assert set(requests) == {"get_object"}
    assert requests["get_object"] <= 60
    with counted() as requests:
        RampStore(url, storage)
    assert requests["get_object"] <= 30


def test_a_marker_is_created_by_one_only(url, storage):
    place = Location.of(url, storage)
    ready = threading.Barrier(8)
    created = []

    def create(number):
        ready.wait()
        created.append(place.create("x.json", f"{number}".encode()))

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(created) == [False] * 7 + [True]


def test_a_marker_is_never_replaced(url, storage):
    store, _ = make_store(url, EXPOSURES[:1], storage_options=storage)
    before = store.markers("prepare")
    store.mark_done("prepare", "jw_b", {"peak": 1.0})
    assert store.markers("prepare") == before
    with pytest.raises(NrsdarkError, match="another run has finished jw_b meanwhile"):
        store.mark_done("prepare", "jw_b", {"peak": 2.0})
    store.forget("prepare", ["jw_b"])
    assert store.done("prepare") == {}


def test_a_lost_chunk_is_an_error_not_nan(url, storage):
    make_store(url, EXPOSURES, storage_options=storage)
    s3fs.S3FileSystem().rm_file(f"{url}/rate/c/1/0/0")
    with pytest.raises(NrsdarkError, match="this chunk is missing"):
        open_ramps(url, storage_options=storage).rate.compute()
    store = RampStore(url, storage)
    store.forget("prepare", ["jw_a"])
    with pytest.raises(NrsdarkError, match="1 of 2 chunks of rate"):
        store.mark_done("prepare", "jw_a", {})


def test_what_goes_to_workers_holds_no_keys(url, storage, s3):
    store, rows = make_store(url, EXPOSURES, storage_options=storage)
    dataset = open_ramps(url, storage_options=storage)
    for thing in (store, dataset):
        sent = pickle.dumps(thing)
        assert s3.environment["AWS_SECRET_ACCESS_KEY"].encode() not in sent
        assert s3.environment["AWS_ACCESS_KEY_ID"].encode() not in sent
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(dataset)).ramp.sel(file="jw_b"), rows["jw_b"]["ramp"]
    )


@pytest.mark.parametrize("step", ["write", "read"])
def test_a_restart_of_the_server_is_outlived(fragile_s3, storage, step):
    url = f"{make_bucket()}/ramps.zarr"
    store, rows = make_store(url, EXPOSURES, storage_options=storage)
    store.forget("prepare", ["jw_a"])
    store.forget("bias", ["jw_a"])
    if step == "read":
        write_row(store, "jw_a", rows["jw_a"])
    fragile_s3.call("stop")
    timer = threading.Timer(OUTAGE, fragile_s3.call, ("start",))
    timer.start()
    try:
        started = time.monotonic()
        if step == "write":
            write_row(store, "jw_a", rows["jw_a"])
        ramps = open_ramps(url, storage_options=storage)
        np.testing.assert_array_equal(ramps.ramp.sel(file="jw_a"), rows["jw_a"]["ramp"])
        assert time.monotonic() - started > OUTAGE
    finally:
        timer.join()


class TestLock:
    @pytest.fixture
    def holder(self, url):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout.readline() == "held\n"
            yield process
            process.kill()

    @staticmethod
    def names(url):
        return Location.of(f"{url}.lock", None).list_names("")

    def test_a_second_run_is_refused_in_one_line(self, url, holder):
        with pytest.raises(NrsdarkError, match="another run is at work on this store") as caught:
            RampStore.open_or_create(url, EXPOSURES)
        assert f"process {holder.pid} on" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_that_of_a_killed_run_is_taken_over(self, url, holder):
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert self.names(url) == ["00000001.json"]
        store = RampStore.open_or_create(url, EXPOSURES)
        with store.lock():
            assert self.names(url) == ["00000001.json"]
        assert self.names(url) == []

    def test_that_of_a_run_elsewhere_ends_without_a_sign_of_life(self, url, monkeypatch):
        record = b'{"host": "elsewhere", "pid": 1, "started": "1", "since": "then"}'
        Location.of(f"{url}.lock", None).create("00000001.json", record)
        with pytest.raises(NrsdarkError, match="process 1 on elsewhere, since then"):
            RampStore.open_or_create(url, EXPOSURES)
        monkeypatch.setattr(remote_lock, "BEAT", 0.5)
        monkeypatch.setattr(remote_lock, "SILENCE", 1.0)
        time.sleep(2.0)  # dates of objects may be whole seconds
        with RampStore.open_or_create(url, EXPOSURES).lock():
            pass
        assert self.names(url) == []
