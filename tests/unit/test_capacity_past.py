"""The past of a platform out of its kept reports: sizes that have no bound, deploys and incidents."""

from datetime import UTC, datetime, timedelta

import yaml

from tasks.core.report import Changes, Report, SystemReport
from tasks.core.results import Finding, Measurement, Outcome
from tasks.core.settings import Settings
from tasks.core.units import Unit
from tasks.inspections import report_store
from tasks.looking_ahead import CapacityPlan

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
GIB = 2.0**30
SPEC = {
    "platform": "tiny",
    "title": "Tiny",
    "slack": {"channel": "#tiny"},
    "severities": {"P0": {"means": "down", "respond": "15m"}},
    "default_severity": {"warn": "P0", "critical": "P0"},
    "systems": {"database": {"kind": "postgres", "dsn": {"env": "TINY_DSN"}, "timeout": "5s"}},
}


def report(day):
    at = NOW - timedelta(days=day)
    size = Measurement(name="database_size", value=GIB * (100 - day), unit=Unit.BYTES, at=at)
    busy = Measurement(name="connections", value=5 + day % 2, unit=Unit.COUNT, at=at, subject="idle")
    new = Finding(system="database", measurement="reachable", outcome=Outcome.FAILED, severity="P0", at=at)
    return Report(
        id=f"tiny-health-check-{at:%Y%m%dT%H%M%SZ}-1",
        platform="tiny",
        title="Tiny",
        timezone="UTC",
        flow="health-check",
        started=at,
        finished=at,
        changes=Changes(new=(new,) if day == 9 else ()),
        systems=(
            SystemReport(name="database", kind="postgres", title="database", seconds=1.0, measurements=(size, busy)),
        ),
    )


async def test_sizes_without_a_bound_are_looked_ahead_and_incidents_are_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("TINY_DSN", "postgresql://nobody@127.0.0.1:1/none")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(SPEC), encoding="utf-8")
    settings = Settings(platforms=tmp_path, state=tmp_path / "state")
    for day in range(40, 0, -1):
        report_store(settings).save(report(day), "", {})
    plan = CapacityPlan.open("tiny", settings, horizon=timedelta(days=20))
    await plan.gather()
    plan.look()
    made = plan.report()
    (size,) = made.outlooks
    assert size.key == "database/database_size"
    assert size.outcome is Outcome.PASSED
    assert abs(size.ahead[-1].value - GIB * 119) < GIB
    assert [(one.kind, one.text) for one in made.happenings] == [("incident", "P0 database/reachable")]
