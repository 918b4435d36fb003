"""The evening's digest on a real Prefect API: kept, shown and told, and then failed; days that lack something."""

from __future__ import annotations

import json

import pytest

from flows.evening_digest import evening_digest
from flows.health_check import health_check
from tests.flows.conftest import artifacts, write

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.usefixtures("prefect_api"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Prefect's own connections to its server
]


def kept(place):
    found = sorted((place / "state" / "reports" / "tiny" / "evening-digest").glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def told(slack):
    return [message["text"] for message in slack.messages("#tiny")]


@pytest.mark.usefixtures("tiny")
async def test_a_green_day_completes_and_is_kept_shown_and_told(place, slack):
    await health_check("tiny", tell=False, return_state=True)
    state = await evening_digest("tiny", return_state=True)
    assert (state.type.value, state.name) == ("COMPLETED", "Completed")
    (digest,) = kept(place)
    assert digest["verdict"] == "passed"
    assert [look["verdict"] for look in digest["looks"]] == ["passed"]
    (text,) = told(slack)
    assert "a green day" in text
    shown = await artifacts(state.state_details.flow_run_id)
    assert {"evening-digest-tiny", "evening-digest-tiny-problems"} <= set(shown)
    pages = place / "state" / "reports" / "status"
    assert "all is well" in (pages / "tiny.html").read_text(encoding="utf-8")
    assert "all is well" in (pages / "tiny.svg").read_text(encoding="utf-8")


@pytest.mark.usefixtures("tiny")
async def test_a_missing_morning_is_told_and_never_green(place, slack):
    state = await evening_digest("tiny", return_state=True)
    assert state.is_failed()
    assert "no check ran" in state.message
    (text,) = told(slack)
    assert "no check ran" in text
    assert kept(place)[0]["missed"] == ["api"]


async def test_a_broken_spec_is_told_in_the_evening_too(place, slack, spec):
    write(place, spec | {"systmes": {}})
    assert (await evening_digest("tiny", return_state=True)).is_failed()
    (text,) = told(slack)
    assert "could not tell watchkeeper spec" in text
    assert "tiny.yaml:" in kept(place)[0]["new"][0]["finding"]["note"]
