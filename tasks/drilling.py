"""Rehearsing a disaster: every system restored side by side into scratch, proven, timed, torn down. Without Prefect.

A drill reads its vaults through a store that refuses to write, restores into servers that it starts itself, and ends
with damaged copies that must be seen to be damaged: a check that stays green proves nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from tasks.clients.scratch import still_there
from tasks.core.drill import (
    FLOW,
    Drill,
    NegativeControl,
    Past,
    PhaseTime,
    SystemRecovery,
    next_quarter,
    project,
)
from tasks.core.drill_plan import Scenario
from tasks.core.errors import ConfigError, NotOffered, WatchkeeperError
from tasks.core.restore import Assertion, Phase, Restored
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.core.vaults import S3Vault
from tasks.inspections import report_store
from tasks.moving import rehearsed
from tasks.negative_controls import controls_of, spoiled
from tasks.overall import Copies, Copy, held_over_all
from tasks.preflight import preflight
from tasks.recovering import Work
from tasks.restoring import Chosen, Restoring, Wish
from tasks.runs import Run
from tasks.systems import kinds
from tasks.timers import Timer
from tasks.vault.damage import Damage, Damaged, ReadOnly, through
from tasks.vault.keys import Identity
from tasks.vault.source import VaultSource
from tasks.verifying import Proof, Prover

_DATABASES = frozenset({"postgres", "mongodb", "redis"})
_TREND = 12
_SIDE_BY_SIDE = 4
Told = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What is to be rehearsed.

    Attributes:
        scenario: The disaster.
        systems: Only these systems; those that the scenario takes away where there are none.
        restore_point: Only this restore point; the newest that has most of the systems where it is None.
        until: For a dropped table: the time to go back to; as new as possible where it is None.
        vault: Read from this vault alone.
    """

    scenario: Scenario = Scenario.COMPLETE
    systems: tuple[str, ...] = ()
    restore_point: str | None = None
    until: datetime | None = None
    vault: str | None = None


class Drilling(Run):
    """One drill of one platform.

    Args:
        restoring: The platform.
        asked: What is rehearsed.
        tell: Told of each step, for a person; called from threads.
        escrow: The escrowed key for the scenario `lost-key`.
    """

    def __init__(
        self,
        restoring: Restoring,
        asked: Asked,
        *,
        tell: Told = lambda _text: None,
        escrow: Identity | None = None,
    ) -> None:
        super().__init__(restoring.platform, restoring.access, restoring.settings)
        self.restoring, self.asked, self._tell, self._escrow = restoring, asked, tell, escrow
        self.timers: list[Timer] = []
        self.steps: list[str] = []
        self.manifests: dict[str, bytes] = {}
        self._recovered: dict[str, SystemRecovery] = {}
        self._controls: list[NegativeControl] = []
        self._overall: list[Assertion] = []
        self._preflight: list[Assertion] = []
        self._uncovered: list[str] = []
        self._restore_point = ""
        self._interrupted = ""
        self._detected: tuple[PhaseTime, ...] = ()
        self._after: tuple[PhaseTime, ...] = ()
        self._copies = Copies(self.systems)
        self._gate = threading.BoundedSemaphore(_SIDE_BY_SIDE)
        self._working: dict[str, Work] = {}
        self.note: Callable[[Drill], None] = lambda _drill: None
        restoring.tell = self.tell
        restoring.only_reads = True

    def tell(self, text: str) -> None:
        """Tell a step, and keep it for the bundle, and what the drill has come to for whoever finds it dead."""
        self.steps.append(f"{self.access.now().isoformat()} {text}")
        self._tell(text)
        self.note(self.so_far())

    @classmethod
    def open(
        cls,
        name: str,
        settings: Settings,
        asked: Asked,
        *,
        tell: Told = lambda _text: None,
        escrow: Identity | None = None,
    ) -> Drilling:
        """Load a platform and see that there is something to rehearse.

        Raises:
            ConfigError: The spec is broken, there is no such platform or system, nothing is backed up, or the time that
                is asked for is no moment of the past.
        """
        return cls.of(Restoring.open(name, settings), asked, tell=tell, escrow=escrow)

    @classmethod
    def of(
        cls,
        restoring: Restoring,
        asked: Asked,
        *,
        tell: Told = lambda _text: None,
        escrow: Identity | None = None,
    ) -> Drilling:
        """See that there is something to rehearse; as `open`."""
        name = restoring.platform.platform
        for system in asked.systems:
            restoring.spec(system)
        restoring.must_be_a_moment(asked.until)
        if not restoring.platform.protected:
            raise ConfigError(f"no system of {name} is backed up", hint="docs/backup.md shows how")
        if asked.scenario is Scenario.LOST_REGION and restoring.platform.drill.failover is None:
            raise ConfigError(
                f"{name} names no other region",
                hint="drill: {failover: {cluster: SYSTEM, service: NAME, selector: {region: us-west-2}}}",
            )
        return cls(restoring, asked, tell=tell, escrow=escrow)

    @property
    def systems(self) -> list[str]:
        """The systems that are lost in this scenario."""
        known = self.platform.protected
        if self.asked.systems:
            return [name for name in known if name in self.asked.systems]
        if self.asked.scenario in (Scenario.COMPLETE, Scenario.LOST_REGION):
            return list(known)
        if self.asked.scenario is Scenario.DROPPED_TABLE:
            return [name for name, spec in known.items() if spec.kind in ("postgres", "mongodb")]
        databases = [name for name, spec in known.items() if spec.kind in _DATABASES]
        return databases or list(known)

    def run(self) -> Drill:
        """Restore, prove, damage, tear down; whatever happens, what is known of it is returned.

        Being interrupted stops every restore at its next step, and the drill says how far it came.
        """
        chosen: dict[str, Chosen] = {}
        try:
            chosen = self._fit(self._choose())
            self._recover(chosen)
            self._damage(chosen)
            self._switch()
        except WatchkeeperError:
            if not self._interrupted:
                raise
        except (KeyboardInterrupt, SystemExit):
            self.cancel("interrupted")
        finally:
            for timer in self.timers:
                timer.stop()
            self._copies.release()
        return self._drill(self._recovered, ended=True)

    def _switch(self) -> None:
        """Rehearse the move to the other region, where this one is lost."""
        plan = self.platform.drill.failover
        if self.asked.scenario is not Scenario.LOST_REGION or plan is None or self._interrupted:
            return
        timer = self._timer()
        with timer.phase(Phase.SWITCH):
            self._overall += rehearsed(self.platform, plan, self.restoring.access)
        self._after = (*self._after, *timer.phases)

    def cancel(self, how: str = "cancelled") -> None:
        """Stop every restore at its next step; called from another thread."""
        done = sum(work.proof is not None for work in list(self._working.values()))
        self._interrupted = self._interrupted or f"{how} after {done} of {len(self.systems)} systems"
        for timer in self.timers:
            timer.stop()
        self.restoring.stop()
        self._copies.release()

    def so_far(self) -> Drill:
        """Return what it has come to: what was proven, and in which phase each other system is."""
        under_way = {name: work.so_far() for name, work in list(self._working.items()) if name not in self._recovered}
        return self._drill(under_way | self._recovered, ended=False)

    def cut_off(self) -> Drill:
        """Return what it has come to where nobody can wait for its end, with all that is not torn down."""
        return self.so_far().model_copy(update={"left_running": self.left_running()})

    def left_running(self) -> tuple[str, ...]:
        """Name what is still there of scratch."""
        return tuple(what for folder in self.restoring.folders for what in still_there(folder))

    def _timer(self, name: str = "") -> Timer:
        """Return a timer that is stopped when the drill is cancelled, or was; of a system, it tells how far that is."""
        timer = Timer(self.access.now, lambda text: self.tell(f"{name}: {text}"))
        self.timers.append(timer)
        if self._interrupted:
            timer.stop()
        return timer

    def _choose(self) -> dict[str, Chosen]:
        """Find the backup of each system, all of one restore point where most of them are."""
        timer = self._timer()
        chosen: dict[str, Chosen] = {}
        with timer.phase(Phase.DETECT):
            for name in self.systems:
                wish = Wish(
                    restore_point=self.asked.restore_point,
                    until=self.asked.until,
                    latest=self.asked.until is None,
                    vault=self.asked.vault,
                )
                try:
                    chosen[name] = self._of(name, wish)
                except WatchkeeperError as error:
                    self._recovered[name] = self._lost(name, error)
                    self._copies.gone(name)
        self._detected = tuple(timer.phases)
        points = Counter(one.manifest.restore_point for one in chosen.values())
        self._restore_point = self.asked.restore_point or (points.most_common(1)[0][0] if points else "")
        self.tell(f"restore point {self._restore_point or 'none'}, {len(chosen)} of {len(self.systems)} systems")
        return chosen

    def _fit(self, chosen: dict[str, Chosen]) -> dict[str, Chosen]:
        """Look at all that must be right before anything is restored; a system of which something is not is lost."""
        fit = dict(chosen)
        timer = self._timer()
        with timer.phase(Phase.DETECT):
            for name, held in preflight(self.restoring, chosen, self._key):
                self._preflight.append(held if not name else held.model_copy(update={"name": f"{name}: {held.name}"}))
                if held.outcome is Outcome.PASSED:
                    continue
                said = f"before anything was restored: {held.name}: {held.note or held.observed}"
                for system in [one for one in fit if not name or one == name]:
                    kind = NotOffered if held.outcome is Outcome.NOT_CHECKED else ConfigError
                    self._recovered[system] = self._lost(system, kind(said, hint=held.expected), chosen[system])
                    self._copies.gone(system)
                    del fit[system]
                self.tell(f"{name}: {said}" if name else said)
        self._detected = (*self._detected, *timer.phases)
        held_all = sum(one.outcome is Outcome.PASSED for one in self._preflight)
        self.tell(f"{held_all} of {len(self._preflight)} checks before the restore held")
        return fit

    def _of(self, name: str, wish: Wish) -> Chosen:
        """Choose a backup; where the newest is taken to be corrupted, see that it is seen, and take the one before."""
        chosen = self.restoring.choose(name, wish)
        if self.asked.scenario is not Scenario.CORRUPTED_BACKUP:
            return chosen
        part = max(chosen.manifest.parts, key=lambda one: one.stored_bytes, default=None)
        if part is None:
            return chosen
        store = Damaged(chosen.vault.store, f"{chosen.manifest.folder}/{part.path}", Damage.FLIPPED)
        source = VaultSource(through(chosen.vault, store), chosen.manifest, self._key(chosen))
        proof = Prover(self.restoring).prove(chosen, 2, Timer(self.access.now), source=source)
        red = proof.outcome is Outcome.FAILED
        seen = proof.error or next((one.note for one in proof.assertions if one.outcome is Outcome.FAILED), "")
        self._controls.append(NegativeControl(name="newest backup corrupted", system=name, red=red, seen=seen))
        everything = self.restoring.readable(chosen.vault, name)
        before = [one for one in everything if one.consistent_as_of < chosen.manifest.consistent_as_of]
        if not before:
            raise ConfigError(f"{name} has one backup alone: were it corrupted, nothing would come back")
        self.tell(f"{name}: the newest backup is taken to be corrupted; back to {before[-1].id}")
        return replace(chosen, manifest=before[-1])

    def _key(self, chosen: Chosen) -> Identity | None:
        """Return the key that is left in this scenario."""
        if not chosen.manifest.recipients:
            return None
        if self.asked.scenario is not Scenario.LOST_KEY:
            return self.restoring.identity
        if self._escrow is None:
            raise ConfigError("there is no escrowed key to try", hint="give --identity FILE with it")
        return self._escrow

    def _recover(self, chosen: dict[str, Chosen]) -> None:
        """Restore all side by side; what must hold over all is looked at while every copy is there."""
        if not chosen:
            return
        with ThreadPoolExecutor(len(chosen)) as pool:
            work = [pool.submit(self._kept, one) for one in chosen.values()]
            try:
                self._hold_over_all(self._copies.all())
            except BaseException:
                for timer in self.timers:
                    timer.stop()
                raise
            finally:
                self._copies.release()
            for done in work:
                done.result()

    def _hold_over_all(self, copies: dict[str, Copy]) -> None:
        timer = Timer(self.access.now)
        drill = self.platform.drill
        if drill.smoke or drill.reconcile:
            with timer.phase(Phase.VERIFY):
                held = list(held_over_all(self.platform, copies, self.access, lambda: bool(self._interrupted)))
            self._overall += held if not self._interrupted else ()
        self._after = tuple(timer.phases)

    def _is_tested(self, name: str) -> bool:
        """Tell whether the application's tests are given a system's copy, and may write to it."""
        return any(name in smoke.addresses.values() for smoke in self.platform.drill.smoke.values())

    def _kept(self, chosen: Chosen) -> None:
        self._recovered[chosen.system] = self._one(chosen)

    def _one(self, chosen: Chosen) -> SystemRecovery:
        """Restore and prove one system; never raises for what is wrong with it."""
        name = chosen.system
        timer = self._timer(name)
        work = self._working[name] = Work(chosen, timer)
        self.manifests[f"manifests/{name}.json"] = chosen.manifest.to_bytes()
        try:
            key = self._key(chosen)
            source = VaultSource(through(chosen.vault, ReadOnly(chosen.vault.store)), chosen.manifest, key)
        except WatchkeeperError as error:
            self._copies.gone(name)
            return self._lost(name, error, chosen)

        def over(restored: Restored, proof: Proof) -> None:
            work.proof = proof
            self.tell(f"{name}: {proof.outcome}")
            gate.close()
            self._copies.offer(name, Copy(chosen.spec, source, restored))
            if proof.outcome is Outcome.PASSED and not self._interrupted:
                self._see(spoiled(chosen, source, restored, was_written=self._is_tested(name)))

        with ExitStack() as gate:
            gate.enter_context(self._gate)
            proof = Prover(self.restoring).prove(chosen, 3, timer, source=source, over=over, who="drill")
        self._copies.gone(name)
        return work.came_to(proof)

    def _lost(self, name: str, error: WatchkeeperError, chosen: Chosen | None = None) -> SystemRecovery:
        """Return a system of which nothing came back."""
        scrub = self.access.resolver.scrub
        outcome = Outcome.NOT_CHECKED if isinstance(error, NotOffered) else Outcome.FAILED
        return SystemRecovery(
            system=name,
            kind=self.platform.systems[name].kind,
            backup=chosen.manifest.id if chosen else "",
            outcome=outcome,
            error=scrub(error.message),
            hint=scrub(error.hint or ""),
        )

    def _see(self, controls: Iterable[NegativeControl]) -> None:
        """Take what damaged copies showed; what was cancelled meanwhile showed nothing."""
        for control in controls:
            if self._interrupted:
                return
            self._controls.append(control)

    def _damage(self, chosen: dict[str, Chosen]) -> None:
        """Read damaged copies of what was proven; each must be seen to be damaged."""
        for name, one in chosen.items():
            recovered = self._recovered.get(name)
            if self._interrupted:
                break
            if recovered is not None and recovered.outcome is Outcome.PASSED:
                with suppress(ConfigError):
                    self._see(controls_of(self.restoring, one, self._key(one)))
        red = sum(control.red for control in self._controls)
        self.tell(f"{red} of {len(self._controls)} damaged copies were seen to be damaged")

    def _drill(self, recovered: Mapping[str, SystemRecovery], *, ended: bool) -> Drill:
        """Put together what it came to; only one that has ended is held against what was left and what was before."""
        recovery = self.platform.recovery
        systems = tuple(recovered[name] for name in self.systems if name in recovered)
        drill = Drill(
            **self.head(FLOW),
            scenario=self.asked.scenario,
            disaster=self.asked.until or self.started,
            restore_point=self._restore_point,
            phases=(*self._detected, *self._after),
            systems=systems,
            assertions=tuple(self._overall),
            preflight=tuple(self._preflight),
            negative_controls=tuple(self._controls),
            not_covered=tuple(self._not_covered(systems)),
            notes=(*self.notes, *self.restoring.patience.notes),
            interrupted=self._interrupted,
            left_running=self.left_running() if ended else (),
            rto_target=recovery.rto.total_seconds() if recovery else None,
            rpo_target=recovery.rpo.total_seconds() if recovery else None,
            rpo_systems=self.platform.drill.rpo,
            trend=tuple(self._trend()) if ended else (),
        )
        past = [*drill.trend, drill.as_past()]
        twice = project(past, 2 * drill.plain_bytes)
        return drill.model_copy(update={"next_quarter": next_quarter(past), "at_twice": twice})

    def _not_covered(self, systems: Sequence[SystemRecovery]) -> list[str]:
        """Say what this drill did not prove."""
        left = [name for name in self.platform.protected if name not in {one.system for one in systems}]
        said = [f"{name}: not part of this drill" for name in left]
        stores = [
            name
            for name, spec in self.platform.systems.items()
            if name not in self.platform.protected and kinds()[spec.kind].can("backup")
        ]
        said += [f"{name}: it is not backed up" for name in stores]
        said += [f"{one.system}: {one.error}" for one in systems if one.outcome is Outcome.NOT_CHECKED]
        said += [f"{one.system}: {warning}" for one in systems for warning in one.warnings]
        open_ends = (Outcome.NOT_CHECKED, Outcome.PASSED)
        said += [f"{one.name}: {one.note}" for one in self._overall if one.note and one.outcome in open_ends]
        for name in sorted({one.vault for one in systems if one.vault}):
            vault = self.platform.vaults[name]
            if isinstance(vault, S3Vault) and vault.read is None:
                said.append(
                    f"vault {name}: no credentials that only read are named, so the drill alone kept from writing"
                )
        if not self.platform.drill.smoke:
            said.append("the application: the spec names no smoke test under `drill`")
        return [*said, *self._uncovered]

    def _trend(self) -> list[Past]:
        """Return the earlier drills of the same scenario; what cannot be read, or did not end, is left out."""
        found: list[Past] = []
        with suppress(WatchkeeperError):
            store = report_store(self.settings)
            for kept in store.kept(self.platform.platform, FLOW)[-4 * _TREND :]:
                drill = store.read(kept.key, Drill)
                if drill is not None and not drill.interrupted and self._compares(drill):
                    found.append(drill.as_past())
        return found[-_TREND:]

    def _compares(self, drill: Drill) -> bool:
        same = drill.environment == self.settings.environment and drill.scenario == self.asked.scenario
        return same and {one.system for one in drill.systems} == set(self.systems)
