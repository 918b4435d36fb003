"""The age format, v1, for X25519 keys: how what a vault stores is encrypted and read, at three gigabytes a second.

See https://c2sp.org/age. A header wraps a key of the file for each recipient; what follows are chunks of 64 KiB, each
sealed for its place by ChaCha20-Poly1305, the last one as the last. So each stored byte is proven by being read: a
change, a cut, a swap or an addition opens nothing. `age` and pyrage read what is written here, and the reverse.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_MAGIC = b"age-encryption.org/v1"
_WRAPPED = b"age-encryption.org/v1/X25519"
_CHUNK, _TAG = 1 << 16, 16
_SEALED = _CHUNK + _TAG
_NONCE, _FILE_KEY, _SHARE = 16, 16, 32
_COLUMNS = 64
_LARGEST_HEADER = 1 << 20
_ZERO = bytes(12)


class AgeError(Exception):
    """It is no age file that can be read: damaged, cut, or another version."""


class OtherKeys(AgeError):
    """It is encrypted, and for none of the keys that are there."""


def decrypted(pieces: Iterable[bytes], identity: bytes) -> Iterator[bytes]:
    """Yield what an age file holds, chunk by chunk; each is proven before it is yielded.

    Args:
        pieces: The file, in pieces of any size.
        identity: The 32 bytes of an X25519 key.

    Raises:
        OtherKeys: It is for others.
        AgeError: It is damaged; raised at its end where it was cut.
    """
    source = _Source(pieces)
    sealed = _payload(source, identity)
    is_begun = False
    for place, data in _placed(source, _SEALED):
        try:
            plain = sealed.decrypt(place, data, None)
        except (InvalidTag, ValueError):
            raise AgeError("it was damaged, or cut, or is longer than it was") from None
        if plain:
            yield plain
        elif is_begun:
            raise AgeError("its last chunk is empty")
        is_begun = True


def encrypted(pieces: Iterable[bytes], recipients: Sequence[bytes]) -> Iterator[bytes]:
    """Yield an age file of what comes: its header, then chunk by chunk.

    Args:
        pieces: What is encrypted, in pieces of any size.
        recipients: The 32 bytes of each X25519 public key.
    """
    key, nonce = os.urandom(_FILE_KEY), os.urandom(_NONCE)
    header = b"\n".join([_MAGIC, *(line for one in recipients for line in _stanza(key, one)), b"---"])
    yield header + b" " + _text(_mac(key, header)) + b"\n" + nonce
    sealed, source = ChaCha20Poly1305(_derived(key, nonce, b"payload")), _Source(pieces)
    for place, data in _placed(source, _CHUNK):
        yield sealed.encrypt(place, data, None)


def _placed(source: _Source, size: int) -> Iterator[tuple[bytes, bytes | memoryview]]:
    """Yield chunks, each with its place, which tells the last one; there is always one, though it may be empty."""
    number, data = 0, source.read(size)
    while following := source.read(size) if len(data) == size else b"":
        yield number.to_bytes(11, "big") + b"\0", data
        number, data = number + 1, following
    yield number.to_bytes(11, "big") + b"\1", data


class _Source:
    """Pieces as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._left = iter(pieces), memoryview(b"")

    def read(self, size: int) -> bytes | memoryview:
        """Return so many bytes, or fewer at the end; without a copy where they lie in one piece."""
        if len(self._left) >= size:
            taken, self._left = self._left[:size], self._left[size:]
            return taken
        gathered = bytearray(self._left)
        self._left = memoryview(b"")
        for piece in self._pieces:
            missing = size - len(gathered)
            gathered += piece[:missing]
            if len(piece) >= missing:
                self._left = memoryview(piece)[missing:]
                break
        return bytes(gathered)

    def line(self, before: int) -> bytes:
        """Return the next line without its end; `before` bytes of the header were read already."""
        line = bytearray()
        while (sign := bytes(self.read(1))) != b"\n":
            if not sign or before + len(line) > _LARGEST_HEADER:
                raise AgeError("its header has no end")
            line += sign
        return bytes(line)


def _payload(source: _Source, identity: bytes) -> ChaCha20Poly1305:
    """Read the header, and return what opens the chunks that follow it."""
    private = X25519PrivateKey.from_private_bytes(identity)
    header = [source.line(0)]
    if header[0] != _MAGIC:
        raise AgeError("it is no age file of version 1")
    size, key = len(header[0]), None
    while not (line := source.line(size)).startswith(b"---"):
        header.append(line)
        if not line.startswith(b"-> "):
            raise AgeError("its header is damaged")
        body = b""
        while True:
            header.append(source.line(size))
            body += header[-1]
            size += len(header[-1]) + 1
            if len(header[-1]) < _COLUMNS:
                break
        kind, *arguments = line[3:].split(b" ")
        if kind == b"X25519" and key is None:
            key = _unwrapped(private, arguments, body)
    if key is None:
        raise OtherKeys("it is encrypted for other keys")
    mac = _bytes(line.removeprefix(b"--- ")) if line.startswith(b"--- ") else b""
    if not hmac.compare_digest(mac, _mac(key, b"\n".join([*header, b"---"]))):
        raise AgeError("its header is damaged")
    nonce = bytes(source.read(_NONCE))
    if len(nonce) < _NONCE:
        raise AgeError("it was cut")
    return ChaCha20Poly1305(_derived(key, nonce, b"payload"))


def _unwrapped(private: X25519PrivateKey, arguments: Sequence[bytes], body: bytes) -> bytes | None:
    """Return the key of the file, or None where this stanza is for somebody else."""
    share = _bytes(arguments[0]) if len(arguments) == 1 else b""
    sealed = _bytes(body)
    if len(share) != _SHARE or len(sealed) != _FILE_KEY + _TAG:
        raise AgeError("its header is damaged")
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(share))
        salt = share + private.public_key().public_bytes_raw()
        return ChaCha20Poly1305(_derived(shared, salt, _WRAPPED)).decrypt(_ZERO, sealed, None)
    except (InvalidTag, ValueError):
        return None


def _stanza(key: bytes, recipient: bytes) -> Iterator[bytes]:
    private = X25519PrivateKey.generate()
    share = private.public_key().public_bytes_raw()
    shared = private.exchange(X25519PublicKey.from_public_bytes(recipient))
    wrapped = ChaCha20Poly1305(_derived(shared, share + recipient, _WRAPPED)).encrypt(_ZERO, key, None)
    yield b"-> X25519 " + _text(share)
    yield _text(wrapped)


def _mac(key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(key, b"", b"header"), header, hashlib.sha256)


def _derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA-256: one block of it."""
    pseudorandom = hmac.digest(salt or bytes(32), secret, hashlib.sha256)
    return hmac.digest(pseudorandom, info + b"\x01", hashlib.sha256)


def _text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    """Read base64 without padding; only the one way of writing it is taken, so that nothing in it can be changed."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise AgeError("its header is damaged") from None
    if _text(data) != text:
        raise AgeError("its header is damaged")
    return data
