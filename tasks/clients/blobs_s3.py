"""Blobs as objects in S3 or in what speaks its protocol."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path
from typing import Any

from tasks.clients import s3
from tasks.clients.blobs import BlobWriter, Lock, Scale, Unfinished
from tasks.clients.s3_objects import Objects
from tasks.clients.s3_ranges import listed_along
from tasks.core.errors import (
    ConfigError,
    Denied,
    Garbled,
    NotOffered,
    PermanentError,
    TransientError,
    Unreachable,
    WatchkeeperError,
)

_TIMEOUT = 15.0
_MEBI = 1 << 20
_CHUNK = _MEBI
_SPAN = 8 * _MEBI
_PIECE = 1 << 18
_PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS
_UPLOADS = 2
_LISTINGS = 8
_PAUSES = (0.5, 2.0)
_PARTS = 10_000
_MEMORY = 64 * _MEBI
"""What one upload holds of its blob: the part that is filled and those in flight."""
_GROWTH = ((500, 8 * _MEBI), (1000, 16 * _MEBI), (2000, 32 * _MEBI), (_PARTS, 64 * _MEBI))
"""How large the parts of an upload are, up to which number of them: few calls, bounded memory, 550 GiB in all."""


class S3Store:
    """Blobs as objects in a bucket.

    Args:
        client: What `tasks.clients.s3.connect` returns.
        bucket: An existing bucket.
        prefix: What stands before every key, without slashes at its ends.
        lock: How long what is written here stays as it is. Then `delete` removes every version of a blob, as a bucket
            with object lock would else only hide it.
        now: The clock; aware.
        ca_bundle: A PEM file of certificate authorities to trust.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        prefix: str = "",
        lock: Lock | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        ca_bundle: Path | None = None,
    ) -> None:
        self._client, self._bucket, self._ca_bundle = client, bucket, ca_bundle
        self._prefix = f"{prefix}/" if prefix else ""
        self._lock, self._now = lock, now

    @functools.cached_property
    def _objects(self) -> Objects:
        return Objects(self._client, self._bucket, _LISTINGS, _TIMEOUT, self._ca_bundle)

    @classmethod
    def connect(
        cls,
        bucket: str,
        prefix: str,
        *,
        endpoint: str | None,
        keys: tuple[str | None, str | None],
        ca_bundle: Path | None,
        region: str | None = None,
        lock: Lock | None = None,
    ) -> S3Store:
        """Make the client; nothing is contacted yet. Without keys, those of the environment hold."""
        client = s3.connect(endpoint, region, *keys, _TIMEOUT, ca_bundle)
        return cls(client, bucket, prefix, lock, ca_bundle=ca_bundle)

    def put(self, key: str, data: bytes) -> None:
        """Write a blob, over an older one if there is one."""
        with self._errors(f"write {key}"):
            self._client.put_object(**self._place(key), **self._locking(), **self._sum(data), Body=data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write a blob unless there is one; of several writers at once exactly one is told True."""
        try:
            self._client.put_object(
                **self._place(key), **self._locking(), **self._sum(data), Body=data, IfNoneMatch="*"
            )
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
        return [*self.sizes(prefix)]

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Return the first pieces of the keys below a prefix, sorted."""
        start = self._prefix + prefix
        with self._errors(f"list {prefix or 'all'}"):
            found = [name for page in self._objects.pages(start, "/") for name in page.folders]
        return sorted(name.removeprefix(start).rstrip("/") for name in found)

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is fine."""
        if self._lock is None:
            with self._errors(f"delete {key}"):
                self._client.delete_object(**self._place(key))
            return
        try:
            self._delete_versions(key)
        except Denied:
            until = self.locked_until(key)
            if until is None:
                raise
            raise Denied(
                f"the store keeps it until {until:%Y-%m-%d %H:%M} UTC",
                operation=f"delete {key}",
                hint="wait until the lock has ended",
            ) from None

    def where(self, key: str) -> str:
        """Return the blob's `s3://` address."""
        return f"s3://{self._bucket}/{self._prefix}{key}"

    @contextmanager
    def writing(self, key: str) -> Iterator[BlobWriter]:
        """Write a blob of any size as a multipart upload, which is aborted where the block fails."""
        upload = _Upload(self._client, self._place(key), self._locking(), f"write {key}")
        try:
            yield upload
            upload.complete()
        except BaseException:
            upload.abort()
            raise
        finally:
            upload.close()

    def reading(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yield a blob's bytes, from a place in it on.

        It is asked for span by span, and each is read at once: a store that has to send as slowly as we take it may
        need three times as much of a processor. Where another blob is there meanwhile, the store refuses.
        """
        same: dict[str, str] = {}
        at, size = start, start + 1
        while at < size:
            with self._errors(f"read {key}"):
                try:
                    answer = self._client.get_object(
                        Bucket=self._bucket, Key=self._prefix + key, Range=f"bytes={at}-{at + _SPAN - 1}", **same
                    )
                except s3.Failure as error:
                    if at == 0 and s3.error_code(error) == "InvalidRange":  # it is empty
                        return
                    raise
            pieces: Iterable[bytes] = self._taken(answer, key)
            size, length = at + int(answer["ContentLength"]), int(answer["ContentLength"])
            if span := answer.get("ContentRange"):
                size, same = int(span.rpartition("/")[2]), {"IfMatch": answer["ETag"]}
                pieces = _emptied(deque(pieces))
            elif at:
                raise Garbled("the store sends the whole where a span was asked for", operation=f"read {key}")
            if not length and at < size:
                raise Garbled("the store sends nothing of what it says is there", operation=f"read {key}")
            yield from pieces
            at += length

    def _taken(self, answer: dict[str, Any], key: str) -> Iterator[bytes]:
        body, left = answer["Body"], int(answer["ContentLength"])
        with self._errors(f"read {key}"):
            try:
                while left and (data := body.read(min(_CHUNK, left))):
                    left -= len(data)
                    yield data
            except s3.BrokenOff:
                pass
            finally:
                body.close()
        if left:
            raise Unreachable(f"the connection broke with {left} bytes to come", operation=f"read {key}")

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the size of each blob whose key begins with a text, sorted by key."""
        found: dict[str, int] = {}
        with self._errors(f"list {prefix or 'all'}"):
            for page in self._objects.pages(self._prefix + prefix):
                found.update(page.sizes)
        return {key.removeprefix(self._prefix): found[key] for key in sorted(found)}

    def sizes_along(self, prefixes: Sequence[str], scale: Scale) -> dict[str, int]:
        """Return the size of each blob in a folder that is named on a scale, sorted by key; several pages at once."""
        with self._errors("list a catalog"):
            found = listed_along(
                lambda prefix, after: self._objects.pages(prefix, after=after),
                [self._prefix + prefix for prefix in prefixes],
                scale,
                _LISTINGS,
            )
        start = len(self._prefix)
        return {key[start:]: size for key, size in found.items() if "/" in key[start:]}

    def sums(self, prefix: str = "") -> dict[str, str] | None:
        """Return the ETag of each blob whose key begins with a text: its MD5, where it came in one piece."""
        found: dict[str, str] = {}
        with self._errors(f"list {prefix or 'all'}"):
            for page in self._objects.pages(self._prefix + prefix, tagged=True):
                found.update(page.tags)
        return {key.removeprefix(self._prefix): found[key] for key in sorted(found)}

    def unfinished(self, prefix: str = "") -> Sequence[Unfinished]:
        """Return the multipart uploads that are neither completed nor aborted."""
        with self._errors("list uploads"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            return [
                Unfinished(upload["Key"].removeprefix(self._prefix), upload["UploadId"], upload["Initiated"])
                for page in pages
                for upload in page.get("Uploads", ())
            ]

    def abort(self, unfinished: Unfinished) -> None:
        """Abort a multipart upload; one that is gone is fine."""
        try:
            self._client.abort_multipart_upload(
                Bucket=self._bucket, Key=self._prefix + unfinished.key, UploadId=unfinished.id
            )
        except s3.Failure as error:
            if s3.error_code(error) != "NoSuchUpload":
                raise s3.translated(error, f"abort {unfinished.key}") from None

    def locked_until(self, key: str) -> datetime | None:
        """Return until when the store lets nobody remove a blob, or None where it may go, or is not there."""
        try:
            head = self._client.head_object(**self._place(key))
        except s3.Failure as error:
            if s3.error_code(error) in ("404", "NoSuchKey", "NotFound"):
                return None
            raise s3.translated(error, f"look at {key}") from None
        until: datetime | None = head.get("ObjectLockRetainUntilDate")
        if head.get("ObjectLockLegalHoldStatus") == "ON":
            return datetime.max.replace(tzinfo=UTC)
        return until if until is not None and until > self._now() else None

    def require_lock(self, key: str = "") -> None:
        """See that the bucket locks, or that it did lock a blob; nothing where it was not told to.

        Raises:
            ConfigError: It does not.
        """
        if self._lock is None:
            return
        if key:
            if self.locked_until(key) is None:
                raise ConfigError(
                    f"bucket {self._bucket} took what was to be locked and did not lock it", hint=_UNLOCKED
                )
            return
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
            enabled = answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"
        except s3.Failure as error:
            ours = s3.translated(error, f"read the object lock of {self._bucket}")
            if not isinstance(ours, NotOffered) and s3.error_code(error) != "ObjectLockConfigurationNotFoundError":
                raise ours from None
            enabled = False
        if not enabled:
            raise ConfigError(f"bucket {self._bucket} has no object lock", hint=_UNLOCKED)

    def _place(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _locking(self) -> dict[str, Any]:
        if self._lock is None:
            return {}
        until = self._now() + self._lock.duration
        return {"ObjectLockMode": self._lock.mode.upper(), "ObjectLockRetainUntilDate": until}

    def _sum(self, data: bytes) -> dict[str, str]:
        return {} if self._lock is None else _content_md5(data)

    def _delete_versions(self, key: str) -> None:
        with self._errors(f"delete {key}"):
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket, Prefix=self._prefix + key
            )
            versions = [
                version["VersionId"]
                for page in pages
                for version in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                if version["Key"] == self._prefix + key
            ]
            for version in versions:
                self._client.delete_object(**self._place(key), VersionId=version)

    @contextmanager
    def _errors(self, operation: str) -> Iterator[None]:
        try:
            yield
        except s3.Failure as error:
            raise s3.translated(error, operation) from None


_UNLOCKED = "make a bucket with object lock, or leave lock out of the vault's spec"


def _emptied(pieces: deque[bytes]) -> Iterator[bytes]:
    """Yield pieces, and let go of each."""
    while pieces:
        yield pieces.popleft()


def _content_md5(data: bytes | memoryview) -> dict[str, str]:
    """Return the header without which S3 takes nothing that is to be locked."""
    found = hashlib.md5(data, usedforsecurity=False)
    return {"ContentMD5": base64.b64encode(found.digest()).decode()}


def _part_size(number: int) -> int:
    """Return how large a part of this number is; 0 where there is none."""
    return next((size for last, size in _GROWTH if number <= last), 0)


class _Body:
    """A part of an upload as a file, read in pieces of which each must be sent within the time-out."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def read(self, _size: int = -1, /) -> memoryview | bytes:
        """Return the next piece, however much is asked for; nothing at the end."""
        piece = self._data[self._at : self._at + _PIECE]
        self._at += len(piece)
        return piece or b""

    def tell(self) -> int:
        """Return the place from which is read next."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to another place."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._data)}[whence]
        return self._at


class _Upload:
    """One blob on its way: a single call where it is small, else a multipart upload with a few parts in flight.

    What is written is copied once, into the memory of its part, which serves a later part when this one has been sent.
    """

    def __init__(self, client: Any, place: dict[str, str], locking: dict[str, Any], operation: str) -> None:
        self._client, self._place, self._locking, self._operation = client, place, locking, operation
        self._part = memoryview(b"")
        self._held = 0
        self._spare: list[memoryview] = []
        self._id: str | None = None
        self._pool = ThreadPoolExecutor(_UPLOADS)
        self._flying: list[tuple[memoryview, Future[dict[str, Any]]]] = []
        self._done: list[dict[str, Any]] = []

    def write(self, data: bytes, /) -> None:
        left = memoryview(data)
        while left:
            if not self._held:
                self._part = self._room(self._size())
            size = len(self._part)
            piece = left[: size - self._held]
            self._part[self._held : self._held + len(piece)] = piece
            self._held, left = self._held + len(piece), left[len(piece) :]
            if self._held == size:
                self._send()

    def _room(self, size: int) -> memoryview:
        """Return memory for a part, which the system gives as it is filled, and has back when it is let go."""
        self._spare = [one for one in self._spare if len(one) == size]
        return self._spare.pop() if self._spare else memoryview(mmap(-1, size, _PRIVATE))

    def complete(self) -> None:
        if self._id is None:
            body = bytes(self._part[: self._held])
            self._call(lambda: self._client.put_object(**self._place, **self._locking, **self._sum(body), Body=body))
            return
        if self._held:
            self._send()
        self._land(0)
        parts = {"Parts": sorted(self._done, key=lambda part: part["PartNumber"])}
        # Not tried again: a first try that did work would make the second one fail.
        try:
            self._client.complete_multipart_upload(**self._place, UploadId=self._id, MultipartUpload=parts)
        except s3.Failure as error:
            raise s3.translated(error, self._operation) from None

    def abort(self) -> None:
        for _, future in self._flying:
            future.cancel()
        self._pool.shutdown(wait=True)
        if self._id is not None:
            with suppress(*s3.Failure):  # what cannot be aborted now is found by `unfinished`
                self._client.abort_multipart_upload(**self._place, UploadId=self._id)

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    def _number(self) -> int:
        return len(self._done) + len(self._flying) + 1

    def _size(self) -> int:
        if size := _part_size(self._number()):
            return size
        raise PermanentError("it is larger than one upload may be", operation=self._operation)

    def _send(self) -> None:
        """Send what is held; wait first, so that no more than a few parts and a bounded memory are in flight."""
        size = len(self._part)
        if self._id is None:
            self._id = self._call(lambda: self._client.create_multipart_upload(**self._place, **self._locking))[
                "UploadId"
            ]
        self._land(min(_UPLOADS, _MEMORY // size) - 1)
        data = self._part[: self._held]
        self._flying.append((self._part, self._pool.submit(self._send_part, self._number(), data)))
        self._part, self._held = memoryview(b""), 0
        self._land(_MEMORY // (_part_size(self._number()) or size) - 1)

    def _send_part(self, number: int, data: memoryview) -> dict[str, Any]:
        answer = self._call(
            lambda: self._client.upload_part(
                **self._place, UploadId=self._id, PartNumber=number, **self._sum(data), Body=_Body(data)
            )
        )
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _sum(self, data: bytes | memoryview) -> dict[str, str]:
        return _content_md5(data) if self._locking else {}

    def _land(self, allowed: int) -> None:
        """Wait until no more parts are in flight than allowed."""
        while len(self._flying) > max(allowed, 0):
            part, future = self._flying.pop(0)
            self._done.append(future.result())
            self._spare.append(part)

    def _call(self, call: Callable[[], Any]) -> Any:
        """Call, and once more after each pause where trying again may help: a part is the same however often sent."""
        for pause in (*_PAUSES, None):
            try:
                return call()
            except s3.Failure as error:
                ours: WatchkeeperError = s3.translated(error, self._operation)
                if pause is None or not isinstance(ours, TransientError):
                    raise ours from None
            time.sleep(pause)
        raise AssertionError
