"""Products on object storage that cannot be written."""

from __future__ import annotations

import errno
import os
import tempfile

import pytest

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.store.location import Location
from nrsdark_xr.store.output import OutputFile


@pytest.fixture
def product() -> OutputFile:
    return OutputFile(Location.of("memory://products", None), "x_dark.fits")


def refused(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_a_full_temporary_folder_is_named_and_nothing_is_uploaded(product):
    def fill_up():
        with product.writing() as path:
            path.write_bytes(b"half")
            raise refused(errno.ENOSPC)

    with pytest.raises(NrsdarkError, match=f"^{tempfile.gettempdir()}: no space left to write"):
        fill_up()
    assert not product.exists()


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC])
def test_an_upload_that_is_refused_names_where_to(product, monkeypatch, number):
    files, _ = product.location.files()

    def refuse(*_arguments: object) -> None:
        raise refused(number)

    monkeypatch.setattr(type(files), "put_file", refuse)
    with pytest.raises(NrsdarkError, match=f"^{product.url}: "), product.writing() as path:
        path.write_bytes(b"whole")
