"""That the S3 server of the tests is one on which the tests of storage can stand."""

from __future__ import annotations

import subprocess
import sys

import pytest
import s3fs

from tests.servers.start import S3_COMMANDS, require

RACE = """
import sys, s3fs
try:
    s3fs.S3FileSystem().pipe_file(sys.argv[1], b"x", mode="create")
except OSError as error:  # that of a precondition that does not hold, by which name ever
    sys.exit(7 if "Precondition" in f"{error.__cause__}" else 1)
"""


def test_objects_come_back_and_ranges_are_ranges(bucket):
    files = s3fs.S3FileSystem()
    files.pipe_file(f"{bucket}/a", bytes(range(200)))
    assert files.cat_file(f"{bucket}/a", start=10, end=13) == b"\x0a\x0b\x0c"


def test_of_two_that_create_one_object_one_wins(bucket):
    command = [sys.executable, "-c", RACE, f"{bucket}/lock"]
    racers = [subprocess.Popen(command) for _ in range(2)]
    assert sorted(racer.wait() for racer in racers) == [0, 7]


def test_a_stranger_is_refused(s3, bucket, monkeypatch):
    s3fs.S3FileSystem().pipe_file(f"{bucket}/a", b"mine")
    for name, value in s3.strangers_environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    stranger = s3fs.S3FileSystem()
    with pytest.raises(PermissionError):
        stranger.cat_file(f"{bucket}/a")
    with pytest.raises(PermissionError):
        stranger.pipe_file(f"{bucket}/b", b"not mine")


def test_without_the_server_tests_are_skipped_and_say_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr("tests.servers.start._search_path", lambda: str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=r"no radosgw, .*: apt-get install radosgw"):
        require(S3_COMMANDS, "radosgw")
