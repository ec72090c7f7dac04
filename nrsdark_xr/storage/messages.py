"""What object storage answers, in the words of the user: what is wrong and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_SERVER = "check storage.endpoint_url or AWS_ENDPOINT_URL and the network, then run again"
_KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or storage.profile"
_ACCESS = (
    "access is denied",
    "check whose keys these are and what the bucket allows them; storage.anonymous: true asks "
    "without keys",
)
_NO_BUCKET = ("there is no such bucket", "make it, or check the URL and storage.endpoint_url")
_REGION = ("the bucket is in another region", "give its region as storage.region")
_FULL = (
    "the quota of this storage is used up",
    "free some or have it raised, then run again: finished exposures stay",
)
_UNREACHABLE = ("its server does not answer", _SERVER)
_NO_CREDENTIALS = (
    "there are no credentials for it",
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or storage.profile, or storage.anonymous: "
    "true for a public bucket",
)

CODES = {
    "AccessDenied": _ACCESS,
    "AllAccessDisabled": _ACCESS,
    "AccountProblem": _ACCESS,
    "403": _ACCESS,
    "Forbidden": _ACCESS,
    "NoSuchBucket": _NO_BUCKET,
    "InvalidBucketName": ("this is no name of a bucket", "check the URL"),
    "InvalidAccessKeyId": ("the server does not know the access key", _KEYS),
    "SignatureDoesNotMatch": ("the secret key is wrong", _KEYS),
    "ExpiredToken": ("the credentials have expired", "renew them, then run again"),
    "InvalidToken": ("the session token is wrong", "renew the credentials, then run again"),
    "RequestTimeTooSkewed": ("the clock of this machine is wrong", "set it, then run again"),
    "QuotaExceeded": _FULL,
    "ServiceQuotaExceeded": _FULL,
    "InsufficientStorage": _FULL,
    "XMinioStorageFull": _FULL,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "SlowDown": ("the server has too much to do", "run again, with fewer workers"),
    "ServiceUnavailable": _UNREACHABLE,
    "InternalError": _UNREACHABLE,
}
"""Codes that an S3 server answers, with what they mean and what to do."""
CLIENT_ERRORS = {
    "NoCredentialsError": _NO_CREDENTIALS,
    "PartialCredentialsError": ("its credentials are incomplete", _KEYS),
    "CredentialRetrievalError": ("its credentials cannot be had", _KEYS),
    "ProfileNotFound": ("there is no such profile", "check storage.profile and AWS_PROFILE"),
    "SSLError": ("the certificate of its server is not trusted", "set AWS_CA_BUNDLE"),
    "EndpointConnectionError": _UNREACHABLE,
    "ConnectTimeoutError": _UNREACHABLE,
    "ConnectionClosedError": _UNREACHABLE,
    "ReadTimeoutError": _UNREACHABLE,
    "HTTPClientError": _UNREACHABLE,
}
"""Exceptions of botocore by their name, likewise."""
_CODE_IN_TEXT = re.compile(r"<Code>(\w+)</Code>")
_STATUS_IN_TEXT = re.compile(r"\bstatus(?: code)?:? (\d{3})\b")
_UNREACHABLE_TEXT = ("error sending request", "connection refused", "connect error", "dns error")


def explain(error: BaseException) -> tuple[str, str] | None:
    """Tell what an S3 server or its client library meant.

    Parameters
    ----------
    error : Exception
        As raised by s3fs, botocore or obstore.

    Returns
    -------
    (str, str) or None
        What is wrong, and what to do; None if it is nothing of these.
    """
    for link in _chain(error):
        code = error_code(link)
        if code in CODES:
            return CODES[code]
        if type(link).__module__.startswith(("botocore", "aiobotocore")):
            for ancestor in type(link).__mro__:
                if ancestor.__name__ in CLIENT_ERRORS:
                    return CLIENT_ERRORS[ancestor.__name__]
        if type(link).__module__.startswith("obstore"):
            text = str(link).lower()
            if any(part in text for part in _UNREACHABLE_TEXT):
                return _UNREACHABLE
    return None


def error_code(error: BaseException) -> str | None:
    """Take the code out of what a server answered; that of the status where there is no other."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", "")) or None
    if type(error).__module__.startswith("obstore"):
        text = str(error)
        match = _CODE_IN_TEXT.search(text) or _STATUS_IN_TEXT.search(text)
        return match.group(1) if match else None
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__
