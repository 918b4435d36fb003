"""Takes steps at MongoDB: inserts, deletes or counts documents. Its user needs `readWrite` for the first two."""

from __future__ import annotations

from typing import Any

from pymongo import errors

from tasks.core.errors import ConfigError
from tasks.core.steps import Step, Taken
from tasks.core.system import Access
from tasks.systems.mongodb.connection import connect, translated
from tasks.systems.mongodb.spec import Spec

_MOST = 100_000


async def take(spec: Spec, step: Step, canary: str, access: Access) -> Taken:  # noqa: ARG001 - the same for every kind
    """Do `insert`, `delete`, `count` or `find` on a collection, with a document or a filter as the body.

    Raises:
        ConfigError: It is none of these.
        WatchkeeperError: As the server says.
    """
    verb, _, name = step.call.partition(" ")
    body: Any = step.body if step.body is not None else {}
    if verb not in ("insert", "delete", "count", "find") or not name or not isinstance(body, dict):
        raise ConfigError(f"{step.call!r} is no step at MongoDB", hint="write `count users` with a filter as body")
    client = connect(access.resolver.resolve(step.address or spec.uri), within=spec.timeout, ca_bundle=access.ca_bundle)
    try:
        database = client.get_default_database(spec.database)
        collection = database[name.strip()]
        if verb == "insert":
            await collection.insert_one(dict(body))
            return Taken(1)
        if verb == "delete":
            return Taken((await collection.delete_many(body)).deleted_count)
        if verb == "count":
            return Taken(await collection.count_documents(body))
        found = await collection.find(body).limit(_MOST).to_list()
        return Taken(len(found), tuple(found))
    except errors.PyMongoError as error:
        raise translated(error) from None
    finally:
        await client.close()
