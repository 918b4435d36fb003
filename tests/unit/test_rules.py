"""The rule files are made from the specs: every bound of an objective is a rule, with the platform's own severity."""

from __future__ import annotations

import pytest
import yaml
from click.testing import CliRunner

from deployments.cli import main
from deployments.rules import rule_file, rules
from tasks.core.limits import Bound
from tasks.platforms import load, platform_names
from tasks.systems import platform_model
from tasks.systems.prometheus.rules import groups


def rules_of(**metrics):
    system = {"kind": "prometheus", "url": "http://prometheus", **metrics}
    platform = platform_model().model_validate(SHOP | {"systems": {"metrics": system}})
    return [rule for group in groups(platform) for rule in group["rules"]]


SHOP = {
    "platform": "web-shop",
    "title": "Web shop",
    "slack": {"channel": "#shop"},
    "severities": {
        "P0": {"means": "down", "respond": "15m"},
        "P2": {"means": "bad", "respond": "4h", "outcome": "warned"},
    },
    "default_severity": {"critical": "P0", "warn": "P2"},
}


def test_each_bound_is_a_rule_with_its_severity_its_side_and_its_time():
    tiers = {"P0": {"bound": "50%", "for": "2m"}, "P2": "5%"}
    found = rules_of(objectives={"error_rate": {"query": "errors / all", "by_severity": tiers, "remedy": "Undo it."}})
    assert [(r["alert"], r["expr"], r.get("for"), r["labels"]["severity"]) for r in found] == [
        ("WebShopErrorRate", "(errors / all) > 0.5", "2m", "P0"),
        ("WebShopErrorRate", "(errors / all) > 0.05", None, "P2"),
    ]
    assert found[0]["annotations"] == {
        "summary": "Web shop: error rate is above 50%, at {{ $value | humanizePercentage }}",
        "description": "Undo it.",
    }


@pytest.mark.parametrize(
    ("bound", "expression"),
    [
        ("< 99.5%", "(q) < 0.995"),
        ("200ms", "(q) > 0.2"),
        (">= 3", "(q) >= 3"),
        ("no", "(q) == 0"),
        ("90m", "(q) > 5400"),
    ],
)
def test_a_bound_is_written_in_the_unit_that_the_query_answers(bound, expression):
    (rule,) = rules_of(objectives={"it": {"query": "q", "critical": bound}})
    assert rule["expr"] == expression


def test_a_service_level_is_four_rules_of_two_windows_each():
    level = {"slo": "99.9%", "bad_ratio": "bad[{window}]", "page": "P0", "ticket": "P2"}
    found = rules_of(service_levels={"sales": level})
    assert [(r["alert"], r["labels"]["severity"]) for r in found] == [
        ("WebShopSalesBurns1h", "P0"),
        ("WebShopSalesBurns6h", "P0"),
        ("WebShopSalesBurns1d", "P2"),
        ("WebShopSalesBurns3d", "P2"),
    ]
    assert found[0]["expr"] == "(bad[1h]) > 14.4 * 0.001 and on() (bad[5m]) > 14.4 * 0.001"


def test_what_only_informs_is_no_rule():
    assert rules_of(objectives={"rate": {"query": "q", "unit": "per second"}}) == []


@pytest.mark.parametrize("name", platform_names())
def test_every_bound_of_a_platforms_objectives_is_in_its_rules(name):
    platform = load(name)
    metrics = platform.systems["metrics"]
    bounds = [bound for objective in metrics.objectives.values() for _, bound in objective.bounds()]
    assert all(isinstance(bound, Bound) for bound in bounds)
    assert len(rules(platform)["groups"][0]["rules"]) == len(bounds) + 4 * len(metrics.service_levels)


def test_the_command_prints_a_file_that_says_where_it_comes_from():
    result = CliRunner().invoke(main, ["rules", "stylesync"])
    assert (result.exit_code, result.output) == (0, rule_file(load("stylesync")))
    assert yaml.safe_load(result.output) == rules(load("stylesync"))
    assert result.output.startswith(
        "# Made by `watchkeeper rules stylesync` from deployments/platforms/stylesync.yaml."
    )
