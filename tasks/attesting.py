"""Asking people, waiting for them without a process, reminding them, and closing what they left open. With Prefect."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectException
from prefect.flow_runs import aresume_flow_run, asuspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from tasks import faces
from tasks.checklists import ChecklistRun, unanswered
from tasks.clients.threads import in_thread
from tasks.compliance import gather_facts, open_checklist, publish_checklist
from tasks.core.asking import Asking, Wanted
from tasks.core.control import Control
from tasks.core.ends import PATTERN, written_end
from tasks.core.errors import WatchkeeperError
from tasks.core.settings import Settings
from tasks.core.statements import EVIDENCE, Request, Statement, due
from tasks.platforms import platform_names
from tasks.publishing import publish_bulletin
from tasks.reports import asking_words
from tasks.reports.wording import plural
from tasks.statements import Statements, note_downtime, state


class Attestation(RunInput):
    """What a person fills in. Prefect's server refuses what does not fit; what fits and is wrong is asked for again."""

    control: str = Field(title="Control", description="What is attested.")
    by: str = Field(title="Owner", description="Who states it, by name.", min_length=1)
    statement: str = Field(title="Statement", description="What was done or seen, in a sentence.", min_length=1)
    evidence: str = Field(
        title="Evidence",
        description="What shows it: https://..., or what `watchkeeper evidence attach FILE` printed (sha256:...).",
        json_schema_extra={"pattern": EVIDENCE},
    )
    valid_until: str = Field(
        title="Valid until",
        description="With its time zone: 2027-01-31T18:00+05:00, or a whole day: 2027-01-31 Asia/Tashkent.",
        json_schema_extra={"pattern": PATTERN},
    )


class Waiting:
    """What a run that asks people knows. A plain class, so that Prefect hands it over as it is.

    Attributes:
        run: The platform's checklist.
        request: What people were asked.
        turn: How many answers were taken.
        refused: Why the last answer was not taken; empty where it was.
    """

    def __init__(self, run: ChecklistRun, request: Request, open_: Sequence[Control[Any]]) -> None:
        self.run, self.request, self.turn, self.refused = run, request, 0, ""
        self.open = {control.id: control.title for control in open_}

    @property
    def seconds(self) -> int:
        """How long people may still take, at least a minute."""
        return max(60, int((self.request.until - self.run.access.now()).total_seconds()))

    def form(self) -> type[Attestation]:
        """Return the form: its dropdown holds all that was asked, the same each time; its text what is open."""
        known = {"__annotations__": {"control": Literal[self.request.controls]}}
        made: type[Attestation] = type("Attestation", (Attestation,), known)
        lines = "\n".join(f"- `{name}`: {title}" for name, title in self.open.items())
        refused = f"**The last statement was not taken:** {self.refused}\n\n" if self.refused else ""
        until = f"{self.request.until:%a %d %b %Y %H:%M %Z}"
        text = f"{refused}One statement at a time; the form comes again for the others, until {until}.\n\n{lines}"
        return made.with_initial_data(description=text, control=next(iter(self.open)))

    def take(self, given: Attestation) -> None:
        """Keep an answer; one that is refused is asked for again."""
        self.turn += 1
        try:
            state(
                "attestation", self.request.platform, given.control, self.run.settings,
                name=f"{self.request.id}-{self.turn}", by=given.by, text=given.statement, evidence=given.evidence,
                until=given.valid_until,
            )  # fmt: skip
        except WatchkeeperError as error:
            self.refused = str(error)
            get_run_logger().warning("the statement of %s on %s was not taken: %s", given.by, given.control, error)
        else:
            self.refused = ""
            self.open.pop(given.control, None)
            get_run_logger().info("%s attested %s", given.by, given.control)


async def ask_people(platform: str, days: int, *, tell: bool) -> Waiting:
    """Say what people are to attest, once, however often the run is resumed; return what is still open."""
    run = open_checklist(platform)
    facts = await gather_facts(run)
    now = run.access.now()
    name = str(flow_run.id or run.suffix)
    open_ = unanswered(facts)
    asked = Request(
        id=name, platform=run.platform.platform, controls=tuple(one.id for one in open_), at=now,
        until=now + timedelta(days=days), run_url=flow_run.ui_url or "",
    )  # fmt: skip
    request = await in_thread(Statements(asked.platform, run.settings).ask, asked)
    if request == asked and open_:
        await _publish(run, Asking(**_head(run, "collect-attestations"), wanted=_wanted(open_, facts.statements),
                                   until=request.until), tell=tell)  # fmt: skip
    left = {one.id: one for one in unanswered(facts, request.at)}
    return Waiting(run, request, [left[one] for one in request.controls if one in left])


async def wait_for_person(waiting: Waiting) -> Attestation:
    """Let the run go until somebody resumes it by its form; it holds no process meanwhile."""
    form = waiting.form()
    given: Attestation = await asuspend_flow_run(
        wait_for_input=form, timeout=waiting.seconds, key=f"answer-{waiting.turn + 1}"
    )
    return given


async def close_request(waiting: Waiting, *, tell: bool) -> State[Any]:
    """Publish the checklist as it is now that people were heard."""
    statements = Statements(waiting.request.platform, waiting.run.settings)
    if not waiting.request.controls:
        return Completed(message=f"nothing of {waiting.request.platform} is to be attested by people")
    await in_thread(statements.once, "closings", waiting.request.id)
    run = open_checklist(waiting.request.platform)
    return await publish_checklist(run, await gather_facts(run), tell=tell)


@task(name="remind-people", task_run_name="remind {platform}", cache_policy=NO_CACHE)
async def remind_people(platform: str, *, tell: bool) -> str:
    """Remind of attestations that lapse soon, each once, and close what people left open; say what was done."""
    run = open_checklist.fn(platform)
    people = Statements(run.platform.platform, run.settings)
    now = run.access.now()
    soon = [
        one
        for one, before in due(await in_thread(people.given), now)
        if await in_thread(people.once, "reminders", f"{one.id}-{before.days}d")
    ]
    if soon:
        wanted = tuple(_lapsing(one) for one in soon)
        await _publish(run, Asking(**_head(run, "remind-attestations"), wanted=wanted), tell=tell)
    closed = await _close(run, people, tell=tell)
    return f"{run.platform.platform}: {plural(len(soon), 'reminder')}, {plural(len(closed), 'request')} closed"


async def remind_all(*, tell: bool) -> State[Any]:
    """Remind the people of every platform; one whose spec is broken keeps no other from it."""
    said, failed = [], 0
    for name in platform_names():
        running: Any = remind_people(name, tell=tell, return_state=True)
        found = await running
        said.append(found.message if found.is_failed() else await found.aresult())
        failed += found.is_failed()
    message = "; ".join(str(one) for one in said) or "there is no platform"
    return Failed(message=message) if failed else Completed(message=message)


@task(name="keep-statement", cache_policy=NO_CACHE)
def keep_statement(kind: Any, platform: str, control: str, **given: Any) -> State[Any]:
    """Keep an attestation or a waiver; failed, with the cure, where it is refused."""
    try:
        made = state(kind, platform, control, Settings(), **given)
    except WatchkeeperError as error:
        return Failed(message=str(error))
    who = f"{made.by}, approved by {made.approver}" if made.approver else made.by
    return Completed(message=f"{made.kind} of {made.control} by {who}, until {written_end(made.until)}")


@task(name="keep-downtime", cache_policy=NO_CACHE)
def keep_downtime(platform: str, **given: Any) -> State[Any]:
    """Keep why nothing could run; failed, with the cure, where it is refused."""
    try:
        made = note_downtime(platform, Settings(), **given)
    except WatchkeeperError as error:
        return Failed(message=str(error))
    return Completed(message=f"downtime of {made.platform} from {made.begin:%Y-%m-%d %H:%M %Z}: {made.text}")


async def _close(run: ChecklistRun, people: Statements, *, tell: bool) -> list[Request]:
    """Close what people left open until it was too late; where all was answered elsewhere, the run goes on instead."""
    asked = await in_thread(people.requests)
    waiting = [one for one in asked if one.controls and not await in_thread(people.happened, "closings", one.id)]
    if not waiting:
        return []
    facts = await in_thread(run.look)
    closed = []
    for request in waiting:
        left = set(request.controls) & {one.id for one in unanswered(facts, request.at)}
        if run.access.now() >= request.until:
            if await in_thread(people.once, "closings", request.id):
                closed.append(request)
        elif not left and await in_thread(people.once, "answered", request.id):
            await _resume(request)
    if closed:
        await publish_checklist(run, facts, tell=tell)
    return closed


async def _resume(request: Request) -> None:
    """Have a run look again: its form is filled with what is never taken, and read only where something is open."""
    filled = {"by": "-", "statement": "-", "evidence": "https://-", "valid_until": "2000-01-01 UTC"}
    for control in request.controls:
        try:
            await aresume_flow_run(UUID(request.id), run_input={"control": control} | filled)
        except (ValueError, PrefectException) as error:
            get_run_logger().info("the run that waits for %s is not resumed: %s", request.platform, error)
        else:
            return


async def _publish(run: ChecklistRun, report: Asking, *, tell: bool) -> None:
    def make() -> faces.OfBulletin:
        made = report.model_copy(update={"notes": tuple(run.notes)})
        return faces.OfBulletin(made, asking_words.bulletin(made))

    await publish_bulletin(run, make, tell=tell)


def _head(run: ChecklistRun, flow: str) -> dict[str, Any]:
    return run.head(flow, run_url=flow_run.ui_url) | {"flow": flow}


def _wanted(controls: Sequence[Control[Any]], statements: Sequence[Statement]) -> tuple[Wanted, ...]:
    found = []
    for one in controls:
        mine = [given for given in statements if given.kind == "attestation" and given.control == one.id]
        last = max(mine, key=lambda given: given.until, default=None)
        said = f"{last.by}: {last.text} (lapsed on {written_end(last.until)})" if last else ""
        found.append(
            Wanted(control=one.id, title=one.title, owner=one.owner, remedy=one.remedy, last=said,
                   until=last.until if last else None)
        )  # fmt: skip
    return tuple(found)


def _lapsing(one: Statement) -> Wanted:
    said = f"{one.by}: {one.text} (lapses on {written_end(one.until)})"
    return Wanted(control=one.control, title=one.control, owner=one.by, last=said, until=one.until)
