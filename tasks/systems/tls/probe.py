"""Measures a TLS endpoint by two handshakes: one without trust, for the dates, and one with, for the reason."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import urlsplit

from cryptography import x509

from tasks.clients.sockets import in_words, look_up
from tasks.core.errors import ConfigError, Garbled, Unreachable
from tasks.core.results import Gap, Outcome, Reading
from tasks.core.system import Access
from tasks.core.units import format_duration
from tasks.systems.tls.names import matches, names
from tasks.systems.tls.spec import CATALOG, Spec

_HTTPS = 443
_MARGIN = 0.9  # of the system's time: what is slow must be told before the whole check is cut off


@dataclass(frozen=True)
class _Endpoint:
    host: str
    port: int
    name: str
    end: float


@dataclass(frozen=True)
class _Handshake:
    certificate: bytes
    protocol: str
    seconds: float


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield how long the certificate lasts, whether its names and its chain are right, and how the handshake went."""
    host, port = _host_and_port(access.resolver.resolve(spec.address))
    end = asyncio.get_running_loop().time() + spec.timeout.total_seconds() * _MARGIN
    endpoint = _Endpoint(host, port, spec.server_name or host, end)
    _check_name(endpoint.name)
    await look_up(host, port)
    try:
        shown = await _shake_hands(endpoint, _without_trust())
    except OSError as error:
        raise Unreachable(in_words(error)) from error
    for reading in _from_certificate(shown, endpoint, access):
        yield reading
    yield await _trusted(endpoint, access)


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port or _HTTPS
    except ValueError as error:
        raise ConfigError("the address is no host:port", hint="write api.example.com:443") from error
    if not host or parts.scheme not in ("", "https"):
        raise ConfigError("the address is no host:port and no https:// address", hint="write api.example.com:443")
    return host, port


def _without_trust() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _check_name(name: str) -> None:
    """Refuse what cannot be asked for before there is a connection, which asyncio would leave open."""
    try:
        _without_trust().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    except ValueError as error:
        raise ConfigError(f"{name!r} cannot be asked for as a server's name") from error


async def _shake_hands(endpoint: _Endpoint, context: ssl.SSLContext) -> _Handshake:
    """Connect, shake hands, hang up.

    Raises:
        OSError: It was refused, broken off, or the certificate is not trusted.
        Unreachable: It took too long.
    """
    began = perf_counter()
    try:
        async with asyncio.timeout_at(endpoint.end):
            _, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=context, server_hostname=endpoint.name
            )
    except TimeoutError as error:
        taken = perf_counter() - began
        raise Unreachable(f"no TLS handshake within {format_duration(round(taken, 1) or taken)}") from error
    seconds = perf_counter() - began
    try:
        connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return _Handshake(connection.getpeercert(binary_form=True) or b"", str(connection.version()), seconds)
    finally:
        # A polite close would wait for the peer's own.
        writer.transport.abort()


def _from_certificate(shown: _Handshake, endpoint: _Endpoint, access: Access) -> list[Reading]:
    try:
        certificate = x509.load_der_x509_certificate(shown.certificate)
        offered = names(certificate)
        issuer = certificate.issuer.rfc4514_string()
    except ValueError as error:
        raise Garbled("the server's certificate cannot be read") from error
    at, last = access.now(), certificate.not_valid_after_utc
    listed = ", ".join(offered) or "no name at all"
    return [
        CATALOG.read("handshake", shown.seconds, at=at),
        CATALOG.read("protocol", shown.protocol, at=at),
        CATALOG.read(
            "expires_in", (last - at).total_seconds(), at=at, note=f"valid until {last:%Y-%m-%d %H:%M} UTC, by {issuer}"
        ),
        CATALOG.read(
            "name_matches",
            matches(endpoint.name, offered),
            at=at,
            note=f"asked for {endpoint.name}, made out to {listed}",
        ),
    ]


async def _trusted(endpoint: _Endpoint, access: Access) -> Reading:
    """Shake hands with trust; the name has a measurement of its own."""
    try:
        context = ssl.create_default_context(cafile=access.ca_bundle)
    except OSError as error:
        raise ConfigError(f"the authorities in {access.ca_bundle} cannot be read: {in_words(error)}") from error
    context.check_hostname = False
    try:
        await _shake_hands(endpoint, context)
    except ssl.SSLCertVerificationError as error:
        return CATALOG.read("trusted", False, at=access.now(), note=error.verify_message)  # noqa: FBT003
    except OSError as error:
        return Gap(outcome=Outcome.ERRORED, name="trusted", reason=in_words(error))
    except Unreachable as error:
        return Gap.of(error, "trusted")
    return CATALOG.read("trusted", True, at=access.now())  # noqa: FBT003
