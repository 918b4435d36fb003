"""Where objects are restored to: a bucket, or a folder in which each lies under its key."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from tasks.clients import s3
from tasks.clients.places import places
from tasks.clients.s3_objects import Objects
from tasks.core.errors import ConfigError, Denied, PermanentError
from tasks.core.system import Access
from tasks.systems.s3.connection import patiently
from tasks.systems.s3.naming import is_plain, odd_name

CONNECTIONS = 16

_SECONDS = 30.0
_CHUNK = 1 << 18
_AWS = "s3.amazonaws.com"
_ADDRESS = "write a folder, http://access-key:secret-key@host:port/bucket/prefix, or s3://bucket/prefix"


class Readable(Protocol):
    """What an object's bytes come from."""

    def read(self, size: int = -1) -> bytes:
        """Return some bytes, or none at the end."""
        ...


class Place(Protocol):
    """Objects under keys; all methods may be called by many threads."""

    def is_empty(self) -> bool:
        """Tell whether there is nothing yet."""
        ...

    def put(self, key: str, body: Readable, size: int, headers: Mapping[str, str], metadata: Mapping[str, str]) -> None:
        """Write an object of any size."""
        ...

    def read(self, key: str) -> Iterator[bytes] | None:
        """Yield an object's bytes, or return None where it is not there."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def open_place(address: str, access: Access | None = None) -> Place:
    """Open a place by its address; nothing is contacted yet.

    Raises:
        ConfigError: It is no address.
    """
    parts = _split(address)
    if not parts.scheme:
        return Folder(Path(address))
    bucket, prefix = _bucket(parts)
    user, secret = (unquote(text) if text else None for text in (parts.username, parts.password))
    endpoint = None if parts.scheme == "s3" else f"{parts.scheme}://{_host(parts)}"
    ca_bundle = access.ca_bundle if access else None
    client = s3.connect(endpoint, None, user, secret, _SECONDS, ca_bundle)
    return Bucket(client, Objects(client, bucket, CONNECTIONS, _SECONDS, ca_bundle), bucket, prefix)


def endpoints(address: str) -> frozenset[str]:
    """Return the bucket behind an address, whatever prefix it has: what is in the live bucket is the live system.

    Raises:
        ConfigError: It is no address.
    """
    parts = _split(address)
    if not parts.scheme:
        return frozenset({f"file:{Path(address).resolve()}"})
    bucket, _ = _bucket(parts)
    name = (parts.hostname or "").lower()
    if parts.scheme == "s3" or name.endswith(".amazonaws.com"):
        return frozenset({f"{_AWS}/{bucket}"})
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return frozenset(f"{place}/{bucket}" for place in places(name, port))


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        valid = parts.port is None or parts.port > 0
    except ValueError:
        raise ConfigError("the target is no address", hint=_ADDRESS) from None
    if not valid or parts.scheme not in ("", "http", "https", "s3") or not (parts.scheme or parts.path):
        raise ConfigError("the target is no address", hint=_ADDRESS)
    return parts


def _bucket(parts: SplitResult) -> tuple[str, str]:
    path = f"{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme == "s3" else parts.path.lstrip("/")
    bucket, _, prefix = path.partition("/")
    if not bucket:
        raise ConfigError("the target names no bucket", hint=_ADDRESS)
    return bucket, unquote(prefix)


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


@dataclass(frozen=True)
class Folder:
    """Objects as files under their keys; what can have no path of its own lies in `=odd/`, by the hash of its key."""

    root: Path

    def is_empty(self) -> bool:
        """Tell whether there is nothing yet."""
        return not self.root.exists() or not any(self.root.iterdir())

    def put(self, key: str, body: Readable, size: int, headers: Mapping[str, str], metadata: Mapping[str, str]) -> None:  # noqa: ARG002
        """Write a file, never over another: where another object is in the way, it goes to `=odd/`."""
        try:
            if is_plain(key) and self._write(self.root / key, body):
                return
            if not self._write(self.root / odd_name(key), body):
                raise PermanentError(f"{key!a} is there already", operation="write an object")
        except OSError as error:
            kind = Denied if isinstance(error, PermissionError) else PermanentError
            raise kind(str(error.strerror), operation=f"write {key!a}") from None

    def read(self, key: str) -> Iterator[bytes] | None:
        """Yield an object's bytes, or return None where it is not there."""
        for path in (self.root / key,) * is_plain(key) + (self.root / odd_name(key),):
            if path.is_file():
                return _chunks(path)
        return None

    def files(self) -> Iterator[Path]:
        """Yield every file."""
        for folder, _, names in os.walk(self.root):
            yield from (Path(folder, name) for name in sorted(names))

    def close(self) -> None:
        """Do nothing."""

    def _write(self, path: Path, body: Readable) -> bool:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("xb")
        except (FileExistsError, NotADirectoryError):
            return False
        with file:
            while data := body.read(_CHUNK):
                file.write(data)
        return True


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            yield data


@dataclass(frozen=True)
class Bucket:
    """Objects in a bucket, under a prefix that stands before their keys."""

    client: s3.S3Client
    objects: Objects
    bucket: str
    prefix: str

    def is_empty(self) -> bool:
        """Tell whether there is nothing yet."""
        try:
            found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)
        except s3.Failure as error:
            if s3.error_code(error) == "NoSuchBucket":
                raise ConfigError(f"the bucket {self.bucket} does not exist", hint="make it first") from None
            raise s3.translated(error, "look into the target") from None
        return not found.get("Contents")

    def put(self, key: str, body: Readable, size: int, headers: Mapping[str, str], metadata: Mapping[str, str]) -> None:
        """Write an object, in one call where it is small."""
        extra, name = {**_served(headers), "Metadata": dict(metadata)}, self.prefix + key
        try:
            if size > s3.UPLOAD_WHOLE:
                s3.upload(self.client, self.bucket, name, body, size, extra)
                return
            data = body.read()
            patiently(
                lambda: self.client.put_object(Bucket=self.bucket, Key=name, Body=BytesIO(data), **extra),
                "write an object",
            )
        except s3.Failure as error:
            raise s3.translated(error, "write an object") from None

    def read(self, key: str) -> Iterator[bytes] | None:
        """Yield an object's bytes, or return None where it is not there."""
        try:
            first = self.objects.get(self.prefix + key, at_most=s3.UPLOAD_WHOLE)
        except s3.Failure as error:
            if s3.error_code(error) in ("NoSuchKey", "404"):
                return None
            raise s3.translated(error, "read an object") from None
        return iter((first.body,)) if first.body is not None else self._ranges(key, first.size, first.tag)

    def _ranges(self, key: str, size: int, tag: str) -> Iterator[bytes]:
        for start in range(0, size, s3.UPLOAD_WHOLE):
            span = (start, min(start + s3.UPLOAD_WHOLE, size) - 1)
            try:
                body = self.objects.get(self.prefix + key, span=span, tag=tag).body
            except s3.Failure as error:
                raise s3.translated(error, "read an object") from None
            yield body or b""

    def close(self) -> None:
        """Close all connections."""
        self.objects.close()
        self.client.close()


def _served(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of a call that give an object the headers that it had."""
    found: dict[str, Any] = {name.replace("-", ""): value for name, value in headers.items() if name != "Expires"}
    try:
        return found | {"Expires": parsedate_to_datetime(headers["Expires"])} if "Expires" in headers else found
    except ValueError:
        return found
