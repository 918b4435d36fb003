"""HTTP for every kind that speaks it: one client, answers bounded in bytes and time, one table of httpx's errors."""

from __future__ import annotations

import asyncio
import functools
import ssl
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import httpx

from tasks.clients.sockets import in_words, look_up
from tasks.clients.stopwatch import Parts, Stopwatch
from tasks.core.errors import ConfigError, Garbled, Unreachable, WatchkeeperError
from tasks.core.units import format_bytes, format_duration

MAX_BODY = 1 << 20
_HOPS = 5
_CONNECTIONS = 16
_LONGEST_REASON = 200
_CONNECTING_SHARE = 0.95


@dataclass(frozen=True)
class Answer:
    """What a server answered, as far as it was read.

    Attributes:
        status: The status code.
        reason: Its phrase.
        url: The address that answered, after redirects.
        location: Where a redirect leads, or nothing.
        body: The body, without its compression, at most `limit` bytes of it.
        cut: Whether there was more of it.
        broken: Why the body did not come to its end, in a few words; empty when it did.
        seconds: From sending the first request to the end of the body.
        parts: Where that time went.
        date: The header `Date`, or nothing.
    """

    status: int
    reason: str
    url: str
    location: str
    body: bytes
    cut: bool
    broken: str
    seconds: float
    parts: Parts
    date: str = ""


class Client(httpx.AsyncClient):
    """A client that knows how long the look-up of its host's name took; None where the host is an address."""

    looked_up: float | None = None


@asynccontextmanager
async def session(
    address: str,
    *,
    ca_bundle: Path | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> AsyncIterator[Client]:
    """Open a client for one server; nothing in the environment (proxies, netrc) changes where it connects to.

    Args:
        address: The base address, `http://` or `https://`.
        ca_bundle: Authorities to trust instead of the host's.
        headers: Sent with every request; the values may be secrets.
        seconds: Looking up the host's name may take this long.

    Raises:
        ConfigError: The address, a header or the bundle cannot be used. No message shows a header's value.
        Unreachable: The host's name cannot be looked up, or not in time.
    """
    base = _parsed(address)
    _check_headers(headers or {})
    looked_up = await look_up(base.host, base.port or (443 if base.scheme == "https" else 80), seconds)
    async with Client(
        base_url=base,
        headers={"User-Agent": "watchkeeper", "Accept": "*/*", "Accept-Encoding": "identity"} | dict(headers or {}),
        verify=_trust(ca_bundle),
        timeout=None,
        limits=httpx.Limits(max_connections=_CONNECTIONS),
        trust_env=False,
    ) as client:
        client.looked_up = looked_up
        yield client


def _parsed(address: str) -> httpx.URL:
    hint = "write http://host:port or https://host"
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        raise ConfigError("the address is no URL", hint=hint) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError("the address is neither http:// nor https://", hint=hint)
    return url


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ConfigError(f"the value of the header {name} holds characters that no header can")


def _trust(ca_bundle: Path | None) -> ssl.SSLContext:
    try:
        return _context(ca_bundle, ca_bundle.stat().st_mtime_ns if ca_bundle else 0)
    except OSError as error:
        raise ConfigError(f"the authorities in {ca_bundle} cannot be read: {in_words(error)}") from error


@functools.lru_cache(maxsize=8)
def _context(ca_bundle: Path | None, _changed: int) -> ssl.SSLContext:
    """Read the authorities once: the host's take 40 ms, in which nothing else of the event loop runs."""
    return ssl.create_default_context(cafile=ca_bundle)


async def fetch(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    seconds: float,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    limit: int = MAX_BODY,
    follow: bool = False,
) -> Answer:
    """Make one request and read its answer, whatever the status.

    Args:
        client: From `session`.
        method: GET, POST...
        path: Added to the client's base address.
        seconds: The whole exchange may take this long.
        params: Added to the path's query.
        headers: Beside the client's own.
        content: The request's body.
        limit: So many bytes of the answer's body are read.
        follow: Whether redirects are followed; only headers of our own are sent to another origin.

    Raises:
        Unreachable: There was no answer, or none in time.
        ConfigError: The request cannot be made.
    """
    _check_headers(headers or {})
    began, watch = perf_counter(), Stopwatch()
    response: httpx.Response | None = None
    try:
        async with asyncio.timeout(seconds) as time:
            # The whole exchange is bounded here, which httpx's own time-outs do not do. Connecting ends by httpx's, a
            # little before: a TLS handshake that is cancelled from outside leaves its socket open.
            connecting = httpx.Timeout(None, connect=seconds * _CONNECTING_SHARE)
            request = client.build_request(
                method,
                path,
                params=params,
                headers=headers,
                content=content,
                timeout=connecting,
                extensions={"trace": watch},
            )
            response = await _send(client, request, follow=follow)
            body, cut, broken = await _read(response, limit, time, seconds)
    except (TimeoutError, httpx.ConnectTimeout):
        raise Unreachable(f"{watch.stuck or 'no answer'} within {_rounded(seconds)}") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise translated(error) from error
    finally:
        if response is not None:
            await response.aclose()
    return Answer(
        status=response.status_code,
        reason=response.reason_phrase,
        url=_without_credentials(response.url),
        location=response.headers.get("location", ""),
        body=body,
        cut=cut,
        broken=broken,
        seconds=perf_counter() - began,
        parts=watch.parts,
        date=response.headers.get("date", ""),
    )


def _without_credentials(url: httpx.URL) -> str:
    return str(url.copy_with(username=None, password=None) if url.userinfo else url)


async def _send(client: httpx.AsyncClient, request: httpx.Request, *, follow: bool) -> httpx.Response:
    response = await client.send(request, stream=True)
    for _ in range(_HOPS if follow else 0):
        following = response.next_request
        if following is None:
            break
        await response.aclose()
        if _origin(following.url) != _origin(request.url):
            kept = ("host", "user-agent", "accept-encoding")
            following.headers = httpx.Headers({k: v for k, v in following.headers.items() if k in kept})
        response = await client.send(following, stream=True)
    return response


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _read(response: httpx.Response, limit: int, time: asyncio.Timeout, seconds: float) -> tuple[bytes, bool, str]:
    """Read a body; what breaks it off is told, as the status and what came before are worth showing."""
    raw, cut, broken = bytearray(), False, ""
    try:
        async for chunk in response.aiter_raw():
            raw += chunk
            if len(raw) > limit:
                cut = True
                break
    except asyncio.CancelledError:
        if not time.expired():
            raise
        broken = f"its body did not end within {_rounded(seconds)}"
    except httpx.HTTPError as error:
        broken = f"its body broke off: {_reason(error)}"
    return _unpacked(bytes(raw[:limit]), response, limit, cut=cut, broken=broken)


def _unpacked(raw: bytes, response: httpx.Response, limit: int, *, cut: bool, broken: str) -> tuple[bytes, bool, str]:
    """Undo a compression that was not asked for, within the limit."""
    if response.headers.get("content-encoding", "").strip().lower() not in ("gzip", "deflate"):
        return raw, cut, broken
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        body = unpacker.decompress(raw, limit)
    except zlib.error as error:
        return b"", cut, broken or f"its compression is broken: {error}"
    return body, cut or bool(unpacker.unconsumed_tail), broken


def _rounded(seconds: float) -> str:
    """Write a time-out; what is left of one is an odd number, and the same trouble should read the same."""
    return format_duration(round(seconds, 1) or seconds)


def too_long(limit: int = MAX_BODY) -> str:
    """Say that an answer was cut."""
    return f"it is longer than {format_bytes(limit)}"


def translated(error: Exception) -> WatchkeeperError:
    """Map httpx's exceptions; the only place that knows them."""
    match error:
        case httpx.InvalidURL() | httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return ConfigError("the request cannot be made: its address or a header is not allowed in HTTP")
        case httpx.TransportError() | OSError():
            return Unreachable(_reason(error))
        case _:
            return Garbled(_reason(error))


def _reason(error: BaseException) -> str:
    """Find the words of the system's own error beneath httpx's."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and (cause.errno or isinstance(cause, ssl.SSLError)):
            return in_words(cause)
    return (str(error) or type(error).__name__)[:_LONGEST_REASON]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__
