"""Reports as a platform's owner would meet them, from all green to hostile; the renderers' golden files show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.core.platform import Contact, DefaultSeverity, PlatformSpec, Severity, Slack
from tasks.core.report import Changes, Report, SystemReport, compare
from tasks.core.results import Finding, Measurement, Outcome, Quiet, Sample
from tasks.core.system import SystemSpec
from tasks.core.units import Unit, format_quantity

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)

PLATFORM = PlatformSpec(
    platform="apex",
    title="SIGN X Studio",
    timezone="Europe/Prague",
    slack=Slack(channel="#apex-oncall"),
    severities={
        "P0": Severity(means="service down, data loss", respond=timedelta(minutes=15), notify="immediately"),
        "P1": Severity(means="degraded, partial outage", respond=timedelta(hours=1), notify="on-call"),
        "P2": Severity(means="warnings", respond=timedelta(hours=4), outcome=Outcome.WARNED),
        "P3": Severity(means="minor", respond="next-day", outcome=Outcome.WARNED),
    },
    default_severity=DefaultSeverity(warn="P2", critical="P1"),
    contacts=(Contact(role="Primary on-call", slack="@apex-oncall"), Contact(role="Engineering lead")),
    escalation=("Primary on-call", "Engineering lead"),
    systems={"api": SystemSpec(kind="http")},
)


def finding(
    system: str,
    measurement: str,
    value: float | bool | None = None,  # noqa: FBT001
    unit: Unit | None = None,
    outcome: Outcome = Outcome.PASSED,
    **more: Any,
) -> Finding:
    more.setdefault("at", NOW)
    if outcome.is_problem:
        more.setdefault("severity", "P2" if outcome is Outcome.WARNED else "P1")
        more.setdefault("since", more["at"])
    if value is not None and unit is not None:
        more.setdefault("observed", format_quantity(value, unit))
        more.setdefault("value", float(value))
    return Finding(system=system, measurement=measurement, unit=unit, outcome=outcome, **more)


def system(
    name: str, kind: str, *findings: Finding, title: str = "", seconds: float = 0.2, **more: Any
) -> SystemReport:
    taken = tuple(
        Measurement(name=f.measurement, subject=f.subject, value=f.value, unit=f.unit, at=f.at, note=f.note)
        for f in findings
        if f.value is not None and f.unit is not None
    )
    measurements = more.pop("measurements", taken)
    return SystemReport(
        name=name, kind=kind, title=title or name, seconds=seconds, findings=findings, measurements=measurements, **more
    )


def report(*systems: SystemReport, previous: Report | None = None, **more: Any) -> Report:
    values: dict[str, Any] = {
        "id": "apex-health-check-20261122T080000Z-1a2b3c",
        "platform": "apex",
        "title": "SIGN X Studio",
        "timezone": "Europe/Prague",
        "flow": "health-check",
        "started": NOW - timedelta(seconds=4.2),
        "finished": NOW,
        "systems": systems,
        "changes": compare(systems, previous),
        "run_url": "https://prefect.example.com/runs/flow-run/5f0c",
    }
    return Report(**(values | more))


def answers(name: str, **more: Any) -> Finding:
    return finding(name, "reachable", value=True, unit=Unit.YES_NO, limit="critical when no", bound=0.0, **more)


def silent(name: str, **more: Any) -> Finding:
    more = {"note": "connection refused", "severity": "P0", "limit": "when no", "bound": 0.0} | more
    remedy = "See that it runs, that this host may reach it, and that the address in the spec is right."
    return finding(name, "reachable", False, Unit.YES_NO, Outcome.FAILED, remedy=remedy, **more)  # noqa: FBT003


def _green_systems() -> list[SystemReport]:
    above = {"worse": "above"}
    return [
        system(
            "api",
            "http",
            answers("api"),
            finding("api", "as_expected", True, Unit.YES_NO, subject="/health", limit="critical when no"),  # noqa: FBT003
            finding(
                "api",
                "latency",
                0.042,
                Unit.SECONDS,
                subject="/health",
                limit="warn above 500 ms, critical above 2 s",
                bound=0.5,
                **above,
            ),
            title="Public API",
        ),
        system(
            "certificate",
            "tls",
            finding(
                "certificate",
                "expires_in",
                62 * 86400.0,
                Unit.SECONDS,
                limit="warn below 30 days, critical below 7 days",
                bound=30 * 86400.0,
                worse="below",
            ),
            seconds=0.05,
        ),
        _database(0.41),
        system(
            "cache",
            "redis",
            answers("cache"),
            finding("cache", "memory_used", 0.62, Unit.RATIO, limit="warn above 80%", bound=0.8, **above),
            finding("cache", "hit_ratio", 0.97, Unit.RATIO, limit="warn below 80%", bound=0.8, worse="below"),
            title="Cache",
        ),
    ]


def _database(used: float, outcome: Outcome = Outcome.PASSED, **more: Any) -> SystemReport:
    limit = "above 80%" if outcome.is_problem else "warn above 80%, critical above 95%"
    connections = finding(
        "database", "connections_used", used, Unit.RATIO, outcome, limit=limit, bound=0.8, worse="above", **more
    )
    history = tuple(
        Sample(NOW - timedelta(minutes=5 * (24 - step)), used * (0.5 + step / 48) + (step % 5) / 100)
        for step in range(25)
    )
    readings = (
        Measurement(name="reachable", value=True, unit=Unit.YES_NO, at=NOW),
        Measurement(name="connections_used", value=used, unit=Unit.RATIO, at=NOW, series=history),
        Measurement(name="database_size", value=41.5 * 2**30, unit=Unit.BYTES, at=NOW),
        Measurement(name="largest_table", subject="public.projects", value=12.0 * 2**30, unit=Unit.BYTES, at=NOW),
    )
    return system(
        "database",
        "postgres",
        answers("database"),
        connections,
        title="PostgreSQL",
        seconds=1.9,
        measurements=readings,
    )


def all_green() -> Report:
    systems = _green_systems()
    return report(*systems, previous=report(*systems, id="before", finished=YESTERDAY))


def _before_two_failures() -> Report:
    stuck = finding(
        "database",
        "longest_query",
        900.0,
        Unit.SECONDS,
        Outcome.WARNED,
        at=YESTERDAY,
        limit="above 5 min",
        bound=300.0,
        worse="above",
    )
    worn = _worn(YESTERDAY)
    healed = finding("api", "latency", 0.7, Unit.SECONDS, Outcome.WARNED, at=YESTERDAY, subject="/health")
    gone = finding("api", "latency", 0.9, Unit.SECONDS, Outcome.WARNED, at=YESTERDAY, subject="/ready")
    return report(
        system("database", "postgres", stuck),
        system("certificate", "tls", worn),
        system("api", "http", healed, gone),
        id="before",
        finished=YESTERDAY,
    )


def _worn(at: datetime) -> Finding:
    return finding(
        "certificate",
        "expires_in",
        12 * 86400.0,
        Unit.SECONDS,
        Outcome.WARNED,
        at=at,
        since=NOW - timedelta(days=3, hours=2),
        limit="below 30 days",
        bound=30 * 86400.0,
        worse="below",
        remedy="https://wiki.example.com/certificates#renew",
    )


def two_failures() -> Report:
    api, _, _, _ = _green_systems()
    slow = finding(
        "database",
        "longest_query",
        2640.0,
        Unit.SECONDS,
        Outcome.FAILED,
        limit="above 30 min for 5 min",
        bound=1800.0,
        worse="above",
        since=NOW - timedelta(minutes=52),
        note="select * from projects where owner = $1 order by updated_at",
        remedy="Find it in pg_stat_activity, ask its owner, then pg_terminate_backend(pid).",
    )
    database = _database(0.86, Outcome.WARNED, since=NOW - timedelta(hours=5))
    systems = (
        api,
        system("certificate", "tls", _worn(NOW), title="Certificate of api.example.com"),
        database.model_copy(update={"findings": (*database.findings, slow)}),
        system("cache", "redis", silent("cache"), title="Cache", seconds=0.01),
        system("storage", "s3", finding("storage", "check", outcome=Outcome.ERRORED, note="Access Denied",
                                        remedy="grant s3:ListBucket to the key behind env APEX_S3_KEY")),
        system("search", "opensearch", _not_measured("search")),
        system("work", "queue", _not_measured("work")),
    )  # fmt: skip
    return report(*systems, previous=_before_two_failures())


def _not_measured(name: str) -> Finding:
    why = "this version of Watchkeeper does not measure such systems yet"
    return finding(name, "check", outcome=Outcome.NOT_CHECKED, note=why)


def all_errored() -> Report:
    why = "the environment variable {} is not set"
    systems = [
        system(name, kind, finding(name, "check", outcome=Outcome.ERRORED, note=why.format(variable),
                                   since=NOW - timedelta(days=3),
                                   remedy=f"export {variable}=..."))
        for name, kind, variable in (("api", "http", "APEX_API_URL"), ("database", "postgres", "APEX_DATABASE_URL"))
    ]  # fmt: skip
    return report(*systems, previous=report(*systems, id="before", finished=NOW - timedelta(days=3)))


def overflow() -> Report:
    failed = [
        finding(
            "api",
            "latency",
            3.0 + number / 100,
            Unit.SECONDS,
            Outcome.FAILED,
            subject=f"/v1/projects/{number:03}/assets",
            limit="above 2 s",
            bound=2.0,
            worse="above",
            note="a median of 5 requests, of which 2 took over a second & 1 was answered by a stale node",
            remedy="Look at the service's saturation first, then at the database's slowest query.",
        )
        for number in range(300)
    ]
    return report(system("api", "http", *failed, title="Public API"), run_url=None)


def hostile() -> Report:
    texts = [
        "<script>alert('x')</script><img src=x onerror=alert(1)> & <!channel> <https://evil.example|safe>",
        "```\nrm -rf /\n```\n# heading\n| a | b |\n\x1b[31mred\x1b[0m \x00 *bold* _italic_ ~gone~ [link](javascript:x)",
        "&<>" * 1667,
        "\u202eemosdnah\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 " + "👩‍🚀🔥 $x^2$ 漢字",
        "{{ 7 * 7 }} {% raw %} %s {0} [bold red]markup[/]",
    ]
    findings = [
        finding(
            "api",
            "as_expected",
            False,  # noqa: FBT003
            Unit.YES_NO,
            Outcome.FAILED,
            subject=text[:60],
            limit="when no",
            note=text,
            remedy=text,
        )
        for text in texts
    ]
    gap = finding("logs", "check", outcome=Outcome.NOT_CHECKED, note=texts[0])
    return report(
        system("api", "http", *findings, title="<b>API</b> & *friends*"),
        system("logs", "logs", gap),
        title="SIGN <X> & `Studio`",
        changes=Changes(previous="before", previous_at=YESTERDAY, new=tuple(findings), resolved=(findings[0],)),
        run_url="javascript:alert(1)",
    )


def _quiet(why: str, text: str, until: datetime | None = None) -> Quiet:
    return Quiet(why=why, text=text, until=until)  # type: ignore[arg-type]


def _hushed() -> list[SystemReport]:
    depends = _quiet("dependency", "depends on cache, which does not answer")
    upkeep = _quiet("maintenance", "maintenance: index upkeep", NOW + timedelta(hours=1))
    taken = _quiet("acknowledged", "acknowledged by kim: the disk is ordered", NOW + timedelta(days=2))
    bad = {"outcome": Outcome.FAILED, "since": YESTERDAY}
    return [
        system("api", "http", silent("api", quiet=depends)),
        system("work", "queue", finding("work", "check", None, None, Outcome.ERRORED, note="no answer", quiet=depends)),
        system("search", "opensearch", silent("search", quiet=upkeep, since=YESTERDAY)),
        system("disk", "host", finding("disk", "disk_used", 0.93, Unit.RATIO, subject="/data", quiet=taken, **bad)),
        system("certificate", "tls", answers("certificate")),
    ]


def cache_down() -> Report:
    """One thing that broke, one that flaps, and what nobody is notified of."""
    unsteady = {"flapping": True, "note": "flapping: a problem in 9 of the last 21 looks", "since": YESTERDAY}
    latency = finding(
        "web", "latency", 0.21, Unit.SECONDS, Outcome.WARNED, subject="/", limit="above 500 ms", **unsteady
    )
    cache = system("cache", "redis", silent("cache"), title="Cache")
    before = report(*_green_systems(), finished=YESTERDAY, started=YESTERDAY)
    return report(cache, system("web", "http", latency), *_hushed(), previous=before)


def all_silenced() -> Report:
    """Problems, and nobody is notified of any."""
    return report(*_hushed()[2:], previous=report(*_green_systems(), finished=YESTERDAY, started=YESTERDAY))


def nothing_checked() -> Report:
    return report(system("search", "opensearch", _not_measured("search")))


def first_on_the_lab() -> Report:
    systems = [*_green_systems(), system("work", "queue", _not_measured("work"))]
    return report(*systems, environment="lab", run_url=None)


def late() -> Report:
    due = NOW - timedelta(hours=2, minutes=13)
    return all_green().model_copy(update={"scheduled": due})


REPORTS = {
    "all-green": all_green,
    "two-failures": two_failures,
    "all-errored": all_errored,
    "overflow": overflow,
    "hostile": hostile,
    "cache-down": cache_down,
    "all-silenced": all_silenced,
    "nothing-checked": nothing_checked,
    "first-on-the-lab": first_on_the_lab,
    "late": late,
}
