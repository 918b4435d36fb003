"""Restoring a system of a platform: what from, into what, and the checks of it. Without Prefect.

Nothing is written to a live system: a named place is held against the address of every live system first, by where it
leads and not by what it is called, and scratch is a server of its own that is gone afterwards.
"""

from __future__ import annotations

import difflib
import functools
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from tasks import platforms
from tasks.clients.alone import held_alone, made_alone
from tasks.core.errors import ConfigError, Denied, Garbled, NotOffered, WatchkeeperError
from tasks.core.manifest import Manifest
from tasks.core.moments import must_be_a_moment
from tasks.core.platform import PlatformSpec
from tasks.core.restore import Endpoints, Order, Restore, Restored, Source
from tasks.core.restore_plan import SCRATCH, LastTime, RestorePlan
from tasks.core.settings import Settings
from tasks.core.system import Access, ProtectedSpec
from tasks.live_places import live_places, must_not_be_live
from tasks.systems import kinds
from tasks.timers import Timer
from tasks.vault.keys import Identity
from tasks.vault.opening import identity_of, open_platform_vault
from tasks.vault.patience import Patience, Waited
from tasks.vault.records import held, past_restores
from tasks.vault.source import VaultSource
from tasks.vault.vault import Vault

_SLICES = frozenset({"oplog"})
"""Methods whose backups are no copy of their own: they go on from another."""
_ROOM = 1.2
"""So much more than its plain bytes may a copy need in scratch: indexes, write-ahead log, files beside each other."""
_BASE_ROOM = 256 << 20


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        backup: Id of the backup; the newest that fits where it is None.
        restore_point: Only backups that were taken together under this id.
        until: The point in time; aware.
        position: A position in the system's own history.
        latest: As new as log or slices reach.
        method: Only backups that were taken in this way.
        vault: Only this vault; else the first of the system's that has it.
        only: Only these parts of the system.
        jobs: How many streams at once.
    """

    backup: str | None = None
    restore_point: str | None = None
    until: datetime | None = None
    position: str | None = None
    latest: bool = False
    method: str | None = None
    vault: str | None = None
    only: tuple[str, ...] = ()
    jobs: int = 2


@dataclass(frozen=True)
class Chosen:
    """One backup of one system that is to be read."""

    system: str
    spec: ProtectedSpec
    vault: Vault = field(repr=False)
    manifest: Manifest = field(repr=False)
    wish: Wish = Wish()


class Restoring:
    """One platform whose backups are read.

    A plain class, so that Prefect hands it to tasks as it is and never looks inside.

    Attributes:
        only_reads: Whether its vaults are opened by the credentials that may only read, where the spec names such.
    """

    def __init__(self, platform: PlatformSpec, access: Access, settings: Settings) -> None:
        self.platform, self.settings = platform, settings
        self.access = replace(access, systems=dict(platform.systems))
        self.scratch = settings.state / "scratch"
        self.only_reads = False
        self.folders: list[Path] = []
        self.patience = Patience(tell=self._told)
        self.tell: Callable[[str], None] = lambda _text: None

    @classmethod
    def open(cls, name: str, settings: Settings) -> Restoring:
        """Load a platform.

        Raises:
            ConfigError: The spec is broken, there is no such platform, or the lab is meant and not up.
        """
        return cls(platforms.load(name, settings), platforms.access(settings), settings)

    def spec(self, system: str) -> ProtectedSpec:
        """Return the spec of a system that is backed up.

        Raises:
            ConfigError: There is none of this name, or it is not backed up.
        """
        known = self.platform.protected
        if system in known:
            return known[system]
        close = difflib.get_close_matches(system, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known) or 'none'}"
        what = "is not backed up" if system in self.platform.systems else "is none of its systems"
        raise ConfigError(f"{system!r} of {self.platform.platform} {what}", hint=hint)

    def _told(self, text: str) -> None:
        self.tell(self.access.resolver.scrub(text))

    def stop(self) -> None:
        """Read nothing more of any vault, and wait for none: whoever reads ends at the next piece."""
        self.patience.stop()

    def vault(self, name: str) -> Vault:
        """Open one of the platform's vaults, to be waited for where it is away; nothing is contacted yet."""
        return self._waited(self._vault(name))

    def _vault(self, name: str) -> Vault:
        return open_platform_vault(
            self.platform,
            name,
            self.access.resolver,
            now=self.access.now,
            ca_bundle=self.access.ca_bundle,
            reading=self.only_reads,
        )

    def _waited(self, vault: Vault) -> Vault:
        return replace(vault, store=Waited(vault.store, f"vault {vault.name}", self.patience))

    @functools.cached_property
    def identity(self) -> Identity | None:
        """The key that reads the platform's backups, or None where nothing is encrypted or the spec names none.

        Raises:
            ConfigError: It is not set, or none.
        """
        return identity_of(self.platform.encryption, self.access.resolver)

    def choose(self, system: str, wish: Wish) -> Chosen:
        """Find the backup that fits a wish: the newest that is complete, in the first vault that has one.

        Where a vault is away the next one is asked at once; only where none of them has what fits are they waited for.

        Raises:
            ConfigError: There is none, and the message says what there is; or the time that is asked for is no moment.
            WatchkeeperError: No vault could be asked.
        """
        spec = self.spec(system)
        self.must_be_a_moment(wish.until)
        plan = spec.backup
        names = [wish.vault] if wish.vault is not None else list(plan.to) if plan is not None else []
        what = " and ".join(f"vault {name}" for name in names)
        return self.patience.call(what, lambda: self._chosen(system, spec, wish, names))

    def must_be_a_moment(self, at: datetime | None) -> None:
        """Refuse a time without a zone, and one that is still to come; None is the newest that can be had.

        Raises:
            ConfigError: It is one of these.
        """
        if at is not None:
            must_be_a_moment(at, self.platform.zone, self.access.now())

    def _chosen(self, system: str, spec: ProtectedSpec, wish: Wish, names: Sequence[str]) -> Chosen:
        troubles: list[WatchkeeperError] = []
        seen: list[Manifest] = []
        passed_over: list[str] = []
        for name in names:
            try:
                vault = self._vault(name)
                there = self.readable(vault, system)
            except ConfigError:
                raise
            except WatchkeeperError as error:
                troubles.append(error)
                passed_over.append(f"vault {name} could not be read ({error.message})")
                continue
            seen += there
            if found := [one for one in there if _fits(one, wish)]:
                self._say_which(system, name, passed_over)
                return Chosen(system, spec, self._waited(vault), _best(found, spec, wish), wish)
            passed_over.append(f"vault {name} has none that fits")
        if troubles:
            raise troubles[0]
        raise ConfigError(_nothing_fits(system, wish, seen), hint="watchkeeper backups list shows what there is")

    def _say_which(self, system: str, name: str, passed_over: Sequence[str]) -> None:
        """Say that another vault than the first is read, and why: it may lack the newest backup."""
        if passed_over:
            text = self.access.resolver.scrub(f"{system} is read from vault {name}: {'; '.join(passed_over)}")
            self.patience.notes.append(text)
            self._told(text)

    def readable(self, vault: Vault, system: str) -> list[Manifest]:
        """Return the complete backups that are copies of their own, oldest first; damaged manifests are passed over."""
        found = []
        for entry in vault.entries(self.platform.platform, system):
            with suppress(Garbled, ConfigError):
                if entry.state == "complete":
                    found.append(vault.get(entry.folder))
        whole = (one for one in found if one.method not in _SLICES)
        return sorted(whole, key=lambda one: (one.consistent_as_of, one.started, one.id))

    def source(self, chosen: Chosen, identity: Identity | None = None) -> Source:
        """Return the backup as what restores it reads it.

        Raises:
            ConfigError: It is encrypted, and the spec names no identity.
        """
        if identity is None and chosen.manifest.recipients:
            identity = self.identity
            if identity is None:
                raise ConfigError(
                    "the backup is encrypted, and the spec names no identity",
                    system=chosen.system,
                    hint="say encryption: {identity: {file: ...}} on the machine that restores",
                )
        return VaultSource(chosen.vault, chosen.manifest, identity)

    def plan(self, chosen: Chosen, into: str = SCRATCH) -> RestorePlan:
        """Say what a restore would do. Nothing is done yet."""
        last: LastTime | None = None
        verified: datetime | None = None
        with suppress(WatchkeeperError):  # a plan without its past is one all the same
            manifest = chosen.manifest
            for record, of in past_restores(chosen.vault, manifest.platform, manifest.system, manifest.method):
                last = last or LastTime(backup=of.id, at=record.at, seconds=record.seconds, plain_bytes=of.plain_bytes)
                if of.id == manifest.id:
                    verified = record.at
                    break
        return self._plan(chosen, into, last, verified)

    def _plan(self, chosen: Chosen, into: str, last: LastTime | None, verified: datetime | None) -> RestorePlan:
        manifest, wish = chosen.manifest, chosen.wish
        return RestorePlan(
            platform=self.platform.platform,
            system=chosen.system,
            kind=manifest.kind,
            backup=manifest.id,
            method=manifest.method,
            vault=chosen.vault.name,
            location=chosen.vault.store.where(manifest.folder),
            consistent_as_of=manifest.consistent_as_of,
            until=wish.until,
            position=wish.position,
            latest=wish.latest,
            only=wish.only,
            into=into,
            parents=manifest.parents,
            plain_bytes=manifest.plain_bytes,
            stored_bytes=manifest.stored_bytes,
            parts=len(manifest.parts),
            last=last,
            verified=verified,
        )

    @contextmanager
    def restored(
        self,
        chosen: Chosen,
        timer: Timer,
        *,
        into: str | None = None,
        identity: Identity | None = None,
        who: str = "restore",
        source: Source | None = None,
    ) -> Iterator[Restored]:
        """Restore a backup and give what was restored to the block; scratch is gone after it, whatever happens.

        Args:
            chosen: What `choose` found.
            timer: Times the phases, and stops the work.
            into: The resolved address of a named place; scratch where it is None.
            identity: Another key than the spec's.
            who: Who reads: retention leaves what is read alone.
            source: Read from this instead of the vault's own source.

        Raises:
            ConfigError: The place is a live system, there is no room, or the wish cannot be met.
            WatchkeeperError: As the kind says.
        """
        restore, _ = _able(chosen)
        if into is not None:
            self.must_be_another_place(chosen, into)
        source = source or self.source(chosen, identity)
        folders = [chosen.manifest.folder, *(_beside(chosen.manifest, parent) for parent in chosen.manifest.parents)]
        with self._folder(chosen) as folder, _held(chosen.vault, folders, who):
            order = Order(
                folder=folder,
                into=into,
                until=chosen.wish.until,
                position=chosen.wish.position,
                latest=chosen.wish.latest,
                only=chosen.wish.only,
                jobs=chosen.wish.jobs,
                phase=timer.phase,
                progress=timer.progress,
            )
            with restore(chosen.spec, self.access, source, order) as restored:
                yield restored

    def must_be_another_place(self, chosen: Chosen, into: str) -> None:
        """Refuse an address that leads to a live system or vault of any platform, or nowhere that can be told.

        Raises:
            ConfigError: It does.
        """
        _, endpoints = _able(chosen)
        must_not_be_live(into, endpoints(into), self.live(), self.access)

    def live(self) -> dict[str, frozenset[str]]:
        """Return where every live system and vault of every platform leads, as far as its address is set here."""
        return live_places(self.platform, self.access, self.settings)

    @contextmanager
    def _folder(self, chosen: Chosen) -> Iterator[Path]:
        """Give a private folder with room for a copy, and remove it afterwards."""
        self.sweep()
        with made_alone(self.scratch, f"{self.platform.platform}-{chosen.system}") as folder:
            self.folders.append(folder)
            try:
                self._must_have_room(chosen, folder)
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _must_have_room(self, chosen: Chosen, folder: Path) -> None:
        needed = room_for(chosen.manifest)
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise ConfigError(
                f"{folder.parent} has {free >> 20:,} MiB free, and {chosen.system} may need {needed >> 20:,} MiB",
                operation="restore",
                hint="set WATCHKEEPER_STATE to a disk with room",
            )

    def sweep(self) -> list[str]:
        """Remove what a restore that was killed left in scratch, and return the names: whose holder lives stays."""
        removed = []
        with suppress(FileNotFoundError):
            for folder in self.scratch.iterdir():
                with held_alone(folder) as is_ours:
                    if is_ours:
                        shutil.rmtree(folder, ignore_errors=True)
                        removed.append(folder.name)
        return removed

    def target(self, text: str) -> str | None:
        """Return the address of a target that a person named: `scratch` is none.

        Args:
            text: `scratch`, `env:NAME`, `file:path`, or an address without a password.

        Raises:
            ConfigError: It holds a password, or the reference is not set.
        """
        if text == SCRATCH:
            return None
        if text.startswith(("env:", "file:", "secret:")):
            return self.access.resolver.resolve(platforms.reference(text))
        if _has_password(text):
            raise ConfigError("an address with a password is not written here", hint="write env:NAME or file:path")
        return text


def _able(chosen: Chosen) -> tuple[Restore, Endpoints]:
    """Return what restores a backup, and what tells where an address leads.

    Raises:
        NotOffered: This version cannot restore the kind.
    """
    able = kinds()[chosen.spec.kind].restore()
    if able is None:
        raise NotOffered(
            f"this version of Watchkeeper does not restore {chosen.spec.kind} systems", system=chosen.system
        )
    return able


def room_for(manifest: Manifest) -> int:
    """Return the bytes that a copy may need in scratch."""
    return int(_ROOM * (manifest.source_bytes or manifest.plain_bytes)) + _BASE_ROOM


@contextmanager
def _held(vault: Vault, folders: Sequence[str], who: str) -> Iterator[None]:
    """Hold what is read; whoever has credentials for reading alone reads without."""
    with ExitStack() as stack:
        with suppress(Denied):
            stack.enter_context(held(vault, folders, who=who, why=f"{who} reads it"))
        yield


def _has_password(text: str) -> bool:
    before, at, _ = text.partition("://")[2].rpartition("@")
    return bool(at) and ":" in before


def _fits(manifest: Manifest, wish: Wish) -> bool:
    return (
        wish.backup in (None, manifest.id)
        and wish.restore_point in (None, manifest.restore_point)
        and wish.method in (None, manifest.method)
        and (wish.until is None or manifest.consistent_as_of <= wish.until)
    )


def _best(found: Sequence[Manifest], spec: ProtectedSpec, wish: Wish) -> Manifest:
    """Return the newest; where another moment than its own is asked for, the newest of what log goes on from."""
    methods = spec.backup.methods() if spec.backup is not None else ()
    if methods and (wish.latest or wish.until is not None or wish.position is not None):
        first = [one for one in found if one.method == methods[0]]
        return (first or found)[-1]
    return found[-1]


def _nothing_fits(system: str, wish: Wish, seen: Sequence[Manifest]) -> str:
    if not seen:
        return f"{system} has no complete backup that can be read"
    oldest, newest = seen[0].consistent_as_of, seen[-1].consistent_as_of
    span = f"its {len(seen)} backups show {oldest:%Y-%m-%d %H:%M:%S %Z} to {newest:%Y-%m-%d %H:%M:%S %Z}"
    if wish.until is not None and wish.backup is None and wish.until < oldest:
        return f"{system} has no backup from before {wish.until:%Y-%m-%d %H:%M:%S %Z}; {span}"
    asked = ", ".join(str(one) for one in (wish.backup, wish.restore_point, wish.method) if one)
    return f"{system} has no complete backup that fits {asked or 'this'}; {span}"


def _beside(manifest: Manifest, backup: str) -> str:
    return f"{manifest.platform}/{manifest.system}/{backup}"
