"""How a platform's standing is said on its badge and on its status page. Plain texts, escaped by the renderers."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from tasks.core.freshness import EXPECTED_WITHIN
from tasks.core.history import Day
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.standing import Incident, Standing, State
from tasks.core.units import format_duration
from tasks.reports import wording

STALE = "stale"
NO_DATA = "no data"
WORDS = {
    Verdict.PASSED: "all is well",
    Verdict.WARNED: "warnings",
    Verdict.UNKNOWN: "could not tell",
    Verdict.FAILED: "problems",
}
_DAYS = {
    Verdict.PASSED: "all was well",
    Verdict.WARNED: "warnings",
    Verdict.UNKNOWN: "could not tell",
    Verdict.FAILED: "problems",
}
_STATES = {
    Outcome.PASSED: "well",
    Outcome.WARNED: "degraded",
    Outcome.FAILED: "failing",
    Outcome.ERRORED: "could not tell",
    Outcome.NOT_CHECKED: "not checked",
    Outcome.SKIPPED: "not checked",
}
LIMIT = f"{EXPECTED_WITHIN.total_seconds() / 3600:.0f} hours"


def name_of(standing: Standing) -> str:
    """Name the platform; the embedded lab is always marked."""
    title = wording.plain(standing.title, 60)
    return f"[LAB] {title}" if standing.environment == "lab" else title


def shown(standing: Standing) -> Verdict | None:
    """Return the verdict that may be shown: none where it is stale or there is none."""
    return None if standing.stale else standing.verdict


def verdict_word(standing: Standing) -> str:
    """Say the verdict, or that there is none that counts."""
    if standing.trouble:
        return "reports cannot be read"
    if standing.checked is None:
        return NO_DATA
    verdict = shown(standing)
    return STALE if verdict is None else WORDS[verdict]


def stale_word(standing: Standing) -> str:
    """Say what is said once the check is too old."""
    return verdict_word(standing) if standing.stale else STALE


def short(at: datetime, standing: Standing) -> str:
    """Write a moment shortly: `25 Nov 09:00 UTC`."""
    local = at.astimezone(ZoneInfo(standing.timezone))
    return f"{local.day} {local:%b %H:%M} {wording.zone_name(local)}"


def moment(at: datetime, standing: Standing) -> str:
    """Write a moment in full."""
    return wording.moment(at, ZoneInfo(standing.timezone))


def state_word(state: State) -> str:
    """Say how a system is."""
    if state.outcome is None:
        return "never looked at"
    if state.stale:
        return STALE
    partly = ", in part" if state.partly and state.outcome is Outcome.PASSED else ""
    return _STATES[state.outcome] + partly


def day_words(day: Day) -> str:
    """Say what one day was like."""
    date = f"{day.on.day} {day.on:%b %Y}"
    if day.verdict is None:
        unread = f" ({day.unreadable} unreadable)" if day.unreadable else ""
        return f"{date}: {NO_DATA}{unread}"
    return f"{date}: {_DAYS[day.verdict]}, {wording.plural(day.looks, 'check')}"


def incident(one: Incident, *, inside: bool) -> str:
    """Say an incident: the system's title and how it was, or for the inside what it was."""
    what = f"{wording.plain(one.title, 80)}: {_STATES[one.finding.outcome]}"
    return f"{what} – {wording.problem(one.finding)}" if inside else what  # noqa: RUF001 - an en dash


def lasted(one: Incident, standing: Standing) -> str:
    """Say from when to when."""
    if one.ended is None:
        return f"since {short(one.began, standing)}"
    seconds = max(0.0, round((one.ended - one.began).total_seconds()))
    return f"{short(one.began, standing)} to {short(one.ended, standing)}, {format_duration(seconds)}"


def uptime(standing: Standing) -> str:
    """Say how often the systems answered, or nothing."""
    seen = standing.uptime
    if seen.share is None:
        return ""
    text = f"{seen.share:.2%}"
    percent = "99.99%" if text == "100.00%" and seen.up < seen.looks else text.replace(".00%", "%")
    return f"Answered in {percent} of {seen.looks:,} looks"
