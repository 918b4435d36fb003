"""Servers that behave badly on purpose, on loopback, and a check of one system for tests of single kinds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from tasks.clients.secrets import SecretResolver
from tasks.core.report import SystemReport
from tasks.core.results import Finding, Measurement
from tasks.core.system import Access
from tasks.systems import platform_model
from tasks.systems.checking import check_system

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, *, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve a handler on a free port; its connections end with the test."""
    running: set[asyncio.Task] = set()

    async def serve(reader, writer):
        running.add(asyncio.current_task())
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            running.discard(asyncio.current_task())
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.sleep(0)


async def silent(_reader, _writer):
    """Accept, and never say anything."""
    await asyncio.Event().wait()


async def hanging_up(reader, _writer):
    """Read a request and close without an answer."""
    await reader.readuntil(b"\r\n\r\n")


def saying(text: bytes) -> Handler:
    """Answer every request with these very bytes and close."""

    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    return handler


def answer(body: bytes | str, *, status: str = "200 OK", headers: str = "") -> bytes:
    """Write an HTTP answer."""
    body = body.encode() if isinstance(body, str) else body
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n".encode() + body


def routed(routes: Callable[[str, dict[str, str]], bytes]) -> Handler:
    """Answer by the request's target and its headers (names in lower case)."""

    async def handler(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        await reader.read(int(headers.get("content-length", 0)) and 1 << 16)
        writer.write(routes(first.split(" ")[1], headers))
        await writer.drain()

    return handler


async def refused_port() -> int:
    """Return a port that nobody listens on."""
    async with serving(silent) as port:
        return port


NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


async def check(
    system: dict,
    environment: dict[str, str] | None = None,
    *,
    ca_bundle: Path | None = None,
    now: datetime | None = None,
    others: dict[str, dict] | None = None,
) -> SystemReport:
    """Check one system of a platform made for it and for the others that it needs, as every flow does."""
    platform = platform_model().model_validate(
        {
            "platform": "test",
            "title": "Test",
            "slack": {"channel": "#test"},
            "severities": {"P0": {"means": "down", "respond": "15m"}, "P2": {"means": "warnings", "respond": "4h"}},
            "default_severity": {"critical": "P0", "warn": "P2"},
            "systems": {"it": {"timeout": "20s"} | system} | (others or {}),
        }
    )
    clock = (lambda: now) if now else lambda: datetime.now(UTC)
    access = Access(resolver=SecretResolver(environment or {}), now=clock, ca_bundle=ca_bundle, pause=None)
    return await check_system(platform, "it", access)


def finding(report: SystemReport, measurement: str, subject: str = "") -> Finding:
    """Return the one finding of a measurement."""
    found = [f for f in report.findings if (f.measurement, f.subject) == (measurement, subject)]
    assert len(found) == 1, report.model_dump_json(indent=1)
    return found[0]


def measured(report: SystemReport, name: str, subject: str = "") -> Measurement:
    """Return the one measurement of a name."""
    found = [m for m in report.measurements if (m.name, m.subject) == (name, subject)]
    assert len(found) == 1, report.model_dump_json(indent=1)
    return found[0]
