"""Tells how a Redis is guarded. `grant-audit.acl` has what its user needs: it shows no hash of a password."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import redis.asyncio
from redis import exceptions

from tasks.clients.redis_server import connection, translated
from tasks.core.audit import Account, Audited, Door, Part
from tasks.core.compliance_plan import CompliancePlan
from tasks.core.system import Access
from tasks.systems.redis.spec import Spec

_DANGEROUS = {
    "FLUSHALL": ("FLUSHALL",),
    "CONFIG SET": ("CONFIG", "SET", "a", "b"),
    "SHUTDOWN": ("SHUTDOWN",),
    "DEBUG": ("DEBUG", "SLEEP", "0"),
    "MODULE LOAD": ("MODULE", "LOAD", "a"),
    "REPLICAOF": ("REPLICAOF", "a", "1"),
    "ACL SETUSER": ("ACL", "SETUSER", "a"),
}


async def audit(spec: Spec, _plan: CompliancePlan, access: Access) -> Audited:
    """Return who may give which dangerous command, as `ACL DRYRUN` tells, and whether it asks for a password."""
    found = Audited()
    seconds = spec.timeout.total_seconds()
    try:
        async with connection(spec.url, seconds, access) as client:
            for name in await _command(client, "ACL", "USERS"):
                found.accounts.append(await _account(client, _text(name)))
    except (exceptions.RedisError, OSError) as error:
        found.missed([Part.ACCOUNTS], translated(error))
    try:
        found.doors.append(
            Door("no password", "Redis", await _is_open(access.resolver.resolve(spec.url), seconds, access))
        )
    except (exceptions.RedisError, OSError) as error:
        found.missed([Part.DOORS], translated(error))
    return found


async def _account(client: redis.asyncio.Redis, name: str) -> Account:
    allowed = [
        said
        for said, words in _DANGEROUS.items()
        if _text(await _command(client, "ACL", "DRYRUN", name, *words)) == "OK"
    ]
    return Account(name, tuple(allowed))


async def _is_open(url: str, seconds: float, access: Access) -> bool:
    """Tell whether it answers somebody who has no password."""
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    async with connection(bare, seconds, access) as client:
        try:
            await _command(client, "DBSIZE")
        except (exceptions.AuthenticationError, exceptions.NoPermissionError):
            return False
        except exceptions.ResponseError as error:
            if any(word in str(error) for word in ("NOAUTH", "NOPERM", "DENIED")):
                return False
            raise
        return True


async def _command(client: redis.asyncio.Redis, *words: str) -> Any:
    return await client.execute_command(*words)  # type: ignore[no-untyped-call]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
