"""The digest of a day with seeded faults, on the lab's real servers; what the flow does, without Prefect."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.days import Closing, measure, measure_evening
from tasks.inspections import Inspection, report_store
from tasks.status import standing_of

pytestmark = pytest.mark.lab
SPEED = {"latency", "query_time"}
"""How fast this machine is just now, which is not what is tested."""


async def look(settings, at, *systems):
    """Check systems of the lab as if it were then, and keep the report as the flow does."""
    inspection = Inspection.open("health-check", "synesthesia", systems, settings)
    inspection.started, inspection.access = at, replace(inspection.access, now=lambda: at, pause=None)
    report_store(settings).save(inspection.report(await measure(inspection)), "")


async def close(settings):
    closing = Closing.open("synesthesia", settings)
    return closing, closing.digest(await measure_evening(closing))


async def test_a_day_with_seeded_faults_tells_what_is_new_what_lasts_and_what_is_over(lab, tmp_path):
    settings, now = Settings(state=tmp_path, lab=lab.state, confirm=False), datetime.now(UTC)
    lab.break_("synesthesia/cache", "stopped")
    lab.break_("synesthesia/messages", "stopped")
    await look(settings, now - timedelta(days=2), "cache", "messages")
    lab.mend("synesthesia/messages")
    await look(settings, now - timedelta(hours=9))
    lab.break_("synesthesia/metrics", "business")
    closing, digest = await close(settings)
    told = {
        group: [story.finding.key for story in getattr(digest, group) if story.finding.measurement not in SPEED]
        for group in ("new", "persisting", "resolved", "unseen")
    }
    assert told["persisting"] == ["cache/reachable"]
    assert next(story for story in digest.persisting if story.finding.key == "cache/reachable").days == 2
    skewed = "metrics/clock_skew"  # as the test's clock was set back
    assert {*told["resolved"]} - {skewed} == {"messages/reachable"}
    assert "metrics/pack_success" in told["new"]
    assert (told["unseen"], digest.missed, digest.verdict) == ([], (), Verdict.FAILED)
    business = {row.measurement: row for row in digest.business}
    assert set(business) == {"pack_rate", "pack_success", "pack_time", "satisfaction"}
    success = business["pack_success"]
    assert success.now < 0.95 < min(success.yesterday, success.last_week)
    assert all(row.last_week is not None for row in digest.business)
    backups = {row.measurement: row.outcome for row in digest.backups}
    assert backups["newest_object"] is Outcome.PASSED
    assert backups["backup_age"] in (Outcome.PASSED, Outcome.NOT_CHECKED)  # whether an earlier test backed it up
    silenced = {story.finding.system for story in digest.silenced if story.finding.measurement not in SPEED}
    assert silenced == {"api"}  # it depends on the cache
    standing = standing_of(closing.platform, settings, now)
    loud = {one.name: one.loud for one in standing.systems if one.outcome is Outcome.FAILED}
    assert loud.items() >= {"api": False, "cache": True}.items()
    assert [name for name, is_loud in loud.items() if is_loud] == ["cache"]
