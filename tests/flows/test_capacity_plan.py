"""The look ahead as a flow, over the sizes of backups in a real vault: kept, shown, told."""

import json

import pytest

from flows.capacity_plan import capacity_plan
from tests.flows.conftest import artifacts, write
from tests.flows.test_vaults import fill

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.usefixtures("prefect_api"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Prefect's own connections to its server
]


@pytest.fixture
def tiny(place, spec):
    spec["vaults"] = {"local": {"kind": "folder", "path": str(place / "vault"), "keep": {"last": 90}}}
    spec["encryption"] = "none"
    spec["systems"]["cache"] = {"kind": "redis", "url": {"env": "TINY_CACHE"}, "backup": {"to": ["local"]}}
    return write(place, spec)


@pytest.mark.usefixtures("tiny")
async def test_the_plan_is_kept_shown_and_told_and_its_run_completes_where_nothing_runs_out(place, slack):
    fill(place, 30)
    state = await capacity_plan("tiny", what_if=["retention=10d"], return_state=True)
    assert state.is_completed()
    (path,) = (place / "state" / "reports").glob("tiny/capacity-plan/*.json")
    plan = json.loads(path.read_text(encoding="utf-8"))
    assert plan["verdict"] == "passed"
    assert [one["key"].partition("[")[0] for one in plan["outlooks"]] == ["cache/stored", "cache/took"]
    (supposed,) = plan["supposed"]
    assert supposed["follows"][0].startswith("vault local: 1")
    folder = path.parent
    assert {file.name.partition(".")[2] for file in folder.iterdir()} == {"json", "html", "advice.csv", "forecasts.csv"}
    (message,) = slack.messages("#tiny")
    assert "Nothing reaches a bound within 90 days" in json.dumps(message)
    shown = await artifacts(state.state_details.flow_run_id)
    assert "Backups of cache in vault local" in shown["capacity-plan-tiny"]


@pytest.mark.usefixtures("tiny")
async def test_a_plan_without_any_history_fails_as_unknown():
    state = await capacity_plan("tiny", tell=False, return_state=True)
    assert state.is_failed()
    assert "nothing could be judged" in state.message.lower() or "No measurement" in state.message
