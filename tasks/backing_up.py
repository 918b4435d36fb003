"""One run's backups of one platform, under one restore point. Without Prefect: flow and command line share it.

Every system is taken into the first vault that its spec names, databases before objects, and copied from there to the
others without being read again. What fails stops nothing else.
"""

from __future__ import annotations

import difflib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter

from tasks import platforms
from tasks.core.backup import Order, Parent
from tasks.core.backup_report import FLOW, BackupReport, Copied, FailedBackup, TakenBackup
from tasks.core.errors import ConfigError, NotOffered, WatchkeeperError
from tasks.core.manifest import Manifest, new_id
from tasks.core.platform import PlatformSpec
from tasks.core.settings import Settings
from tasks.core.system import Access, BackupPlan, ProtectedSpec
from tasks.overlaps import refuse_overlaps
from tasks.runs import Run
from tasks.systems import kinds
from tasks.vault.opening import open_platform_vault
from tasks.vault.vault import Vault
from tasks.vault.writing import Progress

_FIRST = frozenset({"postgres", "mongodb", "redis"})
_NUMBER = re.compile(r"\d+")
STREAMS = 4
"""How many systems are read, or copied, at the same time."""

Told = Callable[[str, Progress], None]


@dataclass(frozen=True)
class Made:
    """What came of one system: backups with their manifests, and what failed."""

    backups: tuple[tuple[TakenBackup, Manifest], ...] = ()
    failed: tuple[FailedBackup, ...] = ()

    def __repr__(self) -> str:
        return ", ".join([*(backup.id for backup, _ in self.backups), *(f"{one.method} failed" for one in self.failed)])


class BackupRun(Run):
    """What is backed up, into what, under which restore point.

    Attributes:
        systems: The names to back up, in the spec's order.
        methods: Only in these ways; in all that a system's spec names where there are none.
        restore_point: Its id.
    """

    def __init__(
        self,
        platform: PlatformSpec,
        access: Access,
        settings: Settings,
        systems: Sequence[str],
        methods: Sequence[str] = (),
    ) -> None:
        super().__init__(platform, replace(access, systems=dict(platform.systems)), settings)
        self.systems, self.methods = systems, methods
        self.restore_point = new_id(self.started.astimezone(UTC), secrets.token_hex(4))

    @classmethod
    def open(cls, name: str, systems: Sequence[str], settings: Settings, *, methods: Sequence[str] = ()) -> BackupRun:
        """Load a platform and see that there is something to back up.

        Args:
            name: A platform's name, or the path of a spec.
            systems: Only these; all that have a `backup:` where there are none.
            settings: Where things are.
            methods: Only in these ways, such as `oplog`; systems that are taken in none of them are left out.

        Raises:
            ConfigError: The spec is broken, there is no such platform or system, nothing says how it is backed up, or
                the lab is meant and not up.
        """
        platform = platforms.load(name, settings)
        access = platforms.access(settings)
        return cls(platform, access, settings, chosen(platform, systems, methods), methods)

    @property
    def waves(self) -> list[list[str]]:
        """The systems in the order in which they are taken, those of a wave side by side; empty waves are left out.

        Databases come first: an object that a row names is then there, and at worst one too many.
        """
        first = [name for name in self.systems if self.platform.systems[name].kind in _FIRST]
        return [wave for wave in (first, [name for name in self.systems if name not in first]) if wave]

    def plan(self, system: str) -> BackupPlan:
        """Return how a system is backed up."""
        plan = self.platform.protected[system].backup
        assert plan is not None  # noqa: S101 - `chosen` takes no other
        return plan

    def take(self, system: str, told: Told = lambda _system, _progress: None) -> Made:
        """Take a system in each of its ways into its first vault; never raises for what goes wrong with one.

        Args:
            system: Its name.
            told: Is told how it goes, at most once a second; called from threads.
        """
        spec, plan = self.platform.protected[system], self.plan(system)
        backups: list[tuple[TakenBackup, Manifest]] = []
        failed: list[FailedBackup] = []
        try:
            refuse_overlaps(self.platform, system, self.access.resolver)
            vault = self.vault(plan.to[0], lambda progress: told(system, progress))
            newest = self._newest(system, vault)
            methods = self._methods(plan, newest)
        except Exception as error:  # noqa: BLE001 - one system's surprise must not stop the others
            return Made(failed=(self._failed(system, "", plan.to[0], error, 0.0),))
        for method in methods:
            began = perf_counter()
            try:
                order = Order(method, newest.get(method), newest.get(plan.base(method) or ""))
                manifest = self._taken(system, spec, order, vault)
            except Exception as error:  # noqa: BLE001 - the system's other methods, and other systems, go on
                failed.append(self._failed(system, method, plan.to[0], error, perf_counter() - began))
            else:
                backups.append((_told(spec, manifest, vault, perf_counter() - began, newest.get(method)), manifest))
                newest[method] = _parent(vault, manifest)
        return Made(tuple(backups), tuple(failed))

    def copy(self, made: Made) -> Made:
        """Copy what was taken of one system to its other vaults, and what it is made from where that is missing."""
        backups: list[tuple[TakenBackup, Manifest]] = []
        failed = list(made.failed)
        for taken, manifest in made.backups:
            copies: list[Copied] = []
            for name in self.plan(taken.system).to[1:]:
                began = perf_counter()
                try:
                    where = self._copied(manifest, self.vault(taken.vault), self.vault(name))
                    copies.append(Copied(vault=name, location=where, seconds=round(perf_counter() - began, 3)))
                except Exception as error:  # noqa: BLE001 - one vault's surprise must not stop the others
                    seconds = perf_counter() - began
                    failed.append(self._failed(taken.system, taken.method, name, error, seconds, backup=taken.id))
            backups.append((taken.model_copy(update={"copies": tuple(copies)}), manifest))
        return Made(tuple(backups), tuple(failed))

    def vault(self, name: str, tell: Callable[[Progress], None] = lambda _progress: None) -> Vault:
        """Open one of the platform's vaults; nothing is contacted yet."""
        return open_platform_vault(
            self.platform,
            name,
            self.access.resolver,
            now=self.access.now,
            tell=tell,
            version=version_of_watchkeeper(),
            ca_bundle=self.access.ca_bundle,
        )

    def report(
        self, made: Mapping[str, Made], *, scheduled: datetime | None = None, run_url: str | None = None
    ) -> BackupReport:
        """Put the report together, failures of systems that nothing is known of among them."""
        everything = [
            made.get(name) or self.untold(name, WatchkeeperError("it was not begun")) for name in self.systems
        ]
        return BackupReport(
            **self.head(FLOW, scheduled=scheduled, run_url=run_url),
            restore_point=self.restore_point,
            backups=tuple(backup for one in everything for backup, _ in one.backups),
            failed=tuple(failure for one in everything for failure in one.failed),
            notes=tuple(self.notes),
        )

    def untold(self, system: str, error: Exception) -> Made:
        """Return the failure of a system whose backup ended in a way that told nothing."""
        return Made(failed=(self._failed(system, "", self.plan(system).to[0], error, 0.0),))

    def uncopied(self, made: Made, reason: str) -> Made:
        """Return what was taken, and the failure of its copies, where these ended in a way that told nothing."""
        error = WatchkeeperError(reason)
        failed = [
            self._failed(taken.system, taken.method, name, error, 0.0, backup=taken.id)
            for taken, _ in made.backups
            for name in self.plan(taken.system).to[1:]
        ]
        return replace(made, failed=(*made.failed, *failed))

    def has_copies(self, made: Made) -> bool:
        """Tell whether what was taken of a system goes into other vaults too."""
        return any(len(self.plan(taken.system).to) > 1 for taken, _ in made.backups)

    def _methods(self, plan: BackupPlan, newest: Mapping[str, Parent]) -> list[str]:
        """Return in which ways to take a system; what one goes on from is taken first where there is none."""
        wanted: list[str] = []
        for method in plan.methods():
            if not self.methods or method in self.methods:
                base = plan.base(method)
                if base is not None and base not in newest and base not in wanted:
                    wanted.append(base)
                wanted.append(method)
        return list(dict.fromkeys(wanted))

    def _taken(self, system: str, spec: ProtectedSpec, order: Order, vault: Vault) -> Manifest:
        able = kinds()[spec.kind].backup()
        if able is None:
            raise NotOffered(f"this version of Watchkeeper does not back {spec.kind} systems up")
        backup, recovery = able
        with vault.begin(self.platform.platform, system, spec.kind, restore_point=self.restore_point) as sink:
            taken = backup(spec, self.access, sink, order)
            scrubbed = tuple(map(self.access.resolver.scrub, taken.warnings))
            return sink.commit(taken.model_copy(update={"warnings": scrubbed}), recovery)

    def _newest(self, system: str, vault: Vault) -> dict[str, Parent]:
        """Return the newest complete backup of each method that can be read; damaged ones are passed over, and told."""
        plan, found = self.plan(system), dict[str, Parent]()
        sought = {*plan.methods(), *filter(None, map(plan.base, plan.methods()))}
        for entry in reversed(vault.entries(self.platform.platform, system)):
            if entry.state != "complete" or not sought - found.keys():
                continue
            try:
                manifest = vault.get(entry.folder)
            except WatchkeeperError as error:
                self.notes.append(f"{entry.folder} in {vault.name} cannot be gone on from: {error.message}")
                continue
            found.setdefault(manifest.method, _parent(vault, manifest))
        return found

    def _copied(self, manifest: Manifest, source: Vault, target: Vault) -> str:
        for parent in manifest.parents:
            folder = f"{manifest.platform}/{manifest.system}/{parent}"
            source.copy(source.get(folder), target)
        return target.store.where(source.copy(manifest, target).folder)

    def _failed(
        self, system: str, method: str, vault: str, error: Exception, seconds: float, *, backup: str = ""
    ) -> FailedBackup:
        spec, scrub = self.platform.systems[system], self.access.resolver.scrub
        if isinstance(error, WatchkeeperError):
            reason, hint = error.message, error.hint or ""
        else:
            reason, hint = f"the backup itself failed: {type(error).__name__}: {error}", "Please report this as a bug."
        return FailedBackup(
            system=system,
            title=spec.title or system,
            kind=spec.kind,
            method=method,
            vault=vault,
            id=backup,
            reason=scrub(reason),
            hint=scrub(hint),
            seconds=round(seconds, 3),
        )


def back_up(run: BackupRun, *, told: Told, done: Callable[[Made], None]) -> BackupReport:
    """Take every system, then copy what was taken, so many side by side.

    Args:
        run: What is backed up.
        told: Is told how each system goes; called from threads.
        done: Called with what came of a system, once it is taken and again once it is copied; from threads.
    """
    made: dict[str, Made] = {}

    def take(system: str) -> None:
        made[system] = run.take(system, told)
        done(made[system])

    def copy(system: str) -> None:
        made[system] = run.copy(made[system])
        done(made[system])

    with ThreadPoolExecutor(STREAMS) as pool:
        for wave in run.waves:
            list(pool.map(take, wave))
        list(pool.map(copy, (name for name in run.systems if run.has_copies(made[name]))))
    return run.report(made)


def chosen(platform: PlatformSpec, systems: Sequence[str], methods: Sequence[str] = ()) -> Sequence[str]:
    """Return the systems that are backed up: those named, or all that have a `backup:`.

    Args:
        platform: The spec.
        systems: Only these.
        methods: Only those that are taken in one of these ways.

    Raises:
        ConfigError: There is no such system, nothing says how it is backed up, or nothing is taken in such a way.
    """
    protected = platform.protected
    for name in systems:
        if name not in platform.systems:
            close = difflib.get_close_matches(name, protected, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(protected) or 'none'}"
            raise ConfigError(f"{platform.platform} has no system {name!r}", hint=hint)
        if name not in protected:
            raise ConfigError(
                f"{name} of {platform.platform} has no `backup:`", hint="say in its spec into which vaults it goes"
            )
    if not protected:
        raise ConfigError(f"no system of {platform.platform} has a `backup:`", hint="docs/backup.md shows one")
    known = {name: plan.methods() for name, spec in protected.items() if (plan := spec.backup) is not None}
    for method in methods:
        if not any(method in known[name] for name in systems or known):
            there = ", ".join(dict.fromkeys(one for name in systems or known for one in known[name]))
            raise ConfigError(f"nothing is taken as {method!r}", hint=f"there are {there}")
    wanted = [name for name in protected if not systems or name in systems]
    return [name for name in wanted if not methods or set(methods) & set(known[name])]


def _parent(vault: Vault, manifest: Manifest) -> Parent:
    def read(part: str) -> Iterator[bytes]:
        return vault.read(manifest, part)

    return Parent(manifest.id, manifest, manifest.parents, read)


def _told(spec: ProtectedSpec, manifest: Manifest, vault: Vault, seconds: float, before: Parent | None) -> TakenBackup:
    known = {_NUMBER.sub("", warning) for warning in before.taken.warnings} if before is not None else set()
    return TakenBackup(
        system=manifest.system,
        title=spec.title or manifest.system,
        kind=spec.kind,
        method=manifest.method,
        id=manifest.id,
        vault=vault.name,
        location=vault.store.where(manifest.folder),
        bytes=manifest.plain_bytes,
        stored_bytes=manifest.stored_bytes,
        seconds=round(seconds, 3),
        consistent_as_of=manifest.consistent_as_of,
        parent=manifest.parents[-1] if manifest.parents else None,
        warnings=manifest.warnings,
        news=tuple(warning for warning in manifest.warnings if _NUMBER.sub("", warning) not in known),
    )


def version_of_watchkeeper() -> str:
    """Return the version that manifests name, or nothing where it is not installed."""
    try:
        return version("watchkeeper")
    except PackageNotFoundError:
        return ""
