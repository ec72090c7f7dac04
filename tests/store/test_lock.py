"""One run at a time, tried with real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import fsspec
import pytest

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.store import RampStore, hold_lock, remote_lock
from nrsdark_xr.store.location import Location
from tests.waiting import wait_for

from .helpers import make_exposure

HOLDER = """
import sys, time
from nrsdark_xr.store.location import Location
from nrsdark_xr.store.lock import hold_lock
with hold_lock(Location.of(sys.argv[1], None)):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def store(tmp_path):
    return RampStore.open_or_create(tmp_path / "r.zarr", [make_exposure()])


@pytest.fixture
def holder(store):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, store.url], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def sleeper():
    """A process that lives but holds nothing."""
    process = subprocess.Popen(["sleep", "600"])
    with process:
        yield process
        process.kill()


def record_of(process, **changes):
    record = {"host": socket.gethostname(), "pid": process.pid, "started": "1", "since": "then"}
    return json.dumps(record | changes)


def lock_of(store):
    return Location.of(store.url, None).local.with_name("r.zarr.lock")


def test_released_at_the_end_and_on_an_error(store):
    with store.lock():
        assert json.loads(lock_of(store).read_text())["pid"] == os.getpid()
    assert not lock_of(store).exists()
    with pytest.raises(KeyboardInterrupt), store.lock():
        raise KeyboardInterrupt
    assert not lock_of(store).exists()


def test_second_run_is_refused_in_one_line(store, holder):
    for attempt in (
        lambda: store.lock().__enter__(),
        lambda: RampStore.open_or_create(store.url, [make_exposure()]),
    ):
        with pytest.raises(NrsdarkError, match="another run is at work") as caught:
            attempt()
        text = str(caught.value)
        assert f"process {holder.pid} on " in text
        assert f"delete {store.url}.lock" in text
        assert "\n" not in text
    assert lock_of(store).exists()


def test_lock_of_a_killed_run_is_taken_over(store, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert lock_of(store).exists()
    with store.lock():
        assert json.loads(lock_of(store).read_text())["pid"] == os.getpid()
    assert not lock_of(store).exists()
    assert list(lock_of(store).parent.iterdir()) == [lock_of(store).with_name("r.zarr")]


def test_the_holder_may_take_it_again(store):
    with store.lock():
        with store.lock():
            RampStore.open_or_create(store.url, [make_exposure()])
        assert lock_of(store).exists()
    assert not lock_of(store).exists()


def test_lock_of_another_host_is_respected(store):
    record = {"host": "elsewhere", "pid": 1, "started": "1", "since": "2025-01-01T00:00:00+00:00"}
    lock_of(store).write_text(json.dumps(record))
    with pytest.raises(NrsdarkError, match="process 1 on elsewhere, since 2025-01-01"):
        store.lock().__enter__()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="does not tell start times")
def test_a_process_number_used_again_is_not_the_holder(store, sleeper):
    lock_of(store).write_text(record_of(sleeper, started="1"))
    with store.lock():
        assert json.loads(lock_of(store).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_an_unreadable_lock_counts_as_held(store, content):
    lock_of(store).write_text(content)
    with pytest.raises(NrsdarkError, match="another run is at work"):
        store.lock().__enter__()
    assert lock_of(store).read_text() == content


def test_of_many_that_find_a_dead_lock_one_gets_it(store, sleeper, tmp_path):
    lock_of(store).write_text(record_of(sleeper))
    sleeper.kill()
    sleeper.wait()
    racer = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from nrsdark_xr.errors import NrsdarkError
        from nrsdark_xr.store.location import Location
        from nrsdark_xr.store.lock import hold_lock
        location = Location.of(sys.argv[1], None)
        Path(sys.argv[2]).touch()
        while not Path(sys.argv[3]).exists():
            time.sleep(0.001)
        try:
            with hold_lock(location):
                print("got", flush=True)
                sys.stdin.read()
        except NrsdarkError:
            print("refused", flush=True)
    """)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", racer, store.url, tmp_path / f"ready{n}", tmp_path / "go"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    wait_for(lambda: len(list(tmp_path.glob("ready*"))) == 3)
    (tmp_path / "go").touch()
    answers = [process.stdout.readline().strip() for process in processes]
    for process in processes:
        process.communicate()
    assert sorted(answers) == ["got", "refused", "refused"]


class TestOnAnotherFileSystem:
    """As on object storage, where nothing tells whether a process of another host lives."""

    ELSEWHERE = json.dumps({"host": "elsewhere", "pid": 1, "started": "1", "since": "then"})

    @pytest.fixture
    def location(self):
        yield Location.of("memory://bucket/test_lock/r.zarr", None)
        fsspec.filesystem("memory").store.clear()

    @pytest.fixture
    def quick(self, monkeypatch):
        monkeypatch.setattr(remote_lock, "BEAT", 0.05)
        monkeypatch.setattr(remote_lock, "SILENCE", 0.2)

    @staticmethod
    def let_it_grow_old():
        time.sleep(remote_lock.SILENCE + 0.05)

    @staticmethod
    def names(location):
        return Location(location.lock_url).list_names("")

    def put(self, location, name):
        memory = fsspec.filesystem("memory")
        memory.pipe_file(f"{location.lock_url}/{name}", self.ELSEWHERE.encode())

    def test_held_and_released(self, location):
        with hold_lock(location):
            with hold_lock(location):
                pass
            assert self.names(location) == ["00000001.json"]
        assert self.names(location) == []

    def test_one_that_gives_signs_of_life_is_respected(self, location):
        self.put(location, "00000001.json")
        with pytest.raises(NrsdarkError, match="process 1 on elsewhere, since then") as caught:
            hold_lock(location).__enter__()
        assert "its lock ends 180 s after its last sign of life" in str(caught.value)
        assert self.names(location) == ["00000001.json"]

    @pytest.mark.usefixtures("quick")
    def test_an_old_date_alone_proves_nothing(self, location, monkeypatch):
        self.put(location, "00000001.json")
        self.let_it_grow_old()
        watched = []

        def watch(seconds):
            watched.append(seconds)
            self.put(location, "00000001.json")  # by a machine whose clock is behind

        monkeypatch.setattr(remote_lock.time, "sleep", watch)
        with pytest.raises(NrsdarkError, match="another run is at work"):
            hold_lock(location).__enter__()
        assert watched

    @pytest.mark.usefixtures("quick")
    def test_one_without_a_sign_of_life_is_taken_over(self, location, caplog):
        self.put(location, "00000001.json")
        self.let_it_grow_old()
        with hold_lock(location):
            assert self.names(location) == ["00000001.json", "00000002.json"]
            assert "to see whether its run still lives" in caplog.text
        assert self.names(location) == []

    def test_that_of_a_dead_process_of_this_host_is_taken_over_at_once(self, location, sleeper):
        fsspec.filesystem("memory").pipe_file(
            f"{location.lock_url}/00000001.json", record_of(sleeper).encode()
        )
        sleeper.kill()
        sleeper.wait()
        with hold_lock(location):
            assert self.names(location)[-1] == "00000002.json"

    @pytest.mark.usefixtures("quick")
    def test_it_is_renewed_while_held(self, location):
        memory = fsspec.filesystem("memory")
        with hold_lock(location):
            path = f"{location.lock_url}/00000001.json"
            first = memory.modified(path)
            wait_for(lambda: memory.modified(path) > first)

    @pytest.mark.usefixtures("quick")
    def test_a_run_whose_lock_was_taken_over_stops(self, location):
        def work():
            with hold_lock(location):
                self.put(location, "00000002.json")
                wait_for(lambda: False)

        with pytest.raises(NrsdarkError, match="another run has taken over this store"):
            work()
        assert self.names(location) == ["00000001.json", "00000002.json"]

    @pytest.mark.usefixtures("quick")
    def test_of_two_that_take_over_at_once_one_is_refused(self, location, monkeypatch):
        self.put(location, "00000001.json")
        create = Location.create

        def slow(place, key, data):
            self.put(location, key)  # the other was quicker
            return create(place, key, data)

        self.let_it_grow_old()
        monkeypatch.setattr(Location, "create", slow)
        with pytest.raises(NrsdarkError, match="process 1 on elsewhere"):
            hold_lock(location).__enter__()

    @pytest.mark.usefixtures("quick")
    def test_one_that_comes_late_gives_way_to_a_run_that_began_anew(self, location, monkeypatch):
        self.put(location, "00000005.json")
        create = Location.create

        def late(place, key, data):
            self.put(location, "00000001.json")
            return create(place, key, data)

        self.let_it_grow_old()
        monkeypatch.setattr(Location, "create", late)
        with pytest.raises(NrsdarkError, match="process 1 on elsewhere"):
            hold_lock(location).__enter__()
        assert "00000006.json" not in self.names(location)
