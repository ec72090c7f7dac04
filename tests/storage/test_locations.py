from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ConnectionError as TransportError

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.storage import locations


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(2, "x"), "s3://b/a: no such file; check the path"),
        (PermissionError(13, "x"), "s3://b/a: no permission to read it; check"),
        (IsADirectoryError(21, "x"), "s3://b/a: is a folder; name a file in it"),
        (OSError(5, "Input/output\nerror"), "s3://b/a: cannot be read ([Errno 5] Input/output er"),
        (TransportError(error="no\nroute"), "s3://b/a: cannot be reached (An HTTP Client"),
    ],
)
def test_errors_of_disks_and_networks_become_one_line(error, line):
    with pytest.raises(NrsdarkError) as caught, locations.reading("s3://b/a"):
        raise error
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), NrsdarkError("x")])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, locations.reading("s3://b/a"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("a.fits", "/base/a.fits"),
        ("./x/../a.fits", "/base/a.fits"),
        ("../a.fits", "/a.fits"),
        ("/other//a.fits", "/other/a.fits"),
        ("file:///other/a.fits", "/other/a.fits"),
        ("s3://bucket/../a.fits", "s3://bucket/../a.fits"),
    ],
)
def test_every_file_has_one_spelling(url, path):
    assert locations.normalise(url, Path("/base")) == path


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("a.fits", False),
        ("/a.fits", False),
        ("file:///a.fits", False),
        ("s3://bucket/a.fits", True),
        ("https://server/a.fits", True),
        ("memory://a.fits", True),
    ],
)
def test_remote_is_what_is_not_on_this_machine(url, remote):
    assert locations.is_remote(url) is remote
