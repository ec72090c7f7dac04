from __future__ import annotations

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from s3fs.errors import translate_boto_error

from nrsdark_xr.storage.messages import CODES, explain


class ObstoreError(Exception):
    """As obstore raises them: all that is known is in the text."""


ObstoreError.__module__ = "obstore.exceptions"


def answer(code: str, status: int = 403) -> ClientError:
    error = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, "PutObject")


@pytest.mark.parametrize("code", CODES)
def test_every_code_by_both_libraries(code):
    assert explain(answer(code)) == CODES[code]
    assert explain(translate_boto_error(answer(code))) == CODES[code]
    text = f"Error performing PUT: Server returned status code: <Error><Code>{code}</Code></Error>"
    assert explain(ObstoreError(text)) == CODES[code]


def test_a_status_without_a_code():
    text = "Generic S3 error: Server returned non-2xx status code: 403 Forbidden: "
    assert explain(ObstoreError(text)) == CODES["AccessDenied"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exceptions.NoCredentialsError(), "no credentials"),
        (exceptions.ProfileNotFound(profile="x"), "no such profile"),
        (exceptions.EndpointConnectionError(endpoint_url="http://x"), "does not answer"),
        (exceptions.ReadTimeoutError(endpoint_url="http://x"), "does not answer"),
        (exceptions.SSLError(endpoint_url="http://x", error="x"), "certificate"),
        (ObstoreError("HTTP error: error sending request: Connection refused"), "not answer"),
    ],
)
def test_errors_of_the_client(error, expected):
    what, remedy = explain(error)
    assert expected in what
    assert remedy


@pytest.mark.parametrize(
    "error", [KeyError("x"), FileNotFoundError(2, "x"), OSError(5, "x"), answer("NoSuchKey")]
)
def test_what_is_nothing_of_these(error):
    assert explain(error) is None
