"""docs/coverage.md against the code: every row of the runbooks is there and names only what exists."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tasks.systems import kinds

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "coverage.md"
PLATFORMS = {"SS": "stylesync", "ST": "stario", "AX": "apex", "EY": "eyewear", "SY": "synesthesia"}
HOW_MANY = {"SS": 19, "ST": 19, "AX": 15, "EY": 17, "SY": 19}
IDS = [f"{prefix}{number}" for prefix, count in HOW_MANY.items() for number in range(1, count + 1)]
STATUS = re.compile(r"done|part: \S.+|planned: \S.+")


class Row(NamedTuple):
    id: str
    asks: str
    spec: str
    deployments: str
    tests: str
    status: str

    @property
    def platform(self) -> str:
        return PLATFORMS[self.id[:2]]


def _rows() -> list[Row]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| [A-Z]{2}\d", line)
    ]
    return [Row(*row) for row in cells]


ROWS = _rows()
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)


def quoted(cell: str) -> list[str]:
    assert re.sub(r"`[^`]+`", "", cell).strip() == "", f"outside of backticks: {cell}"
    return re.findall(r"`([^`]+)`", cell)


@functools.cache
def spec_data(platform: str) -> dict[str, Any]:
    text = (ROOT / "deployments" / "platforms" / f"{platform}.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return data


@functools.cache
def prefect_deployments() -> dict[str, dict[str, Any]]:
    data = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    named = {}
    for deployment in data["deployments"]:
        file, function = deployment["entrypoint"].split(":")
        assert function in (ROOT / file).read_text(encoding="utf-8"), deployment["entrypoint"]
        named[f"{function.replace('_', '-')}/{deployment['name']}"] = deployment
    return named


@functools.cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_row_of_the_runbooks_is_there_once_and_in_order():
    assert [row.id for row in ROWS] == IDS


@each_row
def test_a_row_says_its_status(row):
    assert STATUS.fullmatch(row.status), row.status
    assert row.asks


@each_row
def test_a_row_names_spec_entries_that_exist(row):
    data = spec_data(row.platform)
    for entry in quoted(row.spec):
        first, *rest = entry.split(".")
        here = data["systems"].get(first, data.get(first))
        assert here is not None, entry
        for part in rest:
            assert part in here, entry
            here = here[part]


@each_row
def test_a_row_names_deployments_of_its_platform_that_exist(row):
    known = prefect_deployments()
    for name in quoted(row.deployments):
        assert name in known, name
        assert known[name]["parameters"]["platform"] == row.platform


@each_row
def test_a_row_names_tests_that_exist(row):
    for name in quoted(row.tests):
        file, _, function = name.partition("::")
        assert function in functions_of(file), name


@each_row
def test_what_is_done_or_runs_in_part_has_a_deployment_and_a_test(row):
    if not row.status.startswith("planned"):
        assert quoted(row.deployments), row.id
        assert quoted(row.tests), row.id


@each_row
def test_nothing_is_done_by_a_kind_that_cannot_measure(row):
    systems = spec_data(row.platform)["systems"]
    named = {entry.split(".")[0] for entry in quoted(row.spec)} & systems.keys()
    blind = {name for name in named if not kinds()[systems[name]["kind"]].can("probe")}
    assert not (blind and row.status == "done"), blind
    if not row.status.startswith("planned"):
        assert not named or named - blind, f"only {blind}"


def test_the_morning_check_of_eyewear_is_at_nine():
    (schedule,) = prefect_deployments()["health-check/eyewear"]["schedules"]
    assert schedule["cron"] == "0 9 * * *"
