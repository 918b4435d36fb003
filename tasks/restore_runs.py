"""One restore, or one round of verifications, from the wish to the report. Without Prefect."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from tasks.core import restore_plan, verify_report
from tasks.core.drill import outcome_of
from tasks.core.errors import ConfigError, Garbled, WatchkeeperError
from tasks.core.restore import Assertion, Phase
from tasks.core.restore_plan import PLAN_FLOW, SCRATCH, PlannedRestore, RestorePlan, RestoreReport
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.core.verify_report import Verified, VerifyReport
from tasks.preflight import preflight
from tasks.restoring import Chosen, Restoring, Wish
from tasks.runs import Run
from tasks.systems import kinds
from tasks.timers import Timer
from tasks.vault.records import record
from tasks.verifying import choose_for_week, verify

Told = Callable[[str], None]


class RestoreRun(Run):
    """One restore of one system.

    Args:
        restoring: The platform.
        system: Its name.
        wish: What is asked for.
        into: `scratch`, a reference such as `env:NAME`, or an address without a password.
    """

    def __init__(self, restoring: Restoring, system: str, wish: Wish, into: str = SCRATCH) -> None:
        super().__init__(restoring.platform, restoring.access, restoring.settings)
        self.restoring, self.system, self.into = restoring, system, into
        self.address = restoring.target(into)
        self.chosen = restoring.choose(system, wish)
        self.plan: RestorePlan = restoring.plan(self.chosen, into)
        self.timer = Timer(restoring.access.now, lambda text: restoring.tell(f"{system}: {text}"))

    def planned(self) -> PlannedRestore:
        """Look at all that the restore needs, and say whether it can be done here. Nothing is written."""
        looked = preflight(self.restoring, {self.system: self.chosen}, lambda _chosen: self.restoring.identity)
        checks = [held for _, held in looked]
        if self.address is not None:
            checks.append(self._place_is_not_live(self.address))
        return PlannedRestore(**self.head(PLAN_FLOW), plan=self.plan, checks=tuple(checks))

    def _place_is_not_live(self, address: str) -> Assertion:
        name = "the place is not live"
        try:
            self.restoring.must_be_another_place(self.chosen, address)
        except WatchkeeperError as error:
            said, cure = self._said(error)
            return Assertion(name=name, level=0, outcome=Outcome.FAILED, note=said, expected=cure)
        return Assertion(name=name, level=0, outcome=Outcome.PASSED, observed=self.into)

    def cancel(self) -> None:
        """Stop at the next step; called from another thread."""
        self.timer.stop()
        self.restoring.stop()

    def so_far(self) -> RestoreReport:
        """Return what it has come to, as long as it has not ended."""
        now = self.timer.current
        where = f"in the phase {now}" if now is not None else "before it began"
        return self._report(Outcome.ERRORED, (), None, {}, (), f"it was cancelled {where}", "")

    def run(self, tell: Told = lambda _text: None) -> RestoreReport:
        """Restore and compare; what goes wrong is told in the report, never raised.

        Scratch is gone afterwards; a whole copy that was compared there counts as a verification of the backup.
        """
        chosen = self.chosen
        held: list[Assertion] = []
        told: dict[str, object] = {}
        newest: datetime | None = None
        warnings: tuple[str, ...] = ()
        outcome, error, hint = Outcome.ERRORED, "", ""
        tell(f"{chosen.system}: {chosen.manifest.id} from {chosen.vault.name} into {self.into}")
        try:
            source = self.restoring.source(chosen)
            with self.restoring.restored(chosen, self.timer, into=self.address, source=source) as restored:
                newest, told, warnings = restored.recovered_to, dict(restored.details), restored.warnings
                held = self._compared(restored)
            outcome = outcome_of(held) if held else Outcome.NOT_CHECKED
        except WatchkeeperError as failure:
            outcome = Outcome.FAILED if isinstance(failure, Garbled) else Outcome.ERRORED
            error, hint = self._said(failure)
        except Exception as failure:  # noqa: BLE001 - a surprise is told like all else
            error, hint = self._said(WatchkeeperError(f"{type(failure).__name__}: {failure}"))
        if self.address is None and held and not chosen.wish.only:
            self._record(held, outcome)
        return self._report(outcome, held, newest, told, warnings, error, hint)

    def _compared(self, restored) -> list[Assertion]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Compare; a part of it, or another moment than the backup's own, is held against the spec alone."""
        able = kinds()[self.chosen.spec.kind].verify()
        if able is None:
            return []
        _, compare, _ = able
        with self.timer.phase(Phase.VERIFY):
            return list(compare(self.chosen.spec, self.restoring.source(self.chosen), restored))

    def _record(self, held: Sequence[Assertion], outcome: Outcome) -> None:
        seconds = (self.access.now() - self.started).total_seconds()
        with suppress(WatchkeeperError):  # the restore is what was asked for
            record(
                self.chosen.vault,
                self.chosen.manifest.folder,
                level=3,
                outcome=outcome,
                assertions=held,
                seconds=seconds,
                into=SCRATCH,
            )

    def _said(self, error: WatchkeeperError) -> tuple[str, str]:
        scrub = self.access.resolver.scrub
        return scrub(error.message), scrub(error.hint or "")

    def _report(
        self,
        outcome: Outcome,
        held: Sequence[Assertion],
        newest: datetime | None,
        told: dict[str, object],
        warnings: tuple[str, ...],
        error: str,
        hint: str,
    ) -> RestoreReport:
        return RestoreReport(
            **self.head(restore_plan.FLOW),
            plan=self.plan,
            outcome=outcome,
            phases=tuple(sorted(self.timer.phases, key=lambda phase: phase.began)),
            recovered_to=newest,
            assertions=tuple(held),
            details=told,
            warnings=(*warnings, *self.restoring.patience.notes),
            error=error,
            hint=hint,
        )


class VerifyRun(Run):
    """One round of verifications of a platform.

    Args:
        restoring: The platform.
        systems: Only these; all that are backed up where there are none.
        level: How far each goes, 0 to 3.
        backup: Only this one, `system/id`.
        vault: Only in this vault.
        pick: From a count to a place below it: which older backup is looked at.
    """

    def __init__(
        self,
        restoring: Restoring,
        systems: Sequence[str] = (),
        level: int = 3,
        *,
        backup: str = "",
        vault: str | None = None,
        pick: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        super().__init__(restoring.platform, restoring.access, restoring.settings)
        self.restoring, self.level, self.vault, self._pick = restoring, level, vault, pick
        self._named = backup
        system, _, self._id = backup.partition("/")
        self.systems = [system] if backup else list(systems or restoring.platform.protected)
        for name in self.systems:
            restoring.spec(name)
        if not self.systems:
            raise ConfigError(
                f"no system of {restoring.platform.platform} is backed up", hint="docs/backup.md shows how"
            )
        self.timer = Timer(restoring.access.now, restoring.tell)

    @classmethod
    def open(cls, name: str, systems: Sequence[str], level: int, settings: Settings, **more: object) -> VerifyRun:
        """Load a platform; see the class."""
        return cls(Restoring.open(name, settings), systems, level, **more)  # type: ignore[arg-type]

    def cancel(self) -> None:
        """Stop at the next step; called from another thread."""
        self.timer.stop()
        self.restoring.stop()

    def choose(self, system: str) -> list[tuple[Chosen, str]]:
        """Return the backups of a system that are looked at, each with the reason.

        Raises:
            ConfigError: There is none.
            WatchkeeperError: No vault answers.
        """
        if self._named:
            return [(self.restoring.choose(system, Wish(backup=self._id or None, vault=self.vault)), "named")]
        found = choose_for_week(self.restoring, system, self._pick, vault=self.vault)
        methods: set[str] = set()
        told = []
        for one in found:
            told.append((one, "a random older one" if one.manifest.method in methods else "newest"))
            methods.add(one.manifest.method)
        return told

    def prove(self, chosen: Chosen, why: str) -> Verified:
        """Prove one backup and append the record; never raises for what is wrong with it."""
        scrub = self.access.resolver.scrub
        made, error, hint = None, "", ""
        try:
            made, proof = verify(self.restoring, chosen, self.level, timer=self.timer)
            error, hint = proof.error, proof.hint
        except WatchkeeperError as failure:
            error, hint = scrub(failure.message), scrub(failure.hint or "")
        return Verified(
            system=chosen.system,
            kind=chosen.spec.kind,
            method=chosen.manifest.method,
            vault=chosen.vault.name,
            id=chosen.manifest.id,
            why=why,
            wanted=self.level,
            consistent_as_of=chosen.manifest.consistent_as_of,
            verification=made,
            error=error,
            hint=hint,
        )

    def run(self, tell: Told = lambda _text: None) -> VerifyReport:
        """Look at every system, one after the other."""
        found: list[Verified] = []
        missing: dict[str, str] = {}
        for system in self.systems:
            try:
                chosen = self.choose(system)
            except WatchkeeperError as error:
                missing[system] = self.access.resolver.scrub(str(error))
                tell(f"{system}: {missing[system]}")
                continue
            for one, why in chosen:
                found.append(self.prove(one, why))
                tell(f"{system} {found[-1].id} ({why}): {found[-1].outcome}")
        return self.report(found, missing)

    def report(
        self,
        found: Sequence[Verified],
        missing: dict[str, str],
        *,
        scheduled: datetime | None = None,
        run_url: str | None = None,
    ) -> VerifyReport:
        """Put the report together."""
        return VerifyReport(
            **self.head(verify_report.FLOW, scheduled=scheduled, run_url=run_url),
            backups=tuple(found),
            missing=missing,
            notes=(*self.notes, *self.restoring.patience.notes),
        )
