"""Objectives asked of a real server of the query API, over a history that was written into it."""

import math
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.results import Outcome
from tests.hostile import check, finding, measured

pytestmark = pytest.mark.lab

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)  # the newest samples are not seen at once


@pytest.fixture(scope="module")
def history(prometheus_server):
    """An hour of samples, four a minute: one series in trouble for twenty minutes, one for two, a counter, a gap."""
    lines = []
    for age in range(3600, -1, -15):
        stamp = int((NOW - timedelta(seconds=age)).timestamp() * 1000)
        lines += [
            f'web_errors_ratio{{pod="a"}} {0.2 if age <= 1200 else 0.01} {stamp}',
            f'web_errors_ratio{{pod="b"}} {0.2 if age <= 120 else 0.01} {stamp}',
            f"web_requests_total {3600 - age} {stamp}",
            f"web_duration_seconds {0.3 + 0.1 * math.sin(age)} {stamp}",
        ]
        if not 300 < age < 1500:
            lines.append(f"web_gap 9 {stamp}")
    body = "\n".join(lines).encode() + b"\n"
    for path, data in (("api/v1/import/prometheus", body), ("internal/force_flush", None)):
        urllib.request.urlopen(f"{prometheus_server.address}/{path}", data=data, timeout=10).close()  # noqa: S310
    return prometheus_server.address


async def ask(address: str, **objectives: dict):
    return await check({"kind": "prometheus", "url": address, "objectives": objectives}, now=NOW)


async def test_a_breach_that_lasts_is_told_from_a_fresh_one_by_the_servers_history(history):
    report = await ask(history, errors={"query": "web_errors_ratio", "critical": "5%", "for": "15m"})
    lasting, fresh = finding(report, "errors", "a"), finding(report, "errors", "b")
    assert (lasting.outcome, fresh.outcome) == (Outcome.FAILED, Outcome.PASSED)
    assert abs(lasting.since - (NOW - timedelta(minutes=20))) <= timedelta(seconds=30)
    assert len(measured(report, "errors", "a").series) > 100


async def test_a_history_with_a_gap_is_known_only_since_the_gap(history):
    report = await ask(history, gap={"query": "last_over_time(web_gap[30s])", "critical": 5, "for": "15m"})
    assert finding(report, "gap").outcome is Outcome.PASSED
    assert measured(report, "gap").series[0].at >= NOW - timedelta(minutes=6)


async def test_rates_quantities_and_scalars_are_read(history):
    report = await ask(
        history,
        rate={"query": "rate(web_requests_total[5m])", "unit": "per second"},
        slow={"query": "max_over_time(web_duration_seconds[30m])", "critical": "300ms"},
        number={"query": "scalar(web_requests_total)"},
    )
    assert measured(report, "rate").value == pytest.approx(1, abs=0.1)
    assert finding(report, "slow").outcome is Outcome.FAILED
    assert measured(report, "number").value == 3600


ASKED = {"bad", "empty", "zero", "divided", "samples"}


async def test_bad_queries_no_data_and_nan_are_errored_in_words(history):
    report = await ask(
        history,
        bad={"query": "sum(", "critical": 1},
        empty={"query": "no_such_metric", "critical": 1},
        zero={"query": "no_such_metric", "critical": 1, "empty": "zero"},
        divided={"query": "web_requests_total * 0 / 0", "critical": 1},
        samples={"query": "web_requests_total[5m]", "critical": 1},
    )
    outcomes = {f.measurement: f.outcome for f in report.findings if f.measurement in ASKED}
    assert outcomes == {
        "bad": Outcome.ERRORED,
        "empty": Outcome.ERRORED,
        "zero": Outcome.PASSED,
        "divided": Outcome.ERRORED,
        "samples": Outcome.ERRORED,
    }
    assert "parse" in finding(report, "bad").note
