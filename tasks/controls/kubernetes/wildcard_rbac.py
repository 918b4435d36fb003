"""No role allows everything."""

from __future__ import annotations

from tasks.controls.kubernetes.cases import control, of
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import items, mappings
from tasks.core.control import Judgement, Severity

_HEAD = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\n"
_BAD = _HEAD + "rules: [{apiGroups: [''], resources: [pods], verbs: ['*']}]\n"
_GOOD = _HEAD + "rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]\n"


def judge(facts: Manifests) -> Judgement:
    """Judge every rule of every role."""
    judged = Judgement()
    for one in facts.resources:
        if one.kind not in ("Role", "ClusterRole"):
            continue
        for rule in mappings(one.data, "rules"):
            judged.looked += 1
            for name in ("verbs", "resources", "apiGroups", "nonResourceURLs"):
                wild = [item for item in items(rule, name) if str(item) == "*" or str(item).startswith("*/")]
                if wild:
                    judged.breaches.append(one.breach(f"allows {name} of every sort ({wild[0]})", rule.lines[name]))
    return judged


CONTROL = control(
    "wildcard-rbac",
    "No role allows everything",
    proves="No rule has * for verbs, resources, API groups or paths.",
    severity=Severity.HIGH,
    remedy="Name the verbs, resources and API groups that are needed.",
    cis=("5.1.3",),
    judge=judge,
    bad=lambda: of(_BAD),
    good=lambda: of(_GOOD),
    also={"ISO 27001:2022": ("A.5.15", "A.5.18", "A.8.2")},
)
