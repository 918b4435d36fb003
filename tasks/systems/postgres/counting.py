"""Counting the rows of every table, the same way when a copy is taken and when it is restored."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

_TABLES = """
SELECT n.nspname AS schema, c.relname AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""


def count_rows(connection: psycopg.Connection[dict[str, Any]], database: str) -> dict[str, int]:
    """Count every table's own rows, as the connection's snapshot shows them: `databases/shop/public.orders` 1200.

    Raises:
        psycopg.Error: As the server says.
    """
    counts = {}
    for table in connection.execute(_TABLES).fetchall():
        name = sql.Identifier(table["schema"], table["name"])
        row = connection.execute(sql.SQL("SELECT count(*) AS rows FROM ONLY {}").format(name)).fetchone()
        counts[f"databases/{database}/{table['schema']}.{table['name']}"] = 0 if row is None else row["rows"]
    return counts
