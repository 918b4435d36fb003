"""Alerts of a real Prometheus, service levels on a real history, and the rule files and dashboards that we make."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml

from deployments.lab.pieces import Lab
from deployments.lab.servers import free_ports, prometheus, running
from tasks.core.errors import NotOffered
from tasks.core.results import Outcome
from tasks.platforms import platform_names
from tests.hostile import check, finding, measured

pytestmark = pytest.mark.lab

RULES = """\
groups:
  - name: shop
    rules:
      - {alert: Down, expr: vector(1), labels: {severity: critical}, annotations: {summary: Nobody can buy}}
      - {alert: Slow, expr: 'label_replace(vector(1), "pod", "api-1", "", "")', labels: {severity: warning}}
      - {alert: Fine, expr: vector(0) > 1, labels: {severity: critical}}
      - {alert: Soon, expr: vector(1), for: 1h, labels: {severity: critical}}
      - {alert: Watchdog, expr: vector(1)}
      - alert: Broken
        expr: >-
          vector(1) * on() group_left()
          (label_replace(vector(1), "x", "1", "", "") or label_replace(vector(1), "x", "2", "", ""))
"""
ALERTS = {"severities": {"critical": "P0", "warning": "P2"}}


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules")
    (folder / "shop.rules.yaml").write_text(RULES, encoding="utf-8")
    try:
        server = prometheus.server(folder, free_ports(1)[0])
    except NotOffered as error:
        pytest.skip(str(error))
    with running(server):
        yield server.address


async def evaluated(address):
    """Wait until every rule was evaluated once."""
    async with asyncio.timeout(60):
        while True:
            report = await check({"kind": "prometheus", "url": address, "alerts": ALERTS})
            if [m for m in report.measurements if m.name == "rules_broken" and m.value]:
                return report
            await asyncio.sleep(0.05)


async def test_alerts_that_fire_are_findings_with_the_platforms_severity_and_since_when(evaluator):
    report = await evaluated(evaluator)
    down, slow = finding(report, "alert", "Down (critical)"), finding(report, "alert", "Slow (warning)")
    assert (down.outcome, down.severity, down.note) == (Outcome.FAILED, "P0", "Nobody can buy")
    assert (slow.severity, slow.note) == ("P2", "pod=api-1")
    assert timedelta(0) <= down.at - down.since < timedelta(minutes=1)
    assert finding(report, "alert", "Fine (critical)").outcome is Outcome.PASSED
    assert (measured(report, "firing_alerts").value, measured(report, "pending_alerts").note) == (2, "Soon")
    assert finding(report, "alert", "Soon (critical)").outcome is Outcome.PASSED


async def test_a_rule_that_cannot_be_evaluated_is_a_warning_and_never_taken_for_quiet(evaluator):
    report = await evaluated(evaluator)
    broken = finding(report, "rules_broken")
    assert (broken.outcome, broken.value) == (Outcome.WARNED, 1)
    assert "Broken: found duplicate series" in broken.note
    assert "Broken" not in {f.subject for f in report.findings}


async def test_a_server_that_scrapes_nothing_is_not_green(evaluator):
    fresh = finding(await evaluated(evaluator), "newest_sample")
    assert (fresh.outcome, fresh.note) == (Outcome.ERRORED, "there was no sample of up within a day")


async def test_a_server_without_rules_does_not_pass_for_one_where_nothing_fires(prometheus_server):
    report = await check({"kind": "prometheus", "url": prometheus_server.address, "alerts": ALERTS})
    assert finding(report, "alert").outcome is Outcome.NOT_CHECKED
    assert "evaluates no alerting rule" in finding(report, "alert").note


NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)  # the newest samples are not seen at once


@pytest.fixture(scope="module")
def months(prometheus_server):
    """Thirty days by ten minutes: `calm` never fails, `blip` for the last three minutes, `burning` for two hours."""
    bad = {"calm": timedelta(0), "blip": timedelta(minutes=3), "burning": timedelta(hours=2)}
    ages = sorted({*range(0, 31 * 86_400, 600), *range(0, 3 * 3600, 30)}, reverse=True)
    lines = []
    for service, lasting in bad.items():
        for age in ages:
            stamp, gone = int((NOW - timedelta(seconds=age)).timestamp() * 1000), 31 * 86_400 - age
            failed = max(lasting.total_seconds() - age, 0)
            lines.append(f'shop_total{{service="{service}"}} {gone} {stamp}')
            lines.append(f'shop_failed{{service="{service}"}} {failed} {stamp}')
    lines += [f"up 1 {int((NOW - timedelta(minutes=20)).timestamp() * 1000)}"]
    push(prometheus_server.address, lines)
    return prometheus_server.address


def push(address, lines):
    body = "\n".join(lines).encode() + b"\n"
    for path, data in (("api/v1/import/prometheus", body), ("internal/force_flush", None)):
        urllib.request.urlopen(f"{address}/{path}", data=data, timeout=10).close()  # noqa: S310


def level(service, **more):
    return {"errors": f'shop_failed{{service="{service}"}}', "total": f'shop_total{{service="{service}"}}'} | more


async def levels(address, **services):
    return await check({"kind": "prometheus", "url": address, "service_levels": services}, now=NOW)


async def test_a_budget_burns_only_where_the_long_window_and_the_short_one_are_both_above(months):
    report = await levels(months, **{name: level(name, slo="99.9%") for name in ("calm", "blip", "burning")})

    def outcomes(service):
        return [finding(report, f"burn_rate_{window}", service).outcome for window in ("1h", "6h", "1d", "3d")]

    assert outcomes("calm") == [Outcome.PASSED] * 4
    assert outcomes("burning") == [Outcome.FAILED, Outcome.FAILED, Outcome.WARNED, Outcome.WARNED]
    assert outcomes("blip")[2:] == [Outcome.PASSED] * 2
    assert measured(report, "burn_rate_1h", "burning").value == pytest.approx(1000, rel=0.05)
    assert measured(report, "error_budget_left", "calm").value == 1
    spent = finding(report, "error_budget_left", "burning")
    assert (spent.outcome, spent.value) == (Outcome.WARNED, pytest.approx(1 - 2 / 0.72, abs=0.1))


async def test_an_error_that_is_over_does_not_burn_any_more(months):
    later = NOW + timedelta(minutes=31)
    calm_again = [
        f'shop_{what}{{service="burning"}} {value + (age if what == "total" else 0)} '
        f"{int((NOW + timedelta(seconds=age)).timestamp() * 1000)}"
        for what, value in (("total", 31 * 86_400), ("failed", 7200))
        for age in range(30, 1890, 30)
    ]
    push(months, calm_again)
    system = {"kind": "prometheus", "url": months, "service_levels": {"burning": level("burning", slo="99.9%")}}
    report = await check(system, now=later)
    assert finding(report, "burn_rate_1h", "burning").outcome is Outcome.PASSED
    assert finding(report, "burn_rate_1d", "burning").outcome is Outcome.WARNED


async def test_samples_that_are_twenty_minutes_old_are_a_warning(months):
    fresh = finding(await levels(months), "newest_sample")
    assert (fresh.outcome, fresh.value) == (Outcome.WARNED, pytest.approx(1200, abs=400))


# What is made for a Prometheus and a Grafana of the platforms' own

ROOT = Path(__file__).resolve().parents[2] / "deployments"
BOARDS = sorted((ROOT / "grafana").glob("*.json"))


def asked(address, promql):
    """Return how many series a query answers."""
    url = f"{address}/api/v1/query?{urlencode({'query': promql})}"
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310
        return len(json.load(response)["data"]["result"])


def rule_names(platform):
    document = yaml.safe_load((ROOT / "prometheus" / f"{platform}.rules.yaml").read_text(encoding="utf-8"))
    return [
        (rule["alert"], rule["labels"]["severity"], rule["expr"]) for g in document["groups"] for rule in g["rules"]
    ]


def test_prometheus_own_tool_accepts_every_rule_file():
    try:
        tool = prometheus.program("promtool")
    except NotOffered as error:
        pytest.skip(str(error))
    files = [str(path) for path in sorted((ROOT / "prometheus").glob("*.yaml"))]
    assert len(files) == len(platform_names())
    command = [tool, "check", "rules", *files]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603
    assert (done.returncode, done.stderr) == (0, "")


def address_of(lab, platform):
    return next(piece.address for piece in Lab.read(lab.state).pieces if piece.target == f"{platform}/metrics")


@pytest.mark.parametrize("platform", platform_names())
def test_every_rule_is_quiet_where_the_platform_is_well(lab, platform):
    if not (address := address_of(lab, platform)):
        pytest.skip("there is no server of the query API")
    assert [name for name, _, expression in rule_names(platform) if asked(address, expression)] == []


def test_the_rules_that_a_fault_concerns_fire_with_each_severity(lab):
    if not (address := address_of(lab, "stylesync")):
        pytest.skip("there is no server of the query API")
    lab.break_("stylesync/metrics", "errors")
    firing = {(name, severity) for name, severity, expression in rule_names("stylesync") if asked(address, expression)}
    assert firing == {("StylesyncErrorRate", severity) for severity in ("P0", "P1", "P2")}


def targets(board):
    return [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", ())]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_loads_and_each_of_its_queries_runs(lab, path):
    board = json.loads(path.read_text(encoding="utf-8"))
    assert board["uid"] == path.stem
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    if not (address := address_of(lab, "stylesync")):
        pytest.skip("there is no server of the query API")
    counts = {title: asked(address, text.replace("$__rate_interval", "5m")) for title, text in targets(board)}
    assert counts
    if path.stem != "stylesync-infrastructure":  # the lab plays neither kube-state-metrics nor StyleSync's nodes
        assert [title for title, count in counts.items() if not count] == []


def test_there_is_a_dashboard_for_each_that_the_runbook_names():
    assert [path.stem for path in BOARDS] == ["stylesync-infrastructure", "stylesync-overview", "stylesync-phases"]
