"""S3 by obstore, for the chunks of the store: the same server and keys as s3fs would use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.storage.messages import CLIENT_ERRORS
from nrsdark_xr.storage.s3 import (
    CONNECT_TIMEOUT,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    PATIENCE,
    READ_TIMEOUT,
    environment_digest,
)

KNOWN = {
    "anon",
    "backend",
    "client_kwargs",
    "endpoint_url",
    "key",
    "patience",
    "profile",
    "secret",
    "token",
}
"""Options of s3fs that obstore has, too."""
KNOWN_CLIENT = {"endpoint_url", "region_name"}
CREDENTIALS_KEPT = timedelta(minutes=5)
"""Time after which keys are asked for again; those of a role change."""
_STORES_KEPT = 16


def use_obstore(options: Mapping[str, Any]) -> bool:
    """Whether obstore is to move data, by what is installed and what the user wants.

    Raises
    ------
    NrsdarkError
        If it is asked for, but not installed.
    """
    backend = options.get("backend", "auto")
    if backend == "s3fs":
        return False
    installed = find_spec("obstore") is not None
    if backend == "obstore" and not installed:
        raise NrsdarkError(
            "storage.backend is obstore, which is not installed",
            remedy='pip install "nrsdark_xr[obstore]"',
        )
    client = options.get("client_kwargs") or {}
    return installed and options.keys() <= KNOWN and client.keys() <= KNOWN_CLIENT


def object_store(url: str, options: Mapping[str, Any]) -> Any:
    """Make the obstore client for everything below `url`, or find the one made before.

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix``
    options : mapping
        Those of `s3fs.S3FileSystem`, as far as `use_obstore` accepts them.
    """
    flat = {**options, **(options.get("client_kwargs") or {})}
    flat.pop("client_kwargs", None)
    return _make(url, tuple(sorted(flat.items())), environment_digest())


@lru_cache(maxsize=_STORES_KEPT)
def _make(url: str, items: tuple[tuple[str, Any], ...], _environment: str) -> Any:
    from obstore.store import S3Store

    options = dict(items)
    bucket, _, prefix = url.partition("://")[2].partition("/")
    session = _session(options)
    endpoint, region = _address(session, options)
    anonymous = bool(options.get("anon"))
    patience = options.get("patience", PATIENCE)
    return S3Store(
        bucket,
        prefix=prefix or None,
        endpoint=endpoint,
        region=region,
        skip_signature=anonymous,
        credential_provider=None if anonymous else _Credentials(session, url),
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT),
            "timeout": timedelta(seconds=READ_TIMEOUT),
        },
        retry_config={
            "max_retries": int(patience / FIRST_PAUSE),
            "retry_timeout": timedelta(seconds=patience),
            "backoff": {
                "init_backoff": timedelta(seconds=FIRST_PAUSE),
                "max_backoff": timedelta(seconds=LONGEST_PAUSE),
                "base": 2,
            },
        },
    )


def _session(options: Mapping[str, Any]) -> Any:
    """Make a session of botocore, which knows the environment, ``~/.aws`` and roles."""
    from botocore.session import Session

    session = Session(profile=options.get("profile"))
    if options.get("key"):
        session.set_credentials(options["key"], options["secret"], options.get("token"))
    return session


def _address(session: Any, options: Mapping[str, Any]) -> tuple[str, str]:
    """Find server and region as s3fs does, which asks botocore."""
    client = session.create_client(
        "s3",
        endpoint_url=options.get("endpoint_url"),
        region_name=options.get("region_name"),
        aws_access_key_id="unused",
        aws_secret_access_key="unused",
    )
    region = client.meta.region_name
    return client.meta.endpoint_url, "us-east-1" if region == "aws-global" else region


class _Credentials:
    """Keys for obstore, from where botocore finds them."""

    def __init__(self, session: Any, url: str) -> None:
        self._credentials = session.get_credentials()
        if self._credentials is None:
            what, remedy = CLIENT_ERRORS["NoCredentialsError"]
            raise NrsdarkError(what, file=url, remedy=remedy)

    def __call__(self) -> Any:
        keys = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": datetime.now(UTC) + CREDENTIALS_KEPT,
        }
