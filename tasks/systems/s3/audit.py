"""Tells how a bucket is guarded. `grant-audit.json` holds what its key needs; no object's content is ever read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from tasks.clients import s3
from tasks.clients.http import fetch, session
from tasks.clients.threads import in_thread
from tasks.core.audit import Audited, Bucket, Part, Place, Secret
from tasks.core.compliance_plan import CompliancePlan
from tasks.core.errors import NotOffered, WatchkeeperError
from tasks.core.system import Access
from tasks.systems.s3.connection import connect
from tasks.systems.s3.listing import Listing
from tasks.systems.s3.spec import Spec

T = TypeVar("T")
_NONE = frozenset({
    "NoSuchBucketPolicy", "ServerSideEncryptionConfigurationNotFoundError", "ObjectLockConfigurationNotFoundError",
    "NoSuchLifecycleConfiguration", "ReplicationConfigurationNotFoundError", "NoSuchPublicAccessBlockConfiguration",
})  # fmt: skip
_EVERYBODY = ("AllUsers", "AuthenticatedUsers")
_FIRST, _AWS = "us-east-1", re.compile(r"^https?://[^/]*amazonaws\.com")


async def audit(spec: Spec, plan: CompliancePlan, access: Access) -> Audited:
    """Return what the bucket says of itself, whether anybody may list it, and where it is asked, how old its key is."""
    found = await in_thread(_asked, spec, access)
    if any((access.systems or {}).get(name) is spec for name in plan.rotation.iam):
        await in_thread(found.take, [Part.SECRETS], lambda: found.secrets.extend(_keys(spec, access)))
    if found.buckets and (bucket := found.buckets[0]).public is not None and await _anybody(spec, access):
        found.buckets = [_with(bucket, public=(*bucket.public, "anybody may list it"))]
    return found


async def _anybody(spec: Spec, access: Access) -> bool:
    """Ask for the bucket without any signature."""
    endpoint = "https://s3.amazonaws.com" if spec.endpoint is None else access.resolver.resolve(spec.endpoint)
    try:
        async with session(endpoint, ca_bundle=access.ca_bundle) as client:
            path = f"/{spec.bucket}?list-type=2&max-keys=1"
            answer = await fetch(client, "GET", path, seconds=spec.timeout.total_seconds())
    except WatchkeeperError:
        return False  # what the store says of itself was asked over the same way, and answered
    return answer.status == 200  # noqa: PLR2004


def _keys(spec: Spec, access: Access) -> list[Secret]:
    """Return the access keys of the user whose key the spec has, by the end of their names.

    Raises:
        WatchkeeperError: The store has no IAM, does not allow it, or does not tell when a key was made.
    """
    client = connect(spec, access, service="iam")
    try:
        keys = client.list_access_keys()["AccessKeyMetadata"]
    except s3.Failure as error:
        raise s3.translated(error, "list access keys") from None
    finally:
        client.close()
    active = [key for key in keys if key.get("Status") == "Active"]
    if any("CreateDate" not in key for key in active):
        raise NotOffered("the store does not tell when an access key was made")
    return [Secret(f"access key ...{key['AccessKeyId'][-4:]}", key["CreateDate"], "IAM") for key in active]


def _asked(spec: Spec, access: Access) -> Audited:
    found = Audited()
    client = connect(spec, access)
    try:
        bucket = found.take([Part.BUCKETS, Part.PLACES], lambda: _bucket(client, spec, found))
        if bucket is not None:
            found.buckets.append(bucket)
    finally:
        client.close()
    return found


def _bucket(client: s3.S3Client, spec: Spec, found: Audited) -> Bucket:
    def ask(operation: str, **more: Any) -> dict[str, Any]:
        return _ask(client, spec.bucket, operation, **more)

    def attempt(look: Callable[[], T]) -> T | None:
        return found.take([Part.BUCKETS], look)

    _ask(client, spec.bucket, "head_bucket")
    region = found.take([Part.PLACES], lambda: _region(ask("get_bucket_location"), client.meta.endpoint_url))
    found.places.append(Place(f"bucket {spec.bucket}", region or ""))
    for destination in attempt(lambda: _destinations(ask("get_bucket_replication"))) or ():
        found.places.append(Place(f"replica {destination}", name=destination))
    listing = attempt(lambda: _listed(ask, spec))
    return Bucket(
        spec.bucket,
        public=attempt(lambda: _public(ask)),
        encryption=attempt(lambda: _encryption(ask("get_bucket_encryption"))),
        versioned=attempt(lambda: ask("get_bucket_versioning").get("Status") == "Enabled"),
        locked=attempt(lambda: _lock(ask("get_object_lock_configuration"))),
        expires=attempt(lambda: _expiries(ask("get_bucket_lifecycle_configuration"))),
        oldest=listing.oldest if listing else None,
        cut=listing is None or listing.cut,
    )


def _ask(client: s3.S3Client, bucket: str, operation: str, **more: Any) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = getattr(client, operation)(Bucket=bucket, **more)
    except s3.Failure as error:
        if s3.error_code(error) in _NONE:
            return {}
        raise s3.translated(error, operation.replace("_", " ")) from None
    return answer


def _region(answer: dict[str, Any], endpoint: str) -> str:
    """Return where the bucket is. Where it tells nothing, one of AWS is in its first region; another is anywhere."""
    return str(answer.get("LocationConstraint") or (_FIRST if _AWS.search(endpoint) else ""))


def _destinations(answer: dict[str, Any]) -> list[str]:
    rules = answer.get("ReplicationConfiguration", {}).get("Rules", ())
    enabled = [rule for rule in rules if rule.get("Status") == "Enabled"]
    return sorted({str(rule["Destination"]["Bucket"]).rpartition(":")[2] for rule in enabled})


def _public(ask: Callable[..., dict[str, Any]]) -> tuple[str, ...]:
    why = []
    for grant in ask("get_bucket_acl").get("Grants", ()):
        group = str(grant["Grantee"].get("URI", "")).rpartition("/")[2]
        if group in _EVERYBODY:
            why.append(f"its ACL gives {grant['Permission']} to {group}")
    policy = ask("get_bucket_policy").get("Policy")
    statements = json.loads(policy).get("Statement", ()) if policy else ()
    for one in [statements] if isinstance(statements, dict) else statements:
        if one.get("Effect") == "Allow" and _is_anybody(one.get("Principal")) and not one.get("Condition"):
            actions = one.get("Action", "?")
            why.append(f"its policy allows {actions if isinstance(actions, str) else ', '.join(actions)} to anybody")
    return tuple(why)


def _is_anybody(principal: Any) -> bool:
    if isinstance(principal, dict):
        principal = principal.get("AWS")
    return "*" in principal if isinstance(principal, list) else principal == "*"


def _encryption(answer: dict[str, Any]) -> str:
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
    named = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", "") for rule in rules]
    return next(filter(None, named), "")


def _lock(answer: dict[str, Any]) -> bool:
    return bool(answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")


def _expiries(answer: dict[str, Any]) -> tuple[int, ...]:
    rules = [rule for rule in answer.get("Rules", ()) if rule.get("Status") == "Enabled"]
    return tuple(rule["Expiration"]["Days"] for rule in rules if "Days" in rule.get("Expiration", {}) and _all(rule))


def _all(rule: dict[str, Any]) -> bool:
    """Tell whether a rule is of all objects."""
    chosen = rule.get("Filter", {})
    return not rule.get("Prefix") and not chosen.get("Prefix") and set(chosen) <= {"Prefix"}


def _listed(ask: Callable[..., dict[str, Any]], spec: Spec) -> Listing:
    listing, token = Listing(), dict[str, str]()
    for _ in range(spec.pages):
        page = ask("list_objects_v2", Prefix=spec.prefix, **token)
        listing.add(page.get("Contents", []))
        listing.cut = bool(page.get("IsTruncated"))
        if not listing.cut:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    return listing


def _with(bucket: Bucket, **changes: Any) -> Bucket:
    return Bucket(**vars(bucket) | changes)
