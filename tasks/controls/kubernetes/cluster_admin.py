"""Nobody is bound to cluster-admin."""

from __future__ import annotations

from tasks.controls.kubernetes.cases import control, of
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import mappings, part
from tasks.core.control import Judgement, Severity

_STRANGERS = frozenset({"system:anonymous", "system:unauthenticated"})

_HEAD = (
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: b}\n"
    "subjects: [{kind: ServiceAccount, name: default, namespace: shop}]\n"
)


def judge(facts: Manifests) -> Judgement:
    """Judge every binding."""
    judged = Judgement()
    for one in facts.resources:
        if one.kind not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        judged.looked += 1
        subjects = [
            f"{subject.get('kind', '?')} {subject.get('name', '?')}" for subject in mappings(one.data, "subjects")
        ]
        if part(one.data, "roleRef").get("name") == "cluster-admin":
            who = ", ".join(subjects) or "nobody yet"
            judged.breaches.append(one.breach(f"makes {who} administrator of the cluster", one.line("roleRef")))
        strangers = sorted({str(subject.get("name")) for subject in mappings(one.data, "subjects")} & _STRANGERS)
        judged.breaches += [one.breach(f"gives rights to {name}", one.line("subjects")) for name in strangers]
    return judged


CONTROL = control(
    "cluster-admin",
    "Nobody is bound to cluster-admin",
    proves="No binding gives cluster-admin, or anything to strangers.",
    severity=Severity.CRITICAL,
    remedy="Bind a role that allows just what is needed.",
    cis=("5.1.1", "5.1.7"),
    judge=judge,
    bad=lambda: of(_HEAD + "roleRef: {kind: ClusterRole, name: cluster-admin}\n"),
    good=lambda: of(_HEAD + "roleRef: {kind: ClusterRole, name: view}\n"),
    also={"ISO 27001:2022": ("A.5.15", "A.5.18", "A.8.2")},
)
