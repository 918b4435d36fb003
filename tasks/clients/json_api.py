"""JSON over HTTP for kinds whose server tells of itself so: one GET, its errors in our words, every answer bounded."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx

from tasks.clients.http import Answer, fetch, too_long
from tasks.core.errors import Denied, Garbled, NotOffered, Unreachable, WatchkeeperError

_MAX_BODY = 16 << 20
_LONGEST_REMARK = 200


class JsonApi:
    """Asks one server within what is left of the check's time.

    Args:
        client: From `tasks.clients.http.session`.
        end: When the event loop's clock says that the time is over.
        what: The server's product, for messages: `NATS`.
        grant: What to grant when it does not let us in, in the imperative.
    """

    def __init__(self, client: httpx.AsyncClient, end: float, *, what: str, grant: str) -> None:
        self._client, self._end, self._what, self._grant = client, end, what, grant

    async def get(
        self, path: str, params: Mapping[str, str] | None = None, *, sick: tuple[int, ...] = ()
    ) -> tuple[Any, Answer]:
        """Return what a path answers, and the answer it came in.

        Args:
            path: Added to the base address.
            params: The query.
            sick: Further statuses whose body is an answer like any other.

        Raises:
            Unreachable: The server did not answer, not in time, or with a status of its own trouble.
            Denied: It did not let us in.
            NotOffered: It has no such path.
            Garbled: What it answers is no JSON, or too long.
        """
        answer = await self._ask(path, params)
        if answer.status not in (200, *sick):
            raise self._refused(answer)
        if answer.broken:
            raise Unreachable(answer.broken)
        if answer.cut:
            raise Garbled(f"its answer to {path} is refused: {too_long(_MAX_BODY)}")
        try:
            return json.loads(answer.body), answer
        except (ValueError, RecursionError):
            raise Garbled(f"{_status(answer)}: the answer to {path} is not the JSON of {self._what}") from None

    async def _ask(self, path: str, params: Mapping[str, str] | None) -> Answer:
        seconds = max(self._end - asyncio.get_running_loop().time(), 0)
        return await fetch(self._client, "GET", path, params=params, seconds=seconds, limit=_MAX_BODY)

    def _refused(self, answer: Answer) -> WatchkeeperError:
        if answer.status in (401, 403):
            return Denied(_status(answer), hint=self._grant)
        if answer.status >= 500 or answer.status == 429:  # noqa: PLR2004
            return Unreachable(_status(answer))
        if answer.status in (400, 404, 405):
            return NotOffered(f"{_status(answer)}: this server does not tell of it")
        leads = f", which leads to {answer.location}"[:_LONGEST_REMARK] if answer.location else ""
        return Garbled(f"{_status(answer)}{leads}: this is not what {self._what} answers")


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def _status(answer: Answer) -> str:
    return f"status {answer.status} {answer.reason}".rstrip()
