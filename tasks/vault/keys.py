"""Keys of age: recipients encrypt, and only the identity reads. The one place where pyrage's keys are known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pyrage

from tasks.core.errors import ConfigError

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_CHECKSUM = 6


class Recipient(NamedTuple):
    """A public key.

    Attributes:
        text: As a spec and a manifest name it, `age1...`.
        key: Its 32 bytes.
    """

    text: str
    key: bytes

    def __str__(self) -> str:
        return self.text


class Identity:
    """A secret key that never shows: not in a text, not in a traceback."""

    __slots__ = ("_key",)

    def __init__(self, text: str) -> None:
        """Read an identity as `age-keygen` writes it, with its comments.

        Raises:
            ConfigError: There is none in it.
        """
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        try:
            (line,) = lines
            self._key = pyrage.x25519.Identity.from_str(line)
        except (ValueError, pyrage.IdentityError):
            raise ConfigError("it is no age identity", hint="it is one line, AGE-SECRET-KEY-1...") from None

    def __repr__(self) -> str:
        return "<identity>"

    @property
    def key(self) -> bytes:
        """The key's 32 bytes, for decryption alone."""
        return _raw(str(self._key))

    @property
    def recipient(self) -> str:
        """The public key that belongs to it, as a manifest names it."""
        return str(self._key.to_public())


class KeyPair(NamedTuple):
    """A new pair: the recipient is public, the identity must be kept where the backups are not."""

    recipient: str
    identity: str

    def __repr__(self) -> str:
        return f"<key pair of {self.recipient}>"


def new_key() -> KeyPair:
    """Make a pair."""
    key = pyrage.x25519.Identity.generate()
    return KeyPair(str(key.to_public()), str(key))


def recipients(texts: Iterable[str]) -> list[Recipient]:
    """Read public keys.

    Raises:
        ConfigError: One is none. A secret key is not repeated in the message.
    """
    return [_recipient(text.strip()) for text in texts]


def _recipient(text: str) -> Recipient:
    if text.upper().startswith("AGE-SECRET-KEY"):
        raise ConfigError("a recipient is a secret key", hint="give the public one, age1..., and change this one now")
    try:
        key = pyrage.x25519.Recipient.from_str(text)
    except (ValueError, pyrage.RecipientError):
        raise ConfigError(f"{text[:80]!r} is no age recipient", hint="it begins with age1") from None
    return Recipient(str(key), _raw(str(key)))


def _raw(text: str) -> bytes:
    """Return the bytes of a key whose text was read and found good: Bech32, five bits a sign."""
    number = 0
    signs = text.lower().rpartition("1")[2][:-_CHECKSUM]
    for sign in signs:
        number = number << 5 | _BECH32.index(sign)
    return (number >> len(signs) * 5 % 8).to_bytes(len(signs) * 5 // 8, "big")
