"""Uploads in parts that nobody finished: invisible, but stored and paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nrsdark_xr.storage.locations import StorageOptions, file_system, is_s3, reading


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that was begun and not finished.

    Attributes
    ----------
    url : str
        Of the object that it was to become.
    upload_id : str
    begun : str
        When, in ISO format.
    """

    url: str
    upload_id: str
    begun: str


def find_uploads(prefix: str, storage_options: StorageOptions | None = None) -> list[Upload]:
    """List the unfinished uploads of objects whose URLs begin with `prefix`.

    Parameters
    ----------
    prefix : str
        ``s3://bucket/…``; of other file systems there are none.
    storage_options : mapping or StorageParameters, optional

    Raises
    ------
    NrsdarkError
        If they cannot be listed.
    """
    if not is_s3(prefix):
        return []
    system, _ = file_system(prefix, storage_options)
    bucket, _, key = prefix.partition("://")[2].partition("/")  # with a slash at its end
    uploads: list[Upload] = []
    marker: dict[str, Any] = {}
    with reading(prefix):
        while True:
            page = system.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=key, **marker)
            uploads += [
                Upload(f"s3://{bucket}/{entry['Key']}", entry["UploadId"], str(entry["Initiated"]))
                for entry in page.get("Uploads", [])
            ]
            if not page.get("IsTruncated"):
                return uploads
            marker = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }


def abort_uploads(uploads: Sequence[Upload], storage_options: StorageOptions | None = None) -> None:
    """Remove what is stored of unfinished uploads; one that is gone by now is no error.

    Parameters
    ----------
    uploads : sequence of Upload
    storage_options : mapping or StorageParameters, optional

    Raises
    ------
    NrsdarkError
        If one cannot be removed.
    """
    for upload in uploads:
        system, path = file_system(upload.url, storage_options)
        bucket, _, key = path.partition("/")
        with reading(upload.url):
            try:
                system.call_s3(
                    "abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload.upload_id
                )
            except FileNotFoundError:
                continue
