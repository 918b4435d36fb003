"""The way of a part: hash, zstd, age, hash, store; and back. Memory is flat at any size, and no disk is used."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import zstandard

from tasks.clients.ahead import ahead
from tasks.clients.blobs import BlobStore, BlobWriter
from tasks.core.errors import ConfigError, Garbled, PermanentError
from tasks.core.manifest import Part
from tasks.vault.age import AgeError, OtherKeys, decrypted, encrypted
from tasks.vault.hashes import PlainHash
from tasks.vault.keys import Identity, Recipient
from tasks.vault.pipe import Pace, Pipe

_CHUNK = 1 << 18
_READ = 1 << 19
_AHEAD = 4
_JOB = 1 << 20
_WINDOW = 20
_TABLE = 15


@dataclass(frozen=True)
class Recipe:
    """How parts are written.

    Attributes:
        recipients: For whom they are encrypted; not at all where there are none.
        level: Of zstd, 1 to 19. The first takes less than half the time of 3, zstd's own choice, for a few per cent
            more bytes.
        threads: That compress one part.
        pace: How fast what is stored may go.
        patience: Seconds without any movement after which a stream is given up.
    """

    recipients: Sequence[Recipient] = ()
    level: int = 1
    threads: int = 2
    pace: Pace = field(default_factory=Pace)
    patience: float = 600.0


class Incoming:
    """One part on its way into a store."""

    def __init__(self, store: BlobStore, key: str, recipe: Recipe, *, compress: bool, encrypt: bool = True) -> None:
        self._store, self._key, self._recipe = store, key, recipe
        self._recipients = list(recipe.recipients) if encrypt else []
        self._plain, self._plain_bytes = PlainHash(), 0
        self._chunks = _compressor(recipe).chunker(chunk_size=_CHUNK) if compress else None
        self._pipe = Pipe(recipe.patience)
        self._stored: _Stored | None = None
        self._thread = threading.Thread(target=self._run, name=f"store {key}", daemon=True)
        self._thread.start()

    @property
    def plain_bytes(self) -> int:
        """How many bytes were taken so far."""
        return self._plain_bytes

    def write(self, data: bytes, /) -> int:
        """Take some bytes; blocks while the store is slower."""
        self._plain.update(data)
        self._plain_bytes += len(data)
        if self._chunks is None:
            self._pipe.write(data)
        else:
            for chunk in self._chunks.compress(data):
                self._pipe.write(chunk)
        return len(data)

    def finish(self, name: str, path: str) -> Part:
        """End it well, once the store has it all."""
        if self._chunks is not None:
            for chunk in self._chunks.finish():  # type: ignore[no-untyped-call]
                self._pipe.write(chunk)
        self._pipe.close()
        self._join()
        if self._pipe.error is not None:
            raise self._pipe.error
        stored = self._stored
        if stored is None:
            raise PermanentError("the store took nothing", operation=f"write {name}")
        return Part(
            name=name,
            path=path,
            plain_bytes=self._plain_bytes,
            plain_hash=str(self._plain),
            stored_bytes=stored.size,
            sha256=stored.hash.hexdigest(),
            compression="none" if self._chunks is None else "zstd",
            encryption="age" if self._recipients else "none",
        )

    def abandon(self, error: BaseException) -> None:
        """End it badly: the store removes what it has."""
        self._pipe.fail(error)
        self._join()

    def _join(self) -> None:
        self._thread.join(self._recipe.patience)
        if self._thread.is_alive():
            self._pipe.fail(PermanentError("the store does not come to an end", operation=f"write {self._key}"))

    def _run(self) -> None:
        try:
            with self._store.writing(self._key) as writer:
                self._stored = _Stored(writer, self._recipe.pace)
                self._pass(self._stored)
        except BaseException as error:  # noqa: BLE001 - told to the writing side, whatever it is
            self._pipe.fail(error)

    def _pass(self, stored: _Stored) -> None:
        pieces = iter(lambda: self._pipe.read(_CHUNK), b"")
        for data in encrypted(pieces, [one.key for one in self._recipients]) if self._recipients else pieces:
            stored.write(data)


def _compressor(recipe: Recipe) -> zstandard.ZstdCompressor:
    """Return one whose threads hold little: with zstd's own size of a job they take 60 MB more, and are no faster.

    At its first level it looks back further, in a larger table, than it would by itself: one or two per cent are saved,
    and no time lost.
    """
    further = {"window_log": _WINDOW, "hash_log": _TABLE} if recipe.level == 1 else {}
    parameters = zstandard.ZstdCompressionParameters.from_level(
        recipe.level, threads=recipe.threads, job_size=_JOB if recipe.threads else 0, write_checksum=True, **further
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


class _Stored:
    """Counts and hashes what goes to the store."""

    def __init__(self, writer: BlobWriter, pace: Pace) -> None:
        self._writer, self._pace = writer, pace
        self.hash, self.size = hashlib.sha256(), 0

    def write(self, data: bytes, /) -> None:
        self._pace.take(len(data))
        self._writer.write(data)
        self.hash.update(data)
        self.size += len(data)


def checked(store: BlobStore, key: str, part: Part) -> Iterator[bytes]:
    """Yield what is stored of a part, and raise at its end where it is not what was written.

    Raises:
        Garbled: Its size or its hash is another.
    """
    found, size = hashlib.sha256(), 0
    for data in store.reading(key):
        found.update(data)
        size += len(data)
        yield data
    if size != part.stored_bytes:
        raise _of_another_size(size, part)
    if found.hexdigest() != part.sha256:
        raise Garbled("its bytes were changed: the sha256 is another", operation=f"read {part.name}")


def plain(
    store: BlobStore, key: str, part: Part, identity: Identity | None, recipients: Sequence[str] = ()
) -> Iterator[bytes]:
    """Yield what the kind wrote: decrypted, decompressed, and held against every hash.

    The last step raises where anything was wrong, so what is read counts only when the iterator has ended by itself.

    Args:
        store: Where it is kept.
        key: Its path there.
        part: What its manifest says of it.
        identity: The key to it, where it is encrypted.
        recipients: For whom its manifest says it is: where the key of one of them does not open it, it is damaged.

    Raises:
        ConfigError: It is encrypted, and there is no identity, or another one.
        Garbled: It is damaged.
    """
    if part.encryption == "age" and identity is None:
        raise ConfigError("it is encrypted", operation=f"read {part.name}", hint="give the identity")
    found, size = PlainHash(part.plain_hash), 0
    stored = ahead(_stored(store, key, part), _AHEAD)
    try:
        for data in _decompressed(_opened(stored, part, identity, recipients), part):
            found.update(data)
            size += len(data)
            yield data
    finally:
        stored.close()
    if (size, str(found)) != (part.plain_bytes, part.plain_hash):
        raise Garbled("what it holds is not what was written", operation=f"read {part.name}")


def _stored(store: BlobStore, key: str, part: Part) -> Iterator[bytes]:
    """Yield what is stored, held against its hash where age does not prove each byte of it by itself."""
    if part.encryption != "age":
        yield from checked(store, key, part)
        return
    size = 0
    for data in store.reading(key):
        size += len(data)
        yield data
    if size != part.stored_bytes:
        raise _of_another_size(size, part)


def _of_another_size(size: int, part: Part) -> Garbled:
    return Garbled(f"it has {size} bytes instead of {part.stored_bytes}", operation=f"read {part.name}")


def _opened(
    stored: Iterator[bytes], part: Part, identity: Identity | None, recipients: Sequence[str]
) -> Iterator[bytes]:
    if part.encryption != "age" or identity is None:
        yield from stored
        return
    try:
        yield from decrypted(stored, identity.key)
    except OtherKeys as error:
        if identity.recipient in recipients:
            raise _unreadable(error, part) from None
        raise ConfigError(str(error), operation=f"read {part.name}", hint="see recipients in its manifest") from None
    except AgeError as error:
        raise _unreadable(error, part) from None


def _unreadable(error: AgeError, part: Part) -> Garbled:
    return Garbled(f"age cannot read it: {error}", operation=f"read {part.name}")


def _decompressed(opened: Iterator[bytes], part: Part) -> Iterator[bytes]:
    """Yield what was compressed; what follows the compressed is read to its end too, so that it is proven."""
    if part.compression == "none":
        yield from opened
        return
    reader = zstandard.ZstdDecompressor().stream_reader(_Reader(opened))  # type: ignore[arg-type]
    try:
        yield from iter(lambda: reader.read(_READ), b"")
    except zstandard.ZstdError as error:
        raise Garbled(f"zstd cannot read it: {error}", operation=f"read {part.name}") from None
    for _ in opened:
        continue


class _Reader:
    """An iterator of pieces as a file that gives one piece a call, of whatever size."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source

    def read(self, _size: int = -1, /) -> bytes:
        return next(self._source, b"")
