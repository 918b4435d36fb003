"""Blobs under keys, in a folder or in S3: reports, what is still to be told, and the parts of backups."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

from tasks.core.errors import ConfigError, Denied, PermanentError

_TEMPORARY = ".incoming-"
_CHUNK = 1 << 20


class BlobWriter(Protocol):
    """Takes the bytes of one blob."""

    def write(self, data: bytes, /) -> object:
        """Take all of some bytes."""
        ...


class Unfinished(NamedTuple):
    """What is left of a blob that was begun and not ended, or is being written just now.

    Attributes:
        key: The blob's key.
        id: What the store calls this attempt.
        since: When it was begun, or last written to; aware.
    """

    key: str
    id: str
    since: datetime


class Lock(NamedTuple):
    """That a store lets nobody change or remove a blob for a while: object lock.

    Attributes:
        duration: Counted from when the blob is written.
        mode: Whether a right of its own may break the lock, or nobody at all.
    """

    duration: timedelta
    mode: Literal["governance", "compliance"] = "governance"


class Scale(NamedTuple):
    """How names right below a prefix are laid out: along a line, as moments are.

    Attributes:
        first: Those that count come after this text.
        last: They come before this one.
        place: Tells where on the line a name lies; None for what is no such name.
        name: Returns the text that a place's names begin with, or None where no name lies there.
    """

    first: str
    last: str
    place: Callable[[str], float | None]
    name: Callable[[float], str | None]

    def holds(self, name: str) -> bool:
        """Tell whether a name counts."""
        return self.first <= name < self.last


class BlobStore(Protocol):
    """Blobs, each under a key of parts joined by `/`; those of any size are streamed.

    A blob is there completely or not at all, and is durable when `put` returns or the block of `writing` has ended.
    Every method raises `Denied` where the store is read-only or refuses, `Unreachable` where it does not answer, and
    another `PermanentError` otherwise.
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

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Return the first pieces of the keys below a prefix, which ends with a slash or is empty; sorted.

        However much lies below each of them, it costs no more than their number.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is fine."""
        ...

    def where(self, key: str) -> str:
        """Return where a person finds the blob: a path or an `s3://` address."""
        ...

    def writing(self, key: str) -> AbstractContextManager[BlobWriter]:
        """Write a blob of any size in bounded memory; it is there once the block has ended, or not where it failed."""
        ...

    def reading(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yield a blob's bytes, from a place in it on.

        Raises:
            PermanentError: There is no such blob, or it ended before its time.
        """
        ...

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the size of each blob whose key begins with a text, sorted by key."""
        ...

    def sizes_along(self, prefixes: Sequence[str], scale: Scale) -> dict[str, int]:
        """Return the size of each blob in a folder that is named on a scale, sorted by key: many folders, quickly.

        Args:
            prefixes: Where the folders are; each ends with a slash, and none begins another.
            scale: How they are named; what is named otherwise is not looked into.
        """
        ...

    def sums(self, prefix: str = "") -> dict[str, str] | None:
        """Return what the store says is the MD5 of each blob whose key begins with a text; None where it says nothing.

        Where the store encrypts by itself, or the blob came in parts, it is something else: no proof of a difference.
        """
        ...

    def unfinished(self, prefix: str = "") -> Sequence[Unfinished]:
        """Return what was begun and not ended; that of a writer at work is among it."""
        ...

    def abort(self, unfinished: Unfinished) -> None:
        """Remove what is left of a blob that was not ended; one that is gone is fine."""
        ...

    def locked_until(self, key: str) -> datetime | None:
        """Return until when the store lets nobody remove a blob, or None where it may go, or is not there."""
        ...

    def require_lock(self, key: str = "") -> None:
        """See that the store locks what it was told to lock, or that it did lock a blob; nothing where it was not told.

        Raises:
            ConfigError: It does not.
        """
        ...


def open_store(
    url: str | Path,
    *,
    endpoint: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    region: str | None = None,
    ca_bundle: Path | None = None,
    lock: Lock | None = None,
) -> BlobStore:
    """Open a store; nothing is read, written or contacted yet.

    Args:
        url: A folder, or `s3://bucket/prefix`.
        endpoint: The S3 endpoint where it is not AWS.
        access_key: With `secret_key`, the credentials; without, those of the environment.
        secret_key: See `access_key`.
        region: The bucket's, where it is neither the environment's nor an endpoint's own.
        ca_bundle: A PEM file of certificate authorities to trust.
        lock: How what is written is locked; only S3 can.

    Raises:
        ConfigError: The address is of no known kind, or its kind cannot lock.
    """
    parts = urlsplit(str(url))
    if parts.scheme == "s3" and parts.netloc:
        from tasks.clients.blobs_s3 import S3Store  # noqa: PLC0415 - boto3 takes long to load, and folders need none

        return S3Store.connect(
            parts.netloc,
            parts.path.strip("/"),
            endpoint=endpoint,
            region=region,
            keys=(access_key, secret_key),
            ca_bundle=ca_bundle,
            lock=lock,
        )
    if "://" in str(url):
        raise ConfigError(f"{parts.scheme}:// is no store", hint="write a folder or s3://bucket/prefix")
    if lock is not None:
        raise ConfigError("a folder cannot lock what is in it", hint="leave out lock, or use S3 with object lock")
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

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Return the first pieces of the keys below a prefix; those of folders that hold nothing may be among them."""
        with _folder_errors(f"list {prefix or 'all'}"):
            try:
                with os.scandir(self._path(prefix) if prefix else self._root) as entries:
                    return sorted(entry.name for entry in entries if entry.is_dir())
            except (FileNotFoundError, NotADirectoryError):
                return []

    def delete(self, key: str) -> None:
        """Remove a blob, with the folders that are empty without it; one that is not there is fine."""
        with _folder_errors(f"delete {key}"):
            self._unlink(self._path(key))

    def _unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in path.parents:
                if folder == self._root:
                    break
                folder.rmdir()

    def where(self, key: str) -> str:
        """Return the blob's path."""
        return str(self._path(key).resolve())

    @contextmanager
    def writing(self, key: str) -> Iterator[BlobWriter]:
        """Write a blob of any size; the file appears under its name once the block has ended."""
        with self._incoming(key, os.replace) as file:
            yield file

    def reading(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yield a blob's bytes, from a place in it on."""
        with _folder_errors(f"read {key}"), self._path(key).open("rb") as file:
            file.seek(start)
            while data := file.read(_CHUNK):
                yield data

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the size of each blob whose key begins with a text, sorted by key."""
        return dict(sorted(self._files(prefix, kept=True)))

    def sizes_along(self, prefixes: Sequence[str], scale: Scale) -> dict[str, int]:
        """Return the size of each blob in a folder that is named on a scale, sorted by key."""
        there = (f"{prefix}{name}/" for prefix in prefixes for name in self.folders(prefix) if scale.holds(name))
        return dict(sorted(file for folder in there for file in self._files(folder, kept=True)))

    def sums(self, prefix: str = "") -> dict[str, str] | None:  # noqa: ARG002 - as every store has it
        """Return None: nobody has added up what is in a folder."""
        return None

    def unfinished(self, prefix: str = "") -> Sequence[Unfinished]:
        """Return the temporary files below the folder, each with the key of its folder."""
        with _folder_errors("list what is unfinished"):
            found = [self._root / key for key, _ in self._files(prefix, kept=False)]
            return [
                Unfinished(
                    path.parent.relative_to(self._root).as_posix(),
                    path.relative_to(self._root).as_posix(),
                    datetime.fromtimestamp(path.stat().st_mtime, UTC),
                )
                for path in found
            ]

    def abort(self, unfinished: Unfinished) -> None:
        """Remove a temporary file; one that is gone is fine."""
        path = self._root.joinpath(*PurePosixPath(unfinished.id).parts)
        if ".." in path.parts or not path.name.startswith(_TEMPORARY):
            raise PermanentError(f"{unfinished.id!r} is no temporary file", operation="abort a blob")
        with _folder_errors(f"abort {unfinished.key}"):
            self._unlink(path)

    def locked_until(self, key: str) -> datetime | None:  # noqa: ARG002 - as every store has it
        """Return None: a file may always be removed by whoever may write."""
        return None

    def require_lock(self, key: str = "") -> None:
        """Do nothing: no folder is told to lock."""

    def _files(self, prefix: str, *, kept: bool) -> Iterator[tuple[str, int]]:
        """Yield key and size of each file: those that are kept, or those that are on their way."""
        waiting = [str(self._path(prefix.rpartition("/")[0]) if "/" in prefix else self._root)]
        above = len(str(self._root / "x")) - 1
        with _folder_errors(f"list {prefix or 'all'}"):
            while waiting:
                with suppress(FileNotFoundError), os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        if entry.is_dir():
                            if _may_hold(f"{entry.path[above:]}/", prefix):
                                waiting.append(entry.path)
                        elif entry.name.startswith(_TEMPORARY) != kept and entry.is_file():
                            key = entry.path[above:]  # paths as text: ten thousand backups are listed in a second
                            if key.startswith(prefix):
                                yield key, entry.stat().st_size

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or ".." in parts or parts[-1].startswith(_TEMPORARY):
            raise PermanentError(f"{key!r} is no key", operation="open a blob")
        return self._root.joinpath(*parts)

    def _write(self, key: str, data: bytes, settle: Callable[[str, Path], None]) -> None:
        with self._incoming(key, settle) as file:
            file.write(data)

    @contextmanager
    def _incoming(self, key: str, settle: Callable[[str, Path], None]) -> Iterator[IO[bytes]]:
        path = self._path(key)
        with _folder_errors(f"write {key}"):
            handle, temporary = _make_temporary(path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                settle(temporary, path)
                _sync_folder(path.parent)
            finally:
                with suppress(FileNotFoundError):
                    Path(temporary).unlink()


def md5_of(data: bytes) -> str:
    """Return the MD5 that S3 tells of a blob: it tells two apart, and is no proof against who made both."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _may_hold(folder: str, prefix: str) -> bool:
    """Tell whether keys below a folder, whose name ends with a slash, may begin with a prefix."""
    return folder.startswith(prefix) or prefix.startswith(folder)


def _make_temporary(folder: Path) -> tuple[int, str]:
    """Make a temporary file, though another may remove the empty folder at the same moment."""
    for _ in range(3):
        _make_folder(folder)
        with suppress(FileNotFoundError):
            return tempfile.mkstemp(prefix=_TEMPORARY, dir=folder)
    return tempfile.mkstemp(prefix=_TEMPORARY, dir=folder)


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

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Return the first pieces of the keys below a prefix, sorted."""
        below = (key.removeprefix(prefix) for key in self._blobs if key.startswith(prefix))
        return sorted({key.partition("/")[0] for key in below if "/" in key})

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is fine."""
        self._blobs.pop(key, None)

    def where(self, key: str) -> str:
        """Say that it is kept nowhere."""
        return f"memory:{key}"

    @contextmanager
    def writing(self, key: str) -> Iterator[BlobWriter]:
        """Write a blob; it is there once the block has ended."""
        buffer = io.BytesIO()
        yield buffer
        self._blobs[key] = buffer.getvalue()

    def reading(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yield a blob's bytes, from a place in it on."""
        if key not in self._blobs:
            raise PermanentError("it is not there", operation=f"read {key}")
        buffer = io.BytesIO(self._blobs[key][start:])
        yield from iter(lambda: buffer.read(_CHUNK), b"")

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the size of each blob whose key begins with a text, sorted by key."""
        return {key: len(self._blobs[key]) for key in self.list(prefix)}

    def sizes_along(self, prefixes: Sequence[str], scale: Scale) -> dict[str, int]:
        """Return the size of each blob in a folder that is named on a scale, sorted by key."""
        there = (f"{prefix}{name}/" for prefix in prefixes for name in self.folders(prefix) if scale.holds(name))
        return {key: size for folder in sorted(there) for key, size in self.sizes(folder).items()}

    def sums(self, prefix: str = "") -> dict[str, str] | None:
        """Return the MD5 of each blob whose key begins with a text."""
        return {key: md5_of(self._blobs[key]) for key in self.list(prefix)}

    def unfinished(self, prefix: str = "") -> Sequence[Unfinished]:  # noqa: ARG002 - as every store has it
        """Return nothing: what is not ended was never here."""
        return []

    def abort(self, unfinished: Unfinished) -> None:
        """Do nothing: there is never anything."""

    def locked_until(self, key: str) -> datetime | None:  # noqa: ARG002 - as every store has it
        """Return None: memory locks nothing."""
        return None

    def require_lock(self, key: str = "") -> None:
        """Do nothing: memory is not told to lock."""
