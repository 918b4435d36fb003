"""The small controllers: what every namespace holds, certificates that are issued, and claims that are bound."""

from __future__ import annotations

import base64
from datetime import timedelta

from deployments.lab.kubernetes.resources import known
from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import Store, timestamp

_LIFETIME, _RENEWED_BEFORE = timedelta(days=90), timedelta(days=30)


def step(store: Store) -> None:
    """Look at every namespace, certificate and claim once."""
    with store.lock:
        for namespace in store.all("namespaces"):
            _namespace(store, namespace["metadata"]["name"])
        for certificate in store.all("certificates"):
            _certificate(store, certificate)
        for claim in store.all("persistentvolumeclaims"):
            if not claim.get("status"):
                status = {"phase": "Bound", "capacity": claim["spec"]["resources"]["requests"]}
                spec = {**claim["spec"], "volumeName": f"pvc-{claim['metadata']['uid']}"}
                store.put(known("persistentvolumeclaims"), {**claim, "spec": spec, "status": status})


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
