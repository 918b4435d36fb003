"""Takes steps at PostgreSQL: one statement, in a transaction of its own. Its user needs what the statement needs."""

from __future__ import annotations

from typing import Any

import psycopg

from tasks.core.errors import PermanentError
from tasks.core.steps import Step, Taken
from tasks.core.system import Access
from tasks.systems.postgres.connection import connect, translated
from tasks.systems.postgres.spec import Spec

_MOST_ROWS = 100_000


async def take(spec: Spec, step: Step, canary: str, access: Access) -> Taken:  # noqa: ARG001 - the same for every kind
    """Run a statement. What it returns is the count where that is one number, else the rows; else rows it changed.

    Raises:
        WatchkeeperError: As the server says.
    """
    dsn = access.resolver.resolve(step.address or spec.dsn)
    connection = await connect(dsn, within=spec.timeout, ca_bundle=access.ca_bundle)
    try:
        await connection.execute("SET default_transaction_read_only = off")
        cursor = await connection.execute(step.call.encode())
        if cursor.description is None:
            return Taken(max(cursor.rowcount, 0))
        rows = await cursor.fetchmany(_MOST_ROWS)
    except psycopg.Error as error:
        raise translated(error) from None
    finally:
        await connection.close()
    return _answered(rows)


def _answered(rows: list[dict[str, Any]]) -> Taken:
    if len(rows) == 1 and len(rows[0]) == 1:
        (value,) = rows[0].values()
        if isinstance(value, int):
            return Taken(int(value), tuple(rows))
    if len(rows) == _MOST_ROWS:
        raise PermanentError(f"the statement returns more than {_MOST_ROWS:,} rows", hint="let it count")
    return Taken(len(rows), tuple(rows))
