"""A backup of a namespace is given back to the lab's API: to a named place, to a drill's namespace, by a dry run."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from deployments.lab.kubernetes.failures import Cause, invalid, not_found
from deployments.lab.kubernetes.resources import known
from deployments.lab.loopback import Answer, Hangup
from tasks.core.errors import ConfigError, Garbled, PermanentError, Unreachable
from tasks.core.manifest import Manifest
from tasks.core.restore import Order
from tasks.core.results import Outcome
from tasks.systems.kubernetes import restore as restoring
from tasks.systems.kubernetes import verify
from tests.lab import clusters
from tests.lab.clusters import access, define_widgets, spec, taken


class MemorySource:
    """A backup in memory."""

    def __init__(self, took, sink):
        at = datetime(2026, 11, 26, 5, tzinfo=UTC)
        fields = {name: getattr(took, name) for name in type(took).model_fields}
        self.manifest = Manifest(
            **fields, id="20261126T050000Z-00000000", restore_point="p", platform="apex", system="cluster",
            kind="kubernetes", started=at, ended=at, recovery_sha256="",
        )  # fmt: skip
        self.parts = dict(sink.parts)

    def read(self, part):
        yield self.parts[part]


@pytest.fixture(scope="module")
def source_lab(tmp_path_factory):
    with clusters.lab(tmp_path_factory.mktemp("source")) as made:
        define_widgets(made)
        binding = {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "apex"}],
        }
        made.add("rolebindings", "binding", **binding)
        yield made


@pytest.fixture
def source(source_lab):
    return MemorySource(*taken(source_lab))


@pytest.fixture
def target(tmp_path):
    with clusters.lab(tmp_path / "target", "stario", runs=True) as made:
        yield made


class Ordering:
    def __init__(self, folder):
        self.folder, self.phases = folder, []

    def __call__(self, **more):
        @contextmanager
        def phase(name):
            self.phases.append(str(name))
            yield

        return Order(folder=self.folder, phase=phase, **more)


@pytest.fixture
def order(tmp_path):
    return Ordering(tmp_path)


def outcomes(assertions):
    return {assertion.name: assertion.outcome for assertion in assertions}


def into(made, namespace=""):
    return f"{made.config}?context={made.cluster.name}" + (f"&namespace={namespace}" if namespace else "")


# A named place


def test_everything_is_there_again_in_a_namespace_of_another_name(source_lab, source, target, order):
    with restoring.restore(spec(source_lab), access(), source, order(into=into(target, "copy"))) as restored:
        assert restored.details["refused"] == {}
        assert restored.counts == source.manifest.counts
        told = list(verify.compare(spec(source_lab), source, restored))
    assert order.phases == ["fetch", "provision", "restore"]
    assert {assertion.outcome for assertion in told} == {Outcome.PASSED}, told
    assert len(told) == 1 + len(source.manifest.counts) - 1, "one for each part, the namespace aside, and one for all"
    assert target.get("deployments", "apex-api", "copy")["metadata"]["managedFields"][0]["manager"] == "watchkeeper"
    assert target.get("rolebindings", "binding", "copy")["subjects"][0]["namespace"] == "copy"
    assert "apex" not in target.names("namespaces")
    clusters.until(lambda: len(target.names("pods", "copy")) == len(source_lab.names("pods")))


def test_definitions_are_established_before_the_resources_that_they_define(source_lab, source, target, order):
    with restoring.restore(spec(source_lab), access(), source, order(into=into(target, "copy"))) as restored:
        assert restored.counts["widgets.shop.example.com"] == 1
    patched = [request.path for request in target.asked if request.method == "PATCH"]
    assert next(n for n, path in enumerate(patched) if "customresourcedefinitions" in path) < next(
        n for n, path in enumerate(patched) if "widgets/one" in path
    )


def test_what_is_there_already_beyond_the_namespace_is_left_as_it_is(source_lab, source, target, order):
    define = clusters.WIDGETS | {"metadata": {"name": "widgets.shop.example.com", "labels": {"of": "another"}}}
    target.cluster.store.add(known("customresourcedefinitions"), define)
    clusters.until(lambda: target.get("customresourcedefinitions", "widgets.shop.example.com").get("status"))
    with restoring.restore(spec(source_lab), access(), source, order(into=into(target, "copy"))) as restored:
        assert restored.details["left_as_they_are"] == ["CustomResourceDefinition/widgets.shop.example.com"]
        assert "left as they are" in restored.warnings[0]
        assert set(outcomes(verify.compare(spec(source_lab), source, restored)).values()) == {Outcome.PASSED}
    there = target.get("customresourcedefinitions", "widgets.shop.example.com")
    assert there["metadata"]["labels"] == {"of": "another"}


def test_the_live_namespace_is_refused_by_its_address_and_by_what_the_cluster_is(source_lab, source, tmp_path, order):
    before = source_lab.cluster.store.version
    with pytest.raises(ConfigError, match="live namespace"):
        restore_into(source_lab, source, order(into=into(source_lab, "apex")))
    config = yaml.safe_load(source_lab.config.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = f"http://localhost:{source_lab.port}"
    other = tmp_path / "other-name"
    other.write_text(yaml.safe_dump(config), encoding="utf-8")
    with pytest.raises(ConfigError, match="live namespace"):
        restore_into(source_lab, source, order(into=f"{other}?namespace=apex"))
    assert source_lab.cluster.store.version == before


def test_a_cluster_behind_another_address_is_known_by_its_uid(source_lab, source, tmp_path, order):
    from deployments.lab.loopback import Listeners  # noqa: PLC0415

    listeners = Listeners()
    port = listeners.add(0, source_lab.answer)
    config = yaml.safe_load(source_lab.config.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{port}"
    other = tmp_path / "proxy"
    other.write_text(yaml.safe_dump(config), encoding="utf-8")
    with listeners, pytest.raises(ConfigError, match="live namespace"):
        restore_into(source_lab, source, order(into=f"{other}?namespace=apex"))


def restore_into(made, source, order, **plan):
    with restoring.restore(spec(made, **plan), access(), source, order):
        pytest.fail("it was restored")


def test_a_namespace_that_is_not_empty_is_refused_and_an_empty_one_is_not(source_lab, source, target, order):
    with pytest.raises(ConfigError, match="namespace stario is not empty: it has "):
        restore_into(source_lab, source, order(into=into(target, "stario")))
    assert target.writes() == []
    target.add("namespaces", "empty")
    clusters.until(lambda: "kube-root-ca.crt" in target.names("configmaps", "empty"))
    with restoring.restore(spec(source_lab), access(), source, order(into=into(target, "empty"))) as restored:
        assert restored.details["refused"] == {}


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (("Deployment/apex-*",), {"apex-api", "apex-worker"}),
        (("deploy", "tier=api"), {"apex-api"}),
        (("app=redis,tier=cache",), {"redis"}),
        (("*/apex-config",), {"apex-config"}),
        (("secrets/apex-secrets", "configmaps"), {"apex-secrets", "apex-config"}),
    ],
)
def test_only_what_is_asked_for_is_restored(source_lab, source, target, order, only, names):
    with restoring.restore(spec(source_lab), access(), source, order(into=into(target, "copy"), only=only)) as restored:
        assert set(outcomes(verify.compare(spec(source_lab), source, restored)).values()) == {Outcome.PASSED}
    patched = {request.path.rpartition("/")[2] for request in target.asked if request.method == "PATCH"}
    assert patched == names


def test_nothing_that_is_asked_for_is_an_error(source_lab, source, target, order):
    with pytest.raises(ConfigError, match="nothing of Deployment/nope"):
        restore_into(source_lab, source, order(into=into(target, "copy"), only=("Deployment/nope",)))


# What is refused, object by object


def refusing(part, failure):
    return lambda r: Answer.of(failure.status, failure.code) if part in r.path and r.method == "PATCH" else None


def test_what_the_server_refuses_is_told_object_by_object_and_the_rest_goes_on(source_lab, source, target, order):
    why = invalid(known("deployments"), "apex-api", [Cause("spec.replicas", "Invalid value: 3: too many")])
    target.between = refusing("deployments/apex-api", why)
    with restoring.restore(spec(source_lab), access(), source, order(into=into(target, "copy"))) as restored:
        (told,) = restored.details["refused"].items()
        assert told == ("Deployment/apex-api", told[1])
        assert "422 invalid" in told[1]
        assert "too many" in told[1]
        assert "1 objects were refused" in restored.warnings[0]
        found = outcomes(verify.compare(spec(source_lab), source, restored))
    assert found["every object is accepted (applied to a named namespace)"] is Outcome.FAILED
    assert found["manifests/deployments.apps.yaml is there again, field for field"] is Outcome.FAILED
    assert found["manifests/services.yaml is there again, field for field"] is Outcome.PASSED


def test_what_a_server_says_of_a_secret_is_never_told(source_lab, source, target, order):
    target.between = refusing("secrets/", invalid(known("secrets"), "s", [Cause("data", "Invalid value: hunter2")]))
    with restoring.restore(spec(source_lab), access(), source, order(into=into(target, "copy"))) as restored:
        assert restored.details["refused"]["Secret/apex-secrets"] == "422 invalid"
        assert "hunter2" not in repr(restored)


def test_a_webhook_that_is_down_refuses_its_objects_and_not_the_whole_restore(source_lab, source, target, order):
    down = {"kind": "Status", "message": "failed calling webhook", "code": 500}
    target.between = lambda r: Answer.of(down, 500) if "cronjobs" in r.path and r.method == "PATCH" else None
    with restoring.restore(spec(source_lab), access(), source, order(into=into(target, "copy"))) as restored:
        assert "failed calling webhook" in restored.details["refused"]["CronJob/database-backup"]


def test_a_server_that_goes_in_the_middle_ends_the_restore(source_lab, source, target, order):
    def cut(_):
        if "statefulsets" in str([r.path for r in target.asked if r.method == "PATCH"]):
            raise Hangup

    target.between = cut
    with pytest.raises(Unreachable):
        restore_into(source_lab, source, order(into=into(target, "copy")))


def test_a_cluster_that_takes_not_one_object_is_an_error(source_lab, source, target, order):
    target.between = refusing("", not_found(known("namespaces"), "copy"))
    with pytest.raises(PermanentError, match="not one object was taken"):
        restore_into(source_lab, source, order(into=into(target, "copy")))


# A drill's namespace


def drilled(made):
    return {"scratch": {"kubeconfig": str(made.config)}}


def test_a_drill_makes_a_namespace_where_nothing_starts_and_deletes_it_again(source_lab, source, target, order):
    plan = drilled(target)
    with restoring.restore(spec(source_lab, **plan), access(), source, order()) as restored:
        name = restored.details["namespace"]
        assert name.startswith("watchkeeper-drill-")
        assert restored.details["way"].startswith("applied, asleep")
        assert target.get("deployments", "apex-api", name)["spec"]["replicas"] == 0
        assert target.get("cronjobs", "database-backup", name)["spec"]["suspend"] is True
        assert target.get("secrets", "apex-secrets", name)["data"]
        assert target.names("ingresses", name) == target.names("persistentvolumeclaims", name) == []
        assert restored.details["only_tried"].keys() >= {"ingresses.networking.k8s.io", "persistentvolumeclaims"}
        refused = restored.details["refused"]
        assert refused == {"Widget/one": "the cluster has no resource Widget of shop.example.com/v1"}
        found = outcomes(verify.compare(spec(source_lab, **plan), source, restored))
        assert found["manifests/deployments.apps.yaml is there again, field for field"] is Outcome.PASSED
        assert target.names("pods", name) == []
        assert verify.spoil(spec(source_lab), restored) == "deleted configmaps/apex-config"
        after = outcomes(verify.compare(spec(source_lab, **plan), source, restored))
        assert after["manifests/configmaps.yaml is there again, field for field"] is Outcome.FAILED
    assert name not in target.names("namespaces")
    assert target.names("secrets", name) == []


def test_a_drill_that_fails_leaves_no_namespace_behind(source_lab, source, target, order):
    before = target.names("namespaces")
    with (
        pytest.raises(ZeroDivisionError),
        restoring.restore(spec(source_lab), access(), source, order(into=into(target))),
    ):
        raise ZeroDivisionError
    assert target.names("namespaces") == before
    target.between = refusing("", not_found(known("namespaces"), "copy"))
    with pytest.raises(PermanentError):
        restore_into(source_lab, source, order(into=into(target)))
    assert target.names("namespaces") == before


def test_two_drills_at_once_do_not_see_each_other(source_lab, source, target, order):
    with (
        restoring.restore(spec(source_lab), access(), source, order(into=into(target))) as one,
        restoring.restore(spec(source_lab), access(), source, order(into=into(target))) as other,
    ):
        assert one.details["namespace"] != other.details["namespace"]
        assert target.names("secrets", one.details["namespace"]) == target.names("secrets", other.details["namespace"])


# A dry run


def test_without_a_cluster_for_drills_every_object_is_tried_and_nothing_is_written(source_lab, source, order):
    before, asked = source_lab.cluster.store.version, len(source_lab.asked)
    with restoring.restore(spec(source_lab), access(), source, order()) as restored:
        assert restored.details["way"] == "tried by a dry run against the live cluster; nothing was written"
        assert restored.counts == source.manifest.counts
        assert restored.details["only_tried"] == restored.counts
        found = list(verify.compare(spec(source_lab), source, restored))
        assert verify.spoil(spec(source_lab), restored) == ""
    assert {assertion.outcome for assertion in found} == {Outcome.PASSED}, found
    assert source_lab.cluster.store.version == before
    assert {r.query.get("dryRun") for r in source_lab.asked[asked:] if r.method != "GET"} == {"All"}


def test_a_dry_run_tells_what_the_server_would_not_take(source_lab, source, order):
    document = yaml.safe_load(source.parts["manifests/configmaps.yaml"])
    document["data"] = {"bad key!": "x"}
    source.parts["manifests/configmaps.yaml"] = yaml.safe_dump(document).encode()
    with restoring.restore(spec(source_lab), access(), source, order()) as restored:
        assert "422 invalid" in restored.details["refused"]["ConfigMap/apex-config"]
        found = outcomes(verify.compare(spec(source_lab), source, restored))
    assert Outcome.FAILED in found.values()


READ = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]


def test_a_dry_run_by_a_user_who_may_only_read_is_refused_with_the_right_that_it_needs(source, tmp_path, order):
    with clusters.lab(tmp_path / "reader") as made:
        made.limit_to(READ)
        with pytest.raises(PermanentError, match="403 forbidden") as caught:
            restore_into(made, source, order())
        assert "role-restore.yaml" in caught.value.hint


def test_the_grant_of_a_drills_cluster_suffices(source_lab, source, target, order):
    text = Path(restoring.__file__).with_name("role-restore.yaml").read_text(encoding="utf-8")
    target.limit_to(next(yaml.safe_load_all(text))["rules"])
    with restoring.restore(spec(source_lab), access(), source, order(into=into(target))) as restored:
        assert {name for name in restored.details["refused"] if not name.startswith("Widget/")} == set()
        assert verify.spoil(spec(source_lab), restored)
    assert target.names("namespaces") == ["cert-manager", "default", "kube-system", "stario"]


# What is damaged


def test_every_document_is_counted_before_anything_is_restored(source):
    assert {assertion.outcome for assertion in verify.parse(source)} == {Outcome.PASSED}
    assert len(list(verify.parse(source))) == len(source.manifest.counts)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: data.index(b"---", 10)],
        lambda data: data.replace(b"kind: Service", b"kind: Deployment", 1),
        lambda data: data.replace(b"  name: ", b"  names: ", 1),
        lambda data: data + b"---\n{",
        lambda _: b"",
        lambda _: b"\xff\xfe\x00",
        lambda _: b"- a\n- b\n",
    ],
)
def test_a_damaged_part_fails_and_nothing_else(source, damage):
    source.parts["manifests/services.yaml"] = damage(source.parts["manifests/services.yaml"])
    found = {assertion.name: assertion.outcome for assertion in verify.parse(source)}
    failed = {name for name, outcome in found.items() if outcome is Outcome.FAILED}
    assert failed == {"manifests/services.yaml is YAML of Service objects"}


def test_a_damaged_backup_writes_nothing(source_lab, source, target, order):
    source.parts["manifests/statefulsets.apps.yaml"] = b"---\n{"
    with pytest.raises(Garbled):
        restore_into(source_lab, source, order(into=into(target, "copy")))
    assert target.writes() == []


def test_a_time_before_the_backup_is_refused(source_lab, source, order):
    with pytest.raises(ConfigError, match="this backup shows"):
        restore_into(source_lab, source, order(until=source.manifest.consistent_as_of - timedelta(hours=1)))


# Addresses


def test_an_address_says_where_it_leads_whatever_it_is_called(source_lab, tmp_path):
    config = yaml.safe_load(source_lab.config.read_text(encoding="utf-8"))
    text = yaml.safe_dump(config)
    config["clusters"][0]["cluster"]["server"] = f"http://localhost:{source_lab.port}"
    named = tmp_path / "named"
    named.write_text(yaml.safe_dump(config), encoding="utf-8")
    place = restoring.endpoints(f"{source_lab.config}?namespace=apex")
    assert place == {f"127.0.0.1:{source_lab.port}/apex"}
    assert restoring.endpoints(f"{text}?namespace=apex") == place
    assert restoring.endpoints(f"{named}?namespace=apex") >= place
    assert not restoring.endpoints(f"{source_lab.config}?namespace=copy") & place


@pytest.mark.parametrize("address", ["?namespace=a", "/k?namespace=Not_One", "/k?color=red", ""])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ConfigError, match="no namespace of a cluster"):
        restoring.endpoints(address)
