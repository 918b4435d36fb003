"""Clusters of the lab for tests of backups and restores: the seeds of a platform on a port of their own."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from deployments.lab.kubernetes.api import handle
from deployments.lab.kubernetes.cluster import Cluster
from deployments.lab.kubernetes.rbac import ADMIN
from deployments.lab.kubernetes.resources import known
from deployments.lab.kubernetes.seeds import SEEDS, plant
from deployments.lab.kubernetes.serving import kubeconfig
from deployments.lab.loopback import Answer, Listeners, Request
from tasks.clients.secrets import SecretResolver
from tasks.core.backup import Order
from tasks.core.system import Access
from tasks.systems.kubernetes import backup as backing
from tasks.systems.kubernetes.spec import Spec
from tests.sinks import MemorySink

TOKEN = "lab-token-of-a-cluster"
NOW = datetime(2026, 11, 26, 5, tzinfo=UTC)


class Lab:
    """A cluster on a port.

    Attributes:
        between: May answer in place of the cluster; None where it lets a request through.
        asked: Every request that came.
    """

    def __init__(self, cluster: Cluster, config: Path) -> None:
        self.cluster, self.config = cluster, config
        self.between: Callable[[Request], Answer | None] = lambda _: None
        self.asked: list[Request] = []
        self.port = 0

    def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        return self.between(request) or handle(self.cluster, request)

    def add(self, plural: str, name: str, namespace: str = "apex", **fields: Any) -> dict[str, Any]:
        """Store an object as a person would have made it, whatever the API would say."""
        resource = known(plural)
        meta = fields.pop("metadata", {}) | {"name": name} | ({"namespace": namespace} if resource.namespaced else {})
        item = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta} | fields
        return self.cluster.store.add(resource, item)

    def get(self, plural: str, name: str, namespace: str = "apex") -> dict[str, Any] | None:
        return self.cluster.store.peek(known(plural), namespace if known(plural).namespaced else "", name)

    def names(self, plural: str, namespace: str = "apex") -> list[str]:
        where = namespace if known(plural).namespaced else ""
        return [item["metadata"]["name"] for item in self.cluster.store.all(plural, where)]

    def limit_to(self, rules: list[dict[str, Any]]) -> None:
        """Let the token's user do no more than this."""
        store = self.cluster.store
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "less"}}
        store.add(known("clusterroles"), role | {"rules": rules})
        binding = store.get(known("clusterrolebindings"), "", "lab-admin")
        store.put(known("clusterrolebindings"), {**binding, "roleRef": {**binding["roleRef"], "name": "less"}})

    def writes(self) -> list[Request]:
        """Return the requests that changed something."""
        return [r for r in self.asked if r.method != "GET" and r.query.get("dryRun") != "All"]


@functools.cache
def _planted(platform: str) -> Cluster:
    cluster = Cluster(platform, {TOKEN: ADMIN})
    plant(cluster, SEEDS[platform])
    return cluster


def _copied(platform: str) -> Cluster:
    """Return a cluster of its own with the seeds; a copy of another has its uids."""
    seeds, cluster = _planted(platform).store, Cluster(platform, {TOKEN: ADMIN})
    cluster.store.version = seeds.version
    cluster.store._objects = {name: dict(shelf) for name, shelf in seeds._objects.items()}
    cluster.store.history.extend(seeds.history)
    return cluster


@contextmanager
def lab(folder: Path, platform: str = "apex", *, runs: bool = False, fresh: bool = False) -> Iterator[Lab]:
    """Put a platform's cluster on a port.

    Args:
        folder: Where its kubeconfig is written.
        platform: Whose seeds.
        runs: Whether its controllers run by themselves.
        fresh: Whether its objects have uids of their own; else those of any other of the platform.
    """
    if fresh:
        _planted.cache_clear()
    cluster = _copied(platform)
    folder.mkdir(parents=True, exist_ok=True)
    made = Lab(cluster, folder / "kubeconfig")
    listeners = Listeners()
    made.port = listeners.add(0, made.answer)
    kubeconfig(made.config, cluster, made.port, TOKEN)
    if runs:
        cluster.start()
    with listeners:
        yield made
        cluster.stop()


def access() -> Access:
    return Access(SecretResolver({}), lambda: datetime.now(UTC))


def spec(made: Lab, *, namespace: str = "apex", **plan: Any) -> Spec:
    fields = {"kind": "kubernetes", "kubeconfig": str(made.config), "namespace": namespace}
    return Spec.model_validate(fields | {"backup": {"to": ["vault"]} | plan})


def taken(made: Lab, sink: MemorySink | None = None, parent: Any = None, **plan: Any) -> tuple[Any, MemorySink]:
    sink = sink or MemorySink()
    return backing.backup(spec(made, **plan), access(), sink, Order("manifests", parent)), sink


def objects(sink: MemorySink, resource: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(sink.parts[f"manifests/{resource}.yaml"]))


def until(true: Callable[[], Any]) -> Any:
    """Wait for a controller."""
    end = time.monotonic() + 30
    while not (found := true()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)
    return found


WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.shop.example.com"},
    "spec": {
        "group": "shop.example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
        "versions": [
            {"name": "v1alpha1", "served": True, "storage": False},
            {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}},
        ],
    },
}


def define_widgets(made: Lab) -> None:
    """Define a custom resource and make one of it, as its owner would."""
    from deployments.lab.kubernetes import writing  # noqa: PLC0415
    from deployments.lab.kubernetes.discovery import offered  # noqa: PLC0415

    store = made.cluster.store
    writing.create(store, known("customresourcedefinitions"), "", WIDGETS, {})
    made.cluster.step()
    widget = next(r for r in offered(store, metrics=True) if r.plural == "widgets")
    body = {"apiVersion": "shop.example.com/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 3}}
    writing.create(store, widget, "apex", body, {})
