"""Slack's messages: within the documented limits, safe, and readable at 3 am."""

from __future__ import annotations

import html
import json
import re

import pytest

from deployments.lab.slack.limits import check_blocks
from tasks.core.results import Outcome
from tasks.reports import slack
from tests.golden import reports
from tests.golden.reports import PLATFORM, REPORTS

LINK = re.compile(r"<https?://[^<>|]+\|[^<>]+>")


def messages(report):
    return [slack.summary(report, PLATFORM), *slack.details(report, PLATFORM)]


def texts(blocks):
    for block in blocks:
        if "text" in block:
            yield block["text"]
        yield from (element for element in block.get("elements", []) if element["type"] == "mrkdwn")


def written(message):
    return "\n".join(text["text"] for text in texts(message.blocks))


@pytest.mark.parametrize("name", REPORTS)
def test_every_message_keeps_to_slacks_limits(name):
    for message in messages(REPORTS[name]()):
        assert message.text
        assert check_blocks(message.blocks) == []
        assert len(message.text) <= slack.MOST_IN_SECTION
        assert 0 < len(message.blocks) <= slack.MOST_BLOCKS
        assert slack.size(message.blocks) <= slack.MOST_CHARACTERS
        for block in message.blocks:
            assert len(block.get("elements", [])) <= 10
        for text in texts(message.blocks):
            assert 0 < len(text["text"]) <= slack.MOST_IN_SECTION


@pytest.mark.parametrize("name", REPORTS)
def test_no_raw_angle_bracket_or_ampersand_reaches_slack(name):
    for message in messages(REPORTS[name]()):
        for text in [message.text, *(text["text"] for text in texts(message.blocks))]:
            bare = LINK.sub("", text)
            assert "<" not in bare
            assert ">" not in bare
            assert "&" not in re.sub(r"&(amp|lt|gt);", "", bare)


def test_all_green_is_three_lines():
    message = slack.summary(reports.all_green(), PLATFORM)
    assert len(written(message).splitlines()) == 3
    assert slack.details(reports.all_green(), PLATFORM) == []


def test_the_notification_says_platform_verdict_and_the_worst_thing():
    text = slack.summary(reports.two_failures(), PLATFORM).text
    assert text.startswith("❌ SIGN X Studio: failed · P0 cache does not answer: connection refused")


def test_the_worst_severity_comes_first_with_its_response_time():
    sections = [text["text"] for text in texts(slack.summary(reports.two_failures(), PLATFORM).blocks)]
    first, second = [text for text in sections if text.startswith("❌ *")][1:3]
    assert "*P0, respond within 15 min*" in first
    assert "*P1, respond within 1 h* · fails above 30 min for 5 min · for 52 min, since today 08:08 CET" in second


def test_without_the_platform_a_severity_is_named_without_a_response_time():
    assert "*P0* · first seen now" in written(slack.summary(reports.two_failures()))


def test_three_hundred_failures_show_ten_at_most_and_count_the_rest():
    message = slack.summary(reports.overflow(), PLATFORM)
    shown = written(message).count("❌ *api ")
    assert 5 <= shown <= slack.MOST_PROBLEMS
    assert f"and {300 - shown} more problems" in written(message)


def test_the_thread_of_three_hundred_failures_ends_with_how_many_are_left():
    thread = slack.details(reports.overflow(), PLATFORM)
    shown = sum(written(message).count("❌ *api ") for message in thread)
    assert len(thread) == slack.MOST_MESSAGES
    assert re.search(rf"and {300 - shown} more entries", written(thread[-1]))


def test_what_was_not_checked_is_said_even_when_the_rest_is_green():
    assert "Not checked*\nwork: this version" in written(slack.summary(reports.first_on_the_lab(), PLATFORM))


def test_there_is_one_button_and_its_address_can_be_given():
    blocks = slack.summary(reports.two_failures(), PLATFORM, url="https://reports.example.com/1?a=b&c=d").blocks
    buttons = [element for block in blocks if block["type"] == "actions" for element in block["elements"]]
    assert [button["url"] for button in buttons] == ["https://reports.example.com/1?a=b&c=d"]


def test_an_address_that_is_no_web_address_makes_no_button():
    assert "javascript:alert" not in json.dumps(slack.summary(reports.hostile(), PLATFORM).model_dump())


def test_a_text_is_cut_between_entities_and_reads_back():
    cut = slack.mrkdwn("&<>" * 1000, 100)
    assert len(cut) <= 100
    assert html.unescape(cut).rstrip("…") == ("&<>" * 1000)[: len(html.unescape(cut)) - 1]


def test_a_late_run_and_the_lab_are_marked():
    assert "Ran 2 h 12 min late: due Sun 22 Nov 2026, 06:47 CET" in written(slack.summary(reports.late(), PLATFORM))
    assert "[LAB]" in slack.summary(reports.first_on_the_lab(), PLATFORM).text


def test_many_systems_gaps_and_long_hostile_texts_still_fit():
    hard = "<&>" * 2000
    systems = [
        reports.system(
            f"system-{number}",
            f"kind-{number}",
            *(
                reports.finding(f"system-{number}", "reachable", outcome=outcome, note=f"{number} {hard}", remedy=hard)
                for outcome in Outcome
            ),
            title=hard,
        )
        for number in range(60)
    ]
    for message in messages(reports.report(*systems, title=hard)):
        assert len(message.blocks) <= slack.MOST_BLOCKS
        assert slack.size(message.blocks) <= slack.MOST_CHARACTERS
        assert all(len(text["text"]) <= slack.MOST_IN_SECTION for text in texts(message.blocks))


def test_many_green_kinds_fit_and_the_rest_is_counted():
    def green(number):
        names = (f"a-long-name-of-a-system-{number}-{other}" for other in range(8))
        return [reports.system(name, f"kind-{number}", reports.answers(name)) for name in names]

    systems = [system for number in range(40) for system in green(number)]
    message = slack.summary(
        reports.report(*systems, reports.system("cache", "redis", reports.silent("cache"))), PLATFORM
    )
    assert "… and 25 more kinds of systems" in written(message)
    assert all(len(text["text"]) <= slack.MOST_IN_SECTION for text in texts(message.blocks))
