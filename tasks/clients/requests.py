"""One request of a step to a service that speaks HTTP; whatever is no success is an error in our words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tasks.clients.http import Answer, fetch, session, too_long
from tasks.core.errors import ConfigError, Denied, Garbled, NotOffered, PermanentError, Unreachable, WatchkeeperError
from tasks.core.references import Reference
from tasks.core.steps import Step, Taken, holding, rows_of
from tasks.core.system import Access

_LARGEST = 64 << 20
_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
_FINE = range(200, 300)


async def ask(
    step: Step, url: Reference | str, headers: Mapping[str, str], canary: str, seconds: float, access: Access
) -> Taken:
    """Make the request of a step.

    Args:
        step: `METHOD /path` as its call.
        url: The base address, where the step has none of its own.
        headers: Of the service; the step's own go before.
        canary: What is counted in the answer.
        seconds: The whole exchange may take this long.
        access: Resolves what the step names.

    Raises:
        ConfigError: The call is no request.
        WatchkeeperError: There is no answer, or it is no success.
    """
    method, _, path = step.call.partition(" ")
    if method not in _METHODS or not path.startswith("/"):
        raise ConfigError(f"{step.call!r} is no request", hint="write `POST /path`")
    own = {name: _with_scheme(name, access.resolver.resolve(value)) for name, value in step.headers.items()}
    content, sort = _content(step.body)
    address = access.resolver.resolve(step.address or url)
    async with session(address, ca_bundle=access.ca_bundle, headers={**headers, **sort, **own}) as client:
        answer = await fetch(client, method, path, seconds=seconds, content=content, limit=_LARGEST)
    if answer.status not in _FINE:
        raise _refused(answer)
    if answer.broken:
        raise Unreachable(answer.broken)
    if answer.cut:
        raise Garbled(f"its answer is refused: {too_long(_LARGEST)}")
    return Taken(holding(canary, answer.body), rows_of(answer.body), answer.body)


def _with_scheme(name: str, value: str) -> str:
    """Give a bare token the scheme that the header asks for."""
    return f"Bearer {value}" if name.lower() == "authorization" and " " not in value else value


def _content(body: Any) -> tuple[bytes | None, dict[str, str]]:
    if body is None:
        return None, {}
    if isinstance(body, str):
        return body.encode(), {}
    return json.dumps(body).encode(), {"Content-Type": "application/json"}


def _refused(answer: Answer) -> WatchkeeperError:
    said = f"status {answer.status} {answer.reason}".rstrip()
    if answer.status in (401, 403):
        return Denied(said, hint="give the step headers with the rights to do it")
    if answer.status in (404, 405):
        return NotOffered(said)
    return Unreachable(said) if answer.status >= 500 or answer.status == 429 else PermanentError(said)  # noqa: PLR2004
