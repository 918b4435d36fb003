"""Measures a bucket through boto3. `grant.json` holds what its key needs: no object's content is ever read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter
from typing import Any

from tasks.clients import s3
from tasks.clients.threads import in_thread
from tasks.core.errors import ConfigError, Denied, Garbled, PermanentError, Unreachable, WatchkeeperError
from tasks.core.results import Gap, Measurement, Outcome, Reading
from tasks.core.system import Access
from tasks.core.units import format_bytes
from tasks.systems.s3.connection import connect
from tasks.systems.s3.listing import Entry, Listing, not_copied
from tasks.systems.s3.spec import CATALOG, Replica, Spec

_LISTING_SHARE = 0.6
_REPLICA_SHARE = 0.25  # a copy's listing has this much time more
_NAMED = 3
_MISSING = ("404", "NoSuchBucket")
_NO_LIFECYCLE = "NoSuchLifecycleConfiguration"


@dataclass(frozen=True)
class _Session:
    client: s3.S3Client
    spec: Spec
    access: Access
    until: float

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make one call on the bucket in a thread; raises what `tasks.clients.s3.translated` says."""
        try:
            answer: dict[str, Any] = await in_thread(
                getattr(self.client, operation), Bucket=self.spec.bucket, **parameters
            )
        except s3.Failure as error:
            failure = s3.translated(error, operation.replace("_", " "))
            if s3.error_code(error) in _MISSING:
                raise Unreachable(f"the bucket {self.spec.bucket} does not exist") from None
            if s3.error_code(error) == _NO_LIFECYCLE:
                return {}
            raise failure from None
        return answer

    def read(self, name: str, value: float | bool, note: str = "") -> Measurement:  # noqa: FBT001
        return CATALOG.read(name, value, at=self.now(), note=note)

    def now(self) -> datetime:
        return self.access.now()

    def spec_of(self, system: str) -> Spec:
        """Return the spec of another bucket of the platform."""
        found = (self.access.systems or {}).get(system)
        if not isinstance(found, Spec):
            raise ConfigError(f"the platform has no bucket named {system}", hint="name one of kind s3")
        return found

    @property
    def time_is_up(self) -> bool:
        return perf_counter() > self.until


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield latency, what lies under the prefix and what its copy lacks, lifecycle rules, versioning, open uploads.

    Sources: HeadBucket, ListObjectsV2, GetBucketLifecycleConfiguration, GetBucketVersioning, ListMultipartUploads.
    """
    until = perf_counter() + spec.timeout.total_seconds() * _LISTING_SHARE
    session = _Session(await in_thread(connect, spec, access), spec, access, until)
    try:
        yield await _latency(session)
        for name, take in _SECTIONS.items():
            try:
                readings = await take(session)
            except WatchkeeperError as error:
                readings = [Gap.of(error, name)]
            for reading in readings:
                yield reading
    finally:
        session.client.close()


async def _latency(session: _Session) -> Reading:
    try:
        await session.call("head_bucket")
    except Denied:
        # A refused HEAD has no body; the same refusal of a GET says whether it was the key, the secret or the policy.
        await session.call("list_objects_v2", MaxKeys=1)
        raise
    began = perf_counter()
    await session.call("head_bucket")
    return session.read("latency", perf_counter() - began)


async def _objects(session: _Session) -> list[Reading]:
    listing = await _listed(session, Listing(keep=session.spec.replica is not None))
    readings = list(_from_listing(session, listing))
    if session.spec.replica is not None:
        try:
            readings += await _replication(session, session.spec.replica, listing)
        except WatchkeeperError as error:
            of_copy = type(error)(f"the copy in {session.spec.replica.system}: {error.message}", hint=error.hint)
            readings += [Gap.of(of_copy, name) for name in ("replication_lag", "unreplicated")]
    return readings


async def _listed(session: _Session, listing: Listing) -> Listing:
    """List what lies under the prefix, up to as many pages as the spec allows and for as long as there is time."""
    token: dict[str, str] = {}
    for _ in range(session.spec.pages):
        page = await session.call("list_objects_v2", Prefix=session.spec.prefix, **token)
        if "IsTruncated" not in page:
            raise Garbled("the answer is no listing of a bucket", hint="see that the endpoint is the S3 port")
        listing.add(page.get("Contents", []))
        listing.cut = page["IsTruncated"]
        if not listing.cut:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
        if session.time_is_up:
            break
    return listing


async def _replication(session: _Session, replica: Replica, source: Listing) -> list[Reading]:
    """Hold the listing against that of its copy."""
    prefix = session.spec.prefix if replica.prefix is None else replica.prefix
    copy = session.spec_of(replica.system).model_copy(update={"prefix": prefix, "pages": session.spec.pages})
    client = await in_thread(connect, copy, session.access)
    try:
        until = session.until + session.spec.timeout.total_seconds() * _REPLICA_SHARE
        listing = await _listed(replace(session, client=client, spec=copy, until=until), Listing(keep=True))
    finally:
        client.close()
    missing, compared = not_copied(source.entries, listing, (session.spec.prefix, prefix), replica.compare)
    return list(_from_comparison(session, missing, compared, cut=source.cut or listing.cut))


def _from_comparison(session: _Session, missing: list[Entry], compared: int, *, cut: bool) -> Iterator[Reading]:
    seen = f"only {compared:,} objects were compared, as the listing was cut" if cut else f"of {compared:,} objects"
    named = ", ".join(entry.key for entry in missing[:_NAMED])
    lag = max(0.0, (session.now() - missing[0].at).total_seconds()) if missing else 0.0
    yield session.read("replication_lag", lag, note=f"{missing[0].key}; {seen}" if missing else seen)
    yield session.read("unreplicated", len(missing), note=f"{named}; {seen}" if missing else seen)
    if cut:
        yield _cut("replication_lag", f"beyond {compared:,} objects")


def _from_listing(session: _Session, listing: Listing) -> Iterator[Reading]:
    note = f"at least: the listing was cut after {listing.objects:,} objects" if listing.cut else ""
    yield session.read("objects", listing.objects, note=note)
    yield session.read("size", listing.size, note=note)
    if session.spec.quota:
        yield session.read("used", listing.size / session.spec.quota, note=note)
    if listing.largest:
        named = ", ".join(f"{key} {format_bytes(size)}" for size, key in listing.largest)
        yield session.read("largest_object", listing.largest[0][0], note="; ".join(filter(None, [named, note])))
    yield from _ages(session, listing)
    if listing.cut:
        yield _cut("objects", f"beyond the first {listing.objects:,}")


def _cut(name: str, subject: str) -> Gap:
    return Gap(
        outcome=Outcome.NOT_CHECKED,
        name=name,
        subject=subject,
        reason="the listing was cut to end in time",
        hint="raise pages and timeout, or name a prefix",
    )


def _ages(session: _Session, listing: Listing) -> Iterator[Reading]:
    if listing.oldest is None or listing.newest is None:
        yield session.read("oldest_object", 0.0, note="there is no object")
        if "newest_object" in session.spec.limits:
            where = session.spec.prefix or session.spec.bucket
            yield Gap.of(PermanentError(f"there is no object at all under {where}"), "newest_object")
        return
    now = session.now()
    for name, (at, key) in (("oldest_object", listing.oldest), ("newest_object", listing.newest)):
        yield session.read(name, max(0.0, (now - at).total_seconds()), note=key)


async def _lifecycle(session: _Session) -> list[Reading]:
    rules = (await session.call("get_bucket_lifecycle_configuration")).get("Rules", [])
    enabled = [rule for rule in rules if rule.get("Status") == "Enabled"]
    note = f"{len(rules) - len(enabled)} more are disabled" if len(rules) > len(enabled) else ""
    return [session.read("lifecycle_rules", len(enabled), note=note)]


async def _versioning(session: _Session) -> list[Reading]:
    status = (await session.call("get_bucket_versioning")).get("Status", "")
    return [session.read("versioning", status == "Enabled", note=status.lower())]


async def _uploads(session: _Session) -> list[Reading]:
    answer = await session.call("list_multipart_uploads", Prefix=session.spec.prefix)
    uploads = answer.get("Uploads", [])
    note = "at least: only the first page was read" if answer.get("IsTruncated") else ""
    readings: list[Reading] = [session.read("open_uploads", len(uploads), note=note)]
    if uploads:
        begun, key = min((upload["Initiated"], upload["Key"]) for upload in uploads)
        readings.append(session.read("oldest_upload", max(0.0, (session.now() - begun).total_seconds()), note=key))
    return readings


_SECTIONS: dict[str, Callable[[_Session], Awaitable[list[Reading]]]] = {
    "lifecycle_rules": _lifecycle,
    "versioning": _versioning,
    "open_uploads": _uploads,
    "objects": _objects,
}
