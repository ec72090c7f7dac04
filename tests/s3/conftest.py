"""A real S3 server, shared by all tests of a run, and a bucket of its own for each of them."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import s3fs

from tests.servers.start import S3Server, start_s3
from tests.small_darks import darks, finished_set, raw_set, stop_in

__all__ = ["darks", "finished_set", "raw_set", "stop_in"]


@pytest.fixture(scope="session")
def shared_s3(tmp_path_factory) -> Iterator[S3Server]:
    """The S3 server of this run, for tests that leave it as it is.

    Processes of pytest-xdist share it: the first that needs it starts it, the last ends it.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    with _users(base / "s3-users") as ports:
        server = S3Server("rgw.sh", base / "s3", ports[0]) if ports else start_s3(base / "s3")
        ports.append(server.port)
    yield server
    with _users(base / "s3-users") as ports:
        ports.pop()
        if not ports:
            server.call("down")


@pytest.fixture(scope="module")
def own_s3(tmp_path_factory) -> Iterator[S3Server]:
    """An S3 server of one's own, to be killed and filled."""
    server = start_s3(tmp_path_factory.mktemp("own_s3") / "s3")
    yield server
    server.call("down")


@pytest.fixture
def s3(shared_s3, monkeypatch) -> Iterator[S3Server]:
    """The server of this run, its address and keys in the environment."""
    yield from _in_environment(shared_s3, monkeypatch)


@pytest.fixture
def fragile_s3(own_s3, monkeypatch) -> Iterator[S3Server]:
    """A server of one's own, its address and keys in the environment."""
    yield from _in_environment(own_s3, monkeypatch)


@pytest.fixture
def bucket(s3) -> str:
    """The URL of an empty bucket, ``s3://name``."""
    return make_bucket()


def make_bucket() -> str:
    """Make a bucket, and return its URL."""
    name = f"b{uuid.uuid4().hex}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"


def _in_environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # which does not know of the environment
    yield server
    s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def _users(path: Path) -> Iterator[list[int]]:
    """Let one process at a time see and change the list of those that use the server."""
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        ports = json.loads(file.read() or "[]")
        yield ports
        file.truncate(0)
        file.write(json.dumps(ports))
        file.flush()
