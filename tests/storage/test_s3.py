"""How patient requests are, without a server."""

from __future__ import annotations

import pytest
import s3fs
from botocore.exceptions import ClientError, EndpointConnectionError, SSLError
from s3fs.errors import translate_boto_error

from nrsdark_xr.storage import StorageParameters, file_system, s3

GONE = EndpointConnectionError(endpoint_url="http://x")


def answer(code: str, status: int) -> OSError:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return translate_boto_error(ClientError(response, "GetObject"))


@pytest.fixture
def ask(monkeypatch):
    """Let a request meet with some errors before it is answered; count how often it is made."""
    monkeypatch.setattr(s3, "FIRST_PAUSE", 0.01)
    made = []

    def with_errors(*errors, patience=5.0, **options):
        made.clear()
        left = list(errors)

        async def call(self, method, *arguments, **given):
            made.append(method)
            if left:
                raise left.pop(0)
            return "answer"

        monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
        system, _ = file_system("s3://b/a", StorageParameters(patience=patience, anonymous=True))
        return system.call_s3("get_object", **options), len(made)

    with_errors.made = made
    return with_errors


@pytest.mark.parametrize(
    "error",
    [
        GONE,
        answer("InternalError", 500),
        answer("ServiceUnavailable", 503),
        answer("SlowDown", 503),
        answer("RequestTimeout", 400),
        answer("ConditionalRequestConflict", 409),
    ],
    ids=str,
)
def test_what_may_pass_is_asked_again(ask, error):
    assert ask(error, error, error) == ("answer", 4)


@pytest.mark.parametrize(
    "error",
    [
        answer("AccessDenied", 403),
        answer("NoSuchKey", 404),
        answer("QuotaExceeded", 403),
        answer("NotImplemented", 501),
        answer("InsufficientStorage", 507),
        SSLError(endpoint_url="http://x", error="x"),
        KeyError("x"),
    ],
    ids=str,
)
def test_what_stays_as_it_is_is_raised_at_once(ask, error):
    with pytest.raises(type(error)) as caught:
        ask(error)
    assert caught.value is error
    assert len(ask.made) == 1


def test_patience_ends(ask):
    with pytest.raises(EndpointConnectionError):
        ask(*[GONE] * 1000, patience=2.0)
    assert 1 < len(ask.made) < 20


def test_silence_is_told_once(ask, monkeypatch, caplog):
    monkeypatch.setattr(s3, "SECONDS_OF_SILENCE", 0.0)
    ask(*[GONE] * 5)
    (record,) = caplog.records
    assert record.getMessage().startswith("the S3 server does not answer (Could not connect to")
    assert "more" in record.getMessage()


@pytest.mark.parametrize("code", ["PreconditionFailed", "412"])
def test_an_object_that_is_there_is_no_matter_of_the_server(ask, code):
    with pytest.raises(FileExistsError):
        ask(answer(code, 412), IfNoneMatch="*", Key="a")


def test_other_keys_in_the_environment_make_another_client(monkeypatch):
    first, _ = file_system("s3://b/a")
    assert file_system("s3://b/a")[0] is first
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    assert file_system("s3://b/a")[0] is not first
