"""Publishing a report or a digest: kept, shown in the Prefect UI, told in Slack. None can keep the others from it."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from prefect import get_run_logger, task
from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from tasks import evidence, faces, platforms, status
from tasks.checks import slot
from tasks.clients.blobs import MemoryStore
from tasks.clients.outbox import Attachment, Delivery, Message, Outbox, Parcel
from tasks.clients.slack import Bot, Messenger, Webhook
from tasks.core.digest import Evening
from tasks.core.errors import TransientError, WatchkeeperError
from tasks.core.report import Report, SystemReport, Verdict
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.days import Closing
from tasks.inspections import Inspection, report_store, store_beside_reports
from tasks.reports import charts, markdown, slack, wording

AnyFaces = TypeVar("AnyFaces", bound=faces.Faces)


class Run(faces.Ran, Protocol):
    """What publishing needs of a run besides: where to say what went wrong with it."""

    def trouble(self, what: str, error: Exception, outcome: Outcome) -> None:
        """Remember what is to be told of Watchkeeper itself."""
        ...


_PENDING = "Pending"
_PROGRESS_SECONDS = 1.0


async def progress_artifact(inspection: Inspection) -> Callable[[int, int], Awaitable[None]]:
    """Show the run's progress in the Prefect UI; returns what moves it on, at most once a second and at the end."""
    key = f"{markdown.artifact_key(inspection.platform.platform, inspection.flow)}-progress"
    names = ", ".join(inspection.systems)
    artifact: Any = await acreate_progress_artifact(0.0, key=key, description=f"Checking {names or 'nothing'}")

    clock = asyncio.get_running_loop().time
    moved = clock()

    async def move(done: int, of: int) -> None:
        nonlocal moved
        if done < of and clock() - moved < _PROGRESS_SECONDS:
            return
        moved = clock()
        await aupdate_progress_artifact(artifact, progress=100.0 * done / of)

    return move


async def publish(inspection: Inspection, found: Sequence[SystemReport], *, tell: bool) -> State[Any]:
    """Keep, show and tell what was found; then, and only then, return the state that the verdict asks for."""

    def make() -> faces.OfReport:
        report = inspection.report(found, scheduled=slot(), run_url=flow_run.ui_url)
        return faces.OfReport(report, inspection.platform)

    async def draw(made: faces.OfReport) -> faces.OfReport:
        drawn = await _outcome(draw_chart(made.report, return_state=True)) if made.report.problems else None
        return made.with_chart(drawn) if isinstance(drawn, bytes) else made

    return await _publish(inspection, make, draw, tell=tell)


async def publish_digest(closing: Closing, evening: Evening, *, tell: bool) -> State[Any]:
    """Keep, show and tell a platform's day; then, and only then, return the state that the verdict asks for."""

    def make() -> faces.OfDigest:
        return faces.OfDigest(closing.digest(evening, scheduled=slot(), run_url=flow_run.ui_url), closing.platform)

    return await _publish(closing.inspection, make, _as_it_is, tell=tell)


async def publish_bulletin(
    run: Run, make: Callable[[], faces.OfBulletin], *, tell: bool, status: bool = True
) -> State[Any]:
    """Keep, show and tell what says itself in a bulletin; then return the state that its verdict asks for.

    Args:
        run: Whose result it is.
        make: Makes it; called anew where it could not be kept, so that it says so.
        tell: Tell the platform's channel in Slack.
        status: Write the platform's status page anew; what is of all platforms has none.
    """
    return await _publish(run, make, _as_it_is, tell=tell, show=status)


async def _publish(
    inspection: Run,
    make: Callable[[], AnyFaces],
    draw: Callable[[AnyFaces], Awaitable[AnyFaces]],
    *,
    tell: bool,
    show: bool = True,
) -> State[Any]:
    """Publish what `make` makes; where it cannot be kept, it is made anew and says so."""
    made = make()
    kept = await _outcome(store_report(inspection, made, return_state=True))
    if isinstance(kept, Exception):
        inspection.trouble("report_store", kept, Outcome.WARNED)
        made = make()
    seal = await _outcome(append_evidence(inspection, made, return_state=True))
    if isinstance(seal, Exception):
        inspection.trouble("evidence_ledger", seal, Outcome.WARNED)
        made, seal = make(), ""
        if not isinstance(kept, Exception):
            kept = await _outcome(store_report(inspection, made, return_state=True))
    made = await draw(made)
    await _outcome(publish_artifacts(made, return_state=True))
    telling: Any = tell_slack(inspection, made, seal, return_state=True) if tell else None
    told = await telling if tell else None
    if show and not isinstance(kept, Exception):
        await _outcome(write_status(inspection, return_state=True))
    return final_state(made, told)


async def _as_it_is(made: AnyFaces) -> AnyFaces:
    return made


async def _outcome(running: Any) -> Any:
    """Await a task's state and return its result, or the exception that it ended with."""
    state: State[Any] = await running
    return await state.aresult(raise_on_failure=False)


def final_state(made: faces.Faces, told: State[Any] | None = None) -> State[Any]:
    """Return the run's state: failed where the verdict is failed or unknown; a warning is completed, and says so."""
    untold = told is not None and (told.is_failed() or told.name == _PENDING)
    message, verdict = made.headline, made.verdict
    if untold and told is not None:
        message += f" (Slack was not told yet: {told.message})"
    if verdict in (Verdict.FAILED, Verdict.UNKNOWN):
        return Failed(message=message)
    if verdict is Verdict.WARNED or untold:
        return Completed(name="Warned", message=message)
    return Completed(message=message)


async def _transient(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(await state.aresult(raise_on_failure=False), TransientError)


@task(name="store-report", cache_policy=NO_CACHE, retries=1, retry_delay_seconds=1, retry_condition_fn=_transient)
async def store_report(inspection: Run, made: faces.Faces) -> str:
    """Keep a report or a digest and return where its HTML is found.

    Raises:
        WatchkeeperError: The store refuses, or does not answer twice.
    """
    beside = {file.name: file.data for file in made.files if file.name.endswith(".csv")}
    where = await asyncio.to_thread(report_store(inspection.settings).save, made.kept, made.page(), beside)
    get_run_logger().info("the report is kept in %s", where)
    return where


@task(name="append-evidence", cache_policy=NO_CACHE)
async def append_evidence(inspection: Run, made: faces.Faces) -> str:
    """Add a report or a digest to the ledger of evidence and return the ledger's head, for who is told.

    Raises:
        WatchkeeperError: The store refuses, or does not answer.
    """
    head = await asyncio.to_thread(
        evidence.record,
        made,
        inspection.platform,
        inspection.access,
        inspection.settings,
        flow_run.ui_url or f"run {flow_run.id}",
    )
    get_run_logger().info("it is record %s of the evidence, with the hash %s", *head)
    try:
        await asyncio.to_thread(evidence.stamp, head, inspection.settings)
    except WatchkeeperError as error:
        get_run_logger().warning("it has no time stamp, the next one covers it: %s", error)
    return f"{head.sequence}:{head.sha256[:16]}"


@task(name="write-status-page", cache_policy=NO_CACHE)
async def write_status(inspection: Run) -> str:
    """Write the platform's status page and badge anew, beside the reports, and return where the page is found.

    Raises:
        WatchkeeperError: The store refuses, or does not answer.
    """
    return await asyncio.to_thread(
        status.write_beside, inspection.settings, inspection.platform, inspection.access.now()
    )


@task(name="draw-chart", cache_policy=NO_CACHE)
async def draw_chart(report: Report) -> bytes | None:
    """Return the report's chart as PNG, or None where there is nothing to draw."""
    return await asyncio.to_thread(charts.overview, report)


@task(name="publish-artifacts", cache_policy=NO_CACHE, retries=1, retry_delay_seconds=1)
async def publish_artifacts(made: faces.Faces) -> None:
    """Show a report or a digest in the Prefect UI, under keys that keep its history."""
    key = markdown.artifact_key(made.kept.platform, made.kept.flow)
    await acreate_markdown_artifact(made.markdown(), key=key, description=made.headline)
    await acreate_table_artifact(made.rows(), key=f"{key}-{made.rows_are}", description=made.headline)


@task(name="tell-slack", cache_policy=NO_CACHE)
async def tell_slack(inspection: Run, made: faces.Faces, seal: str = "") -> State[Any]:
    """Put the report in the outbox and flush it.

    Args:
        inspection: Whose report it is.
        made: What is told.
        seal: The head of the ledger of evidence: told outside, it proves later that nothing was cut off.

    Returns:
        Completed; `Pending` where Slack is down and the report waits; failed where a person must mend something.
    """
    channel = inspection.platform.slack.channel
    if not channel:
        return Failed(message="the spec names no channel, and WATCHKEEPER_SLACK_CHANNEL is not set")
    try:
        messenger = open_messenger(inspection.settings, inspection.access)
        if messenger is None:
            return Completed(name="Skipped", message="Slack is not set up: WATCHKEEPER_SLACK_TOKEN names no token")
        parcel = _parcel(made, channel, seal)
        return _state_of(await asyncio.to_thread(_deliver, inspection, parcel, messenger), made.kept.id)
    except WatchkeeperError as error:
        return Failed(message=str(error))


async def deliver() -> State[Any]:
    """Flush the outbox and return a state of the run's own; a task's state would be summed up by Prefect."""
    flushing: Any = flush_outbox(return_state=True)
    state: State[Any] = await flushing
    return State(type=state.type, name=state.name, message=state.message)


@task(name="flush-outbox", cache_policy=NO_CACHE)
async def flush_outbox() -> State[Any]:
    """Tell what is still pending; failed where a person must mend something."""
    settings = Settings()
    access = platforms.access(settings)
    messenger = open_messenger(settings, access)
    if messenger is None:
        return Completed(name="Skipped", message="Slack is not set up: WATCHKEEPER_SLACK_TOKEN names no token")
    outbox = Outbox(store_beside_reports(settings, "outbox"), now=access.now)
    return _state_of(await asyncio.to_thread(outbox.flush, messenger))


def open_messenger(settings: Settings, access: Access) -> Messenger | None:
    """Return the way to Slack: the bot, else the webhook, else None.

    A run against the lab never tells the real Slack: there the lab's own address must be set.

    Raises:
        ConfigError: A setting names nothing.
    """
    if settings.lab is not None and settings.slack_url is None:
        return None
    if settings.slack_token:
        return Bot(access.resolver.resolve(platforms.reference(settings.slack_token)), settings.slack_url)
    if settings.slack_webhook:
        return Webhook(access.resolver.resolve(platforms.reference(settings.slack_webhook)))
    return None


def _deliver(inspection: Run, parcel: Parcel, messenger: Messenger) -> Delivery:
    """Tell through the outbox; where that cannot be written, tell at once and without a net."""
    now = inspection.access.now
    outbox = Outbox(store_beside_reports(inspection.settings, "outbox"), now=now)
    try:
        outbox.put(parcel)
    except WatchkeeperError as error:
        get_run_logger().warning("the outbox cannot be written, the report is told without it: %s", error)
        outbox = Outbox(MemoryStore(), now=now)
        outbox.put(parcel)
    return outbox.flush(messenger)


def _state_of(delivery: Delivery, report: str | None = None) -> State[Any]:
    log = get_run_logger()
    for note in delivery.notes:
        log.warning("%s", note)
    for held in delivery.held:
        log.log(logging.ERROR if held.alarming else logging.WARNING, "%s is not told yet: %s", held.id, held.reason)
    held_back = [held for held in delivery.held if report in (None, held.id)]
    told = f"{wording.plural(len(delivery.sent), 'report')} told"
    if not held_back:
        return Completed(message=told)
    message = "; ".join(dict.fromkeys(held.reason for held in held_back))
    if any(held.alarming for held in held_back):
        return Failed(message=message)
    return Completed(name=_PENDING, message=message)


def _parcel(made: faces.Faces, channel: str, seal: str = "") -> Parcel:
    return Parcel(
        id=made.kept.id,
        channel=channel,
        created=made.kept.finished,
        summary=_message(slack.sealed(made.summary(), seal)),
        details=tuple(_message(page) for page in made.details()),
        files=tuple(Attachment(name=one.name, title=one.title, data=base64.b64encode(one.data)) for one in made.files),
    )


def _message(message: slack.SlackMessage) -> Message:
    return Message(text=message.text, blocks=tuple(message.blocks))
