"""Proving a backup, level by level: it exists, its hashes hold, it parses, it was restored. Without Prefect.

What a level cannot tell is an assertion that says so; the levels above it are then not checked. The record is appended
beside the backup, where retention and the health check find it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter

from tasks.core.drill import outcome_of
from tasks.core.errors import ConfigError, Garbled, NotOffered, WatchkeeperError
from tasks.core.restore import Assertion, Phase, Restored, Source
from tasks.core.results import Outcome
from tasks.core.units import format_bytes, format_duration
from tasks.core.verification import RESTORED, Verification
from tasks.restoring import Chosen, Restoring, Wish
from tasks.systems import kinds
from tasks.timers import Timer
from tasks.vault.checking import flaws_of
from tasks.vault.keys import Identity
from tasks.vault.records import record

LEVELS = {
    0: "it exists",
    1: "every hash",
    2: "it parses",
    3: "restored and compared",
    4: "the application",
}
Each = Callable[[Assertion], None]


@dataclass
class Proof:
    """What is known of one backup so far.

    Attributes:
        level: The highest level that was reached and held.
        assertions: One by one.
        recovered_to: The newest record that came back.
        details: What the restored copy tells of itself.
        warnings: For a person.
        error: Why it could not go on.
        hint: The cure.
    """

    level: int = 0
    assertions: list[Assertion] = field(default_factory=list)
    recovered_to: datetime | None = None
    details: dict[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""

    @property
    def outcome(self) -> Outcome:
        """The worst of its assertions."""
        return outcome_of(self.assertions)


class Prover:
    """Proves backups of one platform.

    Args:
        restoring: The platform.
        each: Told of each assertion as it is made.
    """

    def __init__(self, restoring: Restoring, *, each: Each = lambda _assertion: None) -> None:
        self._restoring, self._each = restoring, each

    def prove(
        self,
        chosen: Chosen,
        level: int,
        timer: Timer,
        *,
        source: Source | None = None,
        identity: Identity | None = None,
        over: Callable[[Restored, Proof], None] = lambda _restored, _proof: None,
        who: str = "verify",
    ) -> Proof:
        """Prove a backup up to a level; never raises for what is wrong with it.

        Args:
            chosen: The backup.
            level: 0 to 3; the application's level is `over`'s.
            timer: Times the phases, and stops the work.
            source: Read from this instead of the vault's own source.
            identity: Another key than the spec's.
            over: Called with the restored copy as long as it is there.
            who: Who reads.
        """
        proof = Proof()
        steps = (self._exists, self._hashes, self._parses)
        try:
            for number, step in enumerate(steps[: level + 1]):
                if number == 1 and level > 1:
                    continue  # reading every part holds every hash
                if not self._held(proof, number, step(chosen, source, identity)):
                    return proof
            if level >= RESTORED:
                self._restored(chosen, timer, proof, source=source, identity=identity, over=over, who=who)
        except WatchkeeperError as error:
            self._untold(proof, error)
        except Exception as error:  # noqa: BLE001 - one backup's surprise must not stop the others
            self._untold(
                proof, WatchkeeperError(f"{type(error).__name__}: {error}", hint="Please report this as a bug.")
            )
        return proof

    def _held(self, proof: Proof, level: int, assertions: Iterable[Assertion]) -> bool:
        """Take a level's assertions, and tell whether the next one makes sense."""
        fine = True
        for assertion in assertions:
            self._add(proof, assertion)
            fine = fine and assertion.outcome not in (Outcome.FAILED, Outcome.ERRORED)
        if fine:
            proof.level = level
        return fine

    def _add(self, proof: Proof, assertion: Assertion) -> None:
        scrub = self._restoring.access.resolver.scrub
        told = {name: scrub(getattr(assertion, name)) for name in ("observed", "expected", "note")}
        proof.assertions.append(assertion.model_copy(update=told))
        self._each(proof.assertions[-1])

    def _untold(self, proof: Proof, error: WatchkeeperError) -> None:
        """Say why it could not go on: damage is a failure, everything else could not be told."""
        scrub = self._restoring.access.resolver.scrub
        proof.error, proof.hint = scrub(error.message), scrub(error.hint or "")
        level = min(proof.level + 1, RESTORED)
        outcome = Outcome.FAILED if isinstance(error, Garbled) else Outcome.ERRORED
        outcome = Outcome.NOT_CHECKED if isinstance(error, NotOffered) else outcome
        self._add(proof, Assertion(name=LEVELS[level], level=level, outcome=outcome, note=proof.error))

    def _exists(self, chosen: Chosen, _source: Source | None, _identity: Identity | None) -> Iterator[Assertion]:
        manifest, now = chosen.manifest, self._restoring.access.now()
        flaws = flaws_of(chosen.vault, manifest)
        age = format_duration(round((now - manifest.consistent_as_of).total_seconds()))
        yield Assertion(
            name="every part is there in its size",
            level=0,
            outcome=Outcome.FAILED if flaws else Outcome.PASSED,
            expected=f"{len(manifest.parts)} parts, {format_bytes(manifest.stored_bytes)}",
            observed="; ".join(flaws[:3]) or f"{len(manifest.parts)} parts, {age} old",
        )

    def _hashes(self, chosen: Chosen, source: Source | None, identity: Identity | None) -> Iterator[Assertion]:
        read = source or self._restoring.source(chosen, identity)
        for part in chosen.manifest.parts:
            for _ in read.read(part.name):
                pass
        count = len(chosen.manifest.parts)
        yield Assertion(name=LEVELS[1], level=1, outcome=Outcome.PASSED, observed=f"{count} parts read and hashed")

    def _parses(self, chosen: Chosen, source: Source | None, identity: Identity | None) -> Iterator[Assertion]:
        able = kinds()[chosen.spec.kind].verify()
        if able is None:
            raise NotOffered(f"this version does not verify {chosen.spec.kind} systems", system=chosen.system)
        parse, _, _ = able
        yield from parse(source or self._restoring.source(chosen, identity))

    def _restored(
        self,
        chosen: Chosen,
        timer: Timer,
        proof: Proof,
        *,
        source: Source | None,
        identity: Identity | None,
        over: Callable[[Restored, Proof], None],
        who: str,
    ) -> None:
        able = kinds()[chosen.spec.kind].verify()
        if able is None:
            raise NotOffered(f"this version does not verify {chosen.spec.kind} systems", system=chosen.system)
        _, compare, _ = able
        read = source or self._restoring.source(chosen, identity)
        with self._restoring.restored(chosen, timer, identity=identity, who=who, source=source) as restored:
            with timer.phase(Phase.VERIFY):
                proof.recovered_to = restored.recovered_to
                proof.details, proof.warnings = dict(restored.details), restored.warnings
                if self._held(proof, RESTORED, compare(chosen.spec, read, restored)):
                    proof.level = RESTORED
            over(restored, proof)


def verify(
    restoring: Restoring,
    chosen: Chosen,
    level: int,
    *,
    timer: Timer | None = None,
    each: Each = lambda _assertion: None,
) -> tuple[Verification, Proof]:
    """Prove a backup up to a level, and append the record beside it.

    Raises:
        ConfigError: The level is none.
        WatchkeeperError: The record could not be written.
    """
    if level not in LEVELS:
        raise ConfigError(f"{level} is no level", hint="; ".join(f"{one}: {what}" for one, what in LEVELS.items()))
    began = perf_counter()
    proof = Prover(restoring, each=each).prove(chosen, min(level, RESTORED), timer or Timer(restoring.access.now))
    made = record(
        chosen.vault,
        chosen.manifest.folder,
        level=proof.level,
        outcome=proof.outcome,
        assertions=proof.assertions,
        seconds=round(perf_counter() - began, 3),
        into="scratch" if level >= RESTORED else "",
    )
    return made, proof


def choose_for_week(
    restoring: Restoring, system: str, pick: Callable[[int], int], *, vault: str | None = None
) -> list[Chosen]:
    """Return what a week's verification looks at: the newest backup of each method, and a random older one.

    Args:
        restoring: The platform.
        system: Its name.
        pick: From a count to a place below it: which older one.
        vault: Only this vault; each system's first by default.

    Raises:
        ConfigError: The system has no backup.
    """
    first = restoring.choose(system, Wish(vault=vault))
    listed = restoring.readable(first.vault, system)
    newest = {manifest.method: manifest for manifest in listed}
    chosen = [Chosen(system, first.spec, first.vault, manifest) for manifest in newest.values()]
    older = [manifest for manifest in listed if manifest not in newest.values()]
    if older:
        chosen.append(Chosen(system, first.spec, first.vault, older[pick(len(older))]))
    return chosen
