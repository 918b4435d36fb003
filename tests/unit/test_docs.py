"""The documentation names every flow, deployment, kind, setting and page there is, and nothing that is not."""

import re
from pathlib import Path

import pytest
import yaml

from deployments.cli import main
from deployments.lab import faults
from tasks.controls import controls
from tasks.core.settings import Settings
from tasks.platforms import platform_names
from tasks.systems import kinds

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]


def text(*names):
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def flow_of(deployment):
    return deployment["entrypoint"].split(":")[1].replace("_", "-")


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_every_deployment_is_documented(deployment):
    assert f"{flow_of(deployment)}/{deployment['name']}" in "".join(
        text(f"docs/{page.name}") for page in (ROOT / "docs").glob("*.md")
    )


def test_every_flow_has_a_deployment():
    flows = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__"}
    assert flows == {Path(deployment["entrypoint"].split(":")[0]).stem for deployment in DEPLOYMENTS}


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_is_documented(kind):
    assert f"`{kind}`" in text("docs/platform-spec.md")


@pytest.mark.parametrize("control", controls())
def test_every_control_is_documented(control):
    assert f"`{control}`" in text("docs/compliance.md")


@pytest.mark.parametrize("platform", platform_names())
def test_every_platform_is_documented(platform):
    assert f"health-check/{platform}" in text("docs/health-check.md")


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_every_setting_is_documented(setting):
    name = setting.upper()
    assert f"WATCHKEEPER_{name}" in text("docs/deploy.md") or f"`_{name.removeprefix('SLACK_')}`" in text(
        "docs/deploy.md"
    )


def test_every_fault_of_the_lab_has_a_help_line():
    assert all(line.endswith(".") for by_name in faults().values() for line in by_name.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_the_pages_exists(page):
    for line in re.findall(
        r"(?:`|^ *|\$ )watchkeeper ((?:lab |status-page )?[a-z-]+)\b", page.read_text(encoding="utf-8"), re.MULTILINE
    ):
        command = main
        for word in line.split():
            assert word in command.commands, f"{page.name} names `watchkeeper {line}`"
            command = command.commands[word]
