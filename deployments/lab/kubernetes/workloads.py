"""The controllers: deployments make replica sets, those make pods, and status follows. One `step` is one look."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import secrets
from datetime import timedelta
from typing import Any

from deployments.lab.kubernetes.resources import known
from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import Store, parse_timestamp, timestamp

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
_SAFE = "bcdfghjklmnpqrstvwxz2456789"


def step(store: Store) -> None:
    """Bring every workload one look closer to what its spec wants."""
    with store.lock:
        for deployment in store.all("deployments"):
            _deployment(store, deployment)
        for replica_set in store.all("replicasets"):
            _replica_set(store, replica_set)
        for job in store.all("jobs"):
            _job(store, job)
        _collect_garbage(store)


def owned(store: Store, plural: str, owner: Object) -> list[Object]:
    """Return the objects that an owner controls."""
    uid, namespace = owner["metadata"]["uid"], owner["metadata"]["namespace"]
    return [item for item in store.all(plural, namespace) if _controller(item) == uid]


def ready(pod: Object) -> bool:
    """Tell whether a pod takes traffic."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def condition(store: Store, before: list[Object] | None, kind: str, status: str, reason: str, message: str) -> Object:
    """Make a condition that keeps its transition time while its status stays."""
    now = timestamp(store.now())
    old = next((item for item in before or [] if item["type"] == kind), None)
    fresh = {"type": kind, "status": status, "reason": reason, "message": message}
    if old is not None and all(old.get(key) == value for key, value in fresh.items()):
        return old
    since = old["lastTransitionTime"] if old is not None and old["status"] == status else now
    return fresh | {"lastUpdateTime": now, "lastTransitionTime": since}


def _controller(item: Object) -> str | None:
    owners = item["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def owner_of(item: Object) -> list[Object]:
    """Refer to an object as its dependents do."""
    meta = {"apiVersion": item["apiVersion"], "kind": item["kind"], "name": item["metadata"]["name"]}
    return [meta | {"uid": item["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}]


def set_status(store: Store, item: Object, plural: str, status: dict[str, Any]) -> Object:
    """Store an object with another status."""
    return store.put(known(plural), {**item, "status": status})


def counts(**numbers: int) -> dict[str, int]:
    """Leave zeros out, as the real server's `omitempty` does."""
    return {name: number for name, number in numbers.items() if number}


def _suffix(length: int) -> str:
    return "".join(secrets.choice(_SAFE) for _ in range(length))


def template_hash(template: Object) -> str:
    """Name a pod template by its content."""
    text = json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10].translate(str.maketrans("aeiou013", "bcdfg245"))


def _plain_template(replica_set: Object) -> Object:
    template = copy.deepcopy(replica_set["spec"]["template"])
    template["metadata"]["labels"].pop(HASH, None)
    result: Object = template
    return result


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION, 0))


def _deployment(store: Store, deployment: Object) -> None:
    sets = sorted(owned(store, "replicasets", deployment), key=_revision)
    if deployment["metadata"].get("deletionTimestamp"):
        return
    if not deployment["spec"].get("paused"):
        current = _current_set(store, deployment, sets)
        deployment = store.get(
            known("deployments"), deployment["metadata"]["namespace"], deployment["metadata"]["name"]
        )
        older = [item for item in sets if item["metadata"]["uid"] != current["metadata"]["uid"]]
        _roll(store, deployment, current, older)
        _forget_old_sets(store, deployment, older)
    _deployment_status(store, deployment)


def _current_set(store: Store, deployment: Object, sets: list[Object]) -> Object:
    template = deployment["spec"]["template"]
    newest = max((_revision(item) for item in sets), default=0)
    same = next((item for item in sets if _plain_template(item) == template), None)
    if same is None:
        revision, current = newest + 1, _new_set(store, deployment, newest + 1)
    elif _revision(same) < newest:
        revision, current = newest + 1, _annotate(store, "replicasets", same, newest + 1)
    else:
        revision, current = _revision(same), same
    _annotate(store, "deployments", deployment, revision)
    return current


def _annotate(store: Store, plural: str, item: Object, revision: int) -> Object:
    annotations = {**(item["metadata"].get("annotations") or {}), REVISION: str(revision)}
    return store.put(known(plural), {**item, "metadata": {**item["metadata"], "annotations": annotations}})


def _new_set(store: Store, deployment: Object, revision: int) -> Object:
    meta, spec = deployment["metadata"], deployment["spec"]
    template = copy.deepcopy(spec["template"])
    mark = template_hash(template)
    template["metadata"]["labels"][HASH] = mark
    selector = copy.deepcopy(spec["selector"])
    selector.setdefault("matchLabels", {})[HASH] = mark
    annotations = {**(meta.get("annotations") or {}), REVISION: str(revision)}
    return store.add(
        known("replicasets"),
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{meta['name']}-{mark}",
                "namespace": meta["namespace"],
                "labels": template["metadata"]["labels"],
                "annotations": annotations,
                "ownerReferences": owner_of(deployment),
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
            "status": {"replicas": 0},
        },
    )


def _share(value: int | str, total: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    exact = total * int(value.rstrip("%")) / 100
    return math.ceil(exact) if up else math.floor(exact)


def _roll(store: Store, deployment: Object, current: Object, older: list[Object]) -> None:
    desired = deployment["spec"].get("replicas", 1)
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        for item in older:
            _scale(store, item, 0)
        if not any(owned(store, "pods", item) for item in older):
            _scale(store, current, desired)
        return
    rolling = strategy.get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", "25%"), desired, up=True)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), desired, up=False)
    if not surge and not unavailable:
        unavailable = 1
    old_total = sum(item["spec"]["replicas"] for item in older)
    have = current["spec"]["replicas"]
    _scale(store, current, min(desired, max(have, desired + surge - old_total)) if older else desired)
    healthy = {item["metadata"]["uid"]: sum(map(ready, owned(store, "pods", item))) for item in [current, *older]}
    spare = sum(healthy.values()) - (desired - unavailable)
    for item in older:
        sick = item["spec"]["replicas"] - healthy[item["metadata"]["uid"]]
        dropped = min(item["spec"]["replicas"], max(sick, 0) + max(spare, 0))
        spare -= max(dropped - max(sick, 0), 0)
        _scale(store, item, item["spec"]["replicas"] - dropped)


def _scale(store: Store, item: Object, replicas: int) -> None:
    if item["spec"]["replicas"] != replicas:
        fresh = store.get(known("replicasets"), item["metadata"]["namespace"], item["metadata"]["name"])
        store.put(known("replicasets"), {**fresh, "spec": {**fresh["spec"], "replicas": replicas}})


def _forget_old_sets(store: Store, deployment: Object, older: list[Object]) -> None:
    idle = [item for item in older if not item["spec"]["replicas"] and not owned(store, "pods", item)]
    for item in idle[: max(len(idle) - deployment["spec"].get("revisionHistoryLimit", 10), 0)]:
        store.remove(known("replicasets"), item["metadata"]["namespace"], item["metadata"]["name"])


def _deployment_status(store: Store, deployment: Object) -> None:
    sets = owned(store, "replicasets", deployment)
    template, desired = deployment["spec"]["template"], deployment["spec"].get("replicas", 1)
    pods = {item["metadata"]["uid"]: owned(store, "pods", item) for item in sets}
    everything = [pod for some in pods.values() for pod in some]
    updated = [pod for item in sets if _plain_template(item) == template for pod in pods[item["metadata"]["uid"]]]
    available = sum(map(ready, everything))
    before = (deployment.get("status") or {}).get("conditions")
    enough = available >= desired - _share(
        ((deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}).get("maxUnavailable", "25%"),
        desired,
        up=False,
    )
    word = "Available" if enough else "Unavailable"
    text = "Deployment has minimum availability." if enough else "Deployment does not have minimum availability."
    done = len(updated) == len(everything) == desired and available >= desired
    status: dict[str, Any] = {"observedGeneration": deployment["metadata"]["generation"]} | counts(
        replicas=len(everything),
        updatedReplicas=len(updated),
        readyReplicas=available,
        availableReplicas=available,
        unavailableReplicas=max(desired - available, len(everything) - available, 0),
    )
    status["conditions"] = [
        condition(store, before, "Available", str(enough), f"MinimumReplicas{word}", text),
        _progress(store, deployment, before, updated=sum(map(ready, updated)), done=done),
    ]
    set_status(store, deployment, "deployments", status)


def _progress(store: Store, deployment: Object, before: list[Object] | None, *, updated: int, done: bool) -> Object:
    old = next((item for item in before or [] if item["type"] == "Progressing"), None)
    newest = max(owned(store, "replicasets", deployment), key=_revision, default=None)
    name = newest["metadata"]["name"] if newest else ""
    if done:
        text = f'ReplicaSet "{name}" has successfully progressed.'
        return condition(store, before, "Progressing", "True", "NewReplicaSetAvailable", text)
    if old is not None and old["reason"] == "NewReplicaSetAvailable" and name in old["message"]:
        return old
    deadline = timedelta(seconds=deployment["spec"].get("progressDeadlineSeconds", 600))
    text = f'ReplicaSet "{name}" is progressing ({updated} updated).'
    moving = old is None or name not in old["message"] or old["message"] not in (text, _timed_out(name))
    if not moving and old is not None and store.now() - parse_timestamp(old["lastUpdateTime"]) > deadline:
        return condition(store, before, "Progressing", "False", "ProgressDeadlineExceeded", _timed_out(name))
    if old is not None and old["reason"] == "ProgressDeadlineExceeded" and name in old["message"]:
        return old
    return condition(store, before, "Progressing", "True", "ReplicaSetUpdated", text)


def _timed_out(name: str) -> str:
    return f'ReplicaSet "{name}" has timed out progressing.'


def _replica_set(store: Store, item: Object) -> None:
    if item["metadata"].get("deletionTimestamp"):
        return
    pods = [pod for pod in owned(store, "pods", item) if not pod["metadata"].get("deletionTimestamp")]
    alive = [pod for pod in pods if pod["status"].get("phase") not in ("Failed", "Succeeded")]
    wanted = item["spec"].get("replicas", 1)
    for _ in range(wanted - len(alive)):
        make_pod(store, item, f"{item['metadata']['name']}-{_suffix(5)}")
    for pod in sorted(alive, key=ready)[: max(len(alive) - wanted, 0)]:
        store.remove(known("pods"), pod["metadata"]["namespace"], pod["metadata"]["name"])
    live = owned(store, "pods", item)
    working = sum(map(ready, live))
    status = {"replicas": len(live), "observedGeneration": item["metadata"]["generation"]}
    status |= counts(fullyLabeledReplicas=len(live), readyReplicas=working, availableReplicas=working)
    fresh = store.peek(known("replicasets"), item["metadata"]["namespace"], item["metadata"]["name"])
    if fresh is not None:
        set_status(store, fresh, "replicasets", status)


def make_pod(store: Store, owner: Object, name: str) -> Object:
    """Create a pod from an owner's template, as its controller would."""
    template = copy.deepcopy(owner["spec"]["template"])
    meta = {
        **(template.get("metadata") or {}),
        "name": name,
        "namespace": owner["metadata"]["namespace"],
        "ownerReferences": owner_of(owner),
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": template["spec"],
        "status": {"phase": "Pending"},
    }
    return store.add(known("pods"), pod)


def _job(store: Store, job: Object) -> None:
    meta, status = job["metadata"], job.get("status") or {}
    failed = any(one["type"] == "Failed" for one in status.get("conditions") or [])
    if failed or status.get("completionTime") or meta.get("deletionTimestamp"):
        return
    if not job["spec"].get("selector"):
        _select(store, job)
        return
    pods = owned(store, "pods", job)
    if not pods:
        make_pod(store, job, f"{meta['name']}-{_suffix(5)}")
        set_status(store, job, "jobs", {"active": 1, "startTime": timestamp(store.now()), "ready": 0})
        return
    if all(pod["status"]["phase"] == "Succeeded" for pod in pods):
        now = timestamp(store.now())
        done = {"status": "True", "lastProbeTime": now, "lastTransitionTime": now}
        done |= {"reason": "CompletionsReached", "message": "Reached expected number of succeeded pods"}
        conditions = [{"type": kind} | done for kind in ("SuccessCriteriaMet", "Complete")]
        finished = {"succeeded": len(pods), "startTime": status["startTime"], "completionTime": now, "ready": 0}
        set_status(store, job, "jobs", finished | {"conditions": conditions})


def _select(store: Store, job: Object) -> None:
    """Give a job the selector that only the server makes: restoring one with it is refused."""
    labels = {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}
    labels |= {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
    template = job["spec"]["template"]
    meta = template.get("metadata") or {}
    marked = {**template, "metadata": {**meta, "labels": {**(meta.get("labels") or {}), **labels}}}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}}
    store.put(known("jobs"), {**job, "spec": {**job["spec"], "selector": selector, "template": marked}})


def _collect_garbage(store: Store) -> None:
    """Remove what an owner left behind, and what was in a namespace that is going."""
    alive = {
        item["metadata"]["uid"]
        for plural in ("deployments", "replicasets", "statefulsets", "jobs", "cronjobs", "daemonsets", "services")
        for item in store.all(plural)
    }
    for plural in ("replicasets", "pods", "jobs", "controllerrevisions", "endpointslices"):
        for item in store.all(plural):
            controller = _controller(item)
            if controller is not None and controller not in alive:
                store.remove(known(plural), item["metadata"]["namespace"], item["metadata"]["name"])
