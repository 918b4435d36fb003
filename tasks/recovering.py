"""One system's recovery in a drill while it is at work, and what it came to. Without Prefect."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.core.drill import SystemRecovery
from tasks.core.results import Outcome
from tasks.core.verification import RESTORED
from tasks.restoring import Chosen
from tasks.timers import Timer
from tasks.verifying import Proof


@dataclass
class Work:
    """A backup that is being restored and proven.

    Attributes:
        chosen: The backup.
        timer: Times the phases, and tells the one that is under way.
        proof: What was proven, once it was compared.
    """

    chosen: Chosen
    timer: Timer
    proof: Proof | None = None

    def so_far(self) -> SystemRecovery:
        """Return what it has come to: what was proven, or where it is."""
        if self.proof is not None:
            return self.came_to(self.proof)
        now = self.timer.current
        where = f"it was in the phase {now}" if now is not None else "it had not begun"
        return self._recovery(Proof(error=where), Outcome.ERRORED)

    def came_to(self, proof: Proof) -> SystemRecovery:
        """Return what it came to in the end; what was not restored and compared is not proven."""
        outcome = proof.outcome
        if outcome is Outcome.PASSED and proof.level < RESTORED:
            outcome = Outcome.ERRORED
        return self._recovery(proof, outcome)

    def _recovery(self, proof: Proof, outcome: Outcome) -> SystemRecovery:
        manifest = self.chosen.manifest
        return SystemRecovery(
            system=self.chosen.system,
            kind=self.chosen.spec.kind,
            backup=manifest.id,
            vault=self.chosen.vault.name,
            outcome=outcome,
            phases=tuple(sorted(self.timer.phases, key=lambda phase: phase.began)),
            assertions=tuple(proof.assertions),
            recovered_to=proof.recovered_to,
            stored_bytes=manifest.stored_bytes,
            plain_bytes=manifest.plain_bytes,
            error=proof.error,
            hint=proof.hint,
            details=dict(proof.details),
            warnings=proof.warnings,
        )
