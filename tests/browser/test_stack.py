"""The whole stack as `watchkeeper up` starts it: a real server, worker, runner and scheduler."""

from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
import yaml

from deployments import stack
from tasks.platforms import load, platform_names
from tests.lab.waiting import eventually

pytestmark = pytest.mark.prefect
ROOT = Path(__file__).parents[2]


BEGAN = datetime.now(UTC)


@pytest.fixture(scope="module")
def api(up):
    with httpx.Client(base_url=up.api, timeout=20) as client:
        yield client


def test_every_process_is_ready(up):
    assert up.up
    assert dict(up.processes)["server"] == "ready"
    assert dict(up.processes)["worker"] == "ready"


def test_every_deployment_is_there_and_belongs_to_the_one_pool(api):
    found = api.post("/deployments/filter", json={}).json()
    wanted = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert {entry["name"] for entry in found} == {entry["name"] for entry in wanted}
    assert {entry["work_pool_name"] for entry in found} == {"watchkeeper"}


@pytest.mark.parametrize("platform", platform_names())
async def test_the_scheduler_has_put_the_next_morning_checks_on_the_calendar(api, platform):
    wanted = {
        "flows": {"name": {"any_": ["health-check"]}},
        "deployments": {"name": {"any_": [platform]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        "sort": "EXPECTED_START_TIME_ASC",
    }

    async def planned():
        return api.post("/flow_runs/filter", json=wanted).json()

    runs = await eventually(planned, timeout=90)
    at = datetime.fromisoformat(runs[0]["expected_start_time"]).astimezone(ZoneInfo(load(platform).timezone))
    assert runs[0]["auto_scheduled"]
    assert at.time() == time(9, 0)
    assert at > BEGAN  # and not later than now: at nine o'clock it becomes the next day's while this is read


def test_a_second_up_changes_nothing(up):
    assert stack.up(Path(up.state), lab=False).api == up.api
