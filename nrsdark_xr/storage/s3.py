"""S3 by s3fs, made to outlive a restart of the server."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
import weakref
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ConnectionError as BotocoreConnectionError
from botocore.exceptions import SSLError
from fsspec.asyn import sync_wrapper
from s3fs import S3FileSystem
from s3fs.core import S3_RETRYABLE_ERRORS

from nrsdark_xr.storage.messages import error_code

_log = logging.getLogger(__name__)

PATIENCE = 120.0
"""Seconds for which a request is repeated, unless told otherwise."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 4.0
"""Seconds between attempts: doubled from the first to the longest."""
SECONDS_OF_SILENCE = 3.0
"""Time without an answer after which the log tells of it."""
CONNECT_TIMEOUT, READ_TIMEOUT = 5, 30
"""Seconds for an attempt to connect, and for the next bytes of an answer."""
BLOCK_BYTES = 64 * 1024
"""Read-ahead of an open file: what is read of open files are headers. Pixels come by range."""
_BUSY = ("SlowDown", "RequestTimeout", "OperationAborted", "ConditionalRequestConflict")
"""Answers below 500 that ask to come again."""
_IS_THERE = ("PreconditionFailed", "412")
"""Answers to a conditional put where there is an object. s3fs knows them of AWS only."""
_NOT_AGAIN = (501, 507)
"""Answers from 500 on that stay as they are: not implemented, no space."""


def s3_file_system(url: str, options: Mapping[str, Any]) -> tuple[PatientS3FileSystem, str]:
    """Make the file system that holds `url`, or find the one made before, and the path on it.

    Parameters
    ----------
    url : str
    options : mapping
        Those of `s3fs.S3FileSystem`; `patience` in seconds; `backend` is not looked at.
    """
    known = {name: value for name, value in options.items() if name != "backend"}
    system = PatientS3FileSystem(**known, environment=environment_digest())
    return system, system._strip_protocol(url)


def environment_digest() -> str:
    """Tell one set of AWS variables from another, so that a client is not kept beyond its keys."""
    variables = sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))
    return hashlib.sha256(repr(variables).encode()).hexdigest()


class PatientS3FileSystem(S3FileSystem):
    """`s3fs.S3FileSystem` that repeats requests until a server that was restarted is back.

    Differences: a whole object is fetched by one request, not two; open files read ahead 64 KiB,
    not 50 MiB; listings are not cached, since other processes write; every request is repeated for
    `patience` seconds while the server does not answer or is overloaded.

    Parameters
    ----------
    patience : float
        Seconds.
    environment : str
        Tells file systems apart that differ in nothing else.
    **options
        Of `s3fs.S3FileSystem`.
    """

    def __init__(self, patience: float = PATIENCE, environment: str = "", **options: Any) -> None:
        own = {
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
            "retries": {"total_max_attempts": 1},  # all repeating is done here
        }
        super().__init__(
            **{"default_block_size": BLOCK_BYTES, "use_listings_cache": False}
            | options
            | {"config_kwargs": own | options.get("config_kwargs", {})}
        )
        self.environment = environment
        self._patience = patience
        self._silent_since: float | None = None

    async def set_session(self, *arguments: Any, **options: Any) -> Any:
        """Make the client, unless it is there; s3fs forgets to close that of an event loop."""
        known, client = self._s3, await super().set_session(*arguments, **options)
        if self.asynchronous and client is not known:
            loop = asyncio.get_running_loop()
            weakref.finalize(self, self.close_session, loop, self._s3creator)
        return client

    async def _call_s3(self, method: str, *arguments: Any, **options: Any) -> Any:
        deadline = time.monotonic() + self._patience
        pause = FIRST_PAUSE
        while True:
            try:
                answer = await super()._call_s3(method, *arguments, **options)
            except Exception as error:
                if options.get("IfNoneMatch") and _code(error) in _IS_THERE:
                    raise FileExistsError(options["Key"]) from error
                if not is_transient(error) or time.monotonic() + pause > deadline:
                    raise
                self._tell(error, deadline)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._silent_since = None
                return answer

    call_s3 = sync_wrapper(_call_s3)

    def _tell(self, error: Exception, deadline: float) -> None:
        """Log that there is no answer, once for all requests of an outage."""
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since > SECONDS_OF_SILENCE:
            self._silent_since = float("inf")
            _log.warning(
                "the S3 server does not answer (%s); trying for %.0f s more",
                " ".join(str(error).split()),
                deadline - now,
            )

    async def _cat_file(
        self,
        path: str,
        version_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
        **options: Any,
    ) -> bytes:
        # Else s3fs would ask for the length first, to fetch what is long in parts.
        alone = {"max_concurrency": 1} | options
        return await super()._cat_file(path, version_id=version_id, start=start, end=end, **alone)


def is_transient(error: BaseException) -> bool:
    """Whether a request may succeed when it is made again, just as it was."""
    if isinstance(error, SSLError):
        return False
    if isinstance(error, (BotocoreConnectionError, *S3_RETRYABLE_ERRORS)):
        return True
    response = getattr(_answer(error), "response", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return _code(error) in _BUSY or (status >= 500 and status not in _NOT_AGAIN)


def _answer(error: BaseException) -> BaseException:
    """Find what the server answered: s3fs makes errors of Python of it."""
    return error if error.__cause__ is None else error.__cause__


def _code(error: BaseException) -> str | None:
    return error_code(_answer(error))
