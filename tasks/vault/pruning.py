"""Retention carried out: what a vault holds as `core.retention` sees it, the plan, and the removals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.manifest import Manifest
from tasks.core.retention import Copy, Plan, Policy, plan
from tasks.core.verification import is_verified
from tasks.vault.layout import MANIFEST
from tasks.vault.records import read_hold, read_verification
from tasks.vault.vault import Entry, Vault

_READERS = 16
CAP = 0.3
"""The share of a group that may go at once without a person's approval."""


def group_of(manifest: Manifest) -> str:
    """Return what a backup belongs to for retention: its system and its method, `database/logical`."""
    return f"{manifest.system}/{manifest.method}"


class Trouble(NamedTuple):
    """Why nothing of a system is removed."""

    system: str
    what: str


@dataclass(frozen=True)
class Prospect:
    """What retention would do in a vault.

    Attributes:
        platform: Of the backups; their ids are `platform/system/id`.
        plan: What stays and what goes, with the reasons.
        copies: All that it was made from, by id.
        sizes: Stored bytes by id.
        troubles: Why nothing of a system is removed though a rule would.
    """

    platform: str
    plan: Plan
    copies: Mapping[str, Copy] = field(repr=False)
    sizes: Mapping[str, int] = field(repr=False)
    troubles: tuple[Trouble, ...] = ()

    @property
    def freed(self) -> int:
        """Bytes that the removal gives back."""
        return sum(self.sizes[one.id] for one in self.plan.remove)

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digits that are others where any decision is another: what was approved is what is done."""
        decided = [
            [sorted(one.id for one in self.plan.keep), sorted(one.id for one in self.plan.remove)],
            sorted(self.plan.beyond),
        ]
        return hashlib.sha256(json.dumps(decided).encode()).hexdigest()[:16]


class Pruned(NamedTuple):
    """What became of a plan.

    Attributes:
        removed: Ids of what went.
        finished: Ids of what an earlier removal had left.
        failed: Why others could not be removed, by id; they are marked and tried again the next time.
        held_back: Groups of which more would have gone than the cap allows, with the share; nothing of them went.
    """

    removed: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()
    failed: Mapping[str, str] = {}
    held_back: Mapping[str, float] = {}


def foresee(
    vault: Vault,
    platform: str,
    policy: Policy,
    *,
    zone: ZoneInfo | None = None,
    failed: Iterable[str] = (),
    cap: float = CAP,
) -> Prospect:
    """Plan what retention keeps and removes of a platform's backups in a vault; nothing is changed.

    Nothing is removed of a system of which anything cannot be read, or whose newest backup has no manifest: it is being
    taken just now, or the one who took it died.

    Args:
        vault: To be looked at.
        platform: Whose backups.
        policy: The rules of this vault.
        zone: In which days and weeks are.
        failed: Groups (`system/method`) or systems whose last backup failed, as far as the caller knows.
        cap: The share of a group that may go at once.

    Raises:
        ConfigError: The policy is empty.
        WatchkeeperError: The vault cannot be listed.
    """
    if policy.is_empty:
        raise ConfigError("an empty retention policy would remove every backup", hint="keep at least one: {last: 1}")
    entries = vault.entries(platform)
    complete = [entry for entry in entries if entry.state == "complete"]
    with ThreadPoolExecutor(_READERS) as pool:
        looked = list(pool.map(lambda entry: _look(vault, entry), complete))
    copies = {copy.id: copy for copy in looked if isinstance(copy, Copy)}
    troubles = [trouble for trouble in looked if isinstance(trouble, Trouble)] + list(_unended(entries))
    left_alone = {trouble.system for trouble in troubles} | set(failed)
    groups = {copy.group for copy in copies.values()}
    stopped = {group for group in groups if group in left_alone or group.partition("/")[0] in left_alone}

    def decide() -> Plan:
        return plan(copies.values(), policy, now=vault.now(), zone=zone, failed=stopped, cap=cap)

    decided = decide()
    locked = _locked(vault, [one.id for one in decided.remove], copies)
    if locked:
        copies |= locked
        decided = decide()
    sizes = {entry.folder: entry.stored_bytes for entry in complete}
    return Prospect(platform, decided, copies, sizes, tuple(dict.fromkeys(troubles)))


def carry_out(
    vault: Vault,
    prospect: Prospect,
    again: Callable[[], Prospect],
    *,
    approved: bool = False,
    tell: Callable[[str], None] = lambda _folder: None,
) -> Pruned:
    """Remove what a plan says, after the vault was looked at once more: only where it comes to the same.

    What is made from others goes before them, and they stay where it could not go. Whatever fails is told, and the
    others go on.

    Args:
        vault: Of the plan.
        prospect: The plan that was shown.
        again: Makes it anew: `foresee` with the same arguments.
        approved: Whether a person approved that more of a group goes than the cap allows.
        tell: Told each folder that is gone.

    Raises:
        ConfigError: The vault is another than when it was planned.
    """
    now = again()
    if now.fingerprint != prospect.fingerprint:
        raise ConfigError("the vault has changed since this was planned", hint="look at the new plan, and approve that")
    finished, failed = _finish(vault, prospect.platform)
    held_back = {} if approved else dict(now.plan.beyond)
    chosen = {one.id: now.copies[one.id] for one in now.plan.remove if now.copies[one.id].group not in held_back}
    kept = {parent for copy in now.copies.values() if copy.id not in chosen for parent in copy.parents}
    removed = []
    stuck: set[str] = set(kept)
    for copy in children_first(chosen.values()):
        if copy.id in stuck:
            stuck.update(copy.parents)
            continue
        try:
            vault.remove(copy.id)
        except WatchkeeperError as error:
            failed[copy.id] = str(error)
            stuck.update(copy.parents)
        else:
            removed.append(copy.id)
            tell(copy.id)
    return Pruned(tuple(removed), tuple(finished), failed, held_back)


def children_first(copies: Iterable[Copy]) -> list[Copy]:
    """Order backups so that each comes before all that it is made from."""
    known = {copy.id: copy for copy in copies}
    done: dict[str, Copy] = {}
    for copy in sorted(known.values(), key=lambda one: (one.time, one.id)):
        _after_parents(copy, known, done, set())
    return list(done.values())[::-1]


def _after_parents(copy: Copy, known: Mapping[str, Copy], done: dict[str, Copy], trail: set[str]) -> None:
    if copy.id in done or copy.id in trail:
        return
    trail.add(copy.id)
    for parent in copy.parents:
        if parent in known:
            _after_parents(known[parent], known, done, trail)
    done[copy.id] = copy


def copy_of(manifest: Manifest, *, verified: bool = False, pinned: bool = False, held: str = "") -> Copy:
    """Return a backup as retention sees it; ids are folders, as those are unique in a vault."""
    start = f"{manifest.platform}/{manifest.system}"
    return Copy(
        id=manifest.folder,
        time=manifest.consistent_as_of,
        group=group_of(manifest),
        tags=frozenset(manifest.tags),
        verified=verified,
        pinned=pinned,
        held=held,
        parents=tuple(f"{start}/{parent}" for parent in manifest.parents),
    )


def _look(vault: Vault, entry: Entry) -> Copy | Trouble:
    try:
        manifest = vault.manifest_of(entry)
        records = [read_verification(vault, f"{entry.folder}/{name}") for name in entry.verified]
        holds = [read_hold(vault, f"{entry.folder}/{name}") for name in entry.held]
    except WatchkeeperError as error:
        return Trouble(entry.system, str(error))
    readers = sorted({hold.who for hold in holds if hold is not None and hold.until > vault.now()})
    return copy_of(manifest, verified=is_verified(records), pinned=entry.pinned, held=", ".join(readers))


def _unended(entries: Sequence[Entry]) -> Iterator[Trouble]:
    newest: dict[str, Entry] = {}
    for entry in entries:
        if entry.state in ("complete", "incomplete"):
            newest[entry.system] = entry
    for system, entry in newest.items():
        if entry.state == "incomplete":
            yield Trouble(system, f"{entry.folder}, its newest, is not complete: it is being taken, or failed")


def _locked(vault: Vault, ids: Collection[str], copies: Mapping[str, Copy]) -> dict[str, Copy]:
    """Ask the store which of these it does not let go."""

    def ask(name: str) -> Copy | None:
        until = vault.store.locked_until(f"{name}/{MANIFEST}")
        return None if until is None else replace(copies[name], locked_until=until)

    with ThreadPoolExecutor(_READERS) as pool:
        return {copy.id: copy for copy in pool.map(ask, ids) if copy is not None}


def _finish(vault: Vault, platform: str) -> tuple[list[str], dict[str, str]]:
    finished, failed = [], {}
    for entry in vault.entries(platform):
        if entry.state == "being removed":
            try:
                vault.finish_removal(entry.folder)
            except WatchkeeperError as error:
                failed[entry.folder] = str(error)
            else:
                finished.append(entry.folder)
    return finished, failed
