"""Blobs as objects in S3 or in what speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.clients import s3

_TIMEOUT = 15.0


class S3Store:
    """Blobs as objects in a bucket.

    Args:
        client: What `tasks.clients.s3.connect` returns.
        bucket: An existing bucket.
        prefix: What stands before every key, without slashes at its ends.
    """

    def __init__(self, client: Any, bucket: str, prefix: str = "") -> None:
        self._client, self._bucket = client, bucket
        self._prefix = f"{prefix}/" if prefix else ""

    @classmethod
    def connect(
        cls,
        bucket: str,
        prefix: str,
        *,
        endpoint: str | None,
        keys: tuple[str | None, str | None],
        ca_bundle: Path | None,
    ) -> S3Store:
        """Make the client; nothing is contacted yet. Without keys, those of the environment hold."""
        return cls(s3.connect(endpoint, None, *keys, _TIMEOUT, ca_bundle), bucket, prefix)

    def put(self, key: str, data: bytes) -> None:
        """Write a blob, over an older one if there is one."""
        with self._errors(f"write {key}"):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write a blob unless there is one; of several writers at once exactly one is told True."""
        try:
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data, IfNoneMatch="*")
        except s3.Failure as error:
            if s3.error_code(error) in ("PreconditionFailed", "412"):
                return False
            raise s3.translated(error, f"write {key}") from None
        return True

    def get(self, key: str) -> bytes | None:
        """Return a blob, or None where there is none."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            return bytes(answer["Body"].read())
        except s3.Failure as error:
            if s3.error_code(error) == "NoSuchKey":
                return None
            raise s3.translated(error, f"read {key}") from None

    def list(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with a text, sorted."""
        with self._errors(f"list {prefix or 'all'}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return sorted(key.removeprefix(self._prefix) for key in keys)

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is fine."""
        with self._errors(f"delete {key}"):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def where(self, key: str) -> str:
        """Return the blob's `s3://` address."""
        return f"s3://{self._bucket}/{self._prefix}{key}"

    @contextmanager
    def _errors(self, operation: str) -> Iterator[None]:
        try:
            yield
        except s3.Failure as error:
            raise s3.translated(error, operation) from None
