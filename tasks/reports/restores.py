"""What a restore and a round of verifications have to say, as bulletins."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from tasks.core.report import Verdict
from tasks.core.restore import Assertion
from tasks.core.restore_plan import PlannedRestore, RestorePlan, RestoreReport
from tasks.core.results import Outcome
from tasks.core.units import format_bytes
from tasks.core.verify_report import Verified, VerifyReport
from tasks.reports import bulletin_words as words
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part, Row, Table
from tasks.reports.drills import told

_RESTORE = {
    Verdict.FAILED: "did not come back well",
    Verdict.UNKNOWN: "could not be told",
    Verdict.WARNED: "came back, with something to read",
    Verdict.PASSED: "came back",
}
_VERIFY = {
    Verdict.FAILED: "backups that do not restore",
    Verdict.UNKNOWN: "not all is proven",
    Verdict.WARNED: "proven, with something to read",
    Verdict.PASSED: "every backup that was tried restores",
}


_PLAN = {
    Verdict.FAILED: "cannot be done here",
    Verdict.UNKNOWN: "could not be told",
    Verdict.WARNED: "can be done",
    Verdict.PASSED: "can be done",
}


def of_planned(report: PlannedRestore) -> Bulletin:
    """Return what a restore would do, whether it can be done here, and how it is done."""
    plan, zone = report.plan, ZoneInfo(report.timezone)
    bad = [one for one in report.checks if one.outcome is not Outcome.PASSED]
    shows = plan.until or plan.consistent_as_of
    sentence = (
        f"{plan.system} as of {shows.astimezone(zone):%Y-%m-%d %H:%M:%S %Z} into {plan.into}: nothing is done yet"
    )
    do = Line(text="run it again with `plan` switched off, or", code=_command(plan))
    parts = (
        Part(title="What is missing", lines=tuple(_lacking(one) for one in bad)),
        Part(title="What would be done", lines=tuple(of_plan(plan, zone))),
        Part(title="Whether it can be done here", table=_needs(report)),
        Part(title="To do it", lines=() if bad else (do,)),
    )
    what = f"plan to restore {plan.system}"
    return words.bulletin(report, what, word=_PLAN[report.verdict], sentence=sentence, parts=parts)


def _lacking(one: Assertion) -> Line:
    return Line(text=one.name, outcome=one.outcome, note=one.note or one.observed, remedy=one.expected)


def _needs(report: PlannedRestore) -> Table:
    rows = (Row(cells=(one.name, one.observed or one.note, one.expected), outcome=one.outcome) for one in report.checks)
    return Table(heads=("what is needed", "observed", "expected"), rows=tuple(rows), wraps=True)


def _command(plan: RestorePlan) -> str:
    words = ["watchkeeper", "restore", f"{plan.platform}/{plan.system}/{plan.backup}", "--into", plan.into]
    words += ["--at", plan.until.isoformat()] if plan.until else []
    words += ["--position", plan.position] if plan.position else []
    words += ["--latest"] if plan.latest else []
    for one in plan.only:
        words += ["--only", one]
    return shlex.join([*words, "--vault", plan.vault])


def of_plan(plan: RestorePlan, zone: ZoneInfo, *, is_done: bool = False) -> Iterator[Line]:
    """Yield what a restore will do; once it is done, not how the backup stood before."""
    shows = plan.consistent_as_of.astimezone(zone)
    size = f"{format_bytes(plan.plain_bytes)}, {format_bytes(plan.stored_bytes)} stored"
    yield Line(
        text="backup", facts=(plan.backup, f"{plan.method} of {plan.kind}", f"shows {shows:%Y-%m-%d %H:%M:%S %Z}")
    )
    yield Line(text="from", facts=(plan.vault, plan.location, size))
    wanted = [f"only {', '.join(plan.only)}"] if plan.only else []
    wanted += [f"to {plan.until.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"] if plan.until else []
    wanted += [f"to {plan.position}"] if plan.position else []
    wanted += ["as new as its log reaches"] if plan.latest else []
    yield Line(text="into", facts=(plan.into, *wanted))
    if plan.parents:
        yield Line(text="reads as well", facts=plan.parents)
    if is_done:
        return
    yield Line(text="last time", facts=tuple(_last_time(plan, zone)))
    proven = plan.verified.astimezone(zone) if plan.verified else None
    yield Line(text="proven", facts=(f"{proven:%Y-%m-%d %H:%M %Z}" if proven else "this very backup not yet",))


def _last_time(plan: RestorePlan, zone: ZoneInfo) -> Iterator[str]:
    if plan.last is None:
        yield f"no {plan.method} backup of {plan.system} was ever restored in whole"
        return
    yield told(plan.last.seconds)
    yield f"{format_bytes(plan.last.plain_bytes)} on {plan.last.at.astimezone(zone):%Y-%m-%d %H:%M %Z}"
    if plan.last.backup != plan.backup:
        yield f"of {plan.last.backup}"


def of_restore(report: RestoreReport) -> Bulletin:
    """Return all that a restore has to say."""
    zone = ZoneInfo(report.timezone)
    bad = [one for one in report.assertions if one.outcome.is_problem]
    newest = report.recovered_to.astimezone(zone) if report.recovered_to else None
    sentence = f"{report.plan.system} {_RESTORE[report.verdict]} in {told(report.seconds)}, in {report.plan.into}"
    sentence += f"; newest record {newest:%Y-%m-%d %H:%M:%S %Z}" if newest else ""
    failed = (
        [Line(text="the restore", outcome=report.outcome, note=report.error, remedy=report.hint)]
        if report.error
        else []
    )
    parts = (
        Part(title="What went wrong", lines=tuple(failed if report.error else ())),
        Part(title="What was done", lines=tuple(of_plan(report.plan, zone, is_done=True))),
        Part(title="What did not hold", lines=tuple(_assertion(one) for one in bad)),
        Part(title="Phases", table=_phases(report), aside=True),
        Part(title="Assertions", table=_table(report.assertions), aside=True),
        Part(title="To know", lines=tuple(Line(text=warning) for warning in report.warnings)),
    )
    held = sum(one.outcome is Outcome.PASSED for one in report.assertions)
    return words.bulletin(
        report,
        f"restore of {report.plan.system}",
        word=_RESTORE[report.verdict],
        sentence=sentence,
        facts=(f"{held} of {len(report.assertions)} assertions held",),
        parts=parts,
    )


def of_verifications(report: VerifyReport) -> Bulletin:
    """Return all that a round of verifications has to say."""
    zone = ZoneInfo(report.timezone)
    missing = (
        Line(text=system, outcome=Outcome.FAILED, note=why, remedy="watchkeeper backup takes one.")
        for system, why in report.missing.items()
    )
    rows = (
        Row(cells=(one.name, f"{backup.system} {backup.id}", f"L{one.level}", one.observed), outcome=one.outcome)
        for backup in report.backups
        if backup.verification is not None
        for one in backup.verification.assertions
    )
    parts = (
        Part(title="No backup", lines=tuple(missing)),
        Part(title="Backups", lines=tuple(_verified(one, zone) for one in report.backups)),
        Part(
            title="Assertions",
            table=Table(heads=("what must hold", "of", "level", "observed"), rows=tuple(rows), wraps=True),
            aside=True,
        ),
    )
    return words.bulletin(
        report,
        "verification of backups",
        word=_VERIFY[report.verdict],
        sentence=f"{report.restored} of {wording.plural(len(report.backups), 'backup')} restored and compared",
        warnings=report.notes,
        parts=parts,
    )


def _verified(one: Verified, zone: ZoneInfo) -> Line:
    found = one.verification
    held = sum(held.outcome is Outcome.PASSED for held in found.assertions) if found else 0
    facts = (
        f"{one.method} {one.id}",
        one.why,
        f"of {one.consistent_as_of.astimezone(zone):%Y-%m-%d %H:%M %Z}",
        f"level {found.level}" if found else "",
        told(found.seconds) if found else "",
        f"{held} of {len(found.assertions)} held" if found else "",
    )
    bad = [
        f"{one.name}: {one.observed or one.note}"
        for one in (found.assertions if found else ())
        if one.outcome.is_problem
    ]
    note = one.error or wording.listed(bad)
    return Line(
        text=one.system, outcome=one.outcome, facts=tuple(fact for fact in facts if fact), note=note, remedy=one.hint
    )


def _assertion(one: Assertion) -> Line:
    facts = (f"observed {one.observed}" if one.observed else "", f"expected {one.expected}" if one.expected else "")
    return Line(text=one.name, outcome=one.outcome, facts=tuple(fact for fact in facts if fact), note=one.note)


def _table(assertions: tuple[Assertion, ...]) -> Table:
    rows = (
        Row(cells=(one.name, f"L{one.level}", one.observed, one.expected), outcome=one.outcome)
        for one in sorted(assertions, key=lambda one: one.outcome.rank)
    )
    return Table(heads=("what must hold", "level", "observed", "expected"), rows=tuple(rows), wraps=True)


def _phases(report: RestoreReport) -> Table:
    spent: dict[str, float] = {}
    for phase in report.phases:
        spent[phase.phase.value] = spent.get(phase.phase.value, 0.0) + phase.seconds
    rows = (Row(cells=(name, told(seconds))) for name, seconds in spent.items())
    return Table(heads=("phase", "took"), rows=tuple(rows))
