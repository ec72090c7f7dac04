"""Raw exposures, reference files and tables on a real S3 server."""

from __future__ import annotations

import json
from math import ceil

import numpy as np
import pytest
import s3fs

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import RawReader, fetch, find_exposures, read_exposures
from nrsdark_xr.exposures.telemetry import read_telemetry
from nrsdark_xr.references import load_references, reference_checksums
from nrsdark_xr.storage import StorageParameters
from tests.exposures.conftest import write_uncal
from tests.s3.requests import counted

PUBLIC = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": ["arn:aws:s3:::{0}", "arn:aws:s3:::{0}/*"],
        }
    ],
}


@pytest.fixture
def raw(bucket, tmp_path):
    """Two raw exposures in the bucket: their pattern, their counts by name."""
    counts = {}
    for number in (1, 2):
        name = f"jw0663300100{number}_02101_00001_nrs1"
        path, counts[name] = write_uncal(
            tmp_path / f"{name}_uncal.fits",
            seed=number,
            FILENAME=f"{name}_uncal.fits",
        )
        s3fs.S3FileSystem().put_file(str(path), f"{bucket}/raw/{path.name}")
    return f"{bucket}/raw/*_uncal.fits", counts


def test_headers_and_pixels_are_those_of_the_files(raw):
    pattern, counts = raw
    exposures, rejected = read_exposures(find_exposures(pattern))
    assert not rejected
    assert [exposure.name for exposure in exposures] == list(counts)
    for exposure in exposures:
        with RawReader(exposure) as reader:
            got = reader.read(0, slice(1, 4), slice(3, 11))
        np.testing.assert_array_equal(got, counts[exposure.name][0, 1:4, 3:11])


def test_a_header_is_two_requests_and_a_band_one_per_group(raw):
    urls = find_exposures(raw[0])
    with counted() as requests:
        exposures, _ = read_exposures(urls)
    assert dict(requests) == {"head_object": 2, "get_object": 2}
    with counted() as requests, RawReader(exposures[0]) as reader:
        reader.read(0, slice(1, 4), slice(3, 11))
        assert dict(requests) == {"get_object": 3}
        reader.read(0, slice(1, 4), slice(None))  # whole groups follow each other
        assert dict(requests) == {"get_object": 4}


def test_an_exposure_is_fetched_once_by_few_large_requests(raw, tmp_path, monkeypatch):
    pattern, counts = raw
    monkeypatch.setattr(fetch, "FETCH_BYTES", 2000)
    (exposure, _), _ = read_exposures(find_exposures(pattern))
    with counted() as requests, RawReader(exposure) as reader:
        reader.fetch(tmp_path)
        for row in range(0, 16, 2):
            got = reader.read(0, slice(None), slice(row, row + 2))
            np.testing.assert_array_equal(got, counts[exposure.name][0, :, row : row + 2])
        assert requests == {"get_object": ceil(exposure.data_bytes / 2000)}


def test_references_and_their_checksums(bucket, raw_set):
    names = ("mask", "saturation", "linearity", "gain", "readnoise")
    files = {name: raw_set.folder / "references" / f"{name}.fits" for name in names}
    for name, path in files.items():
        s3fs.S3FileSystem().put_file(str(path), f"{bucket}/{name}.fits")
    from nrsdark_xr.references import ReferencePaths

    here = ReferencePaths(**{name: str(path) for name, path in files.items()})
    there = ReferencePaths(**{name: f"{bucket}/{name}.fits" for name in names})
    assert reference_checksums(there) == reference_checksums(here)
    (exposure, *_), _ = read_exposures(find_exposures([str(path) for path in raw_set.raw]))
    local, remote = (load_references(paths, exposure) for paths in (here, there))
    np.testing.assert_array_equal(remote.mask, local.mask)
    np.testing.assert_array_equal(remote.linearity, local.linearity)


def test_telemetry(bucket):
    table = "exposure_id,T_min_K,T_max_K\njw06633001001_02101_00001,38.1,38.2\n"
    s3fs.S3FileSystem().pipe_file(f"{bucket}/t.csv", table.encode())
    assert read_telemetry(f"{bucket}/t.csv")["jw06633001001_02101_00001"].t_max == 38.2


def test_a_public_bucket_needs_no_keys(raw, bucket, s3, monkeypatch):
    name = bucket.removeprefix("s3://")
    policy = json.dumps(PUBLIC).replace("{0}", name)
    s3fs.S3FileSystem().call_s3("put_bucket_policy", Bucket=name, Policy=policy)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable)
    with pytest.raises(NrsdarkError, match="there are no credentials for it"):
        find_exposures(
            raw[0],
            storage_options=StorageParameters(endpoint_url=s3.environment["AWS_ENDPOINT_URL"]),
        )
    own = {"anonymous": True, "endpoint_url": s3.environment["AWS_ENDPOINT_URL"]}
    storage = StorageParameters(buckets={name: own})
    urls = find_exposures(raw[0], storage_options=storage)
    exposures, _ = read_exposures(urls, storage_options=storage)
    with RawReader(exposures[0], storage) as reader:
        assert reader.read(0, slice(0, 1), slice(None)).shape == (1, 16, 32)


def test_a_pattern_that_matches_nothing(bucket):
    with pytest.raises(NrsdarkError, match="matches no file; check the pattern"):
        find_exposures(f"{bucket}/*_uncal.fits")
