"""Objectives asked of servers that answer every shape that the query API knows, and some that it does not."""

import asyncio
import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from tasks.clients.prometheus import _unbroken
from tasks.core.limits import Worse
from tasks.core.results import Outcome
from tasks.core.units import Unit
from tasks.systems.prometheus import probe
from tasks.systems.prometheus.spec import BURNS, Objective, ServiceLevel, Spec
from tests.hostile import (
    NOW,
    answer,
    check,
    finding,
    hanging_up,
    measured,
    refused_port,
    routed,
    saying,
    serving,
    silent,
)

GREETING = {"status": "success", "data": {"resultType": "scalar", "result": [0, "1"]}}


def vector(*values: str, **labels: str) -> dict:
    """Write an instant vector; one series for each value, told apart by a label where there are several."""
    tag = [{"pod": f"api-{number}"} for number in range(len(values))] if len(values) > 1 else [{}]
    series = [{"metric": {"__name__": "m"} | labels | t, "value": [0, v]} for v, t in zip(values, tag, strict=False)]
    return {"status": "success", "data": {"resultType": "vector", "result": series}}


def matrix(*series: tuple[dict, list]) -> dict:
    result = [{"metric": metric, "values": values} for metric, values in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def prometheus(query=None, query_range=None, alerts=None, rules=None, *, status="200 OK", seen=None):
    """Play a server: the greeting always works, the rest answers what is given."""

    def route(target, headers):
        parts = urlsplit(target)
        parameters = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if seen is not None:
            seen.append((parts.path, parameters, headers))
        if parameters.get("query") == "1":
            return answer(json.dumps(GREETING))
        said = {"query": query, "query_range": query_range, "alerts": alerts, "rules": rules}[
            parts.path.rsplit("/", 1)[1]
        ]
        if said is None:
            return answer("404 page not found", status="404 Not Found")
        return answer(said if isinstance(said, str | bytes) else json.dumps(said), status=status)

    return routed(route)


def system(port: int, objective: dict, **fields) -> dict:
    objectives = {"objective": {"query": "up", **objective}}
    return {"kind": "prometheus", "url": f"http://127.0.0.1:{port}", "objectives": objectives, **fields}


async def report_of(handler, objective: dict, environment=None, **fields):
    async with serving(handler) as port:
        return await check(system(port, objective, **fields), environment, now=NOW)


async def the_finding(query, subject="", *, status="200 OK", **objective):
    return finding(
        await report_of(prometheus(query, status=status), {"critical": "5%"} | objective), "objective", subject
    )


@pytest.mark.parametrize(("value", "outcome"), [("0.04", Outcome.PASSED), ("0.06", Outcome.FAILED)])
async def test_a_value_is_held_against_its_bound_in_the_bounds_unit(value, outcome):
    found = await the_finding(vector(value), severity="P2", remedy="Roll back.")
    assert found.outcome is outcome
    assert found.unit is Unit.RATIO
    if outcome is Outcome.FAILED:
        assert (found.severity, found.remedy, found.observed, found.limit) == ("P2", "Roll back.", "6%", "above 5%")


async def test_a_comparison_in_the_bound_says_which_side_is_bad():
    found = await the_finding(vector("0.99"), critical="< 99.5%")
    assert (found.outcome, found.limit) == (Outcome.FAILED, "below 99.5%")


async def test_a_scalar_is_a_value_too():
    scalar = {"status": "success", "data": {"resultType": "scalar", "result": [0, "7"]}}
    report = await report_of(prometheus(scalar), {})
    assert measured(report, "objective").value == 7
    assert measured(report, "latency").value > 0


@pytest.mark.parametrize(
    ("empty", "outcome"),
    [("errored", Outcome.ERRORED), ("not checked", Outcome.NOT_CHECKED), ("zero", Outcome.PASSED)],
)
@pytest.mark.parametrize("nothing", [vector(), vector("NaN")])
async def test_no_data_and_nan_mean_what_the_spec_says(nothing, empty, outcome):
    found = await the_finding(nothing, empty=empty)
    assert found.outcome is outcome
    assert "no data" in found.note or "NaN" in found.note


async def test_no_data_is_errored_where_the_spec_says_nothing():
    found = await the_finding(vector())
    assert (found.outcome, found.note) == (Outcome.ERRORED, "the query answers no data")


async def test_zero_for_no_data_is_still_held_against_the_limit():
    assert (await the_finding(vector(), empty="zero", critical="< 1%")).outcome is Outcome.FAILED


async def test_infinity_is_errored_whatever_empty_says():
    found = await the_finding(vector("+Inf"), empty="zero")
    assert (found.outcome, found.note) == (Outcome.ERRORED, "the query answers +inf: a division by 0")


async def test_a_refused_query_is_errored_with_the_servers_words_and_the_others_go_on():
    def route(target, _):
        if "good" in target:
            return answer(json.dumps(vector("0.01")))
        if "query=1&" in target:
            return answer(json.dumps(GREETING))
        refusal = {"status": "error", "errorType": "bad_data", "error": "1:5: parse error: unexpected end"}
        return answer(json.dumps(refusal), status="400 Bad Request")

    objectives = {"bad": {"query": "sum(", "critical": "5%"}, "good": {"query": "good", "critical": "5%"}}
    async with serving(routed(route)) as port:
        report = await check({"kind": "prometheus", "url": f"http://127.0.0.1:{port}", "objectives": objectives})
    assert finding(report, "bad").outcome is Outcome.ERRORED
    assert finding(report, "bad").note == "bad_data: 1:5: parse error: unexpected end"
    assert finding(report, "good").outcome is Outcome.PASSED


async def test_each_of_several_series_is_a_finding_of_its_own():
    report = await report_of(prometheus(vector("0.01", "0.07", job="api")), {"critical": "5%"})
    assert finding(report, "objective", "job=api, pod=api-0").outcome is Outcome.PASSED
    assert finding(report, "objective", "job=api, pod=api-1").outcome is Outcome.FAILED
    report = await report_of(prometheus(vector("0.01", "NaN")), {"critical": "5%"})
    assert finding(report, "objective", "api-0").outcome is Outcome.PASSED
    assert finding(report, "objective", "api-1").outcome is Outcome.ERRORED


async def test_several_series_are_an_error_where_the_objective_says_one():
    found = await the_finding(vector("0.01", "0.07"), single=True)
    assert found.outcome is Outcome.ERRORED
    assert found.note == "the query answers 2 series where the objective says one"
    assert (await the_finding(vector("0.01", job="api"), single=True)).outcome is Outcome.PASSED


async def test_too_many_series_are_refused():
    found = await the_finding(vector(*["0.01"] * 51))
    assert found.outcome is Outcome.ERRORED
    assert "51 series, more than 50" in found.note


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"status": "success", "data": {"resultType": "string", "result": [0, "x"]}}, "it answers a string"),
        (matrix(({}, [[0, "1"]])), "it answers a range of samples"),
        ({"status": "success", "data": {"resultType": "vector", "result": [{"histogram": [0, {}]}]}}, "a histogram"),
        ({"status": "success", "data": {"resultType": "vector", "result": "x"}}, "no list of series"),
        ({"status": "success", "data": {"resultType": "vector", "result": [{"value": 7}]}}, "not of the form"),
        ({"status": "success", "data": {"resultType": "vector", "result": [{"value": [0, "x"]}]}}, "no number"),
        ({"status": "success", "data": {"resultType": "scalar", "result": None}}, "histogram"),
        ({"status": "success"}, "no result"),
        ({"status": "error", "errorType": "timeout", "error": "query timed out"}, "timeout: query timed out"),
        ("fine", "not the JSON of a Prometheus"),
        (b"\xff\xfe", "not the JSON of a Prometheus"),
        ("[" * 100_000, "not the JSON of a Prometheus"),
        ("x" * (9 << 20), "longer than 8 MiB"),
    ],
)
async def test_an_answer_that_is_no_number_is_errored_with_the_reason(said, why):
    found = await the_finding(said)
    assert found.outcome is Outcome.ERRORED
    assert why in found.note


async def test_warnings_of_the_server_are_shown():
    found = await the_finding(vector("0.01") | {"warnings": ["one store did not answer"]})
    assert found.note == "the server warns: one store did not answer"


def stamps(minutes: int, value: str, before: str = "0") -> list:
    """Write half an hour of samples, one each 15 s; those of the last `minutes` have the value."""
    ages = [quarter / 4 for quarter in range(120, 0, -1)]
    return [[NOW.timestamp() - 60 * age, value if age <= minutes else before] for age in ages]


@pytest.mark.parametrize(("minutes", "outcome"), [(10, Outcome.PASSED), (20, Outcome.FAILED)])
async def test_a_breach_counts_when_the_servers_own_history_says_it_lasted(minutes, outcome):
    seen = []
    handler = prometheus(vector("0.5"), matrix(({"__name__": "m"}, stamps(minutes, "0.5"))), seen=seen)
    report = await report_of(handler, {"critical": "5%", "for": "15m"})
    found = finding(report, "objective")
    assert found.outcome is outcome
    asked = next(parameters for path, parameters, _ in seen if path.endswith("query_range"))
    assert float(asked["end"]) - float(asked["start"]) == 30 * 60
    assert asked["step"] == "15"
    if outcome is Outcome.FAILED:
        assert found.since == NOW - timedelta(minutes=20)
        assert found.limit == "above 5% for 15 min"
    else:
        assert "so for 10 min" in found.note


async def test_a_history_is_matched_to_its_series_by_the_labels():
    ranges = matrix(({"pod": "api-1"}, stamps(20, "0.5")), ({"pod": "api-0"}, stamps(1, "0.5")))
    report = await report_of(prometheus(vector("0.5", "0.5"), ranges), {"critical": "5%", "for": "15m"})
    assert finding(report, "objective", "api-0").outcome is Outcome.PASSED
    assert finding(report, "objective", "api-1").outcome is Outcome.FAILED


async def test_a_history_that_ended_long_ago_is_not_believed():
    old = [[NOW.timestamp() - 3600 + 60 * minute, "0.5"] for minute in range(30)]
    report = await report_of(prometheus(vector("0.5"), matrix(({}, old))), {"critical": "5%", "for": "15m"})
    assert finding(report, "objective").outcome is Outcome.WARNED
    assert "not known yet" in finding(report, "objective").note


async def test_a_history_that_cannot_be_read_is_said_and_the_value_still_counts():
    report = await report_of(prometheus(vector("0.5")), {"critical": "5%", "for": "15m"})
    assert finding(report, "objective").outcome is Outcome.WARNED
    assert "its history cannot be read: status 404 Not Found" in finding(report, "objective").note


def test_a_gap_or_a_nan_ends_what_is_known_of_a_history():
    step = timedelta(seconds=60)
    assert [s.value for s in _unbroken([(0, "1"), (60, "2"), (300, "3"), (360, "4")], step)] == [3, 4]
    assert [s.value for s in _unbroken([(0, "1"), (60, "NaN"), (120, "3")], step)] == [3]
    assert _unbroken([(0, "1"), (60, "NaN")], step) == ()


async def test_firing_alerts_are_counted_and_named_and_pending_ones_are_not():
    states = [("DiskFull", "firing"), ("DiskFull", "firing"), ("Slow", "pending"), ("Down", "firing")]
    alerts = [{"labels": {"alertname": name}, "state": state} for name, state in states]
    handler = prometheus(vector("0"), alerts={"status": "success", "data": {"alerts": alerts}})
    report = await report_of(handler, {}, limits={"firing_alerts": {"critical": "2"}})
    found = finding(report, "firing_alerts")
    assert (found.outcome, found.value, found.note) == (Outcome.FAILED, 3, "DiskFull (2), Down")


async def test_a_server_without_alerts_is_not_checked_and_only_where_they_are_asked_for():
    asked = await report_of(prometheus(vector("0")), {}, limits={"firing_alerts": {"critical": 0}})
    assert finding(asked, "firing_alerts").outcome is Outcome.NOT_CHECKED
    assert not [f for f in (await report_of(prometheus(vector("0")), {})).findings if f.measurement == "firing_alerts"]


@pytest.mark.parametrize("alerts", [{"status": "success", "data": {"alerts": [7]}}, {"status": "success"}])
async def test_alerts_of_another_form_are_errored(alerts):
    report = await report_of(prometheus(vector("0"), alerts=alerts), {}, limits={"firing_alerts": {"critical": 0}})
    assert finding(report, "firing_alerts").outcome is Outcome.ERRORED


def listed(what: str, items: list) -> dict:
    data = {"alerts": items} if what == "alerts" else {"groups": [{"name": "all", "rules": items}]}
    return {"status": "success", "data": data}


ALERTS = {"severities": {"critical": "P0", "warning": "P2"}}


async def test_a_storm_of_alerts_is_folded_the_worst_are_told_and_all_are_counted():
    firing = [
        {
            "labels": {"alertname": f"A{number:03}", "severity": "critical" if number > 994 else "warning"},
            "state": "firing",
        }
        for number in range(1000)
    ]
    handler = prometheus(vector("0"), alerts=listed("alerts", firing), rules=listed("rules", [{"name": "A000"}]))
    report = await report_of(handler, {}, alerts=ALERTS)
    told = [f for f in report.findings if f.measurement == "alert" and f.outcome is Outcome.FAILED]
    assert len(told) == 20
    assert [f.subject for f in told if f.subject > "A9"] == [f"A{number} (critical)" for number in range(995, 1000)]
    assert measured(report, "firing_alerts").value == 1000
    (rest,) = [f for f in report.findings if f.measurement == "alert" and f.outcome is Outcome.NOT_CHECKED]
    assert rest.note.startswith("980 more alerts fire and are not told one by one: A015 (warning), ")
    assert len(rest.note) < 300


async def test_alerts_of_one_name_are_one_finding_since_the_first_of_them_began():
    firing = [
        {
            "labels": {"alertname": "Full", "pod": pod},
            "state": "firing",
            "activeAt": f"2026-11-22T0{hour}:00:00.123456789Z",
        }
        for hour, pod in ((8, "b"), (7, "a"))
    ]
    handler = prometheus(vector("0"), alerts=listed("alerts", firing), rules=listed("rules", [{"name": "Full"}]))
    found = finding(await report_of(handler, {}, alerts={}), "alert", "Full")
    assert (found.outcome, found.severity, found.note) == (Outcome.WARNED, "P2", "2 of them; pod=b; pod=a")
    assert found.since.hour == 7


async def test_a_server_that_lists_no_rules_still_tells_what_fires():
    firing = [{"labels": {"alertname": "Down", "severity": "critical"}, "state": "firing"}]
    report = await report_of(prometheus(vector("0"), alerts=listed("alerts", firing)), {}, alerts=ALERTS)
    assert finding(report, "alert", "Down (critical)").severity == "P0"
    assert finding(report, "rules_broken").outcome is Outcome.NOT_CHECKED


async def test_a_server_whose_clock_is_off_is_told():
    dated = answer(json.dumps(GREETING), headers="Date: Sun, 22 Nov 2026 11:00:00 GMT\r\n")
    found = finding(await report_of(saying(dated), {}), "clock_skew")
    assert (found.outcome, found.value) == (Outcome.WARNED, 7200)


LEVEL = {"slo": "99.9%", "bad_ratio": "1 - avg(avg_over_time(up[{window}]))"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"slo": "99.9"}, "written like 99.9%"),
        ({"slo": "100%"}, "below 100%"),
        ({"slo": "> 99%"}, "below 100%"),
        ({"bad_ratio": "1 - up"}, "{window}"),
        ({"errors": "failed_total", "total": "all_total"}, "either"),
        ({"bad_ratio": None}, "either"),
        ({"bad_ratio": None, "errors": "failed_total"}, "either"),
    ],
)
def test_a_service_level_that_says_too_little_or_too_much_is_refused(wrong, says):
    with pytest.raises(ValidationError, match=says):
        ServiceLevel.model_validate(LEVEL | wrong)


def test_a_service_level_asks_for_each_window_and_its_bounds_follow_its_period():
    assert ServiceLevel.model_validate(LEVEL).query(timedelta(hours=6)) == "1 - avg(avg_over_time(up[6h]))"
    bounds = [[burn.bound(timedelta(days=days)).number for burn in BURNS.values()] for days in (30, 90)]
    assert bounds == [[14.4, 6, 3, 1], [43.2, 18, 9, 3]]


@pytest.mark.parametrize(
    ("empty", "outcome"),
    [("errored", Outcome.ERRORED), ("not checked", Outcome.NOT_CHECKED), ("zero", Outcome.PASSED)],
)
async def test_a_service_level_without_any_request_is_what_its_spec_says(empty, outcome):
    level = LEVEL | {"empty": empty}
    report = await report_of(prometheus(vector("NaN")), {"empty": "zero"}, service_levels={"shop": level})
    for name in (*BURNS, "error_budget_left"):
        assert finding(report, name, "shop").outcome is outcome


async def test_a_service_level_of_several_series_is_errored_with_the_cure():
    report = await report_of(prometheus(vector("0", "1")), {}, service_levels={"shop": LEVEL})
    found = finding(report, "burn_rate_1h", "shop")
    assert (found.outcome, found.remedy) == (Outcome.ERRORED, "aggregate with sum() or avg()")


async def test_a_limit_of_the_spec_stands_above_the_windows_own():
    limits = {"burn_rate_1h": {"warn": 2000, "severity": "P2"}}
    report = await report_of(
        prometheus(vector("1")), {}, service_levels={"shop": LEVEL | {"page": "P0"}}, limits=limits
    )
    assert finding(report, "burn_rate_1h", "shop").outcome is Outcome.PASSED
    page = finding(report, "burn_rate_6h", "shop")
    assert (page.outcome, page.severity, page.limit) == (Outcome.FAILED, "P0", "above 6")


async def test_the_token_is_sent_and_never_shown():
    seen = []

    def refuse(_, headers):
        seen.append(headers["authorization"])
        return answer(f"no such token: {headers['authorization']}", status="401 Unauthorized")

    report = await report_of(routed(refuse), {}, {"TOKEN": "s3cret-t0ken"}, token={"env": "TOKEN"})
    assert seen == ["Bearer s3cret-t0ken"]
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert finding(report, "check").remedy == "check the token behind the reference"
    assert "s3cret-t0ken" not in report.model_dump_json()


async def test_an_address_without_the_query_api_is_errored_and_says_what_to_write():
    report = await report_of(saying(answer("404 page not found", status="404 Not Found")), {})
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "no query API at this address" in finding(report, "check").note


@pytest.mark.parametrize(
    ("handler", "note"),
    [
        (silent, "no answer within"),
        (hanging_up, "Server disconnected without sending a response."),
        (saying(answer("<html>bad gateway", status="502 Bad Gateway")), "status 502 Bad Gateway"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "its body broke off"),
    ],
)
async def test_a_server_that_gives_no_usable_answer_is_unreachable(handler, note, monkeypatch):
    monkeypatch.setattr(probe, "_MARGIN", 0.1)
    report = await report_of(handler, {})
    assert finding(report, "reachable").outcome is Outcome.FAILED
    assert finding(report, "reachable").note.startswith(note)


async def test_a_refused_connection_is_unreachable():
    report = await check(system(await refused_port(), {}))
    assert finding(report, "reachable").note == "connection refused"


async def test_a_redirect_to_a_login_page_is_errored_and_shown():
    moved = answer("", status="302 Found", headers="Location: https://login.example.com/\r\n")
    report = await report_of(saying(moved), {})
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "leads to https://login.example.com/" in finding(report, "check").note


async def test_a_query_that_hangs_is_errored_alone_and_within_the_time(monkeypatch):
    monkeypatch.setattr(probe, "_MARGIN", 0.1)

    async def hang(reader, writer):
        if b"query=slow" in await reader.readuntil(b"\r\n\r\n"):
            await asyncio.Event().wait()
        writer.write(answer(json.dumps(vector("0.01"))))

    objectives = {"slow": {"query": "slow", "critical": "5%"}, "fast": {"query": "fast", "critical": "5%"}}
    async with serving(hang) as port:
        url = f"http://127.0.0.1:{port}"
        report = await check({"kind": "prometheus", "url": url, "objectives": objectives})
    assert finding(report, "fast").outcome is Outcome.PASSED
    assert finding(report, "slow").outcome is Outcome.ERRORED
    assert finding(report, "slow").note.startswith("no answer within")


@pytest.mark.parametrize(
    ("fields", "unit", "worse", "window"),
    [
        ({}, Unit.COUNT, Worse.ABOVE, None),
        ({"unit": "seconds"}, Unit.SECONDS, Worse.ABOVE, None),
        ({"warn": "200ms", "for": "5m"}, Unit.SECONDS, Worse.ABOVE, timedelta(minutes=5)),
        (
            {"by_severity": {"P0": {"bound": "< 99%", "for": "1h"}}, "for": "5m"},
            Unit.RATIO,
            Worse.BELOW,
            timedelta(hours=1),
        ),
    ],
)
def test_unit_bad_side_and_window_follow_from_the_bounds(fields, unit, worse, window):
    objective = Objective.model_validate({"query": "up", **fields})
    assert (objective.measured_in, objective.worse, objective.window) == (unit, worse, window)


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ({"a": {"query": "up", "warn": "5%", "critical": "3s"}}, "different units: warn 5%, critical 3s"),
        ({"a": {"query": "up", "unit": "seconds", "critical": "3"}}, "its unit is seconds, written like 200ms"),
        ({"reachable": {"query": "up"}}, "give the objective another name"),
        ({"Error-Rate": {"query": "up"}}, "should match pattern"),
        ({"a": {"query": ""}}, "at least 1 character"),
    ],
)
def test_an_objective_that_makes_no_sense_is_refused_in_words(objectives, message):
    with pytest.raises(ValidationError, match=message):
        Spec.model_validate({"kind": "prometheus", "url": "http://a", "objectives": objectives})


def test_severities_of_objectives_are_named_with_their_paths():
    objectives = {"a": {"query": "up", "critical": 1, "severity": "P0", "by_severity": {"P2": "0"}}}
    spec = Spec.model_validate({"kind": "prometheus", "url": "http://a", "objectives": objectives})
    assert spec.severities() == [
        (("objectives", "a", "severity"), "P0"),
        (("objectives", "a", "by_severity", "P2"), "P2"),
    ]
