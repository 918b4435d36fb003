"""Objects as YAML: nothing changes on the way, and no text is taken for a number or a truth by any reader."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tasks.core.errors import Garbled
from tasks.systems.kubernetes.discovery import Resource
from tasks.systems.kubernetes.index import changes, read_index
from tasks.systems.kubernetes.manifests import documents, dump, rank
from tasks.systems.kubernetes.preparing import lacks
from tasks.systems.kubernetes.stripping import left_out, stripped

TEXTS = some.text(some.characters(codec="utf-8"), max_size=60)
VALUES = some.recursive(
    some.booleans() | some.integers() | TEXTS,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
BASE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


@given(some.dictionaries(TEXTS, VALUES, max_size=5))
def test_whatever_an_object_holds_is_read_back_the_same(data):
    document = BASE | {"data": data}
    assert list(documents(dump(document) + dump(document), "part")) == [document, document]


@pytest.mark.parametrize(
    "text", ["y", "N", "on", "Yes", "null", "~", "12e3", "1_000", "0o17", "0x1f", ".5", "1:30", "2026-01-01", "", "=",
             "<<", "nan", ".inf", "-", "---", "a: b", "a #b", "@x", "%x", "*x", "&x", "!x", "NO", "TRUE", "-1", "+1"]
)  # fmt: skip
def test_a_text_that_some_reader_takes_for_something_else_is_quoted(text):
    for written in (dump({text: "x"}), dump({"x": text})):
        assert re.search(rf'"{re.escape(text)}"'.encode(), written), written


def test_a_line_that_looks_like_the_end_of_a_document_does_not_end_one():
    data = dump(BASE | {"data": {"a": "one\n---\ntwo\n", "b": "---\n"}})
    assert data.split(b"\n---\n")[1:] == []
    assert len(list(documents(data, "part"))) == 1


@pytest.mark.parametrize("data", [b"---\n1\n", b"---\nkind: A\n", b"\xff", b"---\n{", b"a: !!python/object:os.x {}\n"])
def test_what_is_no_object_is_garbled(data):
    with pytest.raises(Garbled):
        list(documents(data, "part"))


def test_what_others_need_is_applied_first():
    names = ["foos.example.com", "deployments.apps", "secrets", "namespaces", "services", "serviceaccounts",
             "validatingwebhookconfigurations.admissionregistration.k8s.io",
             "customresourcedefinitions.apiextensions.k8s.io", "ingresses.networking.k8s.io"]  # fmt: skip
    assert sorted(names, key=rank) == [
        "namespaces", "customresourcedefinitions.apiextensions.k8s.io", "serviceaccounts", "secrets", "services",
        "deployments.apps", "ingresses.networking.k8s.io", "foos.example.com",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
    ]  # fmt: skip


def resource(plural, kind, group="", **more):
    return Resource(group, "v1", plural, kind, namespaced=True, **more)


def test_the_way_to_the_api_server_is_left_out_of_the_namespace_default():
    item = {"metadata": {"name": "kubernetes", "namespace": "default"}, "spec": {}}
    for plural, kind, group in (("services", "Service", ""), ("endpointslices", "EndpointSlice", "discovery.k8s.io")):
        assert left_out(resource(plural, kind, group), item)
        elsewhere = {"metadata": {"name": "kubernetes", "namespace": "shop"}, "spec": {}}
        assert not left_out(resource(plural, kind, group), elsewhere)


def test_endpoints_that_a_person_wrote_are_kept_and_a_controllers_are_not():
    kind = resource("endpoints", "Endpoints")
    own = {"metadata": {"name": "outside", "namespace": "shop"}}
    assert not left_out(kind, own, {"api"})
    assert left_out(kind, {"metadata": {"name": "api", "namespace": "shop"}}, {"api"})
    managed = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    assert left_out(kind, {"metadata": {"name": "x", "labels": managed}})


def test_a_pod_that_nobody_controls_loses_its_node_and_its_token():
    token = {"name": "kube-api-access-abcde", "projected": {}}
    spec = {
        "nodeName": "node-1",
        "containers": [{"name": "a", "image": "a:1", "volumeMounts": [{"name": token["name"], "mountPath": "/t"}]}],
        "volumes": [token, {"name": "data", "emptyDir": {}}],
    }
    kept = stripped(resource("pods", "Pod"), {"metadata": {"name": "a"}, "spec": spec, "status": {"phase": "Running"}})
    assert kept["spec"] == {
        "containers": [{"name": "a", "image": "a:1"}],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    assert spec["nodeName"] == "node-1", "what was read is not changed"


def test_a_status_that_is_no_part_of_its_own_is_what_a_person_wrote():
    kind = resource("widgets", "Widget", "example.com", has_status=False)
    assert stripped(kind, {"metadata": {"name": "a"}, "status": "mine"})["status"] == "mine"


@pytest.mark.parametrize(
    ("wanted", "present", "where"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, ""),
        ({"a": {}}, {}, ""),
        ({"a": {"b": [1, {"c": "x"}]}}, {"a": {"b": [1, {"c": "y"}]}}, ".a.b[1].c"),
        ({"a": [1]}, {"a": [1, 2]}, ".a"),
        ({"a": 1}, {"a": True}, ".a"),
        ({"a": "1"}, {}, ".a"),
        ({"apiVersion": "v1"}, {"apiVersion": "v2"}, ""),
    ],
)
def test_the_first_field_that_an_object_has_otherwise_is_named(wanted, present, where):
    assert lacks(wanted, present) == where


def test_of_many_changes_the_first_are_named_and_all_are_counted():
    now = {f"configmaps/{number:04}": "1" for number in range(500)}
    told = changes("before", {}, now)
    assert told["counts"] == {"added": 500, "changed": 0, "removed": 0}
    assert len(told["added"]) == 100


@pytest.mark.parametrize("data", [b"", b"[]", b'{"salt": "zz", "objects": {}}', b'{"salt": 1}', b"\xff"])
def test_what_is_no_index_is_garbled(data):
    with pytest.raises(Garbled):
        read_index(iter([data]))
