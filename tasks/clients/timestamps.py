"""RFC 3161: an authority says at what time a hash was there, so that nobody can make the ledger anew behind it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from tasks.core.errors import ConfigError, Garbled, Unreachable

_TIMEOUT = 20.0
_MOST_BYTES = 1 << 20
_GRANTED = 0


class Stamp(NamedTuple):
    """What an authority answered.

    Attributes:
        at: When it says that the hash was there.
        sha256: The hash.
        proven: Whether its signature was checked against certificates that are trusted.
    """

    at: datetime
    sha256: str
    proven: bool


def ask(url: str, data: bytes) -> bytes:
    """Have an authority stamp the SHA-256 of some bytes and return its answer, which holds no more than the hash.

    Raises:
        Unreachable: It does not answer.
        Garbled: It answers something else, or stamped another hash.
    """
    request = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256).build()
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    try:
        answer = httpx.post(url, content=request.as_bytes(), headers=headers, timeout=_TIMEOUT)
    except httpx.HTTPError as error:
        raise Unreachable(f"the time-stamping authority gives no answer: {type(error).__name__}") from None
    if answer.status_code != httpx.codes.OK or len(answer.content) > _MOST_BYTES:
        raise Unreachable(f"the time-stamping authority answers with {answer.status_code}")
    try:
        response = decode_timestamp_response(answer.content)
        granted = response.status == _GRANTED
        ours = granted and response.tst_info.message_imprint.message == request.message_imprint.message
        ours = ours and response.tst_info.nonce == request.nonce
    except ValueError:
        hint = "have it answer in DER, with no certificates but its own, or use another authority"
        raise Garbled("the time-stamping authority answers no time stamp that can be read", hint=hint) from None
    if not ours:
        raise Garbled("the time-stamping authority stamped something else", operation="read a time stamp")
    return answer.content


def read(data: bytes, sha256: str, trusted: Path | None = None) -> Stamp:
    """Read a time stamp, and check it as far as there are certificates to check it by.

    Args:
        data: What the authority answered.
        sha256: The hash that it must be of.
        trusted: A PEM file of the certificates that are trusted; without it no signature is checked.

    Raises:
        Garbled: It is no time stamp, it is of something else, or nobody who is trusted signed it.
        ConfigError: The certificates cannot be read.
    """
    try:
        response = decode_timestamp_response(data)
        info = response.tst_info
        at, imprint = info.gen_time, info.message_imprint.message
    except ValueError:
        raise Garbled("it is no time stamp", operation="read a time stamp") from None
    if not secrets.compare_digest(imprint, bytes.fromhex(sha256)):
        raise Garbled("it is of another hash", operation="read a time stamp")
    if trusted is not None:
        builder = VerifierBuilder()
        for certificate in _certificates(trusted):
            builder = builder.add_root_certificate(certificate)
        try:
            builder.build().verify(response, imprint)
        except VerificationError as error:
            raise Garbled(f"nobody who is trusted signed it: {error}", operation="read a time stamp") from None
    return Stamp(at.astimezone(UTC), sha256, trusted is not None)


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        found = []
    if not found:
        raise ConfigError(f"{path} holds no certificates", hint="give a PEM file of the authority's certificates")
    return found
