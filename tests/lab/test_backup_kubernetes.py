"""A namespace is read from the lab's API over real HTTP, as YAML that a kubectl applies to another cluster."""

import base64
import itertools
import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from deployments.lab.kubernetes.failures import expired
from deployments.lab.kubernetes.resources import known
from deployments.lab.loopback import Answer, Hangup
from tasks.core.backup import Parent, Taken
from tasks.core.errors import ConfigError, Denied, PermanentError, Unreachable
from tasks.systems.kubernetes import backup as backing
from tasks.systems.kubernetes.index import PART as INDEX
from tests.lab import clusters, kubectl
from tests.lab.clusters import define_widgets, objects, taken
from tests.sinks import MemorySink, follow


@pytest.fixture
def made(tmp_path):
    with clusters.lab(tmp_path / "source") as made:
        yield made


def kubectl_on_path(folder):
    """Put the tests' kubectl where a shell finds it."""
    program = folder / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {kubectl.__file__} "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    return f"{program.parent}:{os.environ['PATH']}"


def test_what_recovery_says_makes_the_namespace_again_in_an_empty_cluster(made, tmp_path):
    define_widgets(made)
    took, sink = taken(made)
    text = backing.recovery(Taken.model_validate_json(took.model_dump_json()), list(sink.parts))
    with clusters.lab(tmp_path / "target", "stario", runs=True) as target:
        assert "apex" not in target.names("namespaces")
        follow(text, sink, tmp_path, {"PATH": kubectl_on_path(tmp_path), "KUBECONFIG": str(target.config)})
        again, copied = taken(target)
        clusters.until(lambda: len(target.names("pods")) == len(made.names("pods")))
    assert again.counts == took.counts
    for name, data in sink.parts.items():
        if name != INDEX:
            assert list(yaml.safe_load_all(copied.parts[name])) == list(yaml.safe_load_all(data)), name


def test_every_object_that_a_person_wrote_is_in_it_and_nothing_that_comes_by_itself(made):
    took, sink = taken(made)
    assert took.method == "manifests"
    assert took.counts["deployments.apps"] == 3
    assert took.counts["secrets"] == 2
    assert took.counts["namespaces"] == 1
    assert {"pods", "replicasets.apps", "endpointslices.discovery.k8s.io", "events"} & took.counts.keys() == set()
    assert took.details["left_out"]["made by a controller"] > 8
    for name in sink.parts.keys() - {INDEX}:
        for document in yaml.safe_load_all(sink.parts[name]):
            assert document.keys() >= {"apiVersion", "kind", "metadata"}
            assert document["metadata"].keys() <= {"name", "namespace", "labels", "annotations"}
            assert "status" not in document
    assert sink.open_parts == {INDEX}


def test_equal_clusters_give_equal_bytes(made, tmp_path):
    _, one = taken(made)
    with clusters.lab(tmp_path / "other", fresh=True) as twin:
        _, other = taken(twin)
        assert twin.get("services", "redis")["metadata"]["uid"] != made.get("services", "redis")["metadata"]["uid"]
    one.parts.pop(INDEX)
    other.parts.pop(INDEX)
    assert one.parts == other.parts


def test_what_the_cluster_gave_is_stripped_and_what_people_chose_is_kept(made):
    owned = {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:nodePort": {}, "f:port": {}}}}}
    entry = {"manager": "kubectl", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": owned}
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30080}, {"port": 81, "protocol": "TCP", "nodePort": 31234}]
    given = {"clusterIP": "10.96.9.9", "clusterIPs": ["10.96.9.9"], "type": "NodePort", "ports": ports}
    made.add("services", "node", metadata={"managedFields": [entry]}, spec=given | {"selector": {"app": "x"}})
    made.add("services", "headless", spec={"clusterIP": "None", "clusterIPs": ["None"], "ports": [{"port": 1}]})
    template = {
        "metadata": {"creationTimestamp": None, "labels": {"controller-uid": "u", "job-name": "once", "app": "once"}},
        "spec": {"containers": [{"name": "a", "image": "a:1"}], "restartPolicy": "Never"},
    }
    made.add("jobs", "once", spec={"selector": {"matchLabels": {"controller-uid": "u"}}, "template": template})
    made.add("secrets", "old-token", type="kubernetes.io/service-account-token", data={})
    made.add("secrets", "made-up", metadata={"ownerReferences": [{"uid": "u", "controller": True}]}, data={})
    last = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "one"}
    made.add("configmaps", "plain", metadata={"annotations": last}, data={"y": "12e3", "on": "no\nyes\n"})
    _, sink = taken(made)
    services = {item["metadata"]["name"]: item["spec"] for item in objects(sink, "services")}
    assert "clusterIP" not in services["node"]
    assert services["headless"]["clusterIP"] == "None"
    assert services["node"]["ports"] == [
        {"port": 80, "protocol": "TCP", "nodePort": 30080},
        {"port": 81, "protocol": "TCP"},
    ]
    (job,) = objects(sink, "jobs.batch")
    assert "selector" not in job["spec"]
    assert job["spec"]["template"]["metadata"] == {"labels": {"app": "once"}}
    names = {item["metadata"]["name"] for item in objects(sink, "secrets")}
    assert "made-up" in names
    assert "old-token" not in names
    (claim,) = objects(sink, "persistentvolumeclaims")
    assert made.get("persistentvolumeclaims", claim["metadata"]["name"])["spec"]["volumeName"]
    assert "volumeName" not in claim["spec"]
    plain = next(item for item in objects(sink, "configmaps") if item["metadata"]["name"] == "plain")
    assert plain["metadata"]["annotations"] == {"team": "one"}
    assert plain["data"] == {"y": "12e3", "on": "no\nyes\n"}
    assert b'"y": "12e3"' in sink.parts["manifests/configmaps.yaml"]


def test_a_job_that_has_ended_is_left_out_for_it_would_run_again(made):
    ended = {"conditions": [{"type": "Complete", "status": "True"}]}
    made.add("jobs", "done", spec={"template": {}}, status=ended)
    took, _ = taken(made)
    assert "jobs.batch" not in took.counts
    assert took.details["left_out"]["finished: it would run again"] == 1


def test_custom_resources_are_read_in_the_preferred_version_with_their_definition(made):
    define_widgets(made)
    made.add("customresourcedefinitions", "unused.example.com", spec={})
    took, sink = taken(made)
    (widget,) = objects(sink, "widgets.shop.example.com")
    assert widget["apiVersion"] == "shop.example.com/v1"
    (definition,) = objects(sink, "customresourcedefinitions.apiextensions.k8s.io")
    assert definition["metadata"]["name"] == "widgets.shop.example.com"
    assert took.counts["widgets.shop.example.com"] == 1
    lines = backing.recovery(took, list(sink.parts)).splitlines()
    order = [line for line in lines if "{read:" in line]
    assert "namespaces" in order[0]
    assert "kubectl wait --for=condition=Established" in order[2]
    assert "widgets" in order[-1] or "certificates" in order[-1]


# Secrets


def test_secrets_are_never_written_unencrypted(made):
    sink = MemorySink(encrypts=False)
    with pytest.raises(ConfigError, match="Secrets would be written unencrypted"):
        taken(made, sink)
    assert sink.parts == {}
    took, sink = taken(made, MemorySink(encrypts=False), secrets="omitted")
    assert "secrets" not in took.counts
    value = base64.b64encode(b"lab-apex-secrets-value")
    assert not any(value in data for data in sink.parts.values())


def test_what_lies_unencrypted_tells_nothing_of_a_secrets_content(made):
    _, sink = taken(made)
    marks = json.loads(sink.parts[INDEX])["objects"]
    secret = made.get("secrets", "apex-secrets")["metadata"]
    assert marks["secrets/apex-secrets"] == f"{secret['uid']}:{secret['resourceVersion']}"


# Changes


def parent_of(took, sink):
    return Parent("20261125T020000Z-00000000", took, (), lambda name: iter([sink.parts[name]]))


def test_the_changes_since_the_backup_before_are_told_by_name(made):
    before, first = taken(made)
    _, same = taken(made, parent=parent_of(before, first))
    unchanged, _ = taken(made, parent=parent_of(before, first))
    assert unchanged.details["changes"]["counts"] == {"added": 0, "changed": 0, "removed": 0}
    assert same.parts[INDEX] == first.parts[INDEX]
    store = made.cluster.store
    for plural, name in (("configmaps", "apex-config"), ("secrets", "apex-secrets")):
        item = store.get(known(plural), "apex", name)
        store.put(known(plural), {**item, "data": {"changed": "eWVz"}})
    store.remove(known("cronjobs"), "apex", "database-backup")
    made.add("configmaps", "new", data={})
    after, _ = taken(made, parent=parent_of(before, first))
    told = after.details["changes"]
    assert told["since"] == "20261125T020000Z-00000000"
    assert told["added"] == ["configmaps/new"]
    assert told["changed"] == ["configmaps/apex-config", "secrets/apex-secrets"]
    assert told["removed"] == ["cronjobs.batch/database-backup"]


def test_an_index_that_cannot_be_read_is_a_warning(made):
    before, _ = taken(made)
    took, _ = taken(made, parent=Parent("p", before, (), lambda _: iter([b"{"])))
    assert "changes" not in took.details
    assert "the index of p cannot be read" in took.warnings[0]


# What may not be read


READ = ["get", "list"]


def test_what_may_not_be_read_is_a_warning_with_the_missing_right(made):
    made.limit_to([{"apiGroups": ["", "apps"], "resources": ["configmaps", "deployments", "services"], "verbs": READ}])
    took, sink = taken(made)
    assert took.counts == {"configmaps": 1, "deployments.apps": 3, "services": 4}
    told = "\n".join(took.warnings)
    assert "secrets are not in it" in told
    assert "namespaces are not in it" in told
    assert "cronjobs.batch are not in it" in told
    assert sink.parts.keys() >= {"manifests/configmaps.yaml", INDEX}
    assert "kubectl create namespace apex" in backing.recovery(took, list(sink.parts))


@pytest.mark.parametrize("plan", [{"resources": ["ConfigMap", "secrets"]}, {"secrets": "encrypted"}])
def test_what_the_plan_names_and_may_not_be_read_is_an_error(made, plan):
    made.limit_to([{"apiGroups": [""], "resources": ["configmaps"], "verbs": READ}])
    with pytest.raises(Denied) as caught:
        taken(made, **plan)
    assert "grant list on secrets" in caught.value.hint


def test_a_user_who_may_read_nothing_gets_no_backup(made):
    made.limit_to([])
    with pytest.raises(Denied):
        taken(made)


def test_the_grant_suffices_for_a_backup_without_a_warning(made):
    text = Path(backing.__file__).with_name("role-backup.yaml").read_text(encoding="utf-8")
    made.limit_to([rule for item in yaml.safe_load_all(text) for rule in item.get("rules", ())])
    took, _ = taken(made)
    assert took.warnings == ()
    assert took.counts["secrets"] == 2


# The plan


def test_a_plan_takes_what_it_names_by_any_name_of_it(made):
    took, _ = taken(made, resources=["ConfigMap", "deploy", "services", "statefulsets.apps"], cluster=[])
    assert took.counts.keys() == {"configmaps", "deployments.apps", "services", "statefulsets.apps"}
    without, _ = taken(made, exclude=["configmaps", "hpa"])
    assert {"configmaps", "horizontalpodautoscalers.autoscaling"} & without.counts.keys() == set()


def test_objects_of_the_cluster_are_taken_by_kind_and_pattern(made):
    role = {"rules": [], "metadata": {"labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}}
    made.add("clusterroles", "system-made", **role)
    made.add("storageclasses", "fast", provisioner="p")
    _, sink = taken(made, cluster=["StorageClass", "ClusterRole/lab:*", "clusterroles/system*"])
    assert [item["metadata"]["name"] for item in objects(sink, "storageclasses.storage.k8s.io")] == ["fast"]
    names = [item["metadata"]["name"] for item in objects(sink, "clusterroles.rbac.authorization.k8s.io")]
    assert names == ["lab:restricted"]
    assert "manifests/namespaces.yaml" not in sink.parts


@pytest.mark.parametrize("plan", [{"resources": ["Deploymint"]}, {"exclude": ["Foo"]}, {"cluster": ["ConfigMap"]}])
def test_a_kind_that_is_not_there_is_refused(made, plan):
    with pytest.raises(ConfigError, match="no resource"):
        taken(made, **plan)


def test_a_namespace_that_is_not_there_gives_no_empty_backup(made):
    with pytest.raises(ConfigError, match="no namespace elsewhere"):
        taken(made, namespace="elsewhere")


# Many objects, and an API that fails


def fill(made, count, size=100):
    store, resource = made.cluster.store, known("configmaps")
    for number in range(count):
        meta = {"name": f"n{number:05}", "namespace": "apex"}
        store.add(resource, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "x" * size}})


class Counting(MemorySink):
    """Counts the documents that were written, and keeps none."""

    documents = 0

    class _Writer(MemorySink._Writer):
        def write(self, data, /):
            Counting.documents += data.startswith(b"---")


def test_ten_thousand_objects_are_read_page_by_page_and_each_page_is_written_before_the_next_is_asked_for(made):
    fill(made, 10_000)
    Counting.documents, written = 0, []

    def look(request):
        if request.path.endswith("/configmaps"):
            written.append(Counting.documents)
            assert request.query["limit"] == "250"

    made.between = look
    took, _ = taken(made, Counting(), resources=["ConfigMap"], cluster=[])
    assert took.counts["configmaps"] == 10_001
    assert written == [0, *range(249, 10_000, 250)], "one of the first page comes by itself and is left out"


def test_all_lists_show_the_same_moment_though_somebody_writes_meanwhile(made):
    label(made, "redis", "old")
    made.between = lambda request: label(made, "redis", "new") if request.path.endswith("/configmaps") else None
    took, sink = taken(made)
    redis = next(item for item in objects(sink, "services") if item["metadata"]["name"] == "redis")
    assert redis["metadata"]["labels"] == {"state": "old"}
    assert made.get("services", "redis")["metadata"]["labels"] == {"state": "new"}
    assert took.details["read_later"] == []
    assert int(took.position["resource_version"]) < made.cluster.store.version


def label(made, service, state):
    item = made.get("services", service)
    made.cluster.store.put(known("services"), {**item, "metadata": {**item["metadata"], "labels": {"state": state}}})


def test_a_version_that_is_no_longer_kept_is_read_as_it_is_now_and_told(made):
    def forget(request):
        if request.query.get("resourceVersionMatch") == "Exact" and request.path.endswith("/configmaps"):
            return Answer.of(expired().status, 410)
        return None

    made.between = forget
    took, sink = taken(made)
    assert took.details["read_later"] == ["configmaps"]
    assert len(objects(sink, "configmaps")) == 1


def expiring(times):
    left = itertools.count(1)

    def between(request):
        if "continue" in request.query and next(left) <= times:
            return Answer.of(expired().status, 410)
        return None

    return between


def test_a_list_whose_pages_expire_in_the_middle_is_read_anew_from_the_beginning(made):
    fill(made, 700)
    made.between = expiring(2)
    took, sink = taken(made, resources=["ConfigMap"])
    assert took.counts["configmaps"] == 701
    names = [item["metadata"]["name"] for item in objects(sink, "configmaps")]
    assert len(names) == len(set(names)) == 701


def test_a_list_that_expires_again_and_again_gives_no_backup(made):
    fill(made, 2100, 1)
    made.between = expiring(1000)
    with pytest.raises(Unreachable, match="forgotten before they are read"):
        taken(made, resources=["ConfigMap"])


def test_a_connection_that_is_cut_in_the_middle_gives_no_backup(made):
    fill(made, 600)

    def cut(request):
        if "continue" in request.query:
            raise Hangup

    made.between = cut
    sink = MemorySink()
    with pytest.raises(Unreachable):
        taken(made, sink)
    assert INDEX not in sink.parts
    assert "manifests/configmaps.yaml" not in sink.parts


def test_a_group_that_does_not_answer_is_a_warning(made):
    def broken(request):
        return Answer.text("service unavailable", 503) if request.path == "/apis/keda.sh/v1alpha1" else None

    made.between = broken
    took, _ = taken(made)
    assert "keda.sh/v1alpha1 did not tell what it has" in took.warnings[0]


def test_a_server_that_is_not_there_is_unreachable(made):
    config = yaml.safe_load(made.config.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    made.config.write_text(yaml.safe_dump(config), encoding="utf-8")
    with pytest.raises(Unreachable):
        taken(made)


def test_a_store_that_fails_gives_no_backup(made):
    with pytest.raises(Exception, match="the store is full"):
        taken(made, MemorySink(fails_after=2000))


def test_recovery_refuses_a_backup_that_lacks_a_part(made):
    took, sink = taken(made)
    with pytest.raises(PermanentError, match="no part"):
        backing.recovery(took, [name for name in sink.parts if "deployments" not in name])
