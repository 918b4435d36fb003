"""A platform's capacity plan: what runs out, when, how bad that is, and how good the plan before was."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from deployments.cli import main
from tasks.clients.http import session
from tasks.clients.prometheus import Api
from tasks.clients.prometheus_ranges import read_range
from tasks.clients.secrets import SecretResolver
from tasks.core.capacity import CapacityReport, History, Threshold, by_urgency, thresholds_of
from tasks.core.errors import Denied, PermanentError, Unreachable
from tasks.core.happenings import Happening, deploys, incidents, maintenance
from tasks.core.limits import Bound, Limit, Tier, Worse
from tasks.core.outlooks import look_ahead
from tasks.core.report import Report, SystemReport, Verdict
from tasks.core.results import Finding, Measurement, Outcome, Quiet
from tasks.core.scorecard import grade
from tasks.core.system import Access
from tasks.core.units import Unit
from tasks.core.windows import Window
from tasks.reports import bulletin_html, bulletin_markdown, bulletin_slack, bulletin_terminal, capacity_words
from tasks.systems.prometheus.history import histories
from tasks.systems.prometheus.spec import Spec
from tests.hostile import answer, hanging_up, routed, serving

NOW = datetime(2026, 11, 20, tzinfo=UTC)
HOURS = np.arange(24 * 60)
TIMES = NOW.timestamp() - 3600.0 * HOURS[::-1]
NOISE = np.random.default_rng(0).normal(size=len(HOURS))
MONTHS = timedelta(days=90)
GIB = 2.0**30


def history(values, *bounds, key="machine/disk_used[/]", unit=Unit.RATIO, upward=True, times=TIMES, **more):
    thresholds = tuple(
        Threshold(text=f"{value:g}", value=value, upward=upward, critical=last) for value, last in bounds
    )
    return History(key, unit, times, values, "test", thresholds, **more)


def filling(per_day, now=0.6):
    return now - per_day / 24 * HOURS[::-1] + NOISE * 0.002


def report(*outlooks, **more):
    return CapacityReport(
        id="shop-capacity-plan-20261120T000000Z-1",
        platform="shop",
        title="Shop",
        timezone="UTC",
        started=NOW,
        finished=NOW,
        horizon_days=90,
        outlooks=by_urgency(outlooks),
        **more,
    )


def test_a_filling_disk_is_named_with_the_days_on_which_it_reaches_its_bounds():
    outlook = look_ahead(history(filling(0.01), (0.85, False), (0.95, True)), MONTHS)
    assert outlook.outcome is Outcome.WARNED
    warn, critical = outlook.reached
    assert (warn.limit, critical.limit) == ("0.85", "0.95")
    assert abs(warn.median - (NOW + timedelta(days=25))) < timedelta(days=1)
    assert abs(critical.median - (NOW + timedelta(days=35))) < timedelta(days=1)
    assert warn.early <= warn.median <= warn.late


def test_what_is_critical_within_a_week_fails_and_a_warning_does_not():
    values = filling(0.02, now=0.85)
    assert look_ahead(history(values, (0.95, True)), MONTHS).outcome is Outcome.FAILED
    assert look_ahead(history(values, (0.95, False)), MONTHS).outcome is Outcome.WARNED


def test_what_swings_below_its_bound_is_well():
    values = 0.5 + 0.2 * np.sin(2 * np.pi * HOURS / 24) + NOISE * 0.01
    assert look_ahead(history(values, (0.9, True)), MONTHS).outcome is Outcome.PASSED


def test_what_cannot_be_judged_for_the_same_reason_is_told_once():
    silent = {"times": np.empty(0), "trouble": "timeout: query timed out"}
    blank = [look_ahead(history(np.empty(0), key=f"metrics/{name}", name=name, **silent), MONTHS) for name in "abc"]
    (part,) = [one for one in capacity_words.bulletin(report(*blank)).parts if one.title == "Could not be judged"]
    assert [(line.text, line.note) for line in part.lines] == [("a, b, c", "timeout: query timed out")]


def test_free_space_reaches_its_floor():
    free = 50 * GIB - filling(0.01) * 40 * GIB
    outlook = look_ahead(history(free, (20 * GIB, True), unit=Unit.BYTES, upward=False), MONTHS)
    assert abs(outlook.pressing.median - (NOW + timedelta(days=15))) < timedelta(days=1)


def test_what_never_changes_is_steady_and_what_is_too_short_is_not_judged():
    assert look_ahead(history(np.full(1440, 0.5), (0.9, True)), MONTHS).outcome is Outcome.PASSED
    beyond = look_ahead(history(np.full(1440, 0.95), (0.9, True)), MONTHS)
    assert (beyond.outcome, beyond.pressing.state) == (Outcome.WARNED, "already")
    short = look_ahead(history(filling(0.01)[:5], (0.9, True), times=TIMES[:5]), MONTHS)
    assert short.outcome is Outcome.NOT_CHECKED
    assert "too short" in short.unfit
    silent = look_ahead(history(np.empty(0), times=np.empty(0), trouble="the query answers no data"), MONTHS)
    assert silent.unfit == "the query answers no data"


def test_the_most_urgent_comes_first_and_the_verdict_is_the_worst():
    slow = look_ahead(history(filling(0.005), (0.95, True), key="slow"), MONTHS)
    quick = look_ahead(history(filling(0.02), (0.95, True), key="quick"), MONTHS)
    well = look_ahead(history(0.3 + NOISE * 0.01, (0.95, True), key="well"), MONTHS)
    assert [one.key for one in report(well, slow, quick).outlooks] == ["quick", "slow", "well"]
    assert report(well, slow).verdict is Verdict.WARNED
    assert report(well).verdict is Verdict.PASSED
    assert report(well, notes=("history of metrics: refused",)).verdict is Verdict.WARNED
    assert report().verdict is Verdict.UNKNOWN


def test_a_limits_bounds_keep_their_side_and_how_bad_they_are():
    limit = Limit(warn=Bound(0.995, Unit.RATIO, "<"), critical=Bound(0.9, Unit.RATIO, "<"))
    assert [(one.text, one.upward, one.critical) for one in thresholds_of(limit, Worse.ABOVE)] == [
        ("99.5%", False, False),
        ("90%", False, True),
    ]
    tiers = Limit(by_severity={"P0": Tier(bound=Bound(9, Unit.COUNT)), "P1": Tier(bound=Bound(5, Unit.COUNT))})
    assert [(one.value, one.critical) for one in thresholds_of(tiers, Worse.ABOVE)] == [(9, True), (5, False)]


def test_the_plan_before_is_graded_by_what_came():
    before = len(HOURS) - 24 * 20
    known = history(filling(0.01)[:before], (0.95, True), times=TIMES[:before])
    earlier = report(look_ahead(known, MONTHS))
    (graded,) = grade(earlier, [history(filling(0.01), (0.95, True))], NOW)
    assert graded.moments > 10
    assert graded.covered / graded.moments > 0.5
    assert graded.error < 0.01
    assert graded.alarm == ""


def test_a_forecast_that_lost_to_the_day_before_is_told():
    before = len(HOURS) - 24 * 20
    swing = 0.5 + 0.2 * np.sin(2 * np.pi * HOURS / 24) + NOISE * 0.01
    earlier = report(look_ahead(history(swing[:before], (0.95, True), times=TIMES[:before]), MONTHS))
    earlier = earlier.model_copy(update={"started": datetime.fromtimestamp(TIMES[before - 1], UTC)})
    (fair,) = grade(earlier, [history(swing, (0.95, True))], NOW)
    assert not fair.lost
    wrong = [one.model_copy(update={"value": one.value + 0.3}) for one in earlier.outlooks[0].ahead]
    off = earlier.model_copy(update={"outlooks": (earlier.outlooks[0].model_copy(update={"ahead": tuple(wrong)}),)})
    (lost,) = grade(off, [history(swing, (0.95, True))], NOW)
    assert lost.lost
    said = capacity_words.bulletin(report(earlier.outlooks[0], grades=(lost,)))
    assert any("lost to seasonal naive on 1 of 1 measurement" in fact for fact in said.facts)


def test_a_new_revision_is_a_deploy_and_a_loud_problem_an_incident():
    def at(hours, revision):
        when = NOW + timedelta(hours=hours)
        return Measurement(name="revision", value=revision, unit=Unit.COUNT, at=when, subject="api")

    measured = {"cluster/revision[api]": [at(0, 6), at(24, 6), at(48, 7)], "cluster/ready[api]": [at(0, 1), at(9, 2)]}
    assert [(one.at, one.text) for one in deploys(measured)] == [(NOW + timedelta(hours=48), "api: revision 7")]
    problem = Finding(system="api", measurement="reachable", outcome=Outcome.FAILED, severity="P0", at=NOW)
    quiet = problem.model_copy(update={"quiet": Quiet(why="snoozed", text="by Ann")})
    assert [one.text for one in incidents([(NOW, problem), (NOW, quiet)])] == ["P0 api/reachable"]


def test_announced_windows_of_the_weeks_before_are_found():
    weekly = Window.model_validate({"day": "sunday", "from": "23:00", "to": "01:00", "title": "Backups"})
    once = Window(starts=NOW - timedelta(days=3), ends=NOW - timedelta(days=2))
    found = list(maintenance({"weekly": weekly, "move": once}, NOW - timedelta(days=14), NOW, "UTC"))
    assert [(f"{one.at:%d %H}", f"{one.until:%d %H}", one.text) for one in found] == [
        ("08 23", "09 01", "Backups"),
        ("15 23", "16 01", "Backups"),
        ("17 00", "18 00", "move"),
    ]


def test_what_happened_is_marked_on_the_chart_and_what_did_not_is_not():
    disk = look_ahead(history(filling(0.01), (0.85, False), (0.95, True)), MONTHS)
    plain = capacity_words.bulletin(report(disk)).pictures[0]
    days = [NOW - timedelta(days=day) for day in (3, 20, 2000)]
    kinds = [("deploy", days[0]), ("incident", days[1]), ("backup", days[1])]
    marks = tuple(Happening(kind=kind, at=at, text=kind) for kind, at in kinds)
    shade = Happening(kind="maintenance", at=days[1], until=days[0], text="move")
    marked = capacity_words.bulletin(report(disk, happenings=(*marks, shade))).pictures[0]
    assert marked.light != plain.light
    too_old = Happening(kind="deploy", at=days[2], text="long ago")
    assert capacity_words.bulletin(report(disk, happenings=(too_old,))).pictures[0].light == plain.light


def test_an_alarm_that_was_false_and_one_that_was_missed_are_told():
    before = len(HOURS) - 24 * 20
    quick, flat = filling(0.02, now=0.9), 0.3 + NOISE * 0.01
    cried = report(look_ahead(history(quick[:before], (0.6, True), times=TIMES[:before]), MONTHS))
    stopped = quick.copy()
    stopped[before:] = 0.3
    assert grade(cried, [history(stopped, (0.6, True))], NOW)[0].alarm == "false"
    calm = report(look_ahead(history(flat[:before], (0.6, True), times=TIMES[:before]), MONTHS))
    jumped = flat.copy()
    jumped[before + 100 :] = 0.9
    assert grade(calm, [history(jumped, (0.6, True))], NOW)[0].alarm == "missed"


def test_a_plan_says_the_first_to_run_out_everywhere_with_a_chart_for_light_and_dark_pages():
    disk = look_ahead(history(filling(0.01), (0.85, False), (0.95, True), remedy="Grow the <disk>."), MONTHS)
    short = look_ahead(history(filling(0.01)[:5], (0.9, True), key="new/thing", times=TIMES[:5]), MONTHS)
    plan = report(disk, short)
    said = capacity_words.bulletin(CapacityReport.model_validate_json(plan.model_dump_json()))
    assert said.sentence.startswith("machine/disk_used[/]: 0.95 on ")
    assert said.sentence.endswith(", in 34 days. Do first: Grow the <disk>.")
    (picture,) = said.pictures
    assert picture.light.startswith(b"\x89PNG")
    assert picture.light != picture.dark
    page = bulletin_html.render(said)
    assert "Grow the &lt;disk&gt;." in page
    assert "too short: 5 values" in page
    assert "disk_used" in bulletin_slack.summary(said).text
    assert "too short" in bulletin_markdown.render(said)
    assert bulletin_terminal.render(said) is not None


REFUSED = {"status": "error", "errorType": "bad_data", "error": "exceeded maximum resolution"}


def prometheus(most=11_000, *, first=None, series=({"pod": "a"},), refusal=REFUSED, status="400 Bad Request"):
    """Play a server that refuses more points than so many, and whose first answer may be another."""
    seen = []

    def route(target, _):
        asked = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        if asked["query"] == "1":
            return answer(json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [0, "1"]}}))
        if "start" not in asked:
            result = [{"metric": labels, "value": [0, str(at)]} for at, labels in enumerate(series)]
            return answer(json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}))
        start, end, step = (float(asked[name]) for name in ("start", "end", "step"))
        seen.append((start, end))
        if first is not None and len(seen) == 1:
            return first
        count = int((end - start) // step) + 1
        if count > most:
            return answer(json.dumps(refusal), status=status)
        values = [[start + at * step, str((start + at * step) / 1e12)] for at in range(count)]
        result = [{"metric": labels, "values": values} for labels in series]
        return answer(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}))

    return routed(route), seen


async def read(handler, days, **more):
    async with serving(handler) as port, session(f"http://127.0.0.1:{port}") as client:
        api = Api(client, asyncio.get_running_loop().time() + 60)
        return await read_range(api, "up", NOW - timedelta(days=days), NOW, timedelta(hours=1), **more)


PODS = tuple({"pod": f"pod-{number:03}"} for number in range(200))


async def test_a_platform_with_two_hundred_pods_is_read_in_pieces_that_are_no_larger_for_it():
    handler, seen = prometheus(series=PODS)
    found = await read(handler, 40)
    assert {len(samples) for samples in found.series.values()} == {961}
    assert (len(found.series), found.left_out, found.pieces) == (200, 0, len(seen))
    assert max((end - start) / 3600 + 1 for start, end in seen) * 200 <= 100_000


@pytest.mark.parametrize(("lowest", "kept"), [(False, range(150, 200)), (True, range(50))])
async def test_of_more_series_than_are_kept_the_nearest_to_their_bound_are_and_the_rest_is_counted(lowest, kept):
    handler, _ = prometheus(series=PODS)
    found = await read(handler, 1, most=50, lowest=lowest)
    assert {dict(labels)["pod"] for labels in found.series} == {f"pod-{number:03}" for number in kept}
    assert found.left_out == 150


async def test_weeks_are_asked_for_in_pieces_and_put_together_without_a_seam():
    handler, seen = prometheus()
    (samples,) = (await read(handler, 100, points=500)).series.values()
    assert len(seen) == 5
    assert np.all(np.diff([at for at, _ in samples]) == 3600)
    assert (samples[0][0], samples[-1][0]) == ((NOW - timedelta(days=100)).timestamp(), NOW.timestamp())


async def test_a_server_that_refuses_so_many_points_is_asked_for_fewer():
    handler, seen = prometheus(most=300)
    (samples,) = (await read(handler, 100)).series.values()
    assert len(samples) == 2401
    assert len(seen) > 8


async def test_a_server_that_takes_too_long_for_so_many_points_is_asked_for_fewer():
    said = {"status": "error", "errorType": "timeout", "error": "query timed out in expression evaluation"}
    handler, seen = prometheus(most=700, refusal=said, status="503 Service Unavailable")
    (samples,) = (await read(handler, 100)).series.values()
    assert len(samples) == 2401
    assert len(seen) == 1 + 1 + 5


async def test_a_server_that_is_broken_for_a_moment_is_asked_again():
    handler, _ = prometheus(first=answer("", status="503 Service Unavailable"))
    (samples,) = (await read(handler, 10)).series.values()
    assert len(samples) == 241


async def test_a_server_that_refuses_or_never_answers_is_told():
    handler, _ = prometheus(most=10)
    with pytest.raises(PermanentError, match="exceeded maximum resolution"):
        await read(handler, 100)
    with pytest.raises(Unreachable):
        await read(hanging_up, 1)
    with pytest.raises(Denied):
        await read(prometheus(first=answer("", status="401 Unauthorized"))[0], 1)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A platform whose kept reports say that its machine's disk fills by one per cent a day, until now."""
    now = datetime.now(UTC)
    (tmp_path / "platforms").mkdir()
    spec = {
        "platform": "shop",
        "title": "Shop",
        "slack": {"channel": "#shop"},
        "severities": {"P0": {"means": "down", "respond": "15m"}},
        "default_severity": {"warn": "P0", "critical": "P0"},
        "systems": {"cache": {"kind": "redis", "url": {"env": "X"}, "limits": {"memory_used": {"critical": "90%"}}}},
    }
    (tmp_path / "platforms" / "shop.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    monkeypatch.setenv("WATCHKEEPER_PLATFORMS", str(tmp_path / "platforms"))
    folder = tmp_path / "state" / "reports" / "shop" / "health-check"
    folder.mkdir(parents=True)
    for day in range(40):
        at = now - timedelta(days=39 - day, minutes=5)
        value = 0.3 + 0.01 * day + 0.002 * float(NOISE[day])
        measured = Measurement(name="memory_used", value=value, unit=Unit.RATIO, at=at)
        system = SystemReport(name="cache", kind="redis", title="cache", seconds=1, measurements=(measured,))
        name = f"shop-health-check-{at:%Y%m%dT%H%M%SZ}-{day:06}"
        made = Report(
            id=name,
            platform="shop",
            title="Shop",
            timezone="UTC",
            flow="health-check",
            started=at,
            finished=at,
            systems=(system,),
        )
        (folder / f"{name}.json").write_text(made.model_dump_json(), encoding="utf-8")
    return tmp_path


def test_the_command_says_from_the_kept_reports_what_runs_out_first(kept):
    page = kept / "plan.html"
    said = CliRunner().invoke(main, ["capacity", "shop", "--state", str(kept / "state"), "--html", str(page), "--json"])
    assert said.exit_code == 1
    plan = CapacityReport.model_validate_json(said.stdout)
    (outlook,) = plan.outlooks
    assert outlook.key == "cache/memory_used"
    assert abs(outlook.pressing.median - (plan.started + timedelta(days=21))) < timedelta(days=2)
    assert outlook.called == "memory of cache"
    assert "Memory of cache: 90% of its maxmemory on " in page.read_text(encoding="utf-8")
    shown = CliRunner().invoke(main, ["capacity", "shop", "--state", str(kept / "state")])
    assert "something runs out" in shown.stdout


def test_the_command_writes_tables_and_refuses_what_cannot_be_supposed(kept):
    state = str(kept / "state")
    said = CliRunner().invoke(main, ["capacity", "shop", "--state", state, "--csv", str(kept / "plan")])
    assert said.exit_code == 1
    assert (kept / "plan" / "advice.csv").read_text(encoding="utf-8").startswith("when,kind,key,name,do,why")
    assert "cache/memory_used" in (kept / "plan" / "forecasts.csv").read_text(encoding="utf-8")
    supposed = CliRunner().invoke(main, ["capacity", "shop", "--state", state, "--what-if", "nodes=-1", "--json"])
    (nodes,) = json.loads(supposed.stdout)["supposed"]
    assert nodes["unknown"] == ["no cluster could be read"]
    wrong = CliRunner().invoke(main, ["capacity", "shop", "--state", state, "--what-if", "luck=1"])
    assert wrong.exit_code == 2
    assert "traffic=2, retention=60d or nodes=-1" in wrong.output


def test_a_surprise_in_advice_leaves_what_runs_out_told(kept, monkeypatch):
    def surprised(*_):
        raise RuntimeError("odd")

    monkeypatch.setattr("tasks.looking_ahead.advise_all", surprised)
    monkeypatch.setattr("tasks.advising.kinds", surprised)
    said = CliRunner().invoke(main, ["capacity", "shop", "--state", str(kept / "state"), "--json"])
    plan = CapacityReport.model_validate_json(said.stdout)
    assert plan.outlooks[0].pressing.limit == "90%"
    assert plan.notes == ("facts for advice: odd", "advice: odd")


def test_where_nothing_is_kept_nothing_is_judged(kept):
    said = CliRunner().invoke(main, ["capacity", "shop", "--state", str(kept / "elsewhere")])
    assert said.exit_code == 1
    assert "nothing could be judged" in said.stdout


async def test_what_is_left_out_of_too_many_series_is_said_and_what_has_ended_is_no_history():
    labels = [{"pod": f"pod-{number:04}"} for number in range(1_002)]

    def route(target, _):
        asked = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        mine = asked["query"] == "pod_memory"
        if asked["query"] == "1":
            data = {"resultType": "scalar", "result": [0, "1"]}
        elif "start" not in asked:
            vector = [{"metric": one, "value": [0, str(at)]} for at, one in enumerate(labels)]
            data = {"resultType": "vector", "result": vector if mine else []}
        else:
            end = float(asked["end"])
            last, old = end > NOW.timestamp() - 3600, end < NOW.timestamp() - 5 * 86400
            many = [{"metric": one, "values": [[end, "0.5"]]} for one in labels if mine and last]
            over = [{"metric": {"pod": "gone"}, "values": [[end, "0.9"]]}] if asked["query"] == "old" and old else []
            data = {"resultType": "matrix", "result": many + over}
        return answer(json.dumps({"status": "success", "data": data}))

    async with serving(routed(route)) as port:
        spec = Spec.model_validate(
            {
                "kind": "prometheus",
                "url": f"http://127.0.0.1:{port}",
                "objectives": {
                    "memory": {"title": "memory in use", "query": "pod_memory", "warn": "90%"},
                    "over": {"query": "old", "warn": "90%"},
                },
            }
        )
        access = Access(SecretResolver({}), lambda: NOW)
        found = await histories(spec, access, NOW - timedelta(days=120), NOW)
    named = [one.name for one in found if len(one.times)]
    assert (len(named), named[0]) == (1_000, "memory in use, pod-0002")
    said = [one.trouble for one in found if one.trouble]
    assert said == ["2 more series: only the 1,000 nearest are looked at", "the query answers no data"]
