"""Backs a bucket or prefix up: what is new or changed since the last backup, and a list of all that is there.

Objects lie in tars of some 256 MiB. `index.jsonl` names every object and which backup's tar holds it. What the next
backup needs to tell new from old is in `fingerprints.jsonl`, which is not encrypted and tells no name and no content:
no machine that takes backups has the key to the index. `grant-backup.json` is what its user needs.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import boto3

from tasks.clients import s3
from tasks.clients.s3_objects import Objects
from tasks.core.backup import Order, Parent, PartWriter, Sink, Taken
from tasks.core.errors import ConfigError, Denied, Unreachable, WatchkeeperError
from tasks.core.system import Access
from tasks.systems.s3 import by_hand, fingerprints
from tasks.systems.s3.connection import connect
from tasks.systems.s3.copying import Copied, Copier, Tars
from tasks.systems.s3.fingerprints import FINGERPRINTS, Head, Known, Where
from tasks.systems.s3.index import CURRENT, INDEX, ODD_LIST, written
from tasks.systems.s3.naming import Above, is_plain, odd_name
from tasks.systems.s3.pages import Listed, pages
from tasks.systems.s3.spec import Plan, Spec

_SECONDS = 30.0
_NAMED = 3
_HALF = 0.5


def backup(spec: Spec, access: Access, sink: Sink, order: Order) -> Taken:
    """Write `objects/*.tar`, `index.jsonl`, `fingerprints.jsonl`, `current.list` and `odd.list`.

    Raises:
        Unreachable: There is no such bucket, or the store does not answer.
        Denied: It may not be listed, or no object may be read.
        WatchkeeperError: As the store says.
    """
    plan = spec.backup
    if plan is None:
        raise ConfigError("the spec does not say how it is backed up", hint="give it a field backup")
    client = connect(spec, access, for_backup=True)
    objects = Objects(client, spec.bucket, plan.connections, _SECONDS, access.ca_bundle)
    try:
        with ThreadPoolExecutor(plan.connections, "copy") as pool:
            return _taken(_Job(spec, plan, access, client, objects, pool, sink), order)
    except s3.Failure as error:
        if s3.error_code(error) in ("NoSuchBucket", "404"):
            raise Unreachable(f"the bucket {spec.bucket} does not exist") from None
        raise s3.translated(error, "copy a bucket") from None
    finally:
        objects.close()
        client.close()


@dataclass(frozen=True)
class _Job:
    """What one backup works with."""

    spec: Spec
    plan: Plan
    access: Access
    client: s3.S3Client
    objects: Objects
    pool: Executor
    sink: Sink

    @property
    def scope(self) -> str:
        """What is copied; a chain does not go on where this changes."""
        endpoint = "" if self.spec.endpoint is None else self.access.resolver.resolve(self.spec.endpoint)
        return f"{endpoint} {self.spec.bucket} {self.spec.prefix} {self.plan.versions}"


def _taken(job: _Job, order: Order) -> Taken:
    began = job.access.now()
    known, why_full = _known(job, order.parent)
    chain, held = _chain(order.parent) if known is not None else ((), {})
    head = Head(known.head.salt if known else secrets.token_bytes(16), _digest(job.scope), chain)
    with ExitStack() as stack:
        lists = _Lists(
            index=stack.enter_context(job.sink.part(INDEX)),
            prints=stack.enter_context(job.sink.part(FINGERPRINTS, encrypt=False)),
            current=stack.enter_context(job.sink.part(CURRENT)),
            odd=stack.enter_context(job.sink.part(ODD_LIST)),
            head=head,
        )
        tars = stack.enter_context(Tars(job.sink))
        copier = Copier(job.objects, tars, job.pool, job.sink, window=4 * job.plan.connections)
        _copy(job, lists, copier, known)
        _must_still_be_let_in(job, copier)
    return _told(job, order, lists, copier, known, began, held, why_full)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _known(job: _Job, parent: Parent | None) -> tuple[Known | None, str]:
    """Return what the last backup knew, or why all is copied anew."""
    if parent is None:
        return None, "there is no earlier backup"
    if parent.taken.details.get("chain_ends"):
        return None, str(parent.taken.details["chain_ends"])
    try:
        known = fingerprints.read(fingerprints.lines(parent.read(FINGERPRINTS)))
    except WatchkeeperError as error:
        return None, f"the fingerprints of {parent.id} cannot be read: {error.message}"
    return (known, "") if known.head.scope == _digest(job.scope) else (None, "what is copied is not the same any more")


def _chain(parent: Parent | None) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the backups that may hold what is unchanged, oldest first, and how many bytes each has."""
    if parent is None:
        return (), {}
    held = {backup: int(size) for backup, size in parent.taken.details.get("held", {}).items()}
    own = int(parent.taken.details.get("copied_bytes", 0))
    return (*parent.taken.parents, parent.id), {**held, parent.id: own}


@dataclass
class _Lists:
    """What is told of every object, as it grows.

    Attributes:
        live: Objects that are there now, by the number of the backup that holds them; `live_bytes` their bytes.
        counts: Objects and bytes; and how they fared since the last backup.
    """

    index: PartWriter
    prints: PartWriter
    current: PartWriter
    odd: PartWriter
    head: Head
    live: Counter[int] = field(default_factory=Counter)
    live_bytes: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.prints.write(self.head.line())

    def note(self, listed: Listed, where: Where, *, plain: bool, copied: Copied | None = None) -> None:
        """Tell of one object that a tar holds; `plain` where its member can lie under its own key."""
        size = copied.fetched.size if copied else listed.size
        tag = copied.fetched.tag if copied else listed.tag
        at = listed.at if copied is None or tag == listed.tag else copied.fetched.at
        name, is_own = listed.key, where.holder == len(self.head.chain)
        if where.odd:
            name = odd_name(listed.key, listed.version)
        line: dict[str, Any] = {"key": listed.key, "size": size, "etag": tag, "at": at.isoformat()}
        line |= {"backup": "" if is_own else self.head.chain[where.holder], "part": where.part, "number": where.number}
        line |= {"member": name if where.odd else "", "version": listed.version}
        if not listed.latest:
            line["latest"] = False
        if copied is not None:
            line |= {"hash": copied.hash, "headers": dict(copied.fetched.headers)}
            line["metadata"] = dict(copied.fetched.metadata)
        self.index.write(written(**line))
        self._print(listed, size, tag, at, where)
        self.live[where.holder] += 1
        self.live_bytes += size
        if listed.latest:
            self._list(where, name, listed.key, plain=plain)
            self.counts["objects"] += 1
            self.counts["bytes"] += size
        else:
            self.counts["old_versions"] += 1

    def marker(self, listed: Listed) -> None:
        """Tell that an object was deleted then."""
        line: dict[str, Any] = {"key": listed.key, "at": listed.at.isoformat(), "version": listed.version}
        self.index.write(written(**line) if listed.latest else written(**line, latest=False))
        self.counts["delete_markers"] += 1

    def _print(self, listed: Listed, size: int, tag: str, at: datetime, where: Where) -> None:
        key = self.head.of_key(listed.key, listed.version)
        self.prints.write(fingerprints.line(key, self.head.of_state(size, tag, at.isoformat()), where))

    def _list(self, where: Where, member: str, key: str, *, plain: bool) -> None:
        if plain and not where.odd:
            self.current.write(f"{where.holder} {member}\0".encode())
        else:
            self.odd.write(f"{where.holder} {by_hand.quoted(member)} {by_hand.quoted(key)}\n".encode())


def _copy(job: _Job, lists: _Lists, copier: Copier, known: Known | None) -> None:
    """Go through the bucket; what is unchanged is noted at once, and the rest copied."""
    own, above, head = len(lists.head.chain), Above(), lists.head
    renumbered = _renumbered(known, head)
    plains: dict[tuple[str, str], bool] = {}

    def note(done: Iterator[Copied]) -> None:
        for copied in done:
            plain = plains.pop((copied.listed.key, copied.listed.version))
            where = Where(own, copied.part, copied.number, odd=copied.member != copied.listed.key)
            lists.note(copied.listed, where, plain=plain, copied=copied)

    for page in pages(job.client, job.spec.bucket, job.spec.prefix, job.pool, versions=job.plan.versions):
        for listed in page:
            if listed.marker:
                lists.marker(listed)
                continue
            plain = not (listed.latest and above.holds(listed.key)) and is_plain(listed.key)
            found: Where | bool = False
            if known is not None:
                state = head.of_state(listed.size, listed.tag, listed.at.isoformat())
                found = known.look(head.of_key(listed.key, listed.version), state)
            if isinstance(found, Where):
                lists.counts["unchanged"] += 1
                lists.note(listed, found._replace(holder=renumbered[found.holder]), plain=plain)
                continue
            lists.counts["changed" if found else "new"] += 1
            member = listed.key if plain and listed.latest else odd_name(listed.key, listed.version)
            plains[listed.key, listed.version] = plain
            note(copier.take(listed, member))
    note(copier.rest())


def _renumbered(known: Known | None, head: Head) -> dict[int, int]:
    """Return the numbers of holders in this chain by those in the chain before."""
    if known is None:
        return {}
    places = {backup: place for place, backup in enumerate(head.chain)}
    before = (*known.head.chain, head.chain[-1])
    return {number: places[backup] for number, backup in enumerate(before) if backup in places}


def _must_still_be_let_in(job: _Job, copier: Copier) -> None:
    """Tell objects that are kept from this user from credentials that were taken away in the middle."""
    if not copier.refused:
        return
    job.client.list_objects_v2(Bucket=job.spec.bucket, Prefix=job.spec.prefix, MaxKeys=1)
    if not copier.done and copier.tars.part < 0:
        raise Denied(f"no object may be read: {_some(copier.refused)}", hint="see grant-backup.json")


def _told(
    job: _Job,
    order: Order,
    lists: _Lists,
    copier: Copier,
    known: Known | None,
    began: datetime,
    held: dict[str, int],
    why_full: str,
) -> Taken:
    counts, chain = lists.counts, lists.head.chain
    parents = tuple(backup for place, backup in enumerate(chain) if lists.live[place])
    held = {backup: held.get(backup, 0) for backup in parents}
    told = {"bucket": job.spec.bucket, "prefix": job.spec.prefix, "versions": job.plan.versions}
    told |= {name: counts[name] for name in ("new", "changed", "unchanged", "old_versions", "delete_markers")}
    told |= {"deleted": known.unseen if known else 0, "gone_meanwhile": copier.gone, "copied_bytes": copier.done}
    told |= {"changed_meanwhile": copier.changed, "refused": len(copier.refused), "held": held, "chain": list(chain)}
    return Taken(
        method=order.method,
        consistent_as_of=began,
        tools={"boto3": boto3.__version__},
        counts={"objects": counts["objects"], "bytes": counts["bytes"]},
        parents=parents,
        details=told | {"why_full": why_full, "chain_ends": _end(job.plan, lists, held, copier.done)},
        warnings=tuple(_warnings(copier, counts["objects"], why_full, order)),
        source_bytes=counts["bytes"],
    )


def _end(plan: Plan, lists: _Lists, held: dict[str, int], copied: int) -> str:
    """Say why the next backup is to copy all anew, or nothing."""
    longer = len(held) + (lists.live[len(lists.head.chain)] > 0)
    if longer > plan.full_every:
        return f"{longer} backups were needed for one"
    if lists.live_bytes < (sum(held.values()) + copied) * _HALF:
        return "more than half of what the chain held was gone"
    return ""


def _warnings(copier: Copier, objects: int, why_full: str, order: Order) -> Iterator[str]:
    if copier.refused:
        yield f"{len(copier.refused)} objects may not be read: {_some(copier.refused)}"
    if copier.unsteady:
        yield f"{len(copier.unsteady)} objects changed again and again while they were read: {_named(copier.unsteady)}"
    if copier.tagged:
        yield f"the tags of {copier.tagged} objects are not in it"
    if order.parent is not None and "cannot be read" in why_full:
        yield f"all was copied anew: {why_full}"
    if not objects:
        yield "there is not a single object"


def _some(reasons: dict[str, str]) -> str:
    return _named([f"{key} ({reason})" for key, reason in reasons.items()])


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def recovery(taken: Taken, parts: Sequence[str]) -> str:
    """Return the commands that give the objects back. See `tasks.core.backup.Recovery`."""
    return by_hand.recovery(taken, parts)
