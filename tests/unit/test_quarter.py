"""A quarter's paper: each platform's newest whole drill counts, and one that was not drilled is never green."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from deployments.cli import main
from tasks.core.drill import NegativeControl, Projection
from tasks.core.drill_plan import Scenario
from tasks.core.errors import ConfigError
from tasks.core.quarter import Quarter, QuarterReport, of_platform, summed_up, unread
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.inspections import report_store
from tasks.platforms import access, load, platform_names
from tasks.quarters import QuarterRun, everyone
from tasks.reports import bulletin_html, bulletin_slack, drills, quarters
from tests.unit.test_drill import GIB, NOW, drill, held, recovery

Q4 = Quarter(2026, 4)
WHOLE = ("database", "cache")
RED = NegativeControl(name="truncated", system="database", red=True)


def drilled(*, at=NOW, systems=WHOLE, outcome=Outcome.PASSED, after=0.0, **more):
    """Sum a drill of APEX up, of two systems."""
    parts = [recovery(name, outcome=outcome, after=after) for name in systems]
    moved = {"started": at, "disaster": at, "id": f"apex-dr-drill-{at:%Y%m%dT%H%M%SZ}-1", "negative_controls": (RED,)}
    made = drill(*parts, assertions=(held(Outcome.PASSED),), **(moved | more))
    return summed_up(made, WHOLE, drills.sentence(made), page="page.html", evidence="bundle.zip", sha256="ab" * 32)


def apex(*made, **more):
    spec = load("apex")
    known = {"protected": 2, "title": "APEX", "wanted": (Scenario.COMPLETE,)}
    return of_platform(spec, Q4, made).model_copy(update=known | more)


def report(*platforms, at=NOW):
    head = {"id": "all-platforms-dr-quarter-20261126T090000Z-1", "platform": "all-platforms", "title": "All platforms"}
    return QuarterReport(**head, started=at, finished=at, quarter=str(Q4), platforms=platforms)


@pytest.mark.parametrize(
    ("at", "quarter"),
    [("2026-01-01T00:00:00Z", "2026Q1"), ("2026-12-31T23:59:59Z", "2026Q4"), ("2027-01-01T01:00:00+02:00", "2026Q4")],
)
def test_a_quarter_is_known_by_its_moments_in_utc(at, quarter):
    moment = datetime.fromisoformat(at)
    assert str(Quarter.of(moment)) == quarter
    found = Quarter.read(quarter)
    assert found.begins <= moment < found.ends
    assert Quarter.of(found.ends - timedelta(microseconds=1)) == found != Quarter.of(found.ends)


@pytest.mark.parametrize("text", ["2026", "2026Q5", "26Q1", "Q42026", "2026Q4\n", "next"])
def test_what_is_no_quarter_is_refused_with_how_one_is_written(text):
    with pytest.raises(ConfigError, match="is no quarter") as caught:
        Quarter.read(text)
    assert "2026Q4" in caught.value.hint


def test_the_newest_whole_drill_counts_and_is_held_against_those_before_it():
    old = drilled(at=datetime(2026, 8, 12, 10, tzinfo=UTC))
    first, partly = drilled(at=NOW - timedelta(days=9)), drilled(at=NOW, systems=("database",))
    slower = drilled(at=NOW - timedelta(days=2), after=3600)
    found = apex(slower, old, partly, first)
    assert found.newest == slower
    assert [one.at for one in found.drills] == [first.at, slower.at, partly.at]
    assert [one.at for one in found.past] == [old.at, first.at]
    assert found.outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("made", "outcome", "said"),
    [
        ((), Outcome.FAILED, "APEX was not drilled in 2026Q4 so far"),
        ((drilled(at=datetime(2026, 8, 12, tzinfo=UTC)),), Outcome.FAILED, "APEX was not drilled in 2026Q4 so far"),
        ((drilled(interrupted="cancelled"),), Outcome.FAILED, "APEX was not drilled in 2026Q4 so far"),
        ((drilled(systems=("cache",)),), Outcome.FAILED, "APEX was not drilled in 2026Q4 so far"),
        ((drilled(scenario=Scenario.LOST_KEY),), Outcome.FAILED, "APEX was not drilled in 2026Q4 so far"),
        ((drilled(outcome=Outcome.FAILED),), Outcome.FAILED, "APEX would not be back"),
        ((drilled(outcome=Outcome.ERRORED),), Outcome.ERRORED, "APEX would not be back"),
        ((drilled(), drilled(scenario=Scenario.LOST_KEY, outcome=Outcome.FAILED)), Outcome.FAILED, "would be back in"),
        (
            (drilled(), drilled(scenario=Scenario.LOST_KEY, systems=("cache",), not_covered=("x",))),
            Outcome.PASSED,
            "back",
        ),
        ((drilled(),), Outcome.PASSED, "APEX would be back in 1 min 10 s"),
    ],
)
def test_a_platform_is_as_its_drills_proved_and_red_where_it_was_not_drilled(made, outcome, said):
    told = quarters.bulletin(report(apex(*made)))
    line = next(line for part, line in told.rows() if part == "Platforms")
    assert line.outcome is outcome
    assert said in line.text
    assert told.verdict is {Outcome.FAILED: Verdict.FAILED, Outcome.ERRORED: Verdict.UNKNOWN}.get(
        outcome, Verdict.PASSED
    )


def test_a_disaster_that_was_to_be_rehearsed_and_was_not_is_a_warning_with_its_command():
    found = apex(drilled(), wanted=(Scenario.COMPLETE, Scenario.LOST_KEY))
    assert found.outcome is Outcome.WARNED
    told = quarters.bulletin(report(found))
    assert {line.remedy for part, line in told.rows() if part == "Next"} == {
        "watchkeeper drill apex --scenario lost-key"
    }


def test_a_promise_that_was_not_kept_names_what_would_keep_it():
    late = drilled(rto_target=60.0, rpo_target=60.0)
    told = quarters.bulletin(report(apex(late, rto_target=60.0, rpo_target=60.0)))
    lines = {line.text: line for part, line in told.rows() if part == "Next"}
    assert lines["APEX: be back sooner"].facts == ("1 min 10 s", "promised 1 min")
    assert lines["APEX: lose less"].facts == ("3 min", "promised 1 min", "worst is cache")
    assert lines["APEX: mend what did not hold, and drill it again"].remedy == "watchkeeper drill apex"


def test_what_cannot_be_told_or_is_not_backed_up_is_never_green():
    bare = apex(protected=0)
    assert report(bare).verdict is Verdict.UNKNOWN
    assert report(bare, apex(drilled())).verdict is Verdict.WARNED
    broken = unread("stario", "Stario", "its spec cannot be read")
    assert report(broken, apex(drilled())).verdict is Verdict.UNKNOWN
    assert report().verdict is Verdict.UNKNOWN
    assert [line.remedy for part, line in quarters.bulletin(report(broken)).rows() if part == "Next"] == [
        "watchkeeper validate stario"
    ]


def test_the_paper_says_everything_that_an_auditor_asks_for():
    later = Projection(plain_bytes=9 * GIB, seconds=20_000.0, basis="2 drills", at=NOW)
    old = drilled(at=datetime(2026, 8, 12, 10, tzinfo=UTC), after=0)
    new = drilled(not_covered=("cluster: only a dry run",), next_quarter=later)
    told = quarters.bulletin(report(apex(old, new), apex(platform="stario", title="Stario")))
    page = bulletin_html.render(told)
    for text in (
        "1 of 2 platforms was drilled, 1 would be back; not drilled: Stario",
        "not every platform is proven to come back",
        "RTO as before since 12 Aug 2026",
        "cluster: only a dry run",
        "next quarter it would not be back in time",
        "watchkeeper drill stario",
        "bundle.zip",
        "abababab",
        "The quarter is not over yet",
    ):
        assert text in page, text
    assert [one.name for one in told.pictures] == ["promises.png", "trend.png"]
    assert "not drilled: Stario" in str(bulletin_slack.summary(told).blocks)


def test_after_its_end_a_quarter_is_told_as_over():
    told = quarters.bulletin(report(apex(), at=Q4.ends))
    assert next(line.text for _, line in told.rows()) == "APEX was not drilled in 2026Q4"
    assert "The quarter is not over yet" not in told.facts


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Reports of one drill of APEX, and of none of the others."""
    monkeypatch.setenv("WATCHKEEPER_STATE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    parts = [recovery(name) for name in load("apex").protected]
    made = drill(*parts)
    store = report_store(settings)
    store.save(made, "<p>page</p>")
    store.put(f"apex/dr-drill/{made.id}.zip", b"bundle")
    lab = drill(*parts, environment="lab", id="apex-dr-drill-20261126T091000Z-2")
    store.save(lab, "<p>page</p>")
    return settings


def test_drills_are_gathered_from_what_was_kept_with_their_evidence_and_those_of_the_lab_are_not(kept):
    run = QuarterRun("2026Q4", kept, access(kept))
    found = {one.platform: one for one in run.report(run.gather()).platforms}
    assert sorted(found) == platform_names()
    (only,) = found["apex"].drills
    assert only.is_whole
    assert only.evidence.endswith(f"{only.id}.zip")
    assert only.evidence_sha256 == hashlib.sha256(b"bundle").hexdigest()
    assert {name for name, one in found.items() if one.outcome is Outcome.FAILED} == set(platform_names()) - {"apex"}


def test_the_command_writes_the_paper_and_ends_with_one_where_a_platform_was_not_drilled(kept, tmp_path):
    page = tmp_path / "q4.html"
    ran = CliRunner().invoke(main, ["drills", "report", "--quarter", "2026Q4", "--html", str(page), "--json"])
    assert ran.exit_code == 1, ran.output
    assert '"quarter": "2026Q4"' in ran.output
    assert "1 of 5 platforms was drilled" in page.read_text()
    assert [one.key.partition("/")[0] for one in report_store(kept).kept("all-platforms", "dr-quarter")] == [
        "all-platforms"
    ]


@pytest.mark.parametrize(
    ("setting", "channels", "told"),
    [("#everyone", {"#a", "#b"}, "#everyone"), (None, {"#a"}, "#a"), (None, {"#a", "#b"}, "")],
)
def test_whoever_answers_for_all_platforms_is_told_where_that_is_known(setting, channels, told):
    assert everyone(Settings(slack_channel=setting), channels).slack.channel == told


@pytest.mark.usefixtures("kept")
def test_a_quarter_that_is_still_to_come_is_refused():
    ran = CliRunner().invoke(main, ["drills", "report", "--quarter", "2999Q1"])
    assert ran.exit_code == 2
    assert "still to come" in ran.output
