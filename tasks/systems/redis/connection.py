"""Clients of a Redis that block, for backups and restores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import redis

from tasks.clients.redis_server import translated
from tasks.core.errors import ConfigError

_ANSWER_SECONDS = 20.0


@contextmanager
def connected(url: str, ca_bundle: Path | None = None, seconds: float = _ANSWER_SECONDS) -> Iterator[redis.Redis]:
    """Give a client that tries once, and map whatever redis-py raises within the block.

    Args:
        url: `redis://` or `rediss://`.
        ca_bundle: PEM file of certificate authorities to trust, if any.
        seconds: Connecting, and each answer, may take this long.

    Raises:
        ConfigError: It is no address of a Redis; the message does not show it.
        WatchkeeperError: As the server says.
    """
    trust: dict[str, Any] = {"ssl_ca_certs": str(ca_bundle)} if ca_bundle and url.startswith("rediss:") else {}
    try:
        client = redis.Redis.from_url(url, socket_timeout=seconds, retry=None, protocol=2, **trust)
    except (ValueError, TypeError):
        raise ConfigError("the url is no Redis address", hint="write redis://[user:password@]host:port/db") from None
    try:
        with closing(client):
            yield client
    except redis.RedisError as error:
        raise translated(error) from error


@contextmanager
def selected(client: redis.Redis, database: int) -> Iterator[Any]:
    """Give a client of another database on the same server."""
    given = dict(client.connection_pool.connection_kwargs) | {"db": database}
    pool = redis.ConnectionPool(connection_class=client.connection_pool.connection_class, **given)
    with redis.Redis(connection_pool=pool) as one:
        try:
            yield one
        finally:
            pool.disconnect()
