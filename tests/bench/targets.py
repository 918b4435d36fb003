"""`python -m tests.bench.targets COUNT`: so many HTTP services on loopback, each on a port of its own.

Prints their ports as JSON on one line, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys

_BODY = b'{"status": "ok"}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class Service(asyncio.Protocol):
    """Answers every GET alike, and keeps its connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._read = b""

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        *requests, self._read = (self._read + data).split(b"\r\n\r\n")
        self._transport.write(_ANSWER * len(requests))


async def serve(count: int) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Service, "127.0.0.1", 0) for _ in range(count)]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
