from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

import tasks.systems.kubernetes as kind
from tasks.systems.kubernetes.probe import _PARTS
from tasks.systems.kubernetes.spec import CATALOG, Spec

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
BASE = {"kind": "kubernetes", "namespace": "apex", "deployments": {"api": {"severity": "P0"}, "worker": {}}}


def measured(name, subject):
    return CATALOG.read(name, 0.0, at=AT, subject=subject)


def test_a_workloads_own_severity_stands_for_its_measurements():
    spec = Spec.model_validate(BASE)
    assert spec.limit(measured("available", "deployment/api")).severity == "P0"
    assert spec.limit(measured("available", "deployment/worker")).severity is None


def test_a_workloads_own_severity_does_not_make_an_advice_urgent():
    spec = Spec.model_validate(BASE | {"limits": {"cpu": {"warn": "70%"}}})
    assert spec.limit(measured("cpu", "deployment/api")).severity is None


def test_a_limits_severity_wins_over_the_workloads():
    spec = Spec.model_validate(BASE | {"limits": {"available": {"critical": "80%", "severity": "P2"}}})
    assert spec.limit(measured("available", "deployment/api")).severity == "P2"


def test_every_severity_in_use_is_named_with_its_path():
    spec = Spec.model_validate(BASE | {"stateful_sets": {"redis": {"severity": "P1"}}, "severity": "P3"})
    assert spec.severities() == [
        (("severity",), "P3"),
        (("deployments", "api", "severity"), "P0"),
        (("stateful_sets", "redis", "severity"), "P1"),
    ]


@pytest.mark.parametrize("wrong", [{"namespace": "Not A Name"}, {"deployments": ["api"]}, {"namespaces": "apex"}])
def test_a_wrong_spec_is_refused(wrong):
    with pytest.raises(ValidationError):
        Spec.model_validate(BASE | wrong)


def test_what_is_missing_when_a_part_cannot_be_read_is_in_the_catalog():
    assert {name for _, names in _PARTS for name in names} <= CATALOG.keys()


def test_the_role_beside_the_probe_only_lists_sees_no_secret_and_gets_nothing_but_logs():

    documents = yaml.safe_load_all((Path(kind.__file__).parent / "role.yaml").read_text(encoding="utf-8"))
    rules = [rule for document in documents for rule in document.get("rules", ())]
    assert rules
    verbs = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    assert {one for one in verbs if one[1] != "list"} == {("pods/log", "get")}
    assert not {"secrets", "*", "configmaps"} & {resource for rule in rules for resource in rule["resources"]}
