"""Small blobs under keys, in a folder or in S3: reports, and what is still to be told."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit

from tasks.core.errors import ConfigError, Denied, PermanentError

_TEMPORARY = ".incoming-"


class BlobStore(Protocol):
    """Blobs of a few megabytes at most, each under a key of parts joined by `/`.

    A blob is there completely or not at all, and is durable when `put` returns. Every method raises `Denied` where the
    store is read-only or refuses, `Unreachable` where it does not answer, and another `PermanentError` otherwise.
    """

    def put(self, key: str, data: bytes) -> None:
        """Write a blob, over an older one if there is one."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write a blob unless there is one; of several writers at once exactly one is told True."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return a blob, or None where there is none."""
        ...

    def list(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with a text, sorted."""
        ...

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is fine."""
        ...

    def where(self, key: str) -> str:
        """Return where a person finds the blob: a path or an `s3://` address."""
        ...


def open_store(
    url: str | Path,
    *,
    endpoint: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    ca_bundle: Path | None = None,
) -> BlobStore:
    """Open a store; nothing is read, written or contacted yet.

    Args:
        url: A folder, or `s3://bucket/prefix`.
        endpoint: The S3 endpoint where it is not AWS.
        access_key: With `secret_key`, the credentials; without, those of the environment.
        secret_key: See `access_key`.
        ca_bundle: A PEM file of certificate authorities to trust.

    Raises:
        ConfigError: The address is of no known kind.
    """
    parts = urlsplit(str(url))
    if parts.scheme == "s3" and parts.netloc:
        from tasks.clients.blobs_s3 import S3Store  # noqa: PLC0415 - boto3 takes long to load, and folders need none

        return S3Store.connect(
            parts.netloc, parts.path.strip("/"), endpoint=endpoint, keys=(access_key, secret_key), ca_bundle=ca_bundle
        )
    if "://" in str(url):
        raise ConfigError(f"{parts.scheme}:// is no store", hint="write a folder or s3://bucket/prefix")
    return FolderStore(Path(url))


class FolderStore:
    """Blobs as files below a folder, which is made when the first one is written."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes) -> None:
        """Write a blob, over an older one if there is one."""
        self._write(key, data, os.replace)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write a blob unless there is one; of several writers at once exactly one is told True."""
        try:
            self._write(key, data, os.link)
        except FileExistsError:
            return False
        return True

    def get(self, key: str) -> bytes | None:
        """Return a blob, or None where there is none."""
        with _folder_errors(f"read {key}"):
            try:
                return self._path(key).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def list(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with a text, sorted."""
        start = self._path(prefix.rpartition("/")[0]) if "/" in prefix else self._root
        with _folder_errors(f"list {prefix or 'all'}"):
            paths = [path for path in start.rglob("*") if path.is_file() and not path.name.startswith(_TEMPORARY)]
        keys = (path.relative_to(self._root).as_posix() for path in paths)
        return sorted(key for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is fine."""
        with _folder_errors(f"delete {key}"):
            path = self._path(key)
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()

    def where(self, key: str) -> str:
        """Return the blob's path."""
        return str(self._path(key).resolve())

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or ".." in parts or parts[-1].startswith(_TEMPORARY):
            raise PermanentError(f"{key!r} is no key", operation="open a blob")
        return self._root.joinpath(*parts)

    def _write(self, key: str, data: bytes, settle: Callable[[str, Path], None]) -> None:
        path = self._path(key)
        with _folder_errors(f"write {key}"):
            _make_folder(path.parent)
            handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                settle(temporary, path)
                _sync_folder(path.parent)
            finally:
                with suppress(FileNotFoundError):
                    Path(temporary).unlink()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(error.errno, "a file is in the way of the folder") from None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _folder_errors(operation: str) -> Iterator[None]:
    """Map the file system's errors; an existing file is left to the caller, who asked for it."""
    try:
        yield
    except FileExistsError:
        raise
    except PermissionError as error:
        raise Denied(str(error.strerror), operation=operation, hint="see who may write there") from None
    except OSError as error:
        raise PermanentError(str(error.strerror), operation=operation) from None


class MemoryStore:
    """Blobs that are gone with the process: for when no other store can be written."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        """Write a blob, over an older one if there is one."""
        self._blobs[key] = data

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write a blob unless there is one; True where it was written."""
        return self._blobs.setdefault(key, data) is data

    def get(self, key: str) -> bytes | None:
        """Return a blob, or None where there is none."""
        return self._blobs.get(key)

    def list(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with a text, sorted."""
        return sorted(key for key in self._blobs if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is fine."""
        self._blobs.pop(key, None)

    def where(self, key: str) -> str:
        """Say that it is kept nowhere."""
        return f"memory:{key}"
