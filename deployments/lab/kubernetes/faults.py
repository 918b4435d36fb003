"""The faults that the lab can play, by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from deployments.lab.kubernetes.cluster import Cluster
from deployments.lab.kubernetes.kubelet import MISSING, Troubles
from deployments.lab.kubernetes.rbac import RESTRICTED
from deployments.lab.kubernetes.resources import known
from deployments.lab.kubernetes.seeds import ADMIN_BINDING, SEEDS, admin_binding
from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import timestamp


def _main(cluster: Cluster) -> Object:
    return cluster.store.get(known("deployments"), SEEDS[cluster.name].namespace, SEEDS[cluster.name].workloads[0].name)


def _app(cluster: Cluster) -> str:
    return str(_main(cluster)["spec"]["template"]["metadata"]["labels"]["app"])


def _crash(cluster: Cluster) -> None:
    cluster.troubles.crashing.add(_app(cluster))


def _no_metrics(cluster: Cluster) -> None:
    cluster.troubles.metrics = False


def _lose_node(cluster: Cluster) -> None:
    cluster.troubles.lost_nodes.add(cluster.store.all("nodes")[-1]["metadata"]["name"])


def _forbid(cluster: Cluster) -> None:
    _bind(cluster, RESTRICTED)


def _bad_image(cluster: Cluster) -> None:
    image = _main(cluster)["spec"]["template"]["spec"]["containers"][0]["image"]
    cluster.troubles.good_image = cluster.troubles.good_image or image
    _set_image(cluster, image.rpartition(":")[0] + MISSING)


def _at_ceiling(cluster: Cluster) -> None:
    cluster.troubles.busy.add(_app(cluster))
    _scale_main(cluster, most=True)


def _spoil_certificates(cluster: Cluster) -> None:
    """Say of each Certificate what cert-manager says when its issuer has refused the renewal for weeks."""
    end = timestamp(cluster.now() + timedelta(days=5))
    why = {"reason": "Failed", "message": "The certificate request has failed to complete and will be retried"}
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": timestamp(cluster.now()), **why}
    for item in cluster.store.all("certificates"):
        cluster.troubles.good_certificates.setdefault(item["metadata"]["name"], item["status"])
        status = {**item["status"], "conditions": [ready], "notAfter": end}
        cluster.store.put(known("certificates"), {**item, "status": status})


def _issue_again(cluster: Cluster, good: dict[str, Object]) -> None:
    for item in cluster.store.all("certificates"):
        if status := good.get(item["metadata"]["name"]):
            cluster.store.put(known("certificates"), {**item, "status": status})


def _bind(cluster: Cluster, role: str) -> None:
    """Bind the lab's user to another role, as the server itself."""
    resource = known("clusterrolebindings")
    cluster.store.remove(resource, "", ADMIN_BINDING)
    cluster.store.add(resource, admin_binding(role))


def _set_image(cluster: Cluster, image: str) -> None:
    with cluster.store.lock:
        item = _main(cluster)
        template = item["spec"]["template"]
        first, *rest = template["spec"]["containers"]
        containers = [{**first, "image": image}, *rest]
        fresh = {**template, "spec": {**template["spec"], "containers": containers}}
        cluster.store.put(known("deployments"), {**item, "spec": {**item["spec"], "template": fresh}})


def _scale_main(cluster: Cluster, *, most: bool) -> None:
    with cluster.store.lock:
        item = _main(cluster)
        for autoscaler in cluster.store.all("horizontalpodautoscalers", SEEDS[cluster.name].namespace):
            spec = autoscaler["spec"]
            if spec["scaleTargetRef"]["name"] == item["metadata"]["name"]:
                replicas = spec["maxReplicas"] if most else spec["minReplicas"]
                cluster.store.put(known("deployments"), {**item, "spec": {**item["spec"], "replicas": replicas}})


FAULTS: dict[str, Callable[[Cluster], None]] = {
    "crashloop": _crash,
    "no-metrics": _no_metrics,
    "forbidden": _forbid,
    "image-pull": _bad_image,
    "node-not-ready": _lose_node,
    "hpa-at-ceiling": _at_ceiling,
    "certificate-fails": _spoil_certificates,
}


def play(cluster: Cluster, fault: str) -> None:
    """Break a cluster; faults add up until `mend`."""
    with cluster.store.lock:
        FAULTS[fault](cluster)


def mend(cluster: Cluster) -> None:
    """Undo every fault."""
    with cluster.store.lock:
        broken, cluster.troubles = cluster.troubles, Troubles(logged=cluster.troubles.logged)
        _bind(cluster, "cluster-admin")
        _issue_again(cluster, broken.good_certificates)
        if broken.good_image:
            _set_image(cluster, broken.good_image)
        if broken.busy:
            _scale_main(cluster, most=False)


def write_logs(cluster: Cluster, trouble: str | None) -> None:
    """Let the pods of the first deployment write of a trouble, or of none."""
    cluster.troubles.logged = {trouble} if trouble else set()


def writes_of(cluster: Cluster, pod: Object) -> set[str]:
    """Return the troubles that a pod writes of."""
    ours = (pod["metadata"].get("labels") or {}).get("app") == _app(cluster)
    return cluster.troubles.logged if ours else set()
