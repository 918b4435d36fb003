"""Lists all of a bucket or prefix, a page ahead of whoever reads it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks.clients import s3
from tasks.core.errors import Garbled
from tasks.systems.s3.connection import patiently


@dataclass(frozen=True)
class Listed:
    """One object, version or delete marker as a listing shows it."""

    key: str
    size: int
    tag: str
    at: datetime
    version: str = ""
    latest: bool = True
    marker: bool = False


def pages(client: s3.S3Client, bucket: str, prefix: str, ahead: Executor, *, versions: bool) -> Iterator[list[Listed]]:
    """Yield page after page, in the order of keys; with versions, the newest of a key first.

    Raises:
        botocore.exceptions: As `tasks.clients.s3.Failure` has them.
        Garbled: The answer is no listing.
    """
    operation = client.list_object_versions if versions else client.list_objects_v2

    def ask(marks: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = patiently(lambda: operation(Bucket=bucket, Prefix=prefix, **marks), "list objects")
        return answer

    future = ahead.submit(ask, {})
    while True:
        answer = future.result()
        if "IsTruncated" not in answer:
            raise Garbled("the answer is no listing of a bucket", hint="see that the endpoint is the S3 port")
        if answer["IsTruncated"]:
            future = ahead.submit(ask, _marks(answer, versions=versions))
        yield list(_versions(answer) if versions else _objects(answer))
        if not answer["IsTruncated"]:
            return


def _marks(answer: dict[str, Any], *, versions: bool) -> dict[str, str]:
    if not versions:
        return {"ContinuationToken": answer["NextContinuationToken"]}
    marks = {"KeyMarker": answer["NextKeyMarker"]}
    if answer.get("NextVersionIdMarker"):
        marks["VersionIdMarker"] = answer["NextVersionIdMarker"]
    return marks


def _objects(answer: dict[str, Any]) -> Iterator[Listed]:
    for entry in answer.get("Contents", ()):
        yield Listed(entry["Key"], entry["Size"], entry.get("ETag", "").strip('"'), entry["LastModified"])


def _versions(answer: dict[str, Any]) -> Iterator[Listed]:
    for entry in answer.get("Versions", ()):
        tag = entry.get("ETag", "").strip('"')
        at, version = entry["LastModified"], entry.get("VersionId", "null")
        yield Listed(entry["Key"], entry["Size"], tag, at, version, entry["IsLatest"])
    for entry in answer.get("DeleteMarkers", ()):
        version = entry.get("VersionId", "null")
        yield Listed(entry["Key"], 0, "", entry["LastModified"], version, entry["IsLatest"], marker=True)
