"""Every namespace bounds who may talk to its pods."""

from __future__ import annotations

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Located, Pod, Resource, items, mappings, part, pods
from tasks.core.control import Breach, Judgement, Severity

_KINDS = frozenset({"NetworkPolicy", "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "GlobalNetworkPolicy"})


def judge(facts: Manifests) -> Judgement:
    """Judge every namespace that has pods; where it has policies, every pod that none of them selects."""
    policies: dict[str, list[Resource]] = {}
    for one in facts.resources:
        if one.kind in _KINDS:
            policies.setdefault("*" if one.kind.startswith(("CiliumC", "Global")) else one.namespace, []).append(one)
    judged, told = Judgement(), set()
    for pod in pods(facts.resources):
        namespace = pod.resource.namespace
        judged.looked += namespace not in told
        there = policies.get(namespace, []) + policies.get("*", [])
        if not there and namespace not in told:
            what, at = "has pods and no NetworkPolicy: anyone in the cluster may talk to them", pod.resource
            key = {"kind": "Namespace", "namespace": namespace, "name": namespace}
            judged.breaches.append(Breach(what, key, "", at.file, at.data.line))
        elif there and not any(_selects(policy, pod) for policy in there):
            judged.breaches.append(pod.resource.breach("no NetworkPolicy of its namespace selects its pods"))
        told.add(namespace)
    return judged


def _selects(policy: Resource, pod: Pod) -> bool:
    if policy.kind != "NetworkPolicy" or policy.group != "networking.k8s.io":
        return True  # of other makers, whose selectors are not read
    selector = part(policy.data, "spec", "podSelector")
    labels = part(pod.metadata, "labels")
    if any(labels.get(name) != value for name, value in part(selector, "matchLabels").items()):
        return False
    return all(_holds(rule, labels) for rule in mappings(selector, "matchExpressions"))


def _holds(rule: Located, labels: Located) -> bool:
    name, values = str(rule.get("key")), items(rule, "values")
    held = {
        "In": labels.get(name) in values,
        "NotIn": labels.get(name) not in values,
        "Exists": name in labels,
        "DoesNotExist": name not in labels,
    }
    return held.get(str(rule.get("operator")), True)


CONTROL = control(
    "network-policy",
    "Every namespace has a NetworkPolicy",
    proves="Each namespace with pods has a policy that selects each of them; not that the policies are narrow.",
    severity=Severity.MEDIUM,
    remedy="Add a NetworkPolicy that denies by default (`podSelector: {}`), and allow what is needed.",
    cis=("5.3.2",),
    judge=judge,
    bad=a_pod(),
    also={"ISO 27001:2022": ("A.8.20", "A.8.22")},
)
