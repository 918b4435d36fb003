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
from deployments.lab.kubernetes.upkeep import NO_CLASS


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


def _locate_last(cluster: Cluster, region: str) -> None:
    """Let the last node stand in a region."""
    node = cluster.store.all("nodes")[-1]
    labels = {**node["metadata"]["labels"], "topology.kubernetes.io/region": region}
    cluster.store.put(known("nodes"), {**node, "metadata": {**node["metadata"], "labels": labels}})


def _move_node(cluster: Cluster) -> None:
    _locate_last(cluster, "us-east-1")


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


def _fail_job(cluster: Cluster) -> None:
    """Leave a Job behind that gave up an hour ago, as its controller says of one whose pods failed too often."""
    at = timestamp(cluster.now() - timedelta(hours=1))
    why = {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": at, **why} for kind in ("FailureTarget", "Failed")
    ]
    pod = {"containers": [{"name": "migrate", "image": "lab/migrate:1"}], "restartPolicy": "Never"}
    status = {"failed": 7, "startTime": at, "conditions": conditions}
    _add(cluster, "jobs", "lab-migration", {"spec": {"backoffLimit": 6, "template": {"spec": pod}}, "status": status})


def _miss_runs(cluster: Cluster) -> None:
    """Let the controller of CronJobs stand still for two days; where there is no CronJob, there is one now."""
    cluster.troubles.cron = False
    if not cluster.store.all("cronjobs"):
        pod = {"containers": [{"name": "report", "image": "lab/report:1"}], "restartPolicy": "OnFailure"}
        spec = {"schedule": "0 2 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
        _add(cluster, "cronjobs", "lab-report", {"spec": spec})
    last = timestamp(cluster.now() - timedelta(days=2))
    for item in cluster.store.all("cronjobs"):
        cluster.store.put(known("cronjobs"), {**item, "status": {"lastScheduleTime": last, "lastSuccessfulTime": last}})


def _claim_in_vain(cluster: Cluster) -> None:
    """Claim a volume of a class that is not there, some days ago."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
    long_ago, cluster.store.now = cluster.store.now, lambda: cluster.now() - timedelta(days=1)
    _add(cluster, "persistentvolumeclaims", "lab-data", {"spec": spec | {"storageClassName": NO_CLASS}})
    cluster.store.now = long_ago


def _select_nothing(cluster: Cluster) -> None:
    """Let the first workload's service select a label that no pod has."""
    first = SEEDS[cluster.name].workloads[0]
    name = first.service or first.name
    service = cluster.store.get(known("services"), SEEDS[cluster.name].namespace, name)
    cluster.troubles.good_services.setdefault(name, service["spec"]["selector"])
    _select(cluster, name, {"app": f"{first.name}-renamed"})


def _select(cluster: Cluster, name: str, selector: dict[str, str]) -> None:
    service = cluster.store.get(known("services"), SEEDS[cluster.name].namespace, name)
    cluster.store.put(known("services"), {**service, "spec": {**service["spec"], "selector": selector}})


def _tire_node(cluster: Cluster) -> None:
    cluster.troubles.busy_nodes.add(cluster.store.all("nodes")[0]["metadata"]["name"])


def _add(cluster: Cluster, plural: str, name: str, content: Object) -> None:
    """Put an object into the platform's namespace that goes when the cluster is mended."""
    resource, namespace = known(plural), SEEDS[cluster.name].namespace
    if (plural, namespace, name) not in cluster.troubles.added:
        whole = {"apiVersion": resource.api_version, "kind": resource.kind} | content
        cluster.store.add(resource, whole | {"metadata": {"name": name, "namespace": namespace}})
        cluster.troubles.added.add((plural, namespace, name))


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
    "node-abroad": _move_node,
    "hpa-at-ceiling": _at_ceiling,
    "certificate-fails": _spoil_certificates,
    "job-failed": _fail_job,
    "cronjob-missed": _miss_runs,
    "pvc-pending": _claim_in_vain,
    "service-without-endpoints": _select_nothing,
    "node-busy": _tire_node,
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
        _locate_last(cluster, SEEDS[cluster.name].location)
        for plural, namespace, name in broken.added:
            cluster.store.remove(known(plural), namespace, name)
        for name, selector in broken.good_services.items():
            _select(cluster, name, selector)
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
