"""Very much at once: alert storms and hundreds of systems, in every form of a report."""

from __future__ import annotations

from datetime import timedelta

import pytest

from deployments.lab.slack.limits import check_blocks
from tasks.core.report import Report, build_report, compare
from tasks.core.results import Outcome
from tasks.core.units import Unit
from tasks.reports import charts, html, markdown, slack
from tests.golden.reports import NOW, PLATFORM, finding, system

SYSTEMS = 500
FAILED, WARNED = 100, 200
LARGEST_PAGE = 2_000_000


def outcome(number: int) -> Outcome:
    if number % 5 == 0:
        return Outcome.FAILED
    return Outcome.WARNED if number % 5 in (1, 2) else Outcome.PASSED


def found(number: int, what: Outcome):
    bounds = {"limit": "above 2 s", "bound": 2.0, "worse": "above"}
    value = 1.0 if what is Outcome.PASSED else 3.0 + number / 100
    one = finding(f"api-{number:03}", "latency", value, Unit.SECONDS, what, subject="/health", **bounds)
    return system(f"api-{number:03}", "http", one)


def built(systems, previous: Report | None = None) -> Report:
    return build_report(
        PLATFORM,
        systems,
        flow="health-check",
        started=NOW,
        finished=NOW + timedelta(seconds=9),
        suffix="abc",
        previous=previous,
    )


@pytest.fixture(scope="module")
def storm() -> Report:
    quiet = built([found(number, Outcome.PASSED) for number in range(SYSTEMS)])
    return built([found(number, outcome(number)) for number in range(SYSTEMS)], quiet)


def test_slack_is_told_the_worst_first_how_many_there_are_and_no_more_than_it_takes(storm):
    message = slack.summary(storm, PLATFORM)
    for page in (message, *slack.details(storm, PLATFORM)):
        assert check_blocks(page.blocks) == []
        assert len(page.blocks) <= slack.MOST_BLOCKS
        assert slack.size(page.blocks) <= slack.MOST_CHARACTERS
    text = str(message.blocks)
    assert text.index("api-000") < text.index("api-005")
    assert "api-001" not in text, "a warning before a hundred failures"
    assert f"{FAILED} failed" in text
    assert f"{WARNED} warn" in text


def test_the_page_shows_every_system_and_stays_of_a_sane_size(storm):
    page = html.render(storm, PLATFORM)
    assert all(f"api-{number:03}" in page for number in range(SYSTEMS))
    assert len(page.encode()) < LARGEST_PAGE


def test_the_table_has_a_row_for_each_finding(storm):
    assert len(markdown.table(storm, PLATFORM)) == SYSTEMS


def test_the_chart_is_one_picture_of_a_size_that_slack_shows(storm):
    picture = charts.overview(storm)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < LARGEST_PAGE


def test_what_changed_is_counted_and_not_listed_without_end(storm):
    assert len(storm.changes.new) == FAILED + WARNED
    assert len(compare(storm.systems, storm).persisting) == FAILED + WARNED
    assert f"{FAILED + WARNED} new" in slack.summary(storm, PLATFORM).text + str(slack.summary(storm, PLATFORM).blocks)
