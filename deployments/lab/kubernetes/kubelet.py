"""The nodes' side: pods start, run, crash or end; nodes go away and come back; autoscalers look."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from deployments.lab.kubernetes import usage
from deployments.lab.kubernetes.events import record
from deployments.lab.kubernetes.resources import known
from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import Store, parse_timestamp, timestamp
from deployments.lab.kubernetes.workloads import condition

MISSING = ":missing"
"""An image whose tag begins with `missing` cannot be pulled."""
_RESTART_EVERY = timedelta(minutes=5)


@dataclass
class Troubles:
    """What is broken at the moment.

    Attributes:
        crashing: Values of the label `app` whose pods crash.
        lost_nodes: Nodes whose kubelet is silent.
        metrics: Whether the metrics API is installed.
        busy: Values of the label `app` whose pods use all the CPU they may.
        logged: What the pods of the first deployment write of, by the names of `log_lines.TROUBLES`.
        good_image: What the first deployment ran before it was given an image that cannot be pulled.
        cron: Whether the controller of CronJobs runs.
        busy_nodes: Nodes that have no CPU and no memory left.
        good_services: The selector of each service, by name, before it was changed.
        added: Objects that a fault has put there: plural, namespace and name.
        good_certificates: The status of each Certificate, by name, before it could not be renewed.
    """

    crashing: set[str] = field(default_factory=set)
    lost_nodes: set[str] = field(default_factory=set)
    metrics: bool = True
    busy: set[str] = field(default_factory=set)
    logged: set[str] = field(default_factory=set)
    good_image: str = ""
    cron: bool = True
    busy_nodes: set[str] = field(default_factory=set)
    good_services: dict[str, dict[str, str]] = field(default_factory=dict)
    added: set[tuple[str, str, str]] = field(default_factory=set)
    good_certificates: dict[str, Object] = field(default_factory=dict)


def step(store: Store, troubles: Troubles) -> None:
    """Look at every node, pod and autoscaler once."""
    with store.lock:
        for node in store.all("nodes"):
            _node(store, node, lost=node["metadata"]["name"] in troubles.lost_nodes)
        for pod in store.all("pods"):
            _pod(store, pod, troubles)
        for autoscaler in store.all("horizontalpodautoscalers"):
            _autoscaler(store, autoscaler, troubles)


def _node(store: Store, node: Object, *, lost: bool) -> None:
    before = node["status"]["conditions"]
    pressures = {"MemoryPressure": "Memory", "DiskPressure": "Disk", "PIDPressure": "PID"}
    if lost:
        text = "Kubelet stopped posting node status."
        kinds = [*pressures, "Ready"]
        conditions = [condition(store, before, kind, "Unknown", "NodeStatusUnknown", text) for kind in kinds]
    else:
        conditions = [
            condition(store, before, kind, "False", f"KubeletHasSufficient{what}", f"kubelet has sufficient {what}")
            for kind, what in pressures.items()
        ]
        conditions.append(condition(store, before, "Ready", "True", "KubeletReady", "kubelet is posting ready status"))
    spec = {key: value for key, value in node.get("spec", {}).items() if key != "taints"}
    if lost:
        spec["taints"] = [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]
    store.put(known("nodes"), {**node, "spec": spec, "status": {**node["status"], "conditions": conditions}})


def _pod(store: Store, pod: Object, troubles: Troubles) -> None:
    meta, status = pod["metadata"], pod["status"]
    if meta.get("deletionTimestamp") and not meta.get("finalizers"):
        store.remove(known("pods"), meta["namespace"], meta["name"])
        return
    if status["phase"] in ("Succeeded", "Failed"):
        return
    if not pod["spec"].get("nodeName"):
        _schedule(store, pod, troubles)
        return
    if pod["spec"]["nodeName"] in troubles.lost_nodes:
        _lose(store, pod)
        return
    job = any(owner["kind"] == "Job" for owner in meta.get("ownerReferences") or [])
    if job and status["phase"] == "Running":
        _finish(store, pod)
        return
    app = (meta.get("labels") or {}).get("app")
    containers = pod["spec"]["containers"]
    old = {item["name"]: item for item in status.get("containerStatuses") or []}
    crashing = app in troubles.crashing
    statuses = [_container(store, pod, item, old.get(item["name"]), crashing=crashing) for item in containers]
    _pod_status(store, pod, statuses)


def _schedule(store: Store, pod: Object, troubles: Troubles) -> None:
    nodes = [node["metadata"]["name"] for node in store.all("nodes")]
    usable = [name for name in nodes if name not in troubles.lost_nodes]
    before = pod["status"].get("conditions")
    if not usable:
        text = f"0/{len(nodes)} nodes are available."
        blocked = condition(store, before, "PodScheduled", "False", "Unschedulable", text)
        store.put(known("pods"), {**pod, "status": {**pod["status"], "conditions": [blocked]}})
        record(store, pod, "Warning", "FailedScheduling", text, "default-scheduler")
        return
    load = dict.fromkeys(usable, 0)
    for other in store.all("pods"):
        if other["spec"].get("nodeName") in load:
            load[other["spec"]["nodeName"]] += 1
    chosen = min(usable, key=lambda name: load[name])
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    statuses = [_container_status(item, waiting, started=False) for item in pod["spec"]["containers"]]
    placed = {**pod, "spec": {**pod["spec"], "nodeName": chosen}}
    _pod_status(store, placed, statuses)


def _container_status(container: Object, state: Object, *, started: bool, restarts: int = 0) -> Object:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"{container['image']}@stand-in" if started else "",
        "ready": started,
        "started": started,
        "restartCount": restarts,
        "state": state,
        "lastState": {},
    }


def _container(store: Store, pod: Object, container: Object, old: Object | None, *, crashing: bool) -> Object:
    now = timestamp(store.now())
    if MISSING in container["image"]:
        text = f'Back-off pulling image "{container["image"]}"'
        record(store, pod, "Warning", "Failed", f'Failed to pull image "{container["image"]}": not found', "kubelet")
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": text}}
        return _container_status(container, waiting, started=False)
    restarts = old["restartCount"] if old else 0
    last = old.get("lastState") if old else {}
    if crashing:
        return _crash(store, pod, container, restarts, last or {})
    if old and old["state"].get("running") and old["image"] == container["image"]:
        return old
    fresh = _container_status(container, {"running": {"startedAt": now}}, started=True, restarts=restarts)
    return {**fresh, "lastState": last or {}}


def _crash(store: Store, pod: Object, container: Object, restarts: int, last: Object) -> Object:
    ended = (last.get("terminated") or {}).get("finishedAt")
    if not ended or store.now() - parse_timestamp(ended) >= _RESTART_EVERY:
        now = timestamp(store.now())
        restarts += 1
        last = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now}}
        text = f"Back-off restarting failed container {container['name']} in pod {pod['metadata']['name']}"
        record(store, pod, "Warning", "BackOff", text, "kubelet")
    text = f"back-off 5m0s restarting failed container={container['name']} pod={pod['metadata']['name']}"
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
    return {**_container_status(container, waiting, started=False, restarts=restarts), "lastState": last}


def _pod_status(store: Store, pod: Object, statuses: list[Object]) -> None:
    started = any(item["state"].get("running") or item["restartCount"] for item in statuses)
    working = all(item["ready"] for item in statuses)
    why = "" if working else "ContainersNotReady"
    names = " ".join(item["name"] for item in statuses if not item["ready"])
    text = "" if working else f"containers with unready status: [{names}]"
    before = pod["status"].get("conditions")
    conditions = [
        condition(store, before, "PodScheduled", "True", "", ""),
        condition(store, before, "Initialized", "True", "", ""),
        condition(store, before, "ContainersReady", str(working), why, text),
        condition(store, before, "Ready", str(working), why, text),
    ]
    status = {
        "phase": "Running" if started else "Pending",
        "conditions": conditions,
        "containerStatuses": statuses,
        "qosClass": "Burstable",
        "startTime": pod["status"].get("startTime", timestamp(store.now())),
        "podIP": pod["status"].get("podIP", "10.244.0.10"),
    }
    store.put(known("pods"), {**pod, "status": status})


def _lose(store: Store, pod: Object) -> None:
    """A silent node's pods still say Running; only their readiness is withdrawn."""
    before = pod["status"].get("conditions") or []
    conditions = [
        condition(store, before, "Ready", "False", "", "") if item["type"] == "Ready" else item for item in before
    ]
    store.put(known("pods"), {**pod, "status": {**pod["status"], "conditions": conditions}})


def _finish(store: Store, pod: Object) -> None:
    now = timestamp(store.now())
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
    statuses = [
        {**item, "ready": False, "started": False, "state": ended} for item in pod["status"]["containerStatuses"]
    ]
    before = pod["status"]["conditions"]
    conditions = [
        condition(store, before, item["type"], "False", "PodCompleted", "") if "Ready" in item["type"] else item
        for item in before
    ]
    done = {**pod["status"], "phase": "Succeeded", "containerStatuses": statuses, "conditions": conditions}
    store.put(known("pods"), {**pod, "status": done})


def _autoscaler(store: Store, item: Object, troubles: Troubles) -> None:
    spec, meta = item["spec"], item["metadata"]
    plural = {"Deployment": "deployments", "StatefulSet": "statefulsets"}.get(spec["scaleTargetRef"]["kind"], "")
    target = store.peek(known(plural), meta["namespace"], spec["scaleTargetRef"]["name"]) if plural else None
    if target is None:
        return
    before = (item.get("status") or {}).get("conditions")
    replicas = target["spec"].get("replicas", 1)
    busy = (target["spec"]["template"]["metadata"].get("labels") or {}).get("app") in troubles.busy
    status: dict[str, Any] = {"currentReplicas": replicas, "desiredReplicas": replicas}
    able = condition(store, before, "AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size")
    if not troubles.metrics:
        text = "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics"
        blind = condition(store, before, "ScalingActive", "False", "FailedGetResourceMetric", text)
        status["conditions"] = [able, blind]
    else:
        capped = busy and replicas >= spec["maxReplicas"]
        text = "the desired replica count is more than the maximum replica count"
        limited = ("True", "TooManyReplicas", text) if capped else ("False", "DesiredWithinRange", "within range")
        active = condition(store, before, "ScalingActive", "True", "ValidMetricFound", "the HPA can compute a count")
        status["conditions"] = [able, active, condition(store, before, "ScalingLimited", *limited)]
        status["currentMetrics"] = usage.autoscaler_metrics(spec.get("metrics") or [], busy=busy)
    store.put(known("horizontalpodautoscalers"), {**item, "status": status})
