"""Tells how a MongoDB is guarded: its users, their roles, its members. `grant-audit.js` has what its user needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from pymongo import errors

from tasks.core.audit import Account, Audited, Door, Part, Place
from tasks.core.compliance_plan import CompliancePlan
from tasks.core.errors import Garbled, NotOffered, WatchkeeperError
from tasks.core.system import Access
from tasks.systems.mongodb.connection import Client, connect, translated
from tasks.systems.mongodb.spec import Spec

_PATIENCE = timedelta(seconds=6)
_GREAT = frozenset({
    "root", "__system", "dbOwner", "userAdmin", "userAdminAnyDatabase", "readWriteAnyDatabase", "dbAdminAnyDatabase",
    "clusterAdmin", "restore",
})  # fmt: skip


async def audit(spec: Spec, _plan: CompliancePlan, access: Access) -> Audited:
    """Return users with the roles that are an administrator's, whether it asks for a password, and its members."""
    found = Audited()
    uri = access.resolver.resolve(spec.uri)
    client = connect(uri, within=spec.timeout, ca_bundle=access.ca_bundle)
    try:
        for part, look in ((Part.ACCOUNTS, _accounts), (Part.PLACES, _members)):
            try:
                await look(client, found)
            except NotOffered:
                continue  # of a server that is in no replica set
            except WatchkeeperError as error:
                found.missed([part], error)
            except errors.PyMongoError as error:
                found.missed([part], translated(error))
        try:
            await _asks(uri, access, found)
        except errors.PyMongoError as error:
            found.missed([Part.DOORS], translated(error))
    finally:
        await client.close()
    return found


async def _accounts(client: Client, found: Audited) -> None:
    answer = await client.admin.command({"usersInfo": {"forAllDBs": True}})
    users: list[Any] = answer.get("users") or (await client.admin.command({"usersInfo": 1})).get("users", [])
    if not users:
        raise Garbled("it names no user at all", hint="grant viewUser to the user of the uri")
    for user in users:
        roles = sorted({role["role"] for role in user.get("roles", ()) if role["role"] in _GREAT})
        found.accounts.append(Account(str(user["user"]), tuple(roles)))


async def _members(client: Client, found: Audited) -> None:
    """Add the members of the replica set, with the region that their tags tell."""
    try:
        answer = await client.admin.command("replSetGetConfig")
    except errors.OperationFailure as error:
        raise translated(error) from None
    for member in answer["config"]["members"]:
        found.places.append(
            Place(f"member {member['host']}", str(member.get("tags", {}).get("region", "")), member["host"])
        )


async def _asks(uri: str, access: Access, found: Audited) -> None:
    """Try without any password: the same address, no user."""
    parts = urlsplit(uri)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if not name.lower().startswith("auth")]
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query=urlencode(kept)).geturl()
    client = connect(bare, within=_PATIENCE, ca_bundle=access.ca_bundle)
    try:
        await client.admin.command("listDatabases", nameOnly=True)
    except errors.OperationFailure:
        is_open = False
    else:
        is_open = True
    finally:
        await client.close()
    found.doors.append(Door("no password", "MongoDB", is_open))
