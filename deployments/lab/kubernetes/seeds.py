"""What each platform's cluster holds at first: the names of its runbook, with plain stand-in content."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from deployments.lab.kubernetes.cluster import Cluster
from deployments.lab.kubernetes.rbac import ADMIN, RESTRICTED
from deployments.lab.kubernetes.resources import known
from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import timestamp
from deployments.lab.kubernetes.writing import with_address

ADMIN_BINDING = "lab-admin"
_NODES = 3
_AGE = timedelta(days=6)
_RBAC = "rbac.authorization.k8s.io/v1"


@dataclass(frozen=True)
class Workload:
    """A deployment or a stateful set with its service, and its autoscaler where it has one.

    Attributes:
        name: Its name, and the value of its pods' label `app` unless `app` says otherwise.
        app: The value of that label where it stands by for another workload: then it has no service of its own.
        region: The value of the label `region`, where it has one.
        replicas: How many.
        port: What its container listens on; 0 for none.
        image: The container's image.
        container: The container's name.
        stateful: Whether it is a stateful set.
        ceiling: The most that its autoscaler may make of it; 0 where there is none.
        service: Its service's name.
        tier: The value of the label `tier`.
    """

    name: str
    replicas: int = 1
    port: int = 8000
    image: str = ""
    container: str = ""
    stateful: bool = False
    ceiling: int = 0
    service: str = ""
    tier: str = "backend"
    app: str = ""
    region: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its pods by which it is told from others."""
        return {"app": self.app or self.name} | ({"region": self.region} if self.region else {})

    @property
    def autoscaler(self) -> str:
        """The name of its autoscaler, as the runbooks have it."""
        return f"{self.name}-hpa" if self.name in ("apex-api", "eyewear-api") else self.name


@dataclass(frozen=True)
class Seed:
    """All that one platform's cluster holds."""

    namespace: str
    workloads: tuple[Workload, ...]
    configmaps: dict[str, dict[str, str]] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    claims: dict[str, str] = field(default_factory=dict)
    certificates: dict[str, str] = field(default_factory=dict)
    cronjobs: dict[str, str] = field(default_factory=dict)
    location: str = "eu-central-1"


def _service(name: str, replicas: int = 2, port: int = 8000, ceiling: int = 6) -> Workload:
    return Workload(name, replicas, port, ceiling=ceiling)


SEEDS = {
    "apex": Seed(
        "apex",
        (
            Workload("apex-api", 3, image="signx/apex-api:1.0.0", container="api", ceiling=10, tier="api"),
            Workload("apex-worker", 2, 0, "signx/apex-worker:1.0.0", "worker", tier="worker"),
            Workload("minio", 1, 9000, "minio/minio:2025.1", tier="storage"),
            Workload("redis", 1, 6379, "redis:7-alpine", stateful=True, tier="cache"),
            Workload("opensearch", 1, 9200, "opensearchproject/opensearch:2.11.0", stateful=True, tier="search"),
        ),
        configmaps={"apex-config": {"APEX_ENV": "prod", "LOG_LEVEL": "INFO", "MAINTENANCE_MODE": "off"}},
        secrets=("apex-secrets",),
        claims={"minio-data": "100Gi"},
        certificates={"apex-api-tls": "api.example.com"},
        cronjobs={"database-backup": "0 2 * * *"},
    ),
    "stario": Seed(
        "stario",
        (
            _service("api-gateway", 3, 8000, 10),
            _service("video-gen", 2, 8001),
            Workload("video-gen-worker", 2, 0, ceiling=8, tier="worker"),
            _service("voice-gen", 2, 8003),
            _service("face-similarity", 2, 8004),
            _service("poster-gen", 2, 8005),
            _service("merch-engine", 2, 8006),
            _service("regtech-filter", 2, 8007),
            Workload("ephemeral-cleaner", 1, 0, tier="worker"),
            Workload("redis", 3, 6379, "redis:7-alpine", stateful=True, tier="cache"),
        ),
        configmaps={"stario-config": {"ENVIRONMENT": "production"}},
        secrets=("stario-secrets",),
        location="uz-tashkent",
    ),
    "eyewear": Seed(
        "eyewear-ml",
        (
            Workload("eyewear-api", 3, image="eyewear/api:1.0.0", container="api", ceiling=10, tier="api"),
            Workload("mongodb", 1, 27017, "mongo:7.0", tier="database"),
        ),
        configmaps={"eyewear-config": {"READ_ONLY_MODE": "false"}},
        secrets=("eyewear-secrets",),
    ),
    "stylesync": Seed(
        "default",
        (
            Workload(
                "stylesync-api",
                3,
                image="stylesync/api:v1.0.0",
                container="api",
                ceiling=10,
                service="stylesync-api-service",
                tier="api",
            ),
            Workload("redis", 1, 6379, "redis:7-alpine", stateful=True, service="redis-service", tier="cache"),
            Workload(
                "stylesync-api-us-west-2",
                2,
                image="stylesync/api:v1.0.0",
                container="api",
                tier="api",
                app="stylesync-api",
                region="us-west-2",
            ),
        ),
        configmaps={
            "stylesync-config": {
                "STYLESYNC_CACHE_L1_TTL": "3600",
                "STYLESYNC_CACHE_L2_TTL": "1800",
                "LOG_LEVEL": "INFO",
            }
        },
        secrets=("stylesync-secrets", "stylesync-api-key", "stylesync-tls"),
    ),
}
"""By platform. The fifth platform of the runbooks, synesthesia, has no cluster."""


def plant(cluster: Cluster, seed: Seed) -> None:
    """Fill an empty cluster and let it come to rest, as of some days ago."""
    store = cluster.store
    store.now = lambda: cluster.now() - _AGE
    for name in sorted({"default", "kube-system", "cert-manager", seed.namespace}):
        labels = {"kubernetes.io/metadata.name": name}
        _add(cluster, "namespaces", {"metadata": {"name": name, "labels": labels}, "status": {"phase": "Active"}})
    for index in range(_NODES):
        _add(cluster, "nodes", _node(f"{cluster.name}-node-{index + 1}", seed.location))
    for role in _roles():
        _add(cluster, "clusterroles", role)
    store.add(known("clusterrolebindings"), admin_binding())
    for workload in seed.workloads:
        for plural, item in _objects(workload):
            _add(cluster, plural, item, seed.namespace)
    for plural, item in _rest(cluster, seed):
        _add(cluster, plural, item, seed.namespace)
    cluster.settle()
    store.now = cluster.now
    cluster.settle()


def _add(cluster: Cluster, plural: str, item: Object, namespace: str = "") -> None:
    resource = known(plural)
    meta = {**item["metadata"], **({"namespace": namespace} if namespace else {})}
    whole = {"apiVersion": resource.api_version, "kind": resource.kind} | item | {"metadata": meta}
    cluster.store.add(resource, with_address(cluster.store, whole) if plural == "services" else whole)


def admin_binding(role: str = "cluster-admin") -> Object:
    """Return the binding that gives the lab's user its rights."""
    namespace, name = ADMIN.split(":")[2:]
    return {
        "apiVersion": _RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": ADMIN_BINDING},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
    }


def _roles() -> list[Object]:
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    workloads = ["deployments", "statefulsets", "replicasets"]
    little = {"apiGroups": ["apps"], "resources": workloads, "verbs": ["get", "list", "watch"]}
    built_in = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    return [
        {"metadata": {"name": "cluster-admin", "labels": built_in}, "rules": [everything]},
        {"metadata": {"name": RESTRICTED}, "rules": [little]},
    ]


def _node(name: str, location: str) -> Object:
    capacity = {"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    status = {"capacity": capacity, "allocatable": capacity, "conditions": []}
    status["nodeInfo"] = {"kubeletVersion": "v1.36.0", "operatingSystem": "linux", "architecture": "amd64"}
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/region": location}
    return {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}


def _template(workload: Workload) -> Object:
    limits = {"cpu": "1", "memory": "1Gi"}
    container: dict[str, Any] = {
        "name": workload.container or workload.name,
        "image": workload.image or f"stario/{workload.name}:1.0.0",
        "env": [{"name": "LOG_LEVEL", "value": "INFO"}],
        "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": limits},
    }
    if workload.port:
        container["ports"] = [{"containerPort": workload.port, "protocol": "TCP"}]
        container["readinessProbe"] = {"httpGet": {"path": "/ready", "port": workload.port}, "periodSeconds": 10}
    labels = workload.labels | {"tier": workload.tier}
    return {"metadata": {"labels": labels}, "spec": {"containers": [container], "restartPolicy": "Always"}}


def _objects(workload: Workload) -> list[tuple[str, Object]]:
    name, labels = workload.name, workload.labels | {"tier": workload.tier}
    selector = {"matchLabels": workload.labels}
    spec: dict[str, Any] = {"replicas": workload.replicas, "selector": selector, "template": _template(workload)}
    if workload.stateful:
        spec |= {"serviceName": workload.service or name, "updateStrategy": {"type": "RollingUpdate"}}
    else:
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        spec |= {"strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}
        spec |= {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10}
    plural = "statefulsets" if workload.stateful else "deployments"
    objects: list[tuple[str, Object]] = [(plural, {"metadata": {"name": name, "labels": labels}, "spec": spec})]
    if workload.port and not workload.app:
        ports = [{"name": "main", "port": workload.port, "targetPort": workload.port, "protocol": "TCP"}]
        service = {"selector": {"app": name}, "ports": ports, "type": "ClusterIP"}
        objects.append(
            ("services", {"metadata": {"name": workload.service or name, "labels": labels}, "spec": service})
        )
    if workload.ceiling:
        objects.append(("horizontalpodautoscalers", _autoscaler(workload)))
    return objects


def _autoscaler(workload: Workload) -> Object:
    metrics = [
        {"type": "Resource", "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": aim}}}
        for name, aim in (("cpu", 70), ("memory", 80))
    ]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name}
    spec = {"scaleTargetRef": target, "minReplicas": workload.replicas, "maxReplicas": workload.ceiling}
    return {"metadata": {"name": workload.autoscaler}, "spec": spec | {"metrics": metrics}}


def _rest(cluster: Cluster, seed: Seed) -> list[tuple[str, Object]]:
    objects: list[tuple[str, Object]] = []
    objects += [("configmaps", {"metadata": {"name": name}, "data": data}) for name, data in seed.configmaps.items()]
    for name in seed.secrets:
        value = base64.b64encode(f"lab-{name}-value".encode()).decode()
        objects.append(("secrets", {"metadata": {"name": name}, "type": "Opaque", "data": {"value": value}}))
    for name, size in seed.claims.items():
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        objects.append(("persistentvolumeclaims", {"metadata": {"name": name}, "spec": spec}))
    objects += [_certificate(cluster, name, host) for name, host in seed.certificates.items()]
    objects += [_cronjob(name, schedule) for name, schedule in seed.cronjobs.items()]
    policy = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}
    objects.append(("networkpolicies", {"metadata": {"name": "same-namespace-only"}, "spec": policy}))
    first = seed.workloads[0]
    backend = {"service": {"name": first.service or first.name, "port": {"number": first.port}}}
    rule = {"host": f"{cluster.name}.example.com", "http": {"paths": [_path(backend)]}}
    objects.append(("ingresses", {"metadata": {"name": first.name}, "spec": {"rules": [rule]}}))
    return objects


def _path(backend: Object) -> Object:
    return {"path": "/", "pathType": "Prefix", "backend": backend}


def _certificate(cluster: Cluster, name: str, host: str) -> tuple[str, Object]:
    now = cluster.now()
    spec = {"secretName": name, "dnsNames": [host], "issuerRef": {"name": "letsencrypt-prod", "kind": "ClusterIssuer"}}
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "Certificate is up to date"}
    status = {
        "conditions": [ready | {"lastTransitionTime": timestamp(now)}],
        "notBefore": timestamp(now - timedelta(days=30)),
        "notAfter": timestamp(now + timedelta(days=60)),
        "renewalTime": timestamp(now + timedelta(days=30)),
        "revision": 1,
    }
    return "certificates", {"metadata": {"name": name}, "spec": spec, "status": status}


def _cronjob(name: str, schedule: str) -> tuple[str, Object]:
    container = {"name": "backup", "image": "postgres:15-alpine", "command": ["pg_dump"]}
    pod = {"containers": [container], "restartPolicy": "OnFailure"}
    spec = {"schedule": schedule, "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    return "cronjobs", {"metadata": {"name": name}, "spec": spec}
