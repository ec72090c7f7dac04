"""Count what is asked of the S3 server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from nrsdark_xr.storage.s3 import PatientS3FileSystem


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the requests that s3fs makes in this process, by method."""
    counts: Counter[str] = Counter()
    ask = PatientS3FileSystem._call_s3

    async def counting(self: Any, method: str, *arguments: Any, **options: Any) -> Any:
        counts[method] += 1
        return await ask(self, method, *arguments, **options)

    with patch.object(PatientS3FileSystem, "_call_s3", counting):
        yield counts
