"""The lab's stand-in is held against the documented answers of the real API server."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from deployments.lab.kubernetes.api import handle
from deployments.lab.kubernetes.cluster import Cluster
from deployments.lab.kubernetes.seeds import SEEDS, plant
from deployments.lab.loopback import Request

TOKEN = "lab-token"
APPS = "/apis/apps/v1/namespaces/apex"
CORE = "/api/v1/namespaces/apex"
API = f"{APPS}/deployments/apex-api"
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 22, 9, tzinfo=UTC)

    def __call__(self):
        return self.now

    def pass_(self, **time):
        self.now += timedelta(**time)


class Client:
    """Asks a cluster without a socket between."""

    def __init__(self, cluster, token=TOKEN):
        self.cluster, self.token = cluster, token

    def __call__(self, method, path, body=None, content_type="application/json", accept="*/*", **query):
        headers = {"content-type": content_type, "accept": accept}
        headers |= {"authorization": f"Bearer {self.token}"} if self.token else {}
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        answer = handle(self.cluster, Request(method, path, query, headers, raw))
        try:
            return answer.status, json.loads(answer.body)
        except ValueError:
            return answer.status, answer.body.decode()

    def get(self, path, **query):
        status, body = self("GET", path, **query)
        assert status == 200, body
        return body


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="module")
def planted():
    cluster = Cluster.for_admin("apex", TOKEN, Clock())
    plant(cluster, SEEDS["apex"])
    return cluster.store


@pytest.fixture
def ask(clock, planted):
    cluster = Cluster.for_admin("apex", TOKEN, clock)
    cluster.store.version = planted.version
    cluster.store._objects = {name: dict(shelf) for name, shelf in planted._objects.items()}
    return Client(cluster)


def refused(answer, code, reason, *words):
    status, body = answer
    assert (status, body["kind"], body["status"], body["code"]) == (code, "Status", "Failure", code), body
    assert body["reason"] == reason
    for word in words:
        assert word in body["message"]
    return body


def config_map(name="settings", **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}} | more


def deployment(name="extra", **spec):
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "extra:1", "ports": [{"containerPort": 80}]}]},
    }
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template} | spec
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


# Who asks


def test_an_unknown_token_is_unauthorized_everywhere_even_where_nobody_needs_one(ask):
    stranger = Client(ask.cluster, "wrong")
    refused(stranger("GET", f"{CORE}/pods"), 401, "Unauthorized")
    refused(stranger("GET", "/version"), 401, "Unauthorized")


def test_without_a_token_only_the_version_and_the_health_are_open(ask):
    nobody = Client(ask.cluster, "")
    assert nobody.get("/version")["gitVersion"].startswith("v1.36")
    assert nobody("GET", "/readyz") == (200, "ok")
    refused(nobody("GET", f"{CORE}/pods"), 403, "Forbidden", "system:anonymous")


def test_a_user_without_a_role_is_told_what_it_may_not(ask):
    ask.cluster.tokens["weak"] = "system:serviceaccount:apex:weak"
    body = refused(Client(ask.cluster, "weak")("GET", f"{APPS}/deployments/apex-api"), 403, "Forbidden")
    assert body["message"] == (
        'deployments.apps "apex-api" is forbidden: User "system:serviceaccount:apex:weak" cannot get resource '
        '"deployments" in API group "apps" in the namespace "apex"'
    )
    assert body["details"] == {"name": "apex-api", "group": "apps", "kind": "deployments"}


def test_a_role_binds_in_its_own_namespace_only(ask):
    ask.cluster.tokens["reader"] = "system:serviceaccount:apex:reader"
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/apex"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    version = "rbac.authorization.k8s.io/v1"
    role = {"apiVersion": version, "kind": "Role", "metadata": {"name": "reader"}, "rules": rules}
    binding = {
        "apiVersion": version,
        "kind": "RoleBinding",
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "apex"}],
    }
    assert ask("POST", f"{rbac}/roles", role)[0] == 201
    assert ask("POST", f"{rbac}/rolebindings", binding)[0] == 201
    reader = Client(ask.cluster, "reader")
    assert reader.get(f"{CORE}/pods")["items"]
    refused(reader("GET", "/api/v1/namespaces/default/pods"), 403, "Forbidden")
    refused(reader("GET", f"{CORE}/secrets"), 403, "Forbidden")
    refused(reader("DELETE", f"{CORE}/pods/redis-0"), 403, "Forbidden")


# Discovery


def test_discovery_names_groups_resources_and_subresources(ask):
    assert ask.get("/api")["versions"] == ["v1"]
    groups = {group["name"] for group in ask.get("/apis")["groups"]}
    assert {"apps", "batch", "autoscaling", "cert-manager.io", "metrics.k8s.io"} <= groups
    names = {resource["name"] for resource in ask.get("/apis/apps/v1")["resources"]}
    assert {"deployments", "deployments/scale", "deployments/status", "statefulsets"} <= names


def test_what_is_not_there_is_a_plain_404(ask):
    for path in ("/apis/nothing/v1", f"{CORE}/nothing", "/nothing", f"{CORE}/configmaps/a/scale", "/api/v2/pods"):
        assert ask("GET", path) == (404, "404 page not found\n"), path


def test_without_metrics_server_its_group_is_gone(ask):
    assert ask.get("/apis/metrics.k8s.io/v1beta1/namespaces/apex/pods")["items"]
    ask.cluster.troubles.metrics = False
    assert "metrics.k8s.io" not in {group["name"] for group in ask.get("/apis")["groups"]}
    assert ask("GET", "/apis/metrics.k8s.io/v1beta1/namespaces/apex/pods")[0] == 404


# Reading


def test_a_missing_object_is_not_found_with_details(ask):
    body = refused(ask("GET", f"{APPS}/deployments/nobody"), 404, "NotFound", 'deployments.apps "nobody" not found')
    assert body["details"] == {"name": "nobody", "group": "apps", "kind": "deployments"}


@pytest.mark.parametrize(
    ("selector", "apps"),
    [
        ("app=minio", {"minio"}),
        ("app==minio", {"minio"}),
        ("app in (minio, redis)", {"minio", "redis"}),
        ("app notin (minio,redis,opensearch),tier!=api", {"apex-worker"}),
        ("app,!pod-template-hash", {"redis", "opensearch"}),
        ("missing", set()),
    ],
)
def test_label_selectors_select(ask, selector, apps):
    items = ask.get(f"{CORE}/pods", labelSelector=selector)["items"]
    assert {item["metadata"]["labels"]["app"] for item in items} == apps


def test_field_selectors_select_and_unknown_fields_are_refused(ask):
    assert len(ask.get(f"{CORE}/pods", fieldSelector="metadata.name=redis-0")["items"]) == 1
    assert ask.get(f"{CORE}/pods", fieldSelector="status.phase!=Running")["items"] == []
    refused(ask("GET", f"{CORE}/pods", fieldSelector="spec.color=red"), 400, "BadRequest", "field label not supported")
    refused(ask("GET", f"{CORE}/pods", labelSelector="app in minio"), 400, "BadRequest", "unable to parse")


def test_a_long_list_comes_in_pages_of_one_moment(ask):
    first = ask.get(f"{CORE}/pods", limit="3")
    assert (len(first["items"]), first["metadata"]["remainingItemCount"]) == (3, 5)
    ask("DELETE", f"{CORE}/pods/redis-0", {"gracePeriodSeconds": 0})
    names = [item["metadata"]["name"] for item in first["items"]]
    token = first["metadata"]["continue"]
    while token:
        page = ask.get(f"{CORE}/pods", limit="3", **{"continue": token})
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue")
    assert len(names) == len(set(names)) == 8
    assert "redis-0" in names


def test_a_page_that_is_no_longer_kept_has_expired_and_nonsense_is_a_bad_request(ask):
    token = ask.get(f"{CORE}/pods", limit="3")["metadata"]["continue"]
    ask.cluster.store._pages.clear()
    refused(ask("GET", f"{CORE}/pods", limit="3", **{"continue": token}), 410, "Expired")
    refused(ask("GET", f"{CORE}/pods", limit="3", **{"continue": "nonsense"}), 400, "BadRequest")


def test_items_of_a_list_carry_no_kind_and_zero_counts_are_left_out(ask):
    item = ask.get(f"{APPS}/deployments")["items"][0]
    assert "kind" not in item
    assert "apiVersion" not in item
    ask("POST", f"{APPS}/deployments", deployment(replicas=0))
    ask.cluster.settle()
    assert "availableReplicas" not in ask.get(f"{APPS}/deployments/extra")["status"]


def test_events_show_in_both_of_their_groups(ask):
    ask.cluster.troubles.crashing.add("apex-api")
    ask.cluster.step()
    old = ask.get(f"{CORE}/events", fieldSelector="type=Warning,involvedObject.kind=Pod")["items"]
    new = ask.get("/apis/events.k8s.io/v1/namespaces/apex/events")["items"]
    assert {event["reason"] for event in old} == {"BackOff"}
    assert sorted(event["message"] for event in old) == sorted(event["note"] for event in new)


def watch(ask, path, **query):
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = handle(ask.cluster, Request("GET", path, {"watch": "true"} | query, headers, b""))
    assert answer.status == 200
    return (json.loads(line) for line in answer.body)


def test_a_watch_tells_what_changes_after_a_version(ask):
    version = ask.get(f"{CORE}/configmaps")["metadata"]["resourceVersion"]
    ask("POST", f"{CORE}/configmaps", config_map())
    ask("PATCH", f"{CORE}/configmaps/settings", {"data": {"a": "2"}}, MERGE)
    ask("POST", f"{CORE}/secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"}})
    ask("DELETE", f"{CORE}/configmaps/settings")
    changes = watch(ask, f"{CORE}/configmaps", resourceVersion=version)
    assert [next(changes)["type"] for _ in range(3)] == ["ADDED", "MODIFIED", "DELETED"]


def test_a_watch_from_a_version_that_is_forgotten_is_told_so(ask):
    for number in range(3):
        ask("POST", f"{CORE}/configmaps", config_map(f"settings-{number}"))
    ask.cluster.store.history.popleft()
    (only,) = watch(ask, f"{CORE}/configmaps", resourceVersion="1")
    assert (only["type"], only["object"]["code"]) == ("ERROR", 410)


# Writing


def test_creating_sets_what_the_server_sets(ask, clock):
    status, item = ask("POST", f"{CORE}/configmaps", config_map())
    assert status == 201
    meta = item["metadata"]
    assert meta["creationTimestamp"] == clock.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert meta["uid"]
    assert meta["resourceVersion"]
    assert "generation" not in meta
    body = refused(ask("POST", f"{CORE}/configmaps", config_map()), 409, "AlreadyExists")
    assert body["message"] == 'configmaps "settings" already exists'


def test_right_after_creation_nothing_has_been_observed(ask):
    _, item = ask("POST", f"{APPS}/deployments", deployment())
    assert item["metadata"]["generation"] == 1
    assert item.get("status", {}).get("observedGeneration") is None
    ask.cluster.settle()
    status = ask.get(f"{APPS}/deployments/extra")["status"]
    assert (status["observedGeneration"], status["availableReplicas"]) == (1, 2)


def test_a_stale_version_is_a_conflict(ask):
    item = ask.get(f"{CORE}/configmaps/apex-config")
    assert ask("PUT", f"{CORE}/configmaps/apex-config", item | {"data": {"x": "1"}})[0] == 200
    refused(
        ask("PUT", f"{CORE}/configmaps/apex-config", item | {"data": {"x": "2"}}),
        409,
        "Conflict",
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def test_changing_nothing_keeps_version_and_generation(ask):
    before = ask.get(API)["metadata"]
    after = ask("PATCH", API, {"spec": {"replicas": 3}}, STRATEGIC)[1]["metadata"]
    assert (after["resourceVersion"], after["generation"]) == (before["resourceVersion"], before["generation"])


def test_metadata_does_not_count_as_a_new_generation_but_the_spec_does(ask):
    before = ask.get(API)["metadata"]["generation"]
    labelled = ask("PATCH", API, {"metadata": {"labels": {"x": "y"}}}, MERGE)[1]
    assert labelled["metadata"]["generation"] == before
    assert ask("PATCH", API, {"spec": {"replicas": 4}}, MERGE)[1]["metadata"]["generation"] == before + 1


def test_a_dry_run_answers_as_if_and_keeps_nothing(ask):
    assert ask("POST", f"{CORE}/configmaps", config_map(), dryRun="All")[0] == 201
    assert ask("GET", f"{CORE}/configmaps/settings")[0] == 404
    _, tried = ask("PATCH", API, {"spec": {"replicas": 9}}, STRATEGIC, dryRun="All")
    assert tried["spec"]["replicas"] == 9
    assert ask.get(API)["spec"]["replicas"] == 3
    assert ask("DELETE", API, dryRun="All")[0] == 200
    assert ask.get(API)
    refused(ask("DELETE", API, dryRun="Some"), 422, "Invalid")


def test_a_dry_run_is_refused_as_the_real_thing_would_be(ask):
    refused(ask("POST", f"{APPS}/deployments", deployment(replicas=-1), dryRun="All"), 422, "Invalid")
    refused(ask("POST", f"{CORE}/configmaps", config_map("apex-config"), dryRun="All"), 409, "AlreadyExists")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metadata": {"name": "Not_A_Name"}}, "metadata.name"),
        ({"spec": deployment()["spec"] | {"replicas": -1}}, "spec.replicas"),
        ({"spec": deployment()["spec"] | {"selector": {"matchLabels": {"app": "other"}}}}, "spec.template"),
        ({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {}}}, "spec.template.spec.containers"),
    ],
)
def test_what_means_nothing_is_invalid_and_names_the_field(ask, change, field):
    body = refused(ask("POST", f"{APPS}/deployments", deployment() | change), 422, "Invalid")
    assert any(cause["field"].startswith(field) for cause in body["details"]["causes"])


def test_a_selector_never_changes(ask):
    item = ask.get(API)
    item["spec"]["selector"] = {"matchLabels": {"app": "apex-api", "tier": "api"}}
    refused(ask("PUT", API, item), 422, "Invalid", "field is immutable")


@pytest.mark.parametrize(
    "body",
    [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}},
        config_map(apiVersion="v2"),
        config_map(metadata={"name": "x", "namespace": "default"}),
        config_map(data={"a": 1}),
        config_map(metadata={"name": "x", "resourceVersion": "7"}),
        {"metadata": {"name": "x"}},
        b"{not json",
    ],
)
def test_a_body_that_does_not_fit_its_address_is_a_bad_request(ask, body):
    refused(ask("POST", f"{CORE}/configmaps", body), 400, "BadRequest")


def test_a_namespace_that_is_not_there_takes_nothing(ask):
    refused(ask("POST", "/api/v1/namespaces/nowhere/configmaps", config_map()), 404, "NotFound", 'namespaces "nowhere"')


def test_wrong_types_and_verbs_are_told_apart(ask):
    refused(ask("PATCH", API, {}, "application/json"), 415, "UnsupportedMediaType")
    refused(ask("POST", f"{CORE}/configmaps", config_map(), "text/csv"), 415, "UnsupportedMediaType")
    refused(ask("GET", f"{CORE}/pods", accept="application/vnd.kubernetes.protobuf"), 406, "NotAcceptable")
    refused(ask("POST", API, deployment()), 405, "MethodNotAllowed")
    refused(ask("DELETE", "/apis/metrics.k8s.io/v1beta1/nodes/apex-node-1"), 405, "MethodNotAllowed")
    certificate = "/apis/cert-manager.io/v1/namespaces/apex/certificates/apex-api-tls"
    refused(ask("PATCH", certificate, {}, STRATEGIC), 415, "UnsupportedMediaType")
    assert ask("PATCH", certificate, {"spec": {"renewBefore": "240h"}}, MERGE)[0] == 200


def test_secrets_are_base64_and_plain_text_becomes_it(ask):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    refused(
        ask("POST", f"{CORE}/secrets", secret | {"data": {"k": "not base64!"}}), 400, "BadRequest", "illegal base64"
    )
    _, item = ask("POST", f"{CORE}/secrets", secret | {"stringData": {"k": "value"}})
    assert item["data"] == {"k": "dmFsdWU="}
    assert item["type"] == "Opaque"
    assert "stringData" not in item


def test_the_status_changes_only_through_its_subresource(ask):
    item = ask.get(API)
    changed = ask("PUT", API, item | {"status": {"availableReplicas": 99}})[1]
    assert changed["status"] == item["status"]
    answer = ask("PATCH", f"{API}/status", {"status": {"availableReplicas": 99}, "spec": {"replicas": 1}}, MERGE)[1]
    assert (answer["status"]["availableReplicas"], answer["spec"]["replicas"]) == (99, 3)


# Patches


def containers(ask, patch, content_type, **query):
    status, item = ask("PATCH", API, patch, content_type, **query)
    assert status == 200, item
    return item["spec"]["template"]["spec"]["containers"]


def in_pod(*items, **more):
    return {"spec": {"template": {"spec": {"containers": list(items)} | more}}}


def test_a_strategic_merge_goes_by_the_names_of_containers_and_variables(ask):
    (only,) = containers(ask, in_pod({"name": "api", "env": [{"name": "MODE", "value": "readonly"}]}), STRATEGIC)
    assert only["image"] == "signx/apex-api:1.0.0"
    assert {variable["name"]: variable["value"] for variable in only["env"]} == {
        "LOG_LEVEL": "INFO",
        "MODE": "readonly",
    }
    (only,) = containers(ask, in_pod({"name": "api", "env": [{"name": "MODE", "$patch": "delete"}]}), STRATEGIC)
    assert [variable["name"] for variable in only["env"]] == ["LOG_LEVEL"]
    names = [item["name"] for item in containers(ask, in_pod({"name": "side", "image": "side:1"}), STRATEGIC)]
    assert sorted(names) == ["api", "side"]


def test_ports_are_merged_by_their_number(ask):
    (only,) = containers(ask, in_pod({"name": "api", "ports": [{"containerPort": 9100, "name": "metrics"}]}), STRATEGIC)
    assert [port["containerPort"] for port in only["ports"]] == [8000, 9100]


def test_an_order_in_a_strategic_merge_is_kept(ask):
    order = {"$setElementOrder/containers": [{"name": "side"}, {"name": "api"}]}
    items = containers(ask, in_pod({"name": "side", "image": "side:1"}, **order), STRATEGIC)
    assert [item["name"] for item in items] == ["side", "api"]


def test_an_item_without_its_merge_key_fails_as_on_the_real_server(ask):
    status, body = ask("PATCH", API, in_pod({"image": "x:1"}), STRATEGIC)
    assert (status, body["reason"]) == (500, "InternalError")
    assert "does not contain declared merge key: name" in body["message"]


def test_a_merge_patch_replaces_lists_and_so_may_lose_an_image(ask):
    refused(
        ask("PATCH", API, in_pod({"name": "api", "resources": {"limits": {"memory": "4Gi"}}}), MERGE),
        422,
        "Invalid",
        "spec.template.spec.containers[0].image: Required value",
    )
    config = ask("PATCH", f"{CORE}/configmaps/apex-config", {"data": {"LOG_LEVEL": None, "NEW": "1"}}, MERGE)[1]
    assert config["data"] == {"APEX_ENV": "prod", "MAINTENANCE_MODE": "off", "NEW": "1"}


def test_a_json_patch_tests_before_it_replaces(ask):
    right = [
        {"op": "test", "path": "/spec/replicas", "value": 3},
        {"op": "replace", "path": "/spec/replicas", "value": 4},
    ]
    assert ask("PATCH", API, right, JSON)[1]["spec"]["replicas"] == 4
    refused(ask("PATCH", API, right, JSON), 422, "Invalid")
    refused(ask("PATCH", API, [{"op": "jump", "path": "/spec"}], JSON), 400, "BadRequest")
    refused(ask("PATCH", API, {"op": "test"}, JSON), 400, "BadRequest")


def test_a_patch_with_a_stale_version_is_a_conflict(ask):
    patch = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 4}}
    refused(ask("PATCH", API, patch, MERGE), 409, "Conflict")


def apply(ask, document, manager="watchkeeper", path=f"{CORE}/configmaps/settings", **query):
    return ask("PATCH", path, yaml.safe_dump(document).encode(), APPLY, fieldManager=manager, **query)


def test_server_side_apply_creates_then_owns_what_it_applied(ask):
    assert apply(ask, config_map(data={"a": "1", "b": "2"}))[0] == 201
    status, item = apply(ask, config_map(data={"a": "3"}))
    assert (status, item["data"]) == (200, {"a": "3"})
    ((owner, fields),) = [(entry["manager"], entry["fieldsV1"]) for entry in item["metadata"]["managedFields"]]
    assert (owner, fields) == ("watchkeeper", {"f:data": {"f:a": {}}})


def test_server_side_apply_takes_nothing_from_another_without_force(ask):
    apply(ask, config_map())
    body = refused(apply(ask, config_map(data={"a": "2"}), "other"), 409, "Conflict", 'conflict with "watchkeeper"')
    assert body["details"]["causes"][0]["field"] == ".data.a"
    assert apply(ask, config_map(), "other")[0] == 200
    _, item = apply(ask, config_map(data={"a": "2"}), "other", force="true")
    assert item["data"] == {"a": "2"}


def test_server_side_apply_reaches_into_named_lists(ask):
    wanted = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "apex-api"}}
    wanted |= in_pod({"name": "api", "env": [{"name": "MODE", "value": "x"}]})
    path = API
    _, item = apply(ask, wanted, path=path)
    assert {v["name"] for v in item["spec"]["template"]["spec"]["containers"][0]["env"]} == {"LOG_LEVEL", "MODE"}
    del wanted["spec"]["template"]["spec"]["containers"][0]["env"]
    _, item = apply(ask, wanted, path=path)
    (container,) = item["spec"]["template"]["spec"]["containers"]
    assert [variable["name"] for variable in container["env"]] == ["LOG_LEVEL"]
    assert container["image"] == "signx/apex-api:1.0.0"


def test_server_side_apply_wants_a_manager(ask):
    refused(apply(ask, config_map(), ""), 422, "Invalid", "fieldManager: Required value")


# Rollouts


def images(ask):
    pods = ask.get(f"{CORE}/pods", labelSelector="app=apex-api")["items"]
    return {pod["spec"]["containers"][0]["image"] for pod in pods}


def revisions(ask):
    sets = ask.get(f"{APPS}/replicasets", labelSelector="app=apex-api")["items"]
    return {
        int(item["metadata"]["annotations"]["deployment.kubernetes.io/revision"]): item["spec"]["template"]
        for item in sets
    }


def test_a_rollout_never_drops_below_what_is_promised(ask):
    containers(ask, in_pod({"name": "api", "image": "signx/apex-api:2.0.0"}), STRATEGIC)
    seen = []
    for _ in range(40):
        ask.cluster.step()
        seen.append(ask.get(API)["status"].get("availableReplicas", 0))
    assert min(seen) >= 3
    assert images(ask) == {"signx/apex-api:2.0.0"}
    status = ask.get(API)["status"]
    assert status["updatedReplicas"] == status["replicas"] == 3
    assert sorted(revisions(ask)) == [1, 2]


def test_a_rollback_is_a_patch_with_an_older_revisions_template(ask):
    containers(ask, in_pod({"name": "api", "image": "signx/apex-api:2.0.0"}), STRATEGIC)
    ask.cluster.settle()
    template = revisions(ask)[1]
    del template["metadata"]["labels"]["pod-template-hash"]
    ask("PATCH", API, [{"op": "replace", "path": "/spec/template", "value": template}], JSON)
    ask.cluster.settle()
    assert images(ask) == {"signx/apex-api:1.0.0"}
    assert sorted(revisions(ask)) == [2, 3]
    assert ask.get(API)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_an_image_that_cannot_be_pulled_gets_stuck_and_the_old_pods_stay(ask, clock):
    containers(ask, in_pod({"name": "api", "image": "signx/apex-api:missing"}), STRATEGIC)
    for _ in range(10):
        ask.cluster.step()
    assert ask.get(API)["status"]["availableReplicas"] == 3
    clock.pass_(minutes=11)
    ask.cluster.step()
    progressing = next(c for c in ask.get(API)["status"]["conditions"] if c["type"] == "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("False", "ProgressDeadlineExceeded")


def test_scaling_goes_through_the_subresource(ask):
    scale = ask.get(f"{API}/scale")
    assert (scale["kind"], scale["apiVersion"], scale["spec"]["replicas"]) == ("Scale", "autoscaling/v1", 3)
    assert ask("PUT", f"{API}/scale", scale | {"spec": {"replicas": 5}})[1]["spec"]["replicas"] == 5
    refused(ask("PUT", f"{API}/scale", scale | {"spec": {"replicas": 6}}), 409, "Conflict")
    assert ask("PATCH", f"{API}/scale", {"spec": {"replicas": 2}}, MERGE)[0] == 200
    ask.cluster.settle()
    assert ask.get(API)["status"]["availableReplicas"] == 2
    refused(ask("PATCH", f"{API}/scale", {"spec": {"replicas": -1}}, MERGE), 422, "Invalid")


def test_a_stateful_set_replaces_its_pods_from_the_last_to_the_first(ask):
    path = f"{APPS}/statefulsets/redis"
    ask("PATCH", f"{path}/scale", {"spec": {"replicas": 2}}, MERGE)
    ask.cluster.settle()
    first = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods(ask, "redis")}
    assert set(first) == {"redis-0", "redis-1"}
    stamp = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    assert ask("PATCH", path, stamp, STRATEGIC)[0] == 200
    ask.cluster.step()
    assert [pod["metadata"]["name"] for pod in pods(ask, "redis")] == ["redis-0"]
    ask.cluster.settle()
    assert not set(first.values()) & {pod["metadata"]["uid"] for pod in pods(ask, "redis")}
    status = ask.get(path)["status"]
    assert status["currentRevision"] == status["updateRevision"]


def pods(ask, app):
    return ask.get(f"{CORE}/pods", labelSelector=f"app={app}")["items"]


def test_a_job_runs_once_and_completes(ask):
    cronjob = ask.get("/apis/batch/v1/namespaces/apex/cronjobs/database-backup")
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "now"},
        "spec": cronjob["spec"]["jobTemplate"]["spec"],
    }
    assert ask("POST", "/apis/batch/v1/namespaces/apex/jobs", job)[0] == 201
    ask.cluster.settle()
    status = ask.get("/apis/batch/v1/namespaces/apex/jobs/now")["status"]
    assert status["succeeded"] == 1
    assert [condition["type"] for condition in status["conditions"]] == ["SuccessCriteriaMet", "Complete"]


def test_a_selector_that_only_the_server_makes_is_refused_on_a_new_job(ask):
    path = "/apis/batch/v1/namespaces/apex/jobs"
    cronjob = ask.get("/apis/batch/v1/namespaces/apex/cronjobs/database-backup")
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "now"},
        "spec": cronjob["spec"]["jobTemplate"]["spec"],
    }
    ask("POST", path, job)
    ask.cluster.settle()
    spec = ask.get(f"{path}/now")["spec"]
    refused(
        ask("POST", path, job | {"metadata": {"name": "again"}, "spec": spec}), 422, "Invalid", "not auto-generated"
    )


# What the cluster adds by itself


def test_a_service_has_an_address_that_no_other_may_take_and_that_stays(ask):
    item = ask.get(f"{CORE}/services/apex-api")
    address = item["spec"]["clusterIP"]
    assert item["spec"]["clusterIPs"] == [address]
    ports = [{"port": 80}]
    new = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "new"}, "spec": {"ports": ports}}
    taken = new | {"spec": {"ports": ports, "clusterIP": address}}
    refused(ask("POST", f"{CORE}/services", taken), 422, "Invalid", "provided IP is already allocated")
    other = ask("POST", f"{CORE}/services", new)[1]["spec"]["clusterIP"]
    assert other != address
    refused(ask("PATCH", f"{CORE}/services/new", {"spec": {"clusterIP": "10.96.9.9"}}, MERGE), 422, "Invalid", "change")
    assert ask("PUT", f"{CORE}/services/new", new)[1]["spec"]["clusterIP"] == other


def test_every_new_namespace_gets_what_a_backup_must_leave_out(ask):
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}}
    assert ask("POST", "/api/v1/namespaces", body)[1]["status"] == {"phase": "Active"}
    ask.cluster.settle()
    assert ask.get("/api/v1/namespaces/fresh/configmaps/kube-root-ca.crt")
    assert ask.get("/api/v1/namespaces/fresh/serviceaccounts/default")
    ask("DELETE", "/api/v1/namespaces/fresh")
    assert ask.get("/api/v1/namespaces/fresh/configmaps")["items"] == []


def test_a_certificate_that_is_deleted_and_applied_again_is_issued_anew(ask, clock):
    path = "/apis/cert-manager.io/v1/namespaces/apex/certificates"
    item = ask.get(f"{path}/apex-api-tls")
    ask("DELETE", f"{path}/apex-api-tls")
    ask("DELETE", f"{CORE}/secrets/apex-api-tls")
    body = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "apex-api-tls"}}
    _, new = ask("POST", path, body | {"spec": item["spec"]})
    assert "status" not in new
    ask.cluster.settle()
    status = ask.get(f"{path}/apex-api-tls")["status"]
    assert datetime.fromisoformat(status["notAfter"]) == clock.now + timedelta(days=90)
    assert ask.get(f"{CORE}/secrets/apex-api-tls")["type"] == "kubernetes.io/tls"


# Deleting


def test_a_body_of_delete_options_makes_the_querys_grace_period_void(ask):
    _, item = ask("DELETE", f"{CORE}/pods/redis-0", {"gracePeriodSeconds": 7}, gracePeriodSeconds="0")
    assert item["metadata"]["deletionGracePeriodSeconds"] == 7
    assert ask("GET", f"{CORE}/pods/redis-0")[0] == 200
    assert ask("DELETE", f"{CORE}/pods/opensearch-0", gracePeriodSeconds="0")[1]["kind"] == "Pod"
    assert ask("GET", f"{CORE}/pods/opensearch-0")[0] == 404


def test_a_deleted_pod_comes_back_under_another_uid(ask):
    uid = ask.get(f"{CORE}/pods/redis-0")["metadata"]["uid"]
    ask("DELETE", f"{CORE}/pods/redis-0")
    ask.cluster.settle()
    assert ask.get(f"{CORE}/pods/redis-0")["metadata"]["uid"] != uid


def test_a_deployment_takes_its_pods_along_unless_they_are_orphaned(ask):
    status, body = ask("DELETE", API, {"propagationPolicy": "Background"})
    assert (status, body["kind"], body["status"]) == (200, "Status", "Success")
    ask.cluster.settle()
    assert pods(ask, "apex-api") == []
    ask("DELETE", f"{APPS}/deployments/minio", {"propagationPolicy": "Orphan"})
    ask.cluster.settle()
    assert len(pods(ask, "minio")) == 1


def test_preconditions_are_held(ask):
    refused(ask("DELETE", API, {"preconditions": {"uid": "another"}}), 409, "Conflict", "Precondition failed: UID")


def test_finalizers_hold_an_object_until_they_are_gone(ask):
    path = f"{CORE}/configmaps/settings"
    ask("POST", f"{CORE}/configmaps", config_map(metadata={"name": "settings", "finalizers": ["lab/hold"]}))
    ask("DELETE", path)
    assert ask.get(path)["metadata"]["deletionTimestamp"]
    ask("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)
    assert ask("GET", path)[0] == 404


# Logs


def test_logs_are_cut_as_asked(ask, clock):
    name = pods(ask, "apex-api")[0]["metadata"]["name"]
    log = f"{CORE}/pods/{name}/log"
    assert len(ask("GET", log, tailLines="3")[1].splitlines()) == 3
    assert len(ask("GET", log, sinceSeconds="60")[1].splitlines()) in (6, 7)
    stamped = ask("GET", log, tailLines="1", timestamps="true")[1].split(" ", 1)[0]
    assert clock.now - datetime.fromisoformat(stamped) <= timedelta(seconds=10)
    refused(ask("GET", log, container="other"), 400, "BadRequest", "container other is not valid for pod")
    refused(ask("GET", log, previous="true"), 400, "BadRequest", "previous terminated container")


def test_a_container_that_never_ran_has_no_log(ask):
    containers(ask, in_pod({"name": "api", "image": "signx/apex-api:missing"}), STRATEGIC)
    for _ in range(5):
        ask.cluster.step()
    waiting = next(pod for pod in pods(ask, "apex-api") if pod["status"]["phase"] == "Pending")
    answer = ask("GET", f"{CORE}/pods/{waiting['metadata']['name']}/log")
    refused(answer, 400, "BadRequest", "trying and failing to pull image")


def test_what_one_may_do_can_be_asked(ask):
    wish = {"resourceAttributes": {"verb": "delete", "resource": "pods", "namespace": "apex"}}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": wish}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert ask("POST", path, body)[1]["status"] == {"allowed": True}


@pytest.mark.parametrize("platform", sorted(SEEDS))
def test_every_platforms_cluster_comes_to_rest_with_all_of_its_pods_ready(platform, clock):
    cluster = Cluster.for_admin(platform, TOKEN, clock)
    plant(cluster, SEEDS[platform])
    before = cluster.store.version
    cluster.step()
    assert cluster.store.version == before
    for item in cluster.store.all("deployments") + cluster.store.all("statefulsets"):
        assert item["status"]["availableReplicas"] == item["spec"]["replicas"]


# Lists of an earlier moment, and resources of one's own


def test_a_list_shows_exactly_the_version_that_is_asked_for(ask):
    ask("POST", f"{CORE}/configmaps", config_map("one"))
    version = ask.get(f"{CORE}/configmaps", limit="1")["metadata"]["resourceVersion"]
    ask("POST", f"{CORE}/configmaps", config_map("two"))
    ask("PATCH", f"{CORE}/configmaps/one", {"data": {"a": "2"}}, MERGE)
    ask("DELETE", f"{CORE}/configmaps/one")
    exact = {"resourceVersion": version, "resourceVersionMatch": "Exact"}
    then = {item["metadata"]["name"]: item for item in ask.get(f"{CORE}/configmaps", **exact)["items"]}
    assert then["one"]["data"] == {"a": "1"}
    assert "two" not in then
    first = ask.get(f"{CORE}/configmaps", limit="1", **exact)
    rest = ask.get(f"{CORE}/configmaps", **{"limit": "9", "continue": first["metadata"]["continue"]})
    assert [item["metadata"]["name"] for item in first["items"] + rest["items"]] == list(then)
    assert first["metadata"]["resourceVersion"] == rest["metadata"]["resourceVersion"] == version


def test_a_version_that_is_gone_or_to_come_and_parameters_that_contradict_each_other_are_refused(ask):
    ask("POST", f"{CORE}/configmaps", config_map("one"))
    lists = f"{CORE}/configmaps"
    refused(ask("GET", lists, resourceVersion="3", resourceVersionMatch="Exact"), 410, "Expired")
    refused(ask("GET", lists, resourceVersion="999999", resourceVersionMatch="Exact"), 504, "Timeout")
    refused(ask("GET", lists, resourceVersionMatch="Exact"), 422, "Invalid", "forbidden unless resourceVersion")
    refused(ask("GET", lists, resourceVersion="1", resourceVersionMatch="About"), 422, "Invalid", "NotOlderThan")
    token = ask.get(lists, limit="1")["metadata"]["continue"]
    both = {"continue": token, "resourceVersion": "1"}
    refused(ask("GET", lists, **both), 400, "BadRequest")
    refused(ask("GET", lists, resourceVersionMatch="Exact", **both), 422, "Invalid", "forbidden for continue")


def widgets():
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    versions = [
        {"name": "v1beta1", "served": True, "storage": False},
        {"name": "v1", "served": True, "storage": True},
        {"name": "v0", "served": False, "storage": False},
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions},
    }


def test_a_custom_resource_is_served_once_its_definition_is_established_and_gone_with_it(ask):
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    path = "/apis/example.com/v1/namespaces/apex/widgets"
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 1}}
    assert ask("POST", definitions, widgets())[0] == 201
    assert ask("POST", path, widget)[0] == 404
    ask.cluster.step()
    assert ask("POST", path, widget)[0] == 201
    group = next(entry for entry in ask.get("/apis")["groups"] if entry["name"] == "example.com")
    assert group["preferredVersion"]["version"] == "v1"
    assert [entry["version"] for entry in group["versions"]] == ["v1", "v1beta1"]
    other = ask.get("/apis/example.com/v1beta1/namespaces/apex/widgets/one")
    assert (other["apiVersion"], other["spec"]) == ("example.com/v1beta1", {"size": 1})
    assert ask("DELETE", f"{definitions}/widgets.example.com")[0] == 200
    assert ask("GET", path)[0] == 404
    assert ask("POST", definitions, widgets())[0] == 201
    ask.cluster.step()
    assert ask.get(path)["items"] == []


def test_server_side_apply_creates_in_a_namespace_that_is_there_and_gives_a_service_its_address(ask):
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "new"}, "spec": {"ports": [{"port": 80}]}}
    missing = ask("PATCH", "/api/v1/namespaces/nowhere/services/new", body, APPLY, fieldManager="it")
    refused(missing, 404, "NotFound", 'namespaces "nowhere" not found')
    status, made = ask("PATCH", f"{CORE}/services/new", body, APPLY, fieldManager="it")
    assert status == 201
    assert made["spec"]["clusterIP"].startswith("10.96.")
    status, again = ask("PATCH", f"{CORE}/services/new", body, APPLY, fieldManager="it")
    assert (status, again["spec"]["clusterIP"]) == (200, made["spec"]["clusterIP"])
