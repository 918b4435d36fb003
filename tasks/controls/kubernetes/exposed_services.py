"""No service is open to the world by itself."""

from __future__ import annotations

from tasks.controls.kubernetes.cases import control, of
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import items, part
from tasks.core.control import Judgement, Severity

_OWN = (
    "service.beta.kubernetes.io/aws-load-balancer-internal", "networking.gke.io/load-balancer-type",
    "cloud.google.com/load-balancer-type", "service.beta.kubernetes.io/azure-load-balancer-internal",
    "service.beta.kubernetes.io/aws-load-balancer-scheme",
)  # fmt: skip

_HEAD = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\n"


def judge(facts: Manifests) -> Judgement:
    """Judge every service."""
    judged = Judgement()
    for one in facts.resources:
        if one.kind != "Service" or one.group:
            continue
        judged.looked += 1
        spec = part(one.data, "spec")
        sort, line = spec.get("type"), one.line("spec", "type")
        annotations = part(one.data, "metadata", "annotations")
        internal = any(str(annotations.get(name, "")).lower() in ("true", "internal", "0.0.0.0/0") for name in _OWN)
        if sort == "NodePort":
            judged.breaches.append(one.breach("is open on a port of every node (NodePort)", line))
        elif sort == "LoadBalancer" and not internal:
            bounded = items(spec, "loadBalancerSourceRanges")
            if not bounded or "0.0.0.0/0" in bounded or "::/0" in bounded:
                judged.breaches.append(one.breach("is open to the world (LoadBalancer without source ranges)", line))
        if items(spec, "externalIPs"):
            judged.breaches.append(
                one.breach("takes addresses of its own (externalIPs)", one.line("spec", "externalIPs"))
            )
    return judged


CONTROL = control(
    "exposed-services",
    "No service is open to the world by itself",
    proves="No service is a NodePort, a LoadBalancer for everyone, or has addresses of its own.",
    severity=Severity.MEDIUM,
    remedy="Use ClusterIP behind an Ingress, or bound it by `loadBalancerSourceRanges`.",
    cis=("5.3.2",),
    judge=judge,
    bad=lambda: of(_HEAD + "spec: {type: NodePort}\n"),
    good=lambda: of(_HEAD + "spec: {type: ClusterIP}\n"),
    also={"ISO 27001:2022": ("A.8.20", "A.8.22")},
)
