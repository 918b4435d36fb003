"""Acknowledging and putting off: what is kept, what is refused, and that it reaches the next check."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from deployments.check import check_now
from deployments.cli import main
from tasks import silences
from tasks.core.errors import ConfigError
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.inspections import report_store, silence_store

SPEC = """
platform: shop
title: Shop
slack: {channel: "#shop"}
confirm: {looks: 1}
severities: {P1: {means: bad, respond: immediately}}
default_severity: {warn: P1, critical: P1}
systems:
  disk: {kind: host, limits: {disk_used: {critical: "> 0%"}}}
  logs: {kind: logs, files: [/nonexistent.log], patterns: {errors: {match: ERROR}}}
"""


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "platforms").mkdir()
    (tmp_path / "platforms" / "shop.yaml").write_text(SPEC)
    return Settings(platforms=tmp_path / "platforms", state=tmp_path / "state")


def check(settings):
    return check_now("shop", ["disk"], settings, began=lambda _: None, told=lambda _: None)


def checked_and_kept(settings):
    report = check(settings)
    report_store(settings).save(report, "")
    return report


def acknowledge(settings, pattern="disk", lasting=timedelta(hours=4), **more):
    return silences.silence(
        "acknowledged", "shop", pattern, **{"lasting": lasting, "by": "kim", "why": "", "settings": settings} | more
    )


def test_an_acknowledged_problem_is_silent_in_the_next_check_and_told_again_once_that_is_taken_back(settings):
    assert checked_and_kept(settings).verdict is Verdict.FAILED
    given = acknowledge(settings, why="disk is ordered")
    report = check(settings)
    assert report.verdict is Verdict.WARNED
    assert {finding.quiet.text for finding in report.problems} == {"acknowledged by kim: disk is ordered"}
    assert all(outcome is Outcome.FAILED for outcome in given.outcomes.values())
    assert silences.active("shop", settings) == [given]
    assert silences.end("shop", "disk", settings) == [given]
    assert check(settings).verdict is Verdict.FAILED


def test_what_has_ended_is_no_longer_active(settings):
    now = datetime.now(UTC)
    silences.silence("snoozed", "shop", "*", lasting=timedelta(hours=1), by="kim", why="", settings=settings, now=now)
    assert silences.active("shop", settings, now + timedelta(minutes=59))
    assert silences.active("shop", settings, now + timedelta(minutes=60)) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"pattern": "cache"}, "no problem that 'cache' fits"),
        ({"lasting": timedelta(days=31)}, "31 days is no time to be silent"),
        ({"lasting": timedelta(0)}, "no time to be silent"),
        ({"by": " "}, "nobody is named"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, given, says):
    checked_and_kept(settings)
    with pytest.raises(ConfigError, match=says):
        acknowledge(settings, **given)
    assert silences.active("shop", settings) == []


def test_before_the_first_report_there_is_nothing_to_acknowledge(settings):
    with pytest.raises(ConfigError, match="no health check of shop is kept"):
        acknowledge(settings)


def test_a_snooze_of_no_system_is_refused_with_those_there_are(settings):
    with pytest.raises(ConfigError, match="no system that 'cache/x' fits") as raised:
        silences.silence("snoozed", "shop", "cache/x", lasting=timedelta(hours=1), by="kim", why="", settings=settings)
    assert raised.value.hint == "there are disk, logs"


def test_an_acknowledgement_that_cannot_be_read_holds_nothing_back_and_is_told(settings):
    checked_and_kept(settings)
    acknowledge(settings)
    (kept,) = (settings.state / "silences" / "shop").iterdir()
    kept.write_text("{}")
    report = check(settings)
    assert report.verdict is Verdict.FAILED
    (trouble,) = [finding for finding in report.problems if finding.system == "watchkeeper"]
    assert "no acknowledgement that this version can read" in trouble.note


def test_an_unknown_one_is_not_ended(settings):
    assert silence_store(settings).end("shop", "nothing") is False
    with pytest.raises(ConfigError, match="no silence 'nothing'"):
        silences.end("shop", "nothing", settings)


def run(settings, monkeypatch, *arguments):
    monkeypatch.setenv("WATCHKEEPER_PLATFORMS", str(settings.platforms))
    return CliRunner().invoke(main, [*arguments, "--state", str(settings.state)])


def test_the_commands_acknowledge_snooze_list_and_end(settings, monkeypatch):
    checked_and_kept(settings)
    said = run(settings, monkeypatch, "ack", "shop", "disk", "--for", "2h", "--by", "kim", "--why", "on it")
    assert said.exit_code == 0
    assert "acknowledged by kim: on it" in said.output
    assert "disk/disk_used[/]" in said.output
    snoozed = json.loads(run(settings, monkeypatch, "snooze", "shop", "logs", "--by", "kim", "--json").output)
    assert snoozed["kind"] == "snoozed"
    listed = json.loads(run(settings, monkeypatch, "silences", "shop", "--json").output)
    assert [one["pattern"] for one in listed] == ["disk", "logs"]
    assert run(settings, monkeypatch, "silences", "shop", "--end", snoozed["id"]).exit_code == 0
    assert "disk" in run(settings, monkeypatch, "silences", "shop").output
    assert "logs" not in run(settings, monkeypatch, "silences", "shop").output


def test_a_time_that_is_none_could_not_run(settings, monkeypatch):
    answer = run(settings, monkeypatch, "snooze", "shop", "logs", "--for", "soon", "--json")
    assert answer.exit_code == 2
    assert "--for: 'soon'" in json.loads(answer.output)["error"]
