"""Days as a platform's owner would meet them, from green to nobody looked; made from reports as the flow makes them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from tasks.core import platform as spec
from tasks.core.digest import BUDGET_LEFT, FLOW, Digest, Evening, make_digest
from tasks.core.history import Day, fold, uptime
from tasks.core.report import Report, SystemReport
from tasks.core.results import Finding, Measurement, Outcome, Quiet
from tasks.core.standing import Standing, stand
from tasks.core.system import SystemSpec
from tasks.core.units import Unit
from tests.golden.reports import NOW, answers, finding, hostile, report, silent, system
from tests.golden.reports import PLATFORM as BARE

EVENING = NOW.replace(hour=17)
"""Six in the evening in Prague, on the day whose morning the reports are of."""

BUSINESS = ("registrations", "try_on_success", "face_analysis_p95")


class Remembering(SystemSpec):
    """A Prometheus in all that the digest asks of one."""

    REMEMBERS = True


PLATFORM = BARE.model_copy(
    update={
        "digest": spec.Evening(
            business=tuple(f"metrics.{name}" for name in BUSINESS),
            objectives=("metrics.error_rate",),
            backups=("backups.newest_object",),
        ),
        "systems": {
            "api": SystemSpec(kind="http", title="Public API", depends_on=("cache",)),
            "cache": SystemSpec(kind="redis", title="Cache"),
            "database": SystemSpec(kind="postgres", title="PostgreSQL"),
            "backups": SystemSpec(kind="s3", title="Database backups"),
            "metrics": Remembering(kind="prometheus", title="Prometheus"),
        },
    }
)


def morning(*broken: Finding, back: int = 0, hour: int = 8, unchecked: tuple[Finding, ...] = (), **more: Any) -> Report:
    """Make the report of one morning: every system answers, but for what is said to be wrong."""
    at = (NOW - timedelta(days=back)).replace(hour=hour)
    kinds = {name: one.kind for name, one in PLATFORM.systems.items()}
    found = []
    for name, kind in kinds.items():
        wrong = [_seen_at(one, at) for one in (*broken, *unchecked) if one.system == name]
        up = [] if any(one.measurement == "reachable" for one in wrong) else [answers(name, at=at)]
        found.append(system(name, kind, *up, *wrong, title=PLATFORM.systems[name].title or name))
    more = {
        "id": f"apex-health-check-{at:%Y%m%dT%H%M%SZ}-1a2b3c",
        "started": at,
        "finished": at,
        "run_url": None,
    } | more
    return report(*found, **more)


def _seen_at(one: Finding, at: datetime) -> Finding:
    """Move a finding to a time; a problem that is new where it was made is new there."""
    return one.model_copy(update={"at": at, "since": at if one.since == one.at else one.since})


def figures(values: tuple[float, float, float], at: datetime, *, measured: bool = True) -> SystemReport:
    """Make what the Prometheus of the platform said at a time."""
    registrations, success, seconds = values
    readings = [
        Measurement(name="registrations", value=registrations, unit=Unit.COUNT, at=at),
        Measurement(name="try_on_success", value=success, unit=Unit.RATIO, at=at),
        Measurement(name="error_rate", value=0.0004, unit=Unit.RATIO, at=at),
        Measurement(name=BUDGET_LEFT, subject="error_rate", value=0.62, unit=Unit.RATIO, at=at),
    ]
    if measured:
        readings.append(Measurement(name="face_analysis_p95", value=seconds, unit=Unit.SECONDS, at=at))
    good = success >= 0.95
    limit = {"limit": "below 95%" if not good else "warn below 95%", "bound": 0.95, "worse": "below"}
    outcome = Outcome.PASSED if good else Outcome.WARNED
    errors = {"limit": "critical above 1%", "bound": 0.01, "worse": "above"}
    findings = [
        finding("metrics", "try_on_success", success, Unit.RATIO, outcome, at=at, **limit),
        finding("metrics", "error_rate", 0.0004, Unit.RATIO, at=at, **errors),
    ]
    if not measured:
        why = "the query answers no data"
        findings.append(finding("metrics", "face_analysis_p95", outcome=Outcome.NOT_CHECKED, note=why, at=at))
    return system("metrics", "prometheus", *findings, measurements=tuple(readings), title="Prometheus")


def backups(age: timedelta = timedelta(hours=15)) -> SystemReport:
    old = age > timedelta(hours=26)
    limit = {"limit": "above 26 h" if old else "warn above 26 h", "bound": 26 * 3600.0, "worse": "above"}
    outcome = Outcome.WARNED if old else Outcome.PASSED
    newest = finding("backups", "newest_object", age.total_seconds(), Unit.SECONDS, outcome, at=EVENING, **limit)
    return system("backups", "s3", newest, title="Database backups")


def digest(
    reports: list[Report],
    now: list[SystemReport],
    *,
    before: list[Report] | None = None,
    past: list[Day] | None = None,
    **more: Any,
) -> Digest:
    day = fold(EVENING.date(), len(reports), reports)
    measured = report(*now, id="evening", flow=FLOW, started=EVENING, finished=EVENING + timedelta(seconds=2))
    evening = Evening(
        now,
        [figures((310, 0.981, 1.2), EVENING - timedelta(days=1))],
        [figures((402, 0.979, 0.0), EVENING - timedelta(days=7), measured=False)],
    )
    values: dict[str, Any] = {
        "id": "apex-evening-digest-20261122T170000Z-1a2b3c",
        "started": EVENING,
        "finished": EVENING + timedelta(seconds=2),
        "run_url": "https://prefect.example.com/runs/flow-run/5f0d",
    }
    return make_digest(
        PLATFORM,
        day=EVENING.date(),
        since=EVENING - timedelta(days=1),
        before=before if before is not None else [morning(back=1)],
        reports=[*reports, measured],
        evening=evening,
        uptime=(day.systems, uptime([*(past or []), day])),
        **(values | more),
    )


def green() -> Digest:
    return digest([morning()], [figures((331, 0.982, 1.1), EVENING), backups()], past=days()[:29])


def _worn(since: datetime) -> Finding:
    remedy = "Take the oldest snapshots away, or grow the volume."
    return finding(
        "database", "disk_used", 0.84, Unit.RATIO, Outcome.WARNED, limit="above 80%", bound=0.8, worse="above",
        since=since, remedy=remedy,
    )  # fmt: skip


def _stuck(since: datetime) -> Finding:
    return finding(
        "database", "longest_query", 2640.0, Unit.SECONDS, Outcome.FAILED, limit="above 30 min", bound=1800.0,
        worse="above", since=since, note="select * from projects where owner = $1",
    )  # fmt: skip


def troubled() -> Digest:
    """A day with all that a digest tells: new, still there, resolved, came and went, unseen, not measured."""
    worn = _worn(NOW - timedelta(days=3))
    gone = finding("api", "latency", 0.7, Unit.SECONDS, Outcome.WARNED, subject="/ready", since=NOW - timedelta(days=2))
    stuck = _stuck(NOW - timedelta(days=1))
    well = finding("database", "longest_query", 3.0, Unit.SECONDS, limit="critical above 30 min")
    no_grant = finding("database", "slowest_query", outcome=Outcome.NOT_CHECKED, note="pg_stat_statements is not there")
    noon = morning(silent("cache"), worn, well, hour=11, unchecked=(no_grant,))
    late = morning(worn, well, hour=14, unchecked=(no_grant,))
    again = morning(silent("api", note="503 Service Unavailable"), worn, well, hour=16, unchecked=(no_grant,))
    return digest(
        [morning(stuck, worn), noon, late, again],
        [figures((188, 0.931, 0), EVENING, measured=False), backups(timedelta(hours=31))],
        before=[morning(stuck, worn, gone, back=1)],
        past=days()[:29],
        notes=("1 of the day's reports could not be read and were passed over",),
    )


def nobody_looked() -> Digest:
    return digest([], [figures((331, 0.982, 1.1), EVENING), backups()], before=[])


def bad_evening() -> Digest:
    """A green morning, and a Prometheus that does not answer in the evening."""
    return digest([morning()], [system("metrics", "prometheus", silent("metrics", at=EVENING)), backups()])


def storm() -> Digest:
    more = {"limit": "above 2 s", "note": "half of the requests took over a second & more", "remedy": "Scale it."}
    broken = [
        finding("api", "latency", 3.0 + number, Unit.SECONDS, Outcome.FAILED, subject=f"/v1/{number:03}", **more)
        for number in range(300)
    ]
    return digest([morning(*broken)], [figures((331, 0.982, 1.1), EVENING), backups()])


def unkind() -> Digest:
    made = digest([morning(*hostile().systems[0].findings)], [figures((331, 0.982, 1.1), EVENING)])
    notes = ("<script>alert('x')</script> \u202e *bold*",)
    return made.model_copy(update={"title": "SIGN <X> & `Studio`", "run_url": "javascript:alert(1)", "notes": notes})


def quiet() -> Digest:
    """A day in which all that is wrong was announced or acknowledged."""
    until = EVENING + timedelta(hours=8)
    announced = Quiet(why="maintenance", text="maintenance: moving the cache, until tomorrow 02:00", until=until)
    broken = silent("cache").model_copy(update={"quiet": announced})
    return digest([morning(broken)], [figures((331, 0.982, 1.1), EVENING), backups()])


DIGESTS = {
    "green": green,
    "troubled": troubled,
    "nobody-looked": nobody_looked,
    "bad-evening": bad_evening,
    "quiet": quiet,
    "storm": storm,
    "unkind": unkind,
}


def days() -> list[Day]:
    """Make ninety days: mostly well, some with trouble, a week in which nobody looked."""
    past = []
    for back in range(89, 0, -1):
        on = EVENING.date() - timedelta(days=back)
        if 40 <= back < 47:
            continue
        broken = [_stuck(NOW - timedelta(days=back))] if back in (3, 12, 13, 70) else []
        broken += [silent("cache")] if back == 13 else []
        warned = [_worn(NOW - timedelta(days=back))] if back % 11 == 0 else []
        past.append(fold(on, 1, [morning(*broken, *warned, back=back)]))
    return past


def standing(reports: list[Report] | None = None, **more: Any) -> Standing:
    """Make how the platform stands in the evening, after some reports."""
    given = [morning()] if reports is None else reports
    by_day: dict[date, Day] = {day.on: day for day in days()}
    today = [one for one in given if one.finished.date() == EVENING.date()]
    by_day |= {EVENING.date(): fold(EVENING.date(), len(today), today)} if today else {}
    values: dict[str, Any] = {"now": EVENING, "environment": "production"}
    return stand(PLATFORM, given, by_day, **(values | more))


def down() -> Standing:
    stuck = _stuck(NOW - timedelta(hours=30))
    before = morning(stuck, back=1)
    over = morning(finding("database", "longest_query", 3.0, Unit.SECONDS), previous=before, hour=9)
    now = morning(silent("cache"), _worn(NOW - timedelta(days=3)), hour=15)
    return standing([before, over, now])


STANDINGS = {
    "well": standing,
    "down": down,
    "stale": lambda: standing([morning(back=2)]),
    "never": lambda: stand(PLATFORM, (), {}, now=EVENING, environment="lab"),
    "unreadable": lambda: standing([], trouble="list: denied"),
}
