"""The Docker Engine API over its Unix socket or over TCP: what every kind that looks into containers needs.

Reading is all that is done here, yet whoever may use the engine's socket owns the host: give Watchkeeper a proxy that
lets through nothing but GET on `/version`, `/containers/json`, `/containers/*/json`, `/containers/*/stats` and
`/containers/*/logs`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from tasks.clients.http import MAX_BODY, Answer, fetch, session, too_long
from tasks.core.errors import ConfigError, Denied, Garbled, NotOffered, Unreachable, WatchkeeperError

Object = dict[str, Any]

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"

_LARGEST_LIST = 16 << 20
_LONGEST_MESSAGE = 300
_HEADER = 8  # of a frame: the stream, three zeros, and the length of what follows
_STREAMS = 2
_MULTIPLEXED = b"\0\0\0"


class Engine:
    """Reads from one engine within what is left of the check's time.

    Args:
        client: A client whose base address is the engine.
        end: When the event loop's clock says that the time is over.
    """

    def __init__(self, client: httpx.AsyncClient, end: float) -> None:
        self._client, self._end = client, end

    async def version(self) -> tuple[str, float]:
        """Make the first contact; return the engine's version, and how many seconds it took.

        Raises:
            WatchkeeperError: There is no engine that lets us in at this address.
        """
        answer = await self._get("/version", {}, MAX_BODY)
        document = _opened(answer, MAX_BODY)
        if not isinstance(document, dict) or "ApiVersion" not in document:
            raise Garbled("its answer is not that of a Docker Engine", hint="give the address of the Docker Engine API")
        return str(document.get("Version", "")), answer.seconds

    async def containers(self, project: str) -> list[Object]:
        """Return every container of a Compose project, running or not, without those of `docker compose run`."""
        filters = json.dumps({"label": [f"{PROJECT}={project}"]})
        answer = await self._get("/containers/json", {"all": "true", "filters": filters}, _LARGEST_LIST)
        listed = _opened(answer, _LARGEST_LIST)
        try:
            return [one for one in listed if SERVICE in one["Labels"] and one["Labels"].get(ONE_OFF, "False") != "True"]
        except (TypeError, KeyError, AttributeError):
            raise Garbled("its list of containers is not of the form that Docker documents") from None

    async def inspect(self, container: str) -> Object:
        """Return all that is known of one container.

        Raises:
            NotOffered: It is gone.
        """
        return self._object(await self._get(f"/containers/{container}/json", {}, MAX_BODY))

    async def stats(self, container: str) -> Object:
        """Return what a container uses; the engine looks twice, for which it takes one to two seconds."""
        return self._object(await self._get(f"/containers/{container}/stats", {"stream": "false"}, MAX_BODY))

    async def logs(self, container: str, *, since: float, most: int, lines: int) -> tuple[bytes, bool]:
        """Return what a container wrote on both streams since a time, each line after its time, and whether it was cut.

        Args:
            container: Its id.
            since: Unix seconds.
            most: So many bytes are read, the oldest first.
            lines: So many of the newest lines are asked for.
        """
        asked = {"stdout": "true", "stderr": "true", "timestamps": "true", "since": f"{since:.0f}", "tail": str(lines)}
        answer = await self._get(f"/containers/{container}/logs", asked, most)
        if answer.status != HTTPStatus.OK:
            raise _refused(answer)
        if answer.broken:
            raise Unreachable(answer.broken)
        return _unframed(answer.body), answer.cut

    def _object(self, answer: Answer) -> Object:
        document = _opened(answer, MAX_BODY)
        if not isinstance(document, dict):
            raise Garbled("its answer is no object")
        return document

    async def _get(self, path: str, query: Mapping[str, str], limit: int) -> Answer:
        seconds = max(self._end - asyncio.get_running_loop().time(), 0)
        return await fetch(self._client, "GET", path, params=query, seconds=seconds, limit=limit)


@asynccontextmanager
async def engine(address: str, seconds: float, ca_bundle: Path | None = None) -> AsyncIterator[Engine]:
    """Open an engine.

    Args:
        address: `unix:///path`, `tcp://host:port`, `http://` or `https://`.
        seconds: All requests together may take this long.
        ca_bundle: Authorities to trust instead of the host's.

    Raises:
        ConfigError: The address is none of these.
        Unreachable: There is no such socket, or the host's name cannot be looked up.
        Denied: This user may not use the socket.
    """
    end = asyncio.get_running_loop().time() + seconds
    scheme, _, rest = address.partition("://")
    if scheme == "unix":
        transport = httpx.AsyncHTTPTransport(uds=_socket(rest))
        # The engine looks at no host name, but HTTP wants one.
        async with httpx.AsyncClient(
            base_url="http://docker", transport=transport, timeout=seconds, trust_env=False
        ) as client:
            yield Engine(client, end)
    elif scheme in ("tcp", "http", "https"):
        async with session(f"{'http' if scheme == 'tcp' else scheme}://{rest}", ca_bundle=ca_bundle) as client:
            yield Engine(client, end)
    else:
        raise ConfigError("the engine's address is neither unix:// nor tcp://", hint="write unix:///run/docker.sock")


def _socket(path: str) -> str:
    """See that a socket can be used, whose refusal would else look like an engine that is down."""
    if not Path(path).is_socket():
        raise Unreachable(f"there is no socket at {path}")
    if not os.access(path, os.R_OK | os.W_OK):
        raise Denied(f"this user may not use {path}", hint="let a proxy that only reads stand before the engine")
    return path


def _opened(answer: Answer, limit: int) -> Any:
    if answer.broken:
        raise Unreachable(answer.broken)
    if answer.status != HTTPStatus.OK:
        raise _refused(answer)
    if answer.cut:
        raise Garbled(f"its answer is refused: {too_long(limit)}")
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise Garbled("its answer is not JSON") from None


def _refused(answer: Answer) -> WatchkeeperError:
    """Make the error of an answer that is no success, from its `message` where it has one."""
    try:
        message = str(json.loads(answer.body)["message"])[:_LONGEST_MESSAGE]
    except (ValueError, KeyError, TypeError, RecursionError):
        message = f"status {answer.status} {answer.reason}".rstrip()
    match answer.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Denied(message, hint="let the proxy before the engine allow GET on /version and /containers")
        case HTTPStatus.NOT_FOUND | HTTPStatus.NOT_IMPLEMENTED:
            return NotOffered(message)
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unreachable(message)
        case _:
            return Garbled(message)


def _unframed(body: bytes) -> bytes:
    """Take the frames away in which both streams come, unless a terminal made them one; the last may be cut."""
    if not (len(body) >= _HEADER and body[0] <= _STREAMS and body[1:4] == _MULTIPLEXED):
        return body
    text, at = bytearray(), 0
    while at + _HEADER <= len(body):
        if body[at] > _STREAMS or body[at + 1 : at + 4] != _MULTIPLEXED:
            raise Garbled("the frames of its log are broken")
        length = int.from_bytes(body[at + 4 : at + _HEADER], "big")
        text += body[at + _HEADER : at + _HEADER + length]
        at += _HEADER + length
    return bytes(text)
