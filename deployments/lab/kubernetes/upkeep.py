"""The small controllers: what every namespace holds, certificates, claims that are bound, CronJobs, endpoints."""

from __future__ import annotations

import base64
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from deployments.lab.kubernetes.resources import known
from deployments.lab.kubernetes.selectors import Object, matches
from deployments.lab.kubernetes.store import Store, parse_timestamp, timestamp
from deployments.lab.kubernetes.workloads import ready

_LIFETIME, _RENEWED_BEFORE = timedelta(days=90), timedelta(days=30)


NO_CLASS = "none"
"""A storage class that no cluster has: a claim of it waits for ever."""


def step(store: Store, *, cron: bool = True) -> None:
    """Look at every namespace, certificate, claim, service and, where their controller runs, CronJob once."""
    with store.lock:
        for namespace in store.all("namespaces"):
            _namespace(store, namespace["metadata"]["name"])
        for definition in store.all("customresourcedefinitions"):
            _establish(store, definition)
        for certificate in store.all("certificates"):
            _certificate(store, certificate)
        for claim in store.all("persistentvolumeclaims"):
            if not claim.get("status") and claim["spec"].get("storageClassName") == NO_CLASS:
                store.put(known("persistentvolumeclaims"), {**claim, "status": {"phase": "Pending"}})
            elif not claim.get("status"):
                status = {"phase": "Bound", "capacity": claim["spec"]["resources"]["requests"]}
                spec = {**claim["spec"], "volumeName": f"pvc-{claim['metadata']['uid']}"}
                store.put(known("persistentvolumeclaims"), {**claim, "spec": spec, "status": status})
        for service in store.all("services"):
            if service["spec"].get("selector"):
                _endpoints(store, service)
        for cron_job in store.all("cronjobs") if cron else ():
            _start(store, cron_job)


def _endpoints(store: Store, service: Object) -> None:
    """List the pods that a service selects, as its controller does: those that are not ready too."""
    meta, resource = service["metadata"], known("endpointslices")
    selector = {"matchLabels": service["spec"]["selector"]}
    chosen = [
        pod
        for pod in store.all("pods", meta["namespace"], "")
        if matches(selector, pod["metadata"].get("labels") or {}) and pod["status"].get("podIP")
    ]
    name = f"{meta['name']}-lab00"
    content = {
        "addressType": "IPv4",
        "endpoints": [_endpoint(pod) for pod in sorted(chosen, key=lambda pod: str(pod["metadata"]["name"]))],
        "ports": [{"name": port.get("name", ""), "port": port["port"]} for port in service["spec"].get("ports") or []],
    }
    present = store.peek(resource, meta["namespace"], name)
    if present is not None:
        store.put(resource, {**present, **content})
        return
    owner = {"apiVersion": "v1", "kind": "Service", "name": meta["name"], "uid": meta["uid"], "controller": True}
    about = {"name": name, "namespace": meta["namespace"], "ownerReferences": [owner]}
    about["labels"] = {"kubernetes.io/service-name": meta["name"]}
    store.add(resource, {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": about} | content)


def _endpoint(pod: Object) -> Object:
    working, going = ready(pod), bool(pod["metadata"].get("deletionTimestamp"))
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": working and not going, "serving": working, "terminating": going},
        "nodeName": pod["spec"].get("nodeName"),
        "targetRef": {"kind": "Pod", "namespace": pod["metadata"]["namespace"], "name": pod["metadata"]["name"]},
    }


def _start(store: Store, cron_job: Object) -> None:
    """Note that a CronJob has started in time, as if its Jobs had ended well and been cleared away."""
    spec, status = cron_job["spec"], cron_job.get("status") or {}
    if spec.get("suspend"):
        return
    zone = ZoneInfo(spec["timeZone"]) if spec.get("timeZone") else UTC
    since = parse_timestamp(status.get("lastScheduleTime") or cron_job["metadata"]["creationTimestamp"])
    due = next(CronSim(spec["schedule"], since.astimezone(zone)))
    if due <= store.now():
        last = timestamp(due)
        store.put(known("cronjobs"), {**cron_job, "status": {"lastScheduleTime": last, "lastSuccessfulTime": last}})


def _establish(store: Store, definition: Object) -> None:
    """Accept the names of a definition, after which its resources are served."""
    if not definition.get("status"):
        names, now = definition["spec"]["names"], timestamp(store.now())
        done = {"status": "True", "lastTransitionTime": now}
        conditions = [
            {"type": "NamesAccepted", "reason": "NoConflicts", "message": "no conflicts found"} | done,
            {"type": "Established", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted"}
            | done,
        ]
        stored = [version["name"] for version in definition["spec"]["versions"] if version["storage"]]
        status = {"conditions": conditions, "acceptedNames": names, "storedVersions": stored}
        store.put(known("customresourcedefinitions"), {**definition, "status": status})


def _namespace(store: Store, name: str) -> None:
    """Every namespace of a real cluster has these; a backup that restores them gets a conflict."""
    for plural, kind, item in (
        ("serviceaccounts", "ServiceAccount", "default"),
        ("configmaps", "ConfigMap", "kube-root-ca.crt"),
    ):
        if store.peek(known(plural), name, item) is None:
            content: Object = {"data": {"ca.crt": "lab"}} if kind == "ConfigMap" else {}
            meta = {"name": item, "namespace": name}
            store.add(known(plural), {"apiVersion": "v1", "kind": kind, "metadata": meta} | content)


def _certificate(store: Store, certificate: Object) -> None:
    """Issue what is new, and put it into its secret, as cert-manager does."""
    meta, secret = certificate["metadata"], certificate["spec"]["secretName"]
    if not certificate.get("status"):
        now = store.now()
        ready = {"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": timestamp(now)}
        status = {
            "conditions": [ready | {"message": "Certificate is up to date and has not expired"}],
            "notBefore": timestamp(now),
            "notAfter": timestamp(now + _LIFETIME),
            "renewalTime": timestamp(now + _LIFETIME - _RENEWED_BEFORE),
            "revision": 1,
        }
        store.put(known("certificates"), {**certificate, "status": status})
    if store.peek(known("secrets"), meta["namespace"], secret) is None:
        value = base64.b64encode(b"made up by the lab").decode()
        annotations = {"cert-manager.io/certificate-name": meta["name"]}
        about = {"name": secret, "namespace": meta["namespace"], "annotations": annotations}
        content = {"type": "kubernetes.io/tls", "data": {"tls.crt": value, "tls.key": value}}
        store.add(known("secrets"), {"apiVersion": "v1", "kind": "Secret", "metadata": about} | content)
