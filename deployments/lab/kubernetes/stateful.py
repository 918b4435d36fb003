"""The controller of stateful sets: pods with names that stay, changed one after the other."""

from __future__ import annotations

from typing import Any

from deployments.lab.kubernetes.resources import known
from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import Store
from deployments.lab.kubernetes.workloads import counts, make_pod, owned, owner_of, ready, set_status, template_hash


def step(store: Store) -> None:
    """Bring every stateful set one look closer to what its spec wants."""
    with store.lock:
        for item in store.all("statefulsets"):
            _stateful_set(store, item)


def _stateful_set(store: Store, item: Object) -> None:
    meta, spec = item["metadata"], item["spec"]
    if meta.get("deletionTimestamp"):
        return
    update = f"{meta['name']}-{template_hash(spec['template'])}"
    _remember_revision(store, item, update)
    pods = {pod["metadata"]["name"]: pod for pod in owned(store, "pods", item)}
    wanted = [f"{meta['name']}-{index}" for index in range(spec.get("replicas", 1))]
    _stateful_pods(store, item, pods, wanted, update)
    live = owned(store, "pods", item)
    updated = [pod for pod in live if pod["metadata"]["labels"].get("controller-revision-hash") == update]
    working = sum(map(ready, live))
    before = (item.get("status") or {}).get("currentRevision", update)
    done = len(updated) == len(live) == len(wanted) and working == len(wanted)
    status: dict[str, Any] = {"observedGeneration": meta["generation"], "replicas": len(live)}
    status |= {"currentRevision": update if done else before, "updateRevision": update, "collisionCount": 0}
    status |= {"availableReplicas": working} | counts(readyReplicas=working, updatedReplicas=len(updated))
    status |= counts(currentReplicas=len(updated) if done else len(live) - len(updated))
    fresh = store.get(known("statefulsets"), meta["namespace"], meta["name"])
    set_status(store, fresh, "statefulsets", status)


def _stateful_pods(store: Store, item: Object, pods: dict[str, Object], wanted: list[str], update: str) -> None:
    """Change one pod a look: in order up, in reverse order down and on updates."""
    for name in wanted:
        if name not in pods:
            pod = make_pod(store, item, name)
            labels = {
                **pod["metadata"].get("labels", {}),
                "controller-revision-hash": update,
                "apps.kubernetes.io/pod-index": name.rsplit("-", 1)[1],
                "statefulset.kubernetes.io/pod-name": name,
            }
            store.put(known("pods"), {**pod, "metadata": {**pod["metadata"], "labels": labels}})
            return
        if not ready(pods[name]):
            break
    surplus = sorted(pods.keys() - set(wanted), reverse=True)
    stale = [
        name
        for name in reversed(wanted)
        if name in pods and pods[name]["metadata"]["labels"].get("controller-revision-hash") != update
    ]
    if surplus or stale:
        store.remove(known("pods"), item["metadata"]["namespace"], (surplus or stale)[0])


def _remember_revision(store: Store, item: Object, name: str) -> None:
    resource, meta = known("controllerrevisions"), item["metadata"]
    revisions = owned(store, "controllerrevisions", item)
    newest = max((revision["revision"] for revision in revisions), default=0)
    present = store.peek(resource, meta["namespace"], name)
    if present is None:
        template = {**item["spec"]["template"], "$patch": "replace"}
        revision = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": newest + 1}
        revision["metadata"] = {
            "name": name,
            "namespace": meta["namespace"],
            "labels": dict(item["spec"]["template"]["metadata"].get("labels") or {}),
            "ownerReferences": owner_of(item),
        }
        store.add(resource, revision | {"data": {"spec": {"template": template}}})
    elif present["revision"] < newest:
        store.put(resource, {**present, "revision": newest + 1})
