"""What is made from the models and the commands: JSON Schemas, two pages, and rule files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from deployments.commands_page import commands_page
from deployments.rules import rule_file
from deployments.spec_page import json_schema, spec_page
from tasks.platforms import load, platform_names
from tasks.reports.schema import report_schema
from tasks.systems import platform_model

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "deployments" / "platforms" / "platform.schema.json"
PAGE = ROOT / "docs" / "platform-spec.md"
COMMANDS = ROOT / "docs" / "commands.md"
RULES = ROOT / "deployments" / "prometheus"
REPORT = ROOT / "docs" / "report.schema.json"


def platform_schema() -> dict[str, Any]:
    """Return the JSON Schema of a platform's spec, in the keys that a file uses."""
    schema = json_schema(platform_model())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def generated(commands: click.Group) -> dict[Path, str]:
    """Return the text of every file that is made from the models and the commands, by its path."""
    return {
        SCHEMA: json.dumps(platform_schema(), indent=2, ensure_ascii=False) + "\n",
        PAGE: spec_page(),
        COMMANDS: commands_page(commands),
        REPORT: report_schema(),
        **{RULES / f"{name}.rules.yaml": rule_file(load(name)) for name in platform_names()},
    }


def write_all(commands: click.Group) -> list[Path]:
    """Write every file that is made, and return the paths."""
    files = generated(commands)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)
