"""Tells how a PostgreSQL is guarded: its roles, what PUBLIC may do, its standbys. Anybody who may connect may ask."""

from __future__ import annotations

from tasks.core.audit import Account, Audited, Door, Part, Place
from tasks.core.compliance_plan import CompliancePlan
from tasks.core.errors import WatchkeeperError
from tasks.core.system import Access
from tasks.systems.postgres.connection import Connection, connect, rows, translated
from tasks.systems.postgres.spec import Spec

_ROLES = """
SELECT rolname AS name, rolsuper, rolcreaterole, rolbypassrls, rolcanlogin AS login, oid = 10 AS own,
    CASE WHEN isfinite(rolvaliduntil) THEN rolvaliduntil END AS expires,
    pg_has_role(oid, 'pg_execute_server_program', 'member') AS runs_programs
FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname
"""
_PUBLIC = """
SELECT 'schema ' || nspname AS name, EXISTS (
    SELECT FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) WHERE grantee = 0 AND privilege_type = 'CREATE'
) AS open FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL
SELECT 'database ' || datname, EXISTS (
    SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0 AND privilege_type = 'CREATE'
) FROM pg_database WHERE datname = current_database()
"""
_STANDBYS = """
SELECT coalesce(nullif(application_name, ''), host(client_addr), 'standby') AS name FROM pg_stat_replication
WHERE application_name !~ 'watchkeeper|pg_basebackup|pg_receivewal'
"""
_POWERS = {
    "rolsuper": "superuser",
    "rolcreaterole": "may create roles",
    "rolbypassrls": "passes by row security",
    "runs_programs": "runs programs on the server",
}


async def audit(spec: Spec, _plan: CompliancePlan, access: Access) -> Audited:
    """Return roles, what everybody may create, and standbys."""
    found = Audited()
    parts = (Part.ACCOUNTS, Part.DOORS, Part.PLACES)
    try:
        connection = await connect(access.resolver.resolve(spec.dsn), within=spec.timeout, ca_bundle=access.ca_bundle)
    except WatchkeeperError as error:
        found.missed(parts, error)
        return found
    async with connection:
        for part, look in zip(parts, (_accounts, _doors, _standbys), strict=True):
            try:
                await look(connection, found)
            except WatchkeeperError as error:
                found.missed([part], error)
            except Exception as error:  # noqa: BLE001 - psycopg's, put into our words by its one table
                found.missed([part], translated(error))
    return found


async def _accounts(connection: Connection, found: Audited) -> None:
    for row in await rows(connection, _ROLES):
        superuser = row["rolsuper"]
        powers = tuple(what for name, what in _POWERS.items() if row[name] and (name == "rolsuper" or not superuser))
        found.accounts.append(
            Account(row["name"], powers, login=row["login"], expires=row["expires"], own=row["own"], can_expire=True)
        )


async def _doors(connection: Connection, found: Audited) -> None:
    found.doors += [Door("public create", row["name"], row["open"]) for row in await rows(connection, _PUBLIC)]


async def _standbys(connection: Connection, found: Audited) -> None:
    found.places += [Place(f"standby {row['name']}", name=row["name"]) for row in await rows(connection, _STANDBYS)]
