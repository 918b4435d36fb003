"""The words that every renderer shares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tasks.core.report import Changes, Verdict
from tasks.core.results import Outcome
from tasks.core.system import SystemSpec
from tasks.core.units import Unit
from tasks.reports import wording
from tests.golden import reports
from tests.golden.reports import NOW, PLATFORM, finding, report, system


def test_times_are_local_and_name_their_zone():
    summer = datetime(2026, 7, 1, 7, 0, tzinfo=UTC)
    assert wording.moment(NOW, ZoneInfo("Europe/Prague")) == "Sun 22 Nov 2026, 09:00 CET"
    assert wording.moment(summer, ZoneInfo("Europe/Prague")) == "Wed 1 Jul 2026, 09:00 CEST"
    assert wording.clock(NOW, ZoneInfo("Asia/Almaty")) == "13:00 Asia/Almaty"


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(hours=1), "today 08:00 CET"),
        (timedelta(hours=10), "yesterday 23:00 CET"),
        (timedelta(days=2), "Fri 20 Nov 09:00 CET"),
        (timedelta(days=400), "Sat 18 Oct 2025 10:00 CEST"),
    ],
)
def test_a_moment_is_told_as_seen_from_the_report(ago, said):
    assert wording.day_and_time(NOW - ago, reports.all_green()) == said


YES_NO = {"value": 0.0, "unit": Unit.YES_NO, "outcome": Outcome.FAILED}


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (finding("cache", "reachable", **YES_NO, note="refused"), "cache does not answer: refused"),
        (finding("api", "as_expected", **YES_NO, subject="/x", note="503"), "api /x is not as expected: 503"),
        (finding("tls", "expires_in", 86400.0, Unit.SECONDS, Outcome.FAILED), "tls expires in 1 d"),
        (finding("db", "connections_used", 0.9, Unit.RATIO, Outcome.WARNED), "db connections used is 90%"),
        (finding("db", "check", outcome=Outcome.ERRORED, note="denied"), "could not tell about db: denied"),
        (finding("db", "lag", outcome=Outcome.ERRORED, note="denied"), "could not tell db lag: denied"),
        (finding("logs", "check", outcome=Outcome.NOT_CHECKED, note="not yet"), "logs not checked: not yet"),
    ],
)
def test_a_finding_reads_as_a_sentence(shown, said):
    assert wording.statement(shown) == said


def test_a_text_loses_control_signs_overrides_terminal_codes_and_length():
    assert wording.plain("a\nb\t c\x00 \x1b[31mred\x1b[0m \u202eover\u2066 👩‍🚀") == "a b c red over 👩‍🚀"
    assert wording.plain("x" * 500, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "https://a b", 'https://x"y', "https://x|y", "see https://x", ""]
)
def test_only_a_whole_safe_web_address_is_one(text):
    assert wording.web_address(text) == ""


def test_a_whole_web_address_is_one():
    assert wording.web_address("https://a.example/b?c=d&e=f#g") == "https://a.example/b?c=d&e=f#g"


def test_the_first_report_says_why_there_is_nothing_to_compare_with():
    first = report(changes=Changes(note="the earlier report cannot be read"))
    assert wording.change_line(first) == "First report: the earlier report cannot be read"


def test_problems_that_only_persist_are_not_called_a_change():
    stuck = finding("db", "lag", outcome=Outcome.WARNED)
    before = report(system("db", "postgres", stuck), finished=NOW - timedelta(days=1))
    now = report(system("db", "postgres", stuck), previous=before)
    assert wording.change_line(now) == "Since yesterday 09:00 CET: nothing changed, 1 problem still there"


@pytest.mark.parametrize(
    ("name", "verdict", "word"),
    [
        ("all-green", Verdict.PASSED, "all green"),
        ("first-on-the-lab", Verdict.PASSED, "passed"),
        ("two-failures", Verdict.FAILED, "failed"),
        ("all-errored", Verdict.UNKNOWN, "could not tell"),
        ("nothing-checked", Verdict.UNKNOWN, "nothing was checked"),
    ],
)
def test_a_verdict_is_said_in_a_word(name, verdict, word):
    shown = reports.REPORTS[name]()
    assert shown.verdict is verdict
    assert wording.verdict_word(shown) == word


def test_only_all_green_is_called_all_green():
    unlimited = report(system("a", "http", finding("a", "reachable", 1.0, Unit.YES_NO)), system("b", "redis"))
    assert wording.verdict_word(unlimited) == "passed"
    assert wording.unchecked(unlimited) == [("nothing there has a limit to hold it against", ["b"])]


def test_problems_are_ranked_by_outcome_then_by_the_platforms_severities():
    mixed = [
        finding("a", "one", outcome=Outcome.WARNED, severity="P2"),
        finding("a", "two", outcome=Outcome.FAILED, severity="P1"),
        finding("a", "three", outcome=Outcome.FAILED, severity="P0"),
        finding("a", "four", outcome=Outcome.ERRORED, severity="P0"),
    ]
    assert [found.measurement for found in wording.ranked(mixed, PLATFORM)] == ["three", "two", "four", "one"]


def test_what_broke_comes_before_what_depends_on_it_however_urgent_that_is():
    systems = {"api": SystemSpec(kind="http", depends_on=("cache",)), "cache": SystemSpec(kind="redis")}
    platform = PLATFORM.model_copy(update={"systems": {**systems, "mail": SystemSpec(kind="http")}})
    note = 'status 503, not 200; it says: {"cache": "down"}'
    symptom = finding("api", "reachable", **YES_NO, severity="P0", note=note)
    cause = finding("cache", "reachable", **YES_NO, severity="P1", note="the connection was refused")
    apart = finding("mail", "reachable", **YES_NO, severity="P1")
    shown = report(*(system(one.system, "http", one) for one in (symptom, apart, cause)))
    assert wording.ranked(shown.problems, platform) == [cause, symptom, apart]
    assert wording.because(symptom, shown, platform) == "depends on cache, which failed too"
    assert wording.because(cause, shown, platform) == ""
    assert "P1 cache does not answer: the connection was refused" in wording.headline(shown, platform)
    assert wording.in_short(symptom) == "api does not answer: status 503, not 200"


def test_a_run_that_starts_at_its_slot_is_not_called_late():
    on_time = reports.all_green().model_copy(update={"scheduled": NOW - timedelta(minutes=1)})
    assert wording.lateness(on_time) == ""


def test_who_to_call_is_named_with_the_way_to_reach_them():
    assert wording.escalation(PLATFORM) == "Primary on-call (@apex-oncall), then Engineering lead"
    assert wording.escalation(None) == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("all-green", "✅ SIGN X Studio: all green (9 checks on 4 systems)"),
        ("overflow", "❌ SIGN X Studio: failed · P1 api /v1/projects/000/assets latency is 3 s (fails above 2 s)"),
        ("all-errored", "❓ SIGN X Studio: P1 could not tell about api: the environment variable APEX_API_URL"),
        ("nothing-checked", "❓ SIGN X Studio: nothing was checked (1 not checked)"),
    ],
)
def test_a_notification_says_the_worst_thing_against_its_limit(name, said):
    assert wording.headline(reports.REPORTS[name](), PLATFORM).startswith(said)
