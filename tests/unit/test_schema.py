"""What is made from the models: the JSON Schema and the page about specs."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from deployments.cli import main
from deployments.schema import PAGE, SCHEMA, generated, platform_schema
from tasks.core.loading import load_platform
from tasks.systems import kinds, platform_model

FOLDER = SCHEMA.parent
FRESH = generated(main)
MODEL = jsonschema.Draft202012Validator(platform_schema())


@pytest.mark.parametrize("path", FRESH, ids=lambda path: path.name)
def test_what_is_made_from_the_models_is_fresh(path):
    assert path.read_text(encoding="utf-8") == FRESH[path], "run `watchkeeper schema --write`"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_schema_accepts_the_specs(path: Path):
    MODEL.validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_the_schema_itself_is_valid():
    jsonschema.Draft202012Validator.check_schema(platform_schema())


@pytest.mark.parametrize(
    "change",
    [{"titel": "x"}, {"severities": {}}, {"systems": {"a": {"kind": "redis", "urll": 1}}}, {"systems": {"a": {}}}],
)
def test_the_schema_refuses_what_the_models_refuse(change):
    good = yaml.safe_load((FOLDER / "apex.yaml").read_text(encoding="utf-8"))
    errors = list(MODEL.iter_errors({**good, **change}))
    assert errors


def test_every_field_of_every_kind_is_described_for_editors():
    bare = [
        f"{kind.name}.{name}"
        for kind in kinds().values()
        for name, field in kind.spec.model_fields.items()
        if name != "kind" and not field.description
    ]
    assert bare == []


def test_the_page_shows_every_kind_and_every_measurement():
    page = PAGE.read_text(encoding="utf-8")
    for kind in kinds().values():
        assert f"\n## `{kind.name}`\n" in page
        for measure in kind.spec.CATALOG:
            assert f"| `{measure}` |" in page


def test_the_example_of_the_page_is_a_spec():
    example = PAGE.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    assert load_platform(example, "example", platform_model()).platform == "shop"
