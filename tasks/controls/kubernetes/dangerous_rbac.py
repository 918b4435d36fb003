"""No role lets its holder become more than it is, or read every secret."""

from __future__ import annotations

from tasks.controls.kubernetes.cases import control, of
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import items, mappings
from tasks.core.control import Judgement, Severity

_BECOME = frozenset({"escalate", "bind", "impersonate"})
_INSIDE = frozenset({"pods/exec", "pods/attach", "nodes/proxy", "serviceaccounts/token"})

_HEAD = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\n"
_BAD = _HEAD + "rules: [{apiGroups: [''], resources: [secrets], verbs: [list]}]\n"
_GOOD = _HEAD + "rules: [{apiGroups: [''], resources: [secrets], resourceNames: [a], verbs: [get]}]\n"


def judge(facts: Manifests) -> Judgement:
    """Judge every rule of every role."""
    judged = Judgement()
    for one in facts.resources:
        if one.kind not in ("Role", "ClusterRole"):
            continue
        for rule in mappings(one.data, "rules"):
            judged.looked += 1
            verbs, named = (
                {str(item) for item in items(rule, "verbs")},
                {str(item) for item in items(rule, "resources")},
            )
            line = rule.lines.get("verbs", rule.line)
            judged.breaches += [
                one.breach(f"its holder may {verb} roles or users", line) for verb in sorted(verbs & _BECOME)
            ]
            if verbs & {"create", "get", "*"}:
                judged.breaches += [one.breach(f"its holder may use {name}", line) for name in sorted(named & _INSIDE)]
            everywhere = one.kind == "ClusterRole" and not items(rule, "resourceNames")
            if everywhere and "secrets" in named and verbs & {"get", "list", "watch", "*"}:
                judged.breaches.append(one.breach("its holder may read secrets without naming them", line))
    return judged


CONTROL = control(
    "dangerous-rbac",
    "No role lets its holder become more than it is",
    proves="No role allows escalate, bind, impersonate, a shell in pods, or, for a whole cluster, to read secrets.",
    severity=Severity.HIGH,
    remedy="Take the verb or resource out of the rule, or name the objects by `resourceNames`.",
    cis=("5.1.2", "5.1.8", "5.1.10", "5.1.13"),
    judge=judge,
    bad=lambda: of(_BAD),
    good=lambda: of(_GOOD),
    also={"ISO 27001:2022": ("A.5.15", "A.5.18", "A.8.2")},
)
