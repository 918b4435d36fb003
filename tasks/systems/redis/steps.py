"""Takes steps at a Redis: one command. Its user needs what the command needs."""

from __future__ import annotations

import shlex

from redis import exceptions

from tasks.clients.redis_server import connection, translated
from tasks.core.errors import ConfigError
from tasks.core.steps import Step, Taken, holding
from tasks.core.system import Access
from tasks.systems.redis.spec import Spec


async def take(spec: Spec, step: Step, canary: str, access: Access) -> Taken:
    """Give a command. A number is the count; of all else those entries count that hold the canary.

    Raises:
        ConfigError: The command cannot be read.
        WatchkeeperError: As the server says.
    """
    try:
        words = shlex.split(step.call)
    except ValueError:
        raise ConfigError(f"{step.call!r} is no command of Redis", hint="close its quotes") from None
    if isinstance(step.body, str):
        words.append(step.body)
    client = connection(step.address or spec.url, spec.timeout.total_seconds(), access)
    try:
        async with client:
            answer = await client.execute_command(*words)  # type: ignore[no-untyped-call]
    except (exceptions.RedisError, OSError) as error:
        raise translated(error) from None
    return Taken(answer if isinstance(answer, int) else holding(canary, answer if answer is not None else b""))
