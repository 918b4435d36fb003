"""prefect.yaml against the code: Prefect itself deploys a flow that cannot even be imported."""

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import load_flow_from_entrypoint
from prefect.server.api import server
from prefect.server.schemas.schedules import RRuleSchedule

from tasks.platforms import load, platform_names, system_names

ROOT = Path(__file__).parents[2]
CONTENT = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
DEPLOYMENTS = {f"{entry['entrypoint']} {entry['name']}": entry for entry in CONTENT["deployments"]}
CHECKS = {entry["name"]: entry for entry in CONTENT["deployments"] if entry["entrypoint"].endswith(":health_check")}

DIGESTS = {entry["name"]: entry for entry in CONTENT["deployments"] if entry["entrypoint"].endswith(":evening_digest")}
BACKUPS = {entry["name"]: entry for entry in CONTENT["deployments"] if entry["entrypoint"].endswith(":backup")}
DRILLS = {entry["name"]: entry for entry in CONTENT["deployments"] if entry["entrypoint"].endswith(":dr_drill")}
VERIFICATIONS = {entry["name"]: entry for entry in CONTENT["deployments"] if "verify-backups" in entry["tags"]}


@pytest.fixture(params=DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def deployment(request):
    return request.param


def test_a_server_can_be_imported_with_the_packages_of_the_lock():
    assert callable(server.create_app)


def test_every_entrypoint_loads_and_takes_its_parameters(deployment, monkeypatch):
    monkeypatch.chdir(ROOT)
    flow = load_flow_from_entrypoint(deployment["entrypoint"])
    asked = dict.fromkeys(flow.parameters.required, "x") if not deployment["schedules"] else {}
    flow.validate_parameters(asked | deployment.get("parameters", {}))


def test_every_platform_has_its_morning_check_and_no_other_has_one():
    assert sorted(CHECKS) == platform_names()
    assert all(entry["parameters"] == {"platform": name} for name, entry in CHECKS.items())


@pytest.mark.parametrize("name", CHECKS)
def test_a_morning_check_runs_in_its_platforms_time_zone(name):
    (schedule,) = CHECKS[name]["schedules"]
    assert schedule["timezone"] == load(name).timezone


def test_every_platform_has_its_evening_digest_at_six_in_its_own_time_zone():
    assert sorted(DIGESTS) == platform_names()
    for name, entry in DIGESTS.items():
        (schedule,) = entry["schedules"]
        assert (schedule["cron"], schedule["timezone"]) == ("0 18 * * *", load(name).timezone)
        assert entry["parameters"] == {"platform": name}


def test_every_platform_with_something_to_back_up_is_backed_up_on_a_schedule_at_least_daily():
    protected = [name for name in platform_names() if load(name).protected]
    assert sorted(BACKUPS) == protected
    for name, entry in BACKUPS.items():
        assert entry["parameters"] == {"platform": name}
        assert all(schedule["cron"].split()[2:] == ["*", "*", "*"] for schedule in entry["schedules"])


def crons(deployment):
    return [schedule for schedule in deployment["schedules"] if "cron" in schedule]


def test_nothing_is_scheduled_at_an_hour_that_a_change_of_clocks_may_skip_or_double(deployment):
    for schedule in crons(deployment):
        if "*" not in schedule["cron"].split()[1] and schedule["timezone"] != "UTC":
            assert int(schedule["cron"].split()[1]) not in (1, 2)


def test_every_schedule_can_be_read(deployment):
    for schedule in crons(deployment):
        cron = CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
        assert cron.timezone == schedule["timezone"]


async def test_every_platform_is_drilled_on_the_second_wednesday_of_a_quarters_second_month_in_its_own_time_zone():
    assert sorted(DRILLS) == [name for name in platform_names() if load(name).protected]
    for name, entry in DRILLS.items():
        (schedule,) = entry["schedules"]
        rule = RRuleSchedule(rrule=schedule["rrule"], timezone=schedule["timezone"])
        times = await rule.get_dates(4, start=datetime(2026, 11, 26, tzinfo=UTC))
        local = [at.astimezone(ZoneInfo(load(name).timezone)) for at in times]
        assert [(at.month, at.day) for at in local] == [(2, 10), (5, 12), (8, 11), (11, 10)]
        assert all(8 <= at.hour <= 17 for at in local)
        assert entry["parameters"] == {"platform": name}


def test_every_platforms_backups_are_verified_each_week():
    assert sorted(VERIFICATIONS) == [name for name in platform_names() if load(name).protected]
    assert all(entry["schedules"][0]["cron"].endswith(" * * 6") for entry in VERIFICATIONS.values())


def test_all_share_one_pool_and_never_overlap_themselves(deployment):
    assert deployment["work_pool"]["name"] == "watchkeeper"
    looks = ("health-check", "evening-digest", "outbox")
    strategy = "CANCEL_NEW" if deployment["tags"][0] in looks else "ENQUEUE"
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": strategy}
    assert deployment["description"]
    assert deployment["tags"]


def test_the_form_offers_the_platforms_and_their_systems(monkeypatch):
    monkeypatch.chdir(ROOT)
    schema = load_flow_from_entrypoint("flows/health_check.py:health_check").parameters.model_dump()
    assert schema["properties"]["platform"]["enum"] == platform_names()
    assert schema["properties"]["systems"]["items"]["enum"] == system_names()
    assert all(field["title"] and field["description"] for field in schema["properties"].values())
    assert schema["required"] == ["platform"]


@pytest.mark.parametrize("name", ["restore_datastore", "verify_backups", "dr_drill"])
def test_a_form_that_reads_backups_offers_what_is_backed_up_and_takes_no_time_without_an_offset(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    fields = load_flow_from_entrypoint(f"flows/{name}.py:{name}").parameters.model_dump()["properties"]
    systems = fields["system"] if "system" in fields else fields["systems"]["items"]
    assert systems["enum"] == system_names(protected=True)
    assert set(systems["enum"]) < set(system_names())
    assert all(field["title"] and field["description"] for field in fields.values())
    if "at" in fields:
        takes = re.compile(fields["at"]["pattern"])
        assert takes.search("")
        assert takes.search("2026-11-26T08:30:00+05:00")
        assert takes.search("2026-11-26T08:30Z")
        assert not takes.search("2026-11-26T08:30:00")


def test_the_quarters_paper_is_made_some_days_after_the_last_drill():
    (entry,) = [one for one in CONTENT["deployments"] if one["entrypoint"].endswith(":dr_quarter")]
    (drilled,) = {one["schedules"][0]["rrule"].split("RRULE:")[1] for one in DRILLS.values()}
    (schedule,) = entry["schedules"]
    months, day = schedule["rrule"].split("RRULE:")[1].rsplit("BYDAY=", 1)
    assert (drilled, day) == (f"{months}BYDAY=2WE", "3TH")
