"""The command: help with examples, JSON for machines, exit codes, and errors that name the cure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from deployments.cli import main

GOOD = """
platform: shop
title: Shop
slack: {channel: "#shop"}
severities: {P0: {means: down, respond: 15m}}
default_severity: {warn: P0, critical: P0}
systems:
  cache: {kind: redis, url: {env: SHOP_CACHE_URL}}
"""


def commands(group=main, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_has_help_with_an_example_and_json_for_machines(name, command):
    result = run(*name.split(), "--help")
    assert result.exit_code == 0
    assert f"    watchkeeper {name}" in result.output
    assert "--json" in result.output
    assert command.help


def test_help_loads_nothing_that_is_slow():
    code = "import sys; from deployments.cli import main; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout  # noqa: S603 - ours
    assert [name for name in ("prefect", "pydantic", "rich", "httpx", "pandas") if f"'{name}'" in loaded] == []


def test_a_good_spec_is_fine(spec):
    result = run("validate", spec)
    assert result.exit_code == 0
    assert "1 of 1 specs are fine" in result.output


def test_a_broken_spec_is_a_finding_with_its_place(spec):
    spec.write_text(GOOD.replace("url:", "ulr:"), encoding="utf-8")
    result = run("validate", spec, "--json")
    assert result.exit_code == 1
    problems = json.loads(result.output)["problems"]
    assert {(problem["line"], problem["column"]) for problem in problems} <= {(8, 3), (8, 24)}
    assert any(problem["meant"] == "url" for problem in problems)


def test_a_secret_that_is_not_set_is_named_when_asked_for(spec, monkeypatch):
    monkeypatch.delenv("SHOP_CACHE_URL", raising=False)
    assert run("validate", spec).exit_code == 0
    result = run("validate", spec, "--secrets")
    assert result.exit_code == 1
    assert "SHOP_CACHE_URL" in result.output


def test_a_platform_that_is_not_there_could_not_run_and_the_likely_one_is_named():
    result = run("check", "apexx")
    assert result.exit_code == 2
    assert "did you mean 'apex'?" in result.output


def test_an_error_is_json_where_json_was_asked_for():
    result = run("check", "apexx", "--json")
    assert result.exit_code == 2
    assert "apexx" in json.loads(result.output)["error"]


def test_a_lab_that_is_not_up_is_said_with_the_command_that_starts_it(tmp_path):
    result = run("check", "apex", "--lab", "--state", tmp_path)
    assert result.exit_code == 2
    assert "watchkeeper lab up" in result.output


def test_a_check_with_findings_ends_with_one_and_tells_them(spec, monkeypatch, tmp_path):
    monkeypatch.setenv("SHOP_CACHE_URL", "redis://:hunter2-secret@127.0.0.1:1/0")
    page = tmp_path / "report.html"
    result = run("check", spec, "--state", tmp_path, "--html", page)
    assert result.exit_code == 1
    assert "cache does not answer" in result.output
    assert "Shop" in page.read_text(encoding="utf-8")
    assert "hunter2" not in result.output + page.read_text(encoding="utf-8")


def test_a_check_gives_the_whole_report_as_json(spec, monkeypatch, tmp_path):
    monkeypatch.setenv("SHOP_CACHE_URL", "redis://127.0.0.1:1/0")
    report = json.loads(run("check", spec, "--state", tmp_path, "--json").output)
    assert report["verdict"] == "failed"
    assert [finding["measurement"] for finding in report["systems"][0]["findings"]] == ["reachable"]


def test_a_system_that_the_platform_does_not_have_is_refused(spec, tmp_path):
    result = run("check", spec, "--system", "cahce", "--state", tmp_path)
    assert result.exit_code == 2
    assert "did you mean 'cache'?" in result.output


def test_the_platforms_are_listed():
    listed = json.loads(run("platforms", "--json").output)
    assert {entry["platform"] for entry in listed} == {
        path.stem for path in Path("deployments/platforms").glob("*.yaml")
    }


def test_a_kind_shows_what_it_measures():
    result = run("kinds", "redis")
    assert "memory_used" in result.output
    assert run("kinds", "reddis").exit_code == 2


def test_following_without_an_api_names_the_cure(tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    result = run("run", "health-check", "apex", "--state", tmp_path)
    assert result.exit_code == 2
    assert "watchkeeper up" in result.output
