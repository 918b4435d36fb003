"""Takes steps at a queue inside a Redis: looks through its entries. Its user needs LRANGE on the list."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast

from redis import exceptions

from tasks.clients.redis_server import connection, translated
from tasks.core.errors import ConfigError, PermanentError
from tasks.core.steps import Step, Taken, holding
from tasks.core.system import Access
from tasks.systems.queue.probe import holder_address, lists
from tasks.systems.queue.spec import Spec

_PAGE = 1000
_MOST = 200_000


async def take(spec: Spec, step: Step, canary: str, access: Access) -> Taken:
    """Count the entries that hold the canary; the call is `look`.

    Raises:
        ConfigError: The call is another.
        PermanentError: The queue is too long to look through.
        WatchkeeperError: As the server says.
    """
    if step.call != "look":
        raise ConfigError(f"{step.call!r} is no step at a queue", hint="write `look`")
    client = connection(step.address or holder_address(spec, access), spec.timeout.total_seconds(), access)
    count = 0
    try:
        async with client:
            for name in lists(spec):
                for begin in range(0, _MOST, _PAGE):
                    page = await cast("Awaitable[list[Any]]", client.lrange(name, begin, begin + _PAGE - 1))
                    count += holding(canary, page)
                    if len(page) < _PAGE:
                        break
                else:
                    raise PermanentError(f"{name} has more than {_MOST:,} entries: not all were looked through")
    except (exceptions.RedisError, OSError) as error:
        raise translated(error) from None
    return Taken(count)
