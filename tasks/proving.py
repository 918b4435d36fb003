"""Puts promises to the proof: plants, acts, waits, looks. What was planted in one run is judged in a later one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from tasks.clients.process import ProgramFailed, streamed
from tasks.clients.threads import in_thread
from tasks.clients.trial_store import TrialStore
from tasks.core.compliance_plan import CompliancePlan, Export
from tasks.core.errors import ConfigError, NotOffered, PermanentError, WatchkeeperError
from tasks.core.manifest import new_id
from tasks.core.packages import opened
from tasks.core.platform import PlatformSpec
from tasks.core.steps import Step, Taken, filling, holding, rows_of
from tasks.core.system import Access
from tasks.core.trials import Package, Trial
from tasks.systems import kinds

PATIENCE = timedelta(seconds=90)
"""A deadline that is nearer than this is waited for; one that is later is for a later run."""
_SECONDS = 120.0
_LARGEST = 64 << 20
_GRACE = timedelta(seconds=1)


@dataclass(frozen=True)
class Proof:
    """How one promise is put to the proof.

    Attributes:
        control: The control's id.
        subject: Of several: which.
        plant: What is done first.
        act: What is done after it was seen.
        look: Where it is looked for.
        within: When what was promised must hold.
        expects: Whether it must then be gone, or there.
        backups: When the backups from in between must be gone.
    """

    control: str
    subject: str
    plant: tuple[Step, ...]
    look: Mapping[str, Step]
    within: timedelta
    expects: Literal["gone", "there"]
    act: tuple[Step, ...] = ()
    backups: timedelta | None = None


def proofs(plan: CompliancePlan) -> Iterator[Proof]:
    """Yield every proof that a spec describes."""
    for name, one in plan.ephemeral.items():
        yield Proof("ephemeral-deleted", name, one.plant, one.look, one.within, "gone")
    if (erasure := plan.erasure) is not None:
        yield Proof(
            "personal-data-erased", "", erasure.plant, erasure.look, erasure.within, "gone",
            act=erasure.erase, backups=erasure.backups,
        )  # fmt: skip
    if (audit := plan.audit_log) is not None:
        yield Proof("audit-logs-written", "", audit.act, audit.look, audit.within, "there")


def exports(plan: CompliancePlan) -> dict[str, Export]:
    """Return every export that a spec describes, by the control's id."""
    named = {"audit-export": plan.audit_export, "legal-export": plan.legal_export}
    return {name: one for name, one in named.items() if one is not None}


@dataclass
class Prover:
    """Takes the steps of one platform's proofs.

    Attributes:
        platform: The spec.
        access: What reaches its systems.
        store: Where trials are kept.
        environment: `lab` or `production`.
        notes: What could not be kept.
    """

    platform: PlatformSpec
    access: Access
    store: TrialStore
    environment: str
    notes: list[str] = field(default_factory=list)

    async def prove(self) -> list[Trial]:
        """Judge what is due, plant what is not there, wait for what is due soon; return every trial there is.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        access = replace(self.access, systems=dict(self.platform.systems))
        known = {trial.id: trial for trial in self.store.all(self.platform.platform, self.environment)}
        plan = self.platform.compliance
        done = [self._proven(proof, list(known.values()), access) for proof in proofs(plan)]
        done += [self._exported(name, export, access) for name, export in exports(plan).items()]
        for trials in await asyncio.gather(*done):
            for trial in trials:
                self.store.save(trial)
                known[trial.id] = trial
        return sorted(known.values(), key=lambda one: one.id)

    async def _proven(self, proof: Proof, known: list[Trial], access: Access) -> list[Trial]:
        now = access.now()
        mine = [one for one in known if one.control == proof.control and one.subject == proof.subject]
        waiting = [one for one in mine if one.looked is None and not one.troubles]
        due = [await self._looked(proof, one, access) for one in waiting if one.due <= now]
        if len(due) < len(waiting):
            return due  # one that was planted is still to be judged
        planted = await self._planted(proof, access)
        if not planted.troubles and planted.due - access.now() <= PATIENCE:
            await asyncio.sleep(max((planted.due + _GRACE - access.now()).total_seconds(), 0))
            planted = await self._looked(proof, planted, access)
        return [*due, planted]

    async def _planted(self, proof: Proof, access: Access) -> Trial:
        """Plant, look, act. It is kept before anything is planted: what a run leaves behind that ends here is known."""
        now = access.now()
        trial = Trial(
            id=new_id(now, secrets.token_hex(4)), platform=self.platform.platform, environment=self.environment,
            control=proof.control, subject=proof.subject, canary=f"wkcanary{secrets.token_hex(8)}",
            expects=proof.expects, planted=now, due=now + proof.within,
        )  # fmt: skip
        self.store.save(trial)
        troubles: dict[str, str] = {}
        seen: dict[str, int] = {}
        acted: datetime | None = None
        values = filling(trial.canary, now)
        if await self._all(proof.plant, "plant", values, troubles, access) and proof.expects == "gone":
            seen = await self._look(proof, trial.canary, values, troubles, access)
        if proof.act and not troubles and await self._all(proof.act, "act", values, troubles, access):
            acted = access.now()
        began = acted or now
        until = began + proof.backups if proof.backups is not None else None
        update = {"acted": acted, "due": began + proof.within, "seen": seen, "troubles": troubles}
        made = trial.model_copy(update=update | {"backups_until": until})
        self.store.save(made)
        return made

    async def _looked(self, proof: Proof, trial: Trial, access: Access) -> Trial:
        troubles: dict[str, str] = {}
        values = filling(trial.canary, trial.planted)
        left = await self._look(proof, trial.canary, values, troubles, access)
        return trial.model_copy(update={"looked": access.now(), "left": left, "troubles": troubles})

    async def _look(
        self, proof: Proof, canary: str, values: Mapping[str, str], troubles: dict[str, str], access: Access
    ) -> dict[str, int]:
        found = {}
        for place, step in proof.look.items():
            try:
                found[place] = (await take(step.filled(values), canary, self.platform, access)).count
            except WatchkeeperError as error:
                troubles[place] = access.resolver.scrub(error.message)
        return found

    async def _all(
        self, steps: Iterable[Step], what: str, values: Mapping[str, str], troubles: dict[str, str], access: Access
    ) -> bool:
        for number, step in enumerate(steps, 1):
            try:
                await take(step.filled(values), values["canary"], self.platform, access)
            except WatchkeeperError as error:
                troubles[f"{what} {number}"] = access.resolver.scrub(error.message)
                return False
        return True

    async def _exported(self, name: str, export: Export, access: Access) -> list[Trial]:
        now = access.now()
        canary = f"wkcanary{secrets.token_hex(8)}"
        troubles: dict[str, str] = {}
        package = None
        try:
            package = await self._package(export, canary, filling(canary, now), access)
        except WatchkeeperError as error:
            troubles["export"] = access.resolver.scrub(error.message)
        trial = Trial(
            id=new_id(now, secrets.token_hex(4)), platform=self.platform.platform, environment=self.environment,
            control=name, canary=canary, expects="package", planted=now, due=now, troubles=troubles,
            looked=None if troubles else access.now(), package=package,
        )  # fmt: skip
        return [trial]

    async def _package(self, export: Export, canary: str, values: dict[str, str], access: Access) -> Package:
        least = await self._counted(export, canary, values, access)
        taken = await take(export.ask.filled(values), canary, self.platform, access)
        if export.fetch is not None:
            known = {key: str(value) for row in taken.rows[:1] for key, value in row.items()}
            taken = await take(export.fetch.filled(values | known), canary, self.platform, access)
        most = await self._counted(export, canary, values, access)
        return opened(taken.body, export.entries, at_least=export.at_least, least=least, most=most)

    async def _counted(self, export: Export, canary: str, values: dict[str, str], access: Access) -> int | None:
        """Count at the source, before and after: something may be written in between."""
        if export.compare is None:
            return None
        return (await take(export.compare.filled(values), canary, self.platform, access)).count


async def take(step: Step, canary: str, platform: PlatformSpec, access: Access) -> Taken:
    """Take one step.

    Raises:
        WatchkeeperError: It could not be taken.
    """
    if step.command:
        return await _program(step, canary, access)
    if step.file is not None:
        return await in_thread(_file, Path(access.resolver.resolve(step.file)), canary)
    spec = platform.systems.get(step.system)
    if spec is None:
        raise ConfigError(f"the platform has no system {step.system}")
    taker = kinds()[spec.kind].steps()
    if taker is None:
        raise NotOffered(f"no step can be taken at a system of kind {spec.kind}")
    try:
        async with asyncio.timeout(max(spec.timeout.total_seconds() * 3, 30)):
            return await taker(spec, step, canary, access)
    except TimeoutError:
        raise PermanentError(f"{step.system} took too long") from None


async def _program(step: Step, canary: str, access: Access) -> Taken:
    environment = {name: access.resolver.resolve(value) for name, value in step.environment.items()}
    try:
        body = await in_thread(_output, step.command, environment)
    except ProgramFailed as error:
        raise PermanentError(access.resolver.scrub(error.message)) from None
    return Taken(holding(canary, body), rows_of(body), body)


def _file(path: Path, canary: str) -> Taken:
    try:
        if path.stat().st_size > _LARGEST:
            raise PermanentError(f"{path.name} is larger than {_LARGEST >> 20} MiB")
        body = path.read_bytes()
    except OSError as error:
        raise PermanentError(f"{path.name} cannot be read: {error.strerror}") from None
    return Taken(holding(canary, body), rows_of(body), body)


def _output(command: tuple[str, ...], environment: dict[str, str]) -> bytes:
    body = bytearray()
    with streamed(command, environment=environment, quiet=_SECONDS) as stream:
        for chunk in stream:
            body += chunk
            if len(body) > _LARGEST:
                raise PermanentError(f"{command[0]} wrote more than {_LARGEST >> 20} MiB")
    return bytes(body)
