"""Acknowledging from the Prefect UI: the form's flow, and what the next check makes of it."""

from __future__ import annotations

import pytest

from flows.health_check import health_check
from flows.silence_problem import silence_problem
from tests.flows.conftest import reports

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_api", "tiny")]


async def test_an_acknowledged_problem_no_longer_fails_the_run_and_is_told_again_once_that_has_ended(place, service):
    service.status = 503
    assert (await health_check("tiny", return_state=True)).is_failed()
    state = silence_problem("tiny", "api", "kim", why="it is being restarted", return_state=True)
    assert (state.name, "acknowledged by kim: it is being restarted" in state.message) == ("Completed", True)
    after = await health_check("tiny", return_state=True)
    assert (after.type.value, after.name) == ("COMPLETED", "Warned")
    assert "all problems silenced" in after.message
    silenced = reports(place)[-1]["changes"]["silenced"]
    assert {finding["quiet"]["text"] for finding in silenced} == {"acknowledged by kim: it is being restarted"}
    assert silence_problem("tiny", "api", "kim", action="end", return_state=True).name == "Completed"
    assert (await health_check("tiny", return_state=True)).is_failed()


def test_what_names_nothing_fails_and_says_what_there_is(place):
    assert place
    state = silence_problem("tiny", "cache", "kim", action="snooze", return_state=True)
    assert state.is_failed()
    assert "there are api" in state.message
