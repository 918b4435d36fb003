"""Takes steps at a bucket: puts, deletes or looks for an object and all its versions."""

from __future__ import annotations

from typing import Any

from tasks.clients import s3
from tasks.clients.threads import in_thread
from tasks.core.errors import ConfigError
from tasks.core.steps import Step, Taken
from tasks.core.system import Access
from tasks.systems.s3.connection import connect
from tasks.systems.s3.spec import Spec


async def take(spec: Spec, step: Step, canary: str, access: Access) -> Taken:  # noqa: ARG001 - the same for every kind
    """Do `put`, `delete` or `look` on a key; the last counts the object's versions, markers of deletion aside.

    Raises:
        ConfigError: It is none of these.
        WatchkeeperError: As the store says.
    """
    verb, _, key = step.call.partition(" ")
    if verb not in _VERBS or not key:
        raise ConfigError(f"{step.call!r} is no step at a bucket", hint="write `put uploads/{canary}.jpg`")
    own = {} if step.access_key is None else {"access_key": step.access_key, "secret_key": step.secret_key}
    return await in_thread(_do, spec.model_copy(update=own), verb, key, step.body, access)


def _do(spec: Spec, verb: str, key: str, body: Any, access: Access) -> Taken:
    client = connect(spec, access)
    try:
        return _VERBS[verb](client, spec.bucket, key, body)
    except s3.Failure as error:
        raise s3.translated(error, f"{verb} object") from None
    finally:
        client.close()


def _put(client: s3.S3Client, bucket: str, key: str, body: Any) -> Taken:
    client.put_object(Bucket=bucket, Key=key, Body=str(body or key).encode())
    return Taken(1)


def _delete(client: s3.S3Client, bucket: str, key: str, _body: Any) -> Taken:
    client.delete_object(Bucket=bucket, Key=key)
    return Taken(1)


def _look(client: s3.S3Client, bucket: str, key: str, _body: Any) -> Taken:
    listed = client.list_objects_v2(Bucket=bucket, Prefix=key)
    answer = client.list_object_versions(Bucket=bucket, Prefix=key)
    versions = [one for one in answer.get("Versions", ()) if one["Key"] == key]
    current = [one for one in listed.get("Contents", ()) if one["Key"] == key]
    return Taken(max(len(versions), len(current)))


_VERBS = {"put": _put, "delete": _delete, "look": _look}
