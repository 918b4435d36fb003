"""How a report is said: every renderer takes its words from here, so that all say the same.

Texts are plain: control characters and text-direction overrides are gone, but each renderer must still escape them
for its own format. Times are in the report's time zone, with the zone's name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from tasks.core.limits import REACHABLE
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport, Verdict
from tasks.core.results import Finding, Outcome
from tasks.core.units import Unit, format_duration

LATE = timedelta(minutes=5)
"""A run that starts so long after its slot says so; a worker takes some seconds to pick one up."""

ICONS = {
    Outcome.FAILED: "❌",
    Outcome.ERRORED: "❓",
    Outcome.WARNED: "⚠️",
    Outcome.NOT_CHECKED: "⬜",
    Outcome.SKIPPED: "⏭️",
    Outcome.PASSED: "✅",
}
OUTCOMES = {outcome: outcome.value for outcome in Outcome} | {Outcome.ERRORED: "could not tell"}
WORST = {
    Verdict.FAILED: Outcome.FAILED,
    Verdict.UNKNOWN: Outcome.ERRORED,
    Verdict.WARNED: Outcome.WARNED,
    Verdict.PASSED: Outcome.PASSED,
}
ALL_GREEN = "all green"
_WHOLE_SYSTEM = "check"
_BROKEN = (Outcome.FAILED, Outcome.WARNED)
_AS_EXPECTED = " as expected"
_SHORT = 80
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:@%/?&=#~+,;!$*_-]{1,1000}")
_FEW = 3


class Published(Protocol):
    """What is told of one platform at one time: a report, a digest."""

    @property
    def title(self) -> str:
        """What people call the platform."""
        ...

    @property
    def environment(self) -> str:
        """`production` or `lab`."""
        ...

    @property
    def timezone(self) -> str:
        """IANA time zone for what people read."""
        ...

    @property
    def scheduled(self) -> datetime | None:
        """When it should have been begun, if it was scheduled."""
        ...

    @property
    def started(self) -> datetime:
        """When it was begun."""
        ...

    @property
    def finished(self) -> datetime:
        """When it was made."""
        ...

    @property
    def verdict(self) -> Verdict:
        """What all of it says."""
        ...


def plain(text: str, limit: int | None = None) -> str:
    """Return a text on one line without control signs or direction overrides, cut to a number of characters."""
    spaced = " ".join(_TERMINAL_CODE.sub("", text).split())
    kept = spaced if spaced.isprintable() else "".join(filter(_is_plain, spaced))
    return kept if limit is None or len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def _is_plain(sign: str) -> bool:
    return unicodedata.category(sign) not in ("Cc", "Cs") and sign not in _OVERRIDES


def web_address(text: str) -> str:
    """Return the text if all of it is one web address that is safe inside any markup, or nothing."""
    return text if _WEB_ADDRESS.fullmatch(text) else ""


def plural(number: int, noun: str) -> str:
    """Count a noun: `1 check`, `2 checks`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(words: Iterable[str], few: int = _FEW) -> str:
    """Join words with commas; beyond a few, say how many more."""
    everything = list(words)
    shown, more = everything[:few], len(everything) - few
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def zone_name(at: datetime) -> str:
    """Name an aware local time's zone: `CET`, or `Asia/Almaty` where the zone's own name is only a number."""
    name = at.tzname() or "UTC"
    return name if name[0].isalpha() else str(at.tzinfo)


def clock(at: datetime, zone: ZoneInfo) -> str:
    """Write a time of day: `09:00 CET`."""
    local = at.astimezone(zone)
    return f"{local:%H:%M} {zone_name(local)}"


def moment(at: datetime, zone: ZoneInfo) -> str:
    """Write a date and time: `Sun 22 Nov 2026, 09:00 CET`."""
    local = at.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M} {zone_name(local)}"


def day_and_time(at: datetime, report: Published) -> str:
    """Write a moment as seen from the report: `today 08:10`, `yesterday 09:00`, `Fri 20 Nov 09:00`."""
    zone = ZoneInfo(report.timezone)
    local, now = at.astimezone(zone), report.finished.astimezone(zone)
    days = (now.date() - local.date()).days
    if days in (0, 1):
        return f"{'yesterday' if days else 'today'} {clock(at, zone)}"
    year = "" if local.year == now.year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year} {clock(at, zone)}"


def name_of(report: Published) -> str:
    """Name the platform; a report on the embedded lab is always marked."""
    return f"[LAB] {plain(report.title, 80)}" if report.environment == "lab" else plain(report.title, 80)


def verdict_word(report: Report) -> str:
    """Say the verdict in a word or three."""
    counts = report.counts
    if report.verdict is Verdict.UNKNOWN and not counts[Outcome.ERRORED]:
        return "nothing was checked"
    if report.verdict is Verdict.PASSED:
        return "passed" if unchecked(report) else ALL_GREEN
    if report.verdict is Verdict.WARNED and not report.loud:
        return "all problems silenced"
    return {Verdict.FAILED: "failed", Verdict.UNKNOWN: "could not tell", Verdict.WARNED: "warnings"}[report.verdict]


def verdict_icon(report: Published) -> str:
    """Return the sign of the verdict; it differs in shape, not only in colour."""
    return ICONS[WORST[report.verdict]]


def counted(report: Report) -> str:
    """Say how many findings had each outcome, worst first: `2 failed, 1 could not tell, 37 passed`."""
    counts = report.counts
    parts = [f"{counts[outcome]:,} {OUTCOMES[outcome]}" for outcome in Outcome if counts[outcome]]
    return ", ".join(parts) or "no findings"


def scope(report: Report) -> str:
    """Say how much was looked at: `43 checks on 7 systems`."""
    checks = sum(report.counts[outcome] for outcome in Outcome if outcome.is_problem or outcome is Outcome.PASSED)
    return f"{plural(checks, 'check')} on {plural(len(report.systems), 'system')}"


def verdict_line(report: Report) -> str:
    """Say platform, verdict and numbers in a line."""
    return f"{verdict_icon(report)} {name_of(report)}: {verdict_word(report)}"


def headline(report: Report, platform: PlatformSpec | None = None) -> str:
    """Say platform, verdict and the worst thing in one line, for a notification on a locked phone."""
    line = verdict_line(report)
    problems = ranked(report.loud, platform)
    if not problems:
        return f"{line} ({scope(report) if report.verdict is Verdict.PASSED else counted(report)})"
    worst, others = problems[0], problems[1:]
    severity = f"{worst.severity} " if worst.severity else ""
    against = versus(worst)
    said = f"{brief(worst)} ({against})" if against else in_short(worst)
    already = said.startswith(verdict_word(report))
    line = f"{verdict_icon(report)} {name_of(report)}: {severity}{said}" if already else f"{line} · {severity}{said}"
    numbers = [
        f"{number:,} {OUTCOMES[outcome]}"
        for outcome in Outcome
        if (number := sum(finding.outcome is outcome for finding in others))
    ]
    return f"{line} · also {', '.join(numbers)}" if numbers else line


def ranked(findings: Iterable[Finding], platform: PlatformSpec | None = None) -> list[Finding]:
    """Sort findings worst first: by outcome, then by the platform's severities, then as they come.

    What broke comes before what depends on it: a cause is as urgent as the most urgent of its consequences. Those of
    which nobody is notified come last.
    """
    found = list(findings)
    order = {name: rank for rank, name in enumerate(platform.severities)} if platform else {}
    own = {id(finding): order.get(finding.severity or "", len(order)) for finding in found}
    causes = {id(finding): causes for finding, causes in zip(found, _causes(found, platform), strict=True)}
    borne: dict[str, int] = {}
    for finding in found:
        for cause in causes[id(finding)]:
            borne[cause] = min(own[id(finding)], borne.get(cause, len(order)))

    def place(finding: Finding) -> tuple[bool, int, int, bool, int]:
        severity, symptom = own[id(finding)], bool(causes[id(finding)])
        urgency = severity if symptom else min(severity, borne.get(finding.system, len(order)))
        return finding.quiet is not None, finding.outcome.rank, urgency, symptom, severity

    return sorted(found, key=place)


def _causes(findings: Iterable[Finding], platform: PlatformSpec | None) -> Iterator[list[str]]:
    """Yield for each finding the systems that are as bad, and that the finding's system cannot work without."""
    found = list(findings)
    broken = {outcome: {finding.system for finding in found if finding.outcome is outcome} for outcome in _BROKEN}
    for finding in found:
        bad = broken.get(finding.outcome, set())
        needed = platform.needed(finding.system) if bad and platform is not None else set()
        yield sorted(bad & needed)


def silence(finding: Finding, report: Report) -> str:
    """Say why nobody is notified of a problem, and until when; nothing where people are."""
    if finding.quiet is None:
        return ""
    until = f", until {day_and_time(finding.quiet.until, report)}" if finding.quiet.until else ""
    return plain(f"{finding.quiet.text}{until}", 300)


def because(finding: Finding, report: Report, platform: PlatformSpec | None) -> str:
    """Say why a problem is silenced, or name what it depends on: `depends on cache, which failed too`."""
    if finding.quiet is not None:
        return f"silenced: {silence(finding, report)}"
    alike = [finding, *(other for other in report.problems if other.outcome is finding.outcome)]
    causes = next(_causes(alike, platform))
    return f"depends on {listed(causes)}, which {OUTCOMES[finding.outcome]} too" if causes else ""


def topic(finding: Finding) -> str:
    """Name what a finding is about: `api /health latency`, or the system alone where it is about all of it."""
    return plain(finding.system if finding.measurement == _WHOLE_SYSTEM else finding.label, 120)


def aspect(finding: Finding) -> str:
    """Name what a finding is about within its system: `/health latency`."""
    if finding.measurement == _WHOLE_SYSTEM:
        return "the whole check"
    return plain(f"{finding.subject} {finding.measurement.replace('_', ' ')}".strip(), 120)


def statement(finding: Finding, *, note: int = 300) -> str:
    """Say a finding in a sentence with its note, cut to so many characters, and without its limit."""
    said, reason = brief(finding), plain(finding.note, note)
    if not reason:
        return said
    return f"{said} ({reason})" if ": " in said else f"{said}: {reason}"


def in_short(finding: Finding, *, note: int = _SHORT) -> str:
    """Say a finding in a headline: the first part of its note only, as what follows is what the system itself said."""
    return statement(finding.model_copy(update={"note": finding.note.partition("; ")[0]}), note=note)


def brief(finding: Finding) -> str:
    """Say a finding in a few words: `cache does not answer`, `could not tell database longest query`."""
    match finding.outcome:
        case Outcome.ERRORED:
            return f"could not tell {'about ' if finding.measurement == _WHOLE_SYSTEM else ''}{topic(finding)}"
        case Outcome.NOT_CHECKED | Outcome.SKIPPED:
            return f"{topic(finding)} {finding.outcome.value}"
    if finding.flapping and finding.outcome is Outcome.WARNED:
        return f"{topic(finding)} is flapping" + (f": {plain(finding.observed, 80)} now" if finding.observed else "")
    if finding.measurement == REACHABLE.name:
        part = plain(f"{finding.system} {finding.subject}".strip(), 120)
        return f"{part} answers" if finding.observed == "yes" else f"{part} does not answer"
    return _value(topic(finding), plain(finding.observed, 80), finding.unit)


def _value(subject: str, observed: str, unit: Unit | None) -> str:
    if unit is Unit.YES_NO and subject.endswith(_AS_EXPECTED):
        return f"{subject.removesuffix(_AS_EXPECTED)} is {'' if observed == 'yes' else 'not '}as expected"
    if unit is Unit.YES_NO:
        return f"{subject}: {observed}"
    return f"{subject} {observed}" if subject.endswith(" in") else f"{subject} is {observed}"


def problem(finding: Finding) -> str:
    """Name a problem without its number, as it reads in a list: `cache does not answer`, `api /health latency`."""
    if finding.flapping:
        return brief(finding.model_copy(update={"observed": ""}))
    told = finding.unit is Unit.YES_NO or finding.outcome is Outcome.ERRORED or finding.measurement == REACHABLE.name
    return brief(finding) if told else topic(finding)


def versus(finding: Finding) -> str:
    """Say the limit that a finding was held against, or nothing where a yes or no says it all."""
    if not finding.limit or finding.unit is Unit.YES_NO:
        return ""
    limit = plain(finding.limit, 120)
    undecided = finding.flapping or finding.outcome in (Outcome.PASSED, Outcome.ERRORED)
    return f"limit: {limit}" if undecided else f"{_verb(finding)} {limit}"


def _verb(finding: Finding) -> str:
    return "fails" if finding.outcome is Outcome.FAILED else "warns"


def since(finding: Finding, report: Report) -> str:
    """Say since when a problem has been there: `first seen now`, or `for 2 days, since Fri 20 Nov 09:00 CET`."""
    if finding.since is None or not finding.outcome.is_problem:
        return ""
    lasted = (finding.at - finding.since).total_seconds()
    if lasted < 1 or finding.since >= report.started:
        return "first seen now"
    return f"for {format_duration(round(lasted))}, since {day_and_time(finding.since, report)}"


def urgency(finding: Finding, platform: PlatformSpec | None) -> str:
    """Say the severity and how soon a person must respond: `P0, respond within 15 min`."""
    if finding.severity is None:
        return ""
    if platform is None or finding.severity not in platform.severities:
        return plain(finding.severity, 40)
    return f"{finding.severity}, respond {platform.response_time(finding.severity)}"


def escalation(platform: PlatformSpec | None) -> str:
    """Say who is called, in order, with a number or a handle where the spec has one."""
    if platform is None or not platform.escalation:
        return ""
    ways = {contact.role: contact.slack or contact.phone or contact.email for contact in platform.contacts}
    return ", then ".join(plain(f"{role} ({ways[role]})" if ways.get(role) else role) for role in platform.escalation)


def lateness(report: Published) -> str:
    """Say that a run began long after its slot, or nothing."""
    if report.scheduled is None or report.started - report.scheduled < LATE:
        return ""
    late = format_duration(round((report.started - report.scheduled).total_seconds()))
    zone = ZoneInfo(report.timezone)
    return f"Ran {late} late: due {moment(report.scheduled, zone)}, started {moment(report.started, zone)}"


def took(report: Published) -> str:
    """Say when the report was made and how long it took."""
    seconds = (report.finished - report.started).total_seconds()
    return f"{moment(report.finished, ZoneInfo(report.timezone))}, took {format_duration(seconds)}"


def since_last(report: Report) -> str:
    """Say what the report is compared with: `Since yesterday 09:00 CET`."""
    at = report.changes.previous_at
    return f"Since {day_and_time(at, report)}" if at else "Since the report before"


def changed(report: Report) -> list[tuple[str, tuple[Finding, ...]]]:
    """Return what changed, most urgent first: a few words and the findings that they are about."""
    changes = report.changes
    groups = [
        ("new", changes.new),
        ("resolved", changes.resolved),
        ("could not be looked at again", changes.unseen),
        ("still there", changes.persisting),
        ("silenced", changes.silenced),
    ]
    return [(words, findings) for words, findings in groups if findings]


def change_line(report: Report) -> str:
    """Say in one line what changed since the report before, and what is odd about that one."""
    note = plain(report.changes.note, 200) if report.changes.previous else ""
    return f"{_change_line(report)} ({note})" if note else _change_line(report)


def _change_line(report: Report) -> str:
    if report.changes.previous is None:
        return f"First report: {plain(report.changes.note, 200) or 'nothing to compare with'}"
    groups = changed(report)
    if not groups:
        return f"{since_last(report)}: nothing changed"
    if [words for words, _ in groups] == ["still there"]:
        return f"{since_last(report)}: nothing changed, {plural(len(groups[0][1]), 'problem')} still there"
    parts = [f"{len(found):,} {words} ({listed(problem(finding) for finding in found)})" for words, found in groups]
    return f"{since_last(report)}: {'; '.join(parts)}"


def unchecked(report: Report) -> list[tuple[str, list[str]]]:
    """Return what was not looked at: each reason with the things that it holds for."""
    reasons: dict[str, list[str]] = {}
    for finding in report.findings:
        if finding.outcome in (Outcome.NOT_CHECKED, Outcome.SKIPPED):
            skipped = "skipped: " if finding.outcome is Outcome.SKIPPED else ""
            reasons.setdefault(skipped + plain(finding.note or "no reason given", 200), []).append(topic(finding))
    silent = [system.name for system in report.systems if not system.findings]
    if silent:
        reasons.setdefault("nothing there has a limit to hold it against", []).extend(silent)
    return list(reasons.items())


def passed_only(system: SystemReport) -> int:
    """Return how many checks of a system passed, or 0 where it has a problem."""
    if any(finding.outcome.is_problem for finding in system.findings):
        return 0
    return sum(finding.outcome is Outcome.PASSED for finding in system.findings)


def green(report: Report) -> list[tuple[str, list[str], int]]:
    """Return the kinds with systems where all that was checked passed: kind, systems, passed checks."""
    groups: dict[str, tuple[list[str], int]] = {}
    for system in report.systems:
        if passed := passed_only(system):
            names, number = groups.get(system.kind, ([], 0))
            groups[system.kind] = ([*names, system.name], number + passed)
    return [(kind, names, number) for kind, (names, number) in groups.items()]
