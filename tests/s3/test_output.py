"""Products and their record on a real S3 server."""

from __future__ import annotations

import numpy as np
import pytest
import s3fs
import xarray as xr
import yaml

from nrsdark_xr import cli
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.steps.products_state import ProductsState
from nrsdark_xr.storage import StorageParameters
from nrsdark_xr.storage.uploads import find_uploads
from nrsdark_xr.store.location import Location
from nrsdark_xr.store.output import OutputFile

PART = 5 * 1024 * 1024
LARGE = 120 * 1024 * 1024
"""More than what s3fs sends in one piece."""


@pytest.fixture(params=["s3fs", "obstore"])
def folder(request, bucket):
    if request.param == "obstore":
        pytest.importorskip("obstore", reason="the extra obstore is not installed")
    return Location.of(f"{bucket}/products/", StorageParameters(backend=request.param))


def test_a_file_is_there_when_it_is_complete(folder):
    product = OutputFile(folder, "x_dark.fits")
    with product.writing() as path:
        path.write_bytes(b"whole")
        assert not product.exists()
        assert path.name == "x_dark.fits"
    assert not path.exists()
    assert (product.read(), product.size()) == (b"whole", 5)
    with product.location.open() as file:
        assert file.read(2) == b"wh"


def test_a_file_of_which_the_writing_fails_leaves_the_old_one(folder):
    product = OutputFile(folder, "x_dark.fits")
    product.write(b"old")

    def fail():
        with product.writing() as path:
            path.write_bytes(b"half")
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert product.read() == b"old"


def test_a_large_file_comes_back(folder):
    product = OutputFile(folder, "x_dark.fits")
    with product.writing() as path, path.open("wb") as file:
        file.truncate(LARGE)
    assert product.size() == LARGE
    assert find_uploads(product.url) == []


def test_a_group_is_written_anew(folder):
    product = OutputFile(folder, "x_average.zarr")
    for name in ("old", "new"):
        with product.writing_group() as place:
            dataset = xr.Dataset({name: ("x", np.arange(5))})
            dataset.to_zarr(place.zarr_store(), mode="w", consolidated=False)
    stored = xr.open_zarr(product.location.zarr_store(read_only=True), consolidated=False)
    assert list(stored) == ["new"]
    assert product.size() == -1


def test_the_record_of_products(folder):
    product = OutputFile(folder, "x_dark.fits")
    state = ProductsState(OutputFile(folder, "x_state.json"))
    assert not state.holds(product)
    product.write(b"whole")
    state.record("dark", {"inputs": "1"}, [product])
    assert state.holds(product)
    assert state.reasons("dark", {"inputs": "1"}, [product]) == []
    assert state.reasons("dark", {"inputs": "2"}, [product]) == ["inputs changed"]
    product.write(b"altered")
    assert not state.holds(product)


def test_a_remote_file_is_no_path(folder):
    with pytest.raises(NrsdarkError, match="is not on this machine"):
        open(OutputFile(folder, "x_dark.fits"))  # noqa: PTH123, SIM115


@pytest.fixture
def run_file(bucket, raw_set, tmp_path):
    content = yaml.safe_load(raw_set.run_file.read_text())
    content["inputs"] = [str(path) for path in raw_set.raw]
    references = raw_set.folder / "references"
    content["references"] = {
        kind: str(references / f"{kind}.fits") for kind in content["references"]
    }
    content |= {"store": f"{bucket}/ramps.zarr", "output": f"{bucket}/products"}
    content.pop("previous_superbias", None)
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_unfinished_uploads_are_told_and_removed(bucket, run_file, capsys):
    files, name = s3fs.S3FileSystem(), bucket.removeprefix("s3://")
    dark = f"products/{yaml.safe_load(run_file.read_text())['name']}_dark.fits"
    keys = ["ramps.zarr/ramp/c/0/0/0/0", dark, "ramps.zarr.other", "raw/x"]
    for key in keys:
        upload = files.call_s3("create_multipart_upload", Bucket=name, Key=key)["UploadId"]
        files.call_s3(
            "upload_part", Bucket=name, Key=key, UploadId=upload, PartNumber=1, Body=bytes(PART)
        )
    for arguments, mark in (
        (["status", str(run_file)], "unfinished upload (--clean removes it): "),
        (["status", str(run_file), "--clean"], "removed: unfinished upload of "),
    ):
        assert run_cli(arguments) == 0
        told = [line for line in capsys.readouterr().out.splitlines() if line.startswith(mark)]
        assert len(told) == 2
        assert f"{bucket}/{keys[0]}, begun 20" in told[0]
        assert f"{bucket}/{keys[1]}, begun 20" in told[1]
    others = {upload.url for upload in find_uploads(f"{bucket}/")}
    assert others == {f"{bucket}/ramps.zarr.other", f"{bucket}/raw/x"}
    assert run_cli(["status", str(run_file), "--clean"]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"


def run_cli(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    return int(end.value.code or 0)
