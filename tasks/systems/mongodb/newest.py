"""How new the newest document of a collection is."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from bson import ObjectId

from tasks.systems.mongodb.connection import Blocking
from tasks.systems.mongodb.spec import NewestCheck, Spec


def full_name(spec: Spec, name: str, known: Collection[str]) -> str:
    """Return a collection's name with its database: as it is where there is one of it, else in the spec's own."""
    return name if name in known or not spec.database else f"{spec.database}.{name}"


def newest(client: Blocking, spec: Spec, check: NewestCheck, known: Collection[str]) -> datetime | None:
    """Return the newest value of a check's field, or None where there is none; aware, UTC."""
    collection, _, field = check.newest.rpartition(".")
    database, _, name = full_name(spec, collection, known).partition(".")
    found = (
        client[database][name].find_one({field: {"$type": ["date", "objectId"]}}, {field: 1}, sort=[(field, -1)])
        if name
        else None
    )
    value = found.get(field) if found else None
    if isinstance(value, ObjectId):
        return value.generation_time
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else None


def newest_of(client: Blocking, spec: Spec, known: Collection[str]) -> datetime | None:
    """Return the newest record of all that the spec's checks ask for, or None where they ask for none."""
    checks = [check for check in spec.verify if isinstance(check, NewestCheck)]
    found = [newest(client, spec, check, known) for check in checks]
    return max((one for one in found if one is not None), default=None)
