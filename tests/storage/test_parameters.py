from __future__ import annotations

import pytest
from pydantic import ValidationError

from nrsdark_xr.storage import StorageParameters, fsspec_options

AS_IT_IS = {"backend": "auto", "patience": 120.0}


def test_only_s3_has_options():
    storage = StorageParameters(anonymous=True)
    assert storage.options("/data/a.fits") == {}
    assert storage.options("memory://a.fits") == {}
    assert storage.options("s3://b/a.fits") == AS_IT_IS | {"anon": True}


def test_a_bucket_may_differ():
    storage = StorageParameters(
        endpoint_url="https://here",
        region="here",
        profile="mine",
        buckets={"public": {"anonymous": True, "endpoint_url": "https://there"}},
    )
    own = {"profile": "mine", "client_kwargs": {"region_name": "here"}}
    assert storage.options("s3://b/a") == AS_IT_IS | own | {"endpoint_url": "https://here"}
    theirs = own | {"anon": True, "endpoint_url": "https://there"}
    assert storage.options("s3://public/a") == AS_IT_IS | theirs


def test_a_bucket_may_ask_for_keys_where_others_do_not():
    storage = StorageParameters(anonymous=True, buckets={"mine": {"anonymous": False}})
    assert storage.options("s3://mine/a")["anon"] is False


def test_a_mapping_is_for_fsspec_as_it_is():
    assert fsspec_options("s3://b/a", {"key": "k"}) == {"key": "k"}
    assert fsspec_options("s3://b/a", None) == {}


@pytest.mark.parametrize("name", ["key", "secret", "token"])
def test_there_is_no_place_for_keys(name):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        StorageParameters(**{name: "x"})
