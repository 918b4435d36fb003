"""No pod carries the token of an account that all share."""

from __future__ import annotations

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import pods
from tasks.core.control import Judgement, Severity


def judge(facts: Manifests) -> Judgement:
    """Judge every pod that uses the default account; an account that withholds its token is fine."""
    withheld = {
        (one.namespace, one.name)
        for one in facts.resources
        if one.kind == "ServiceAccount" and one.data.get("automountServiceAccountToken") is False
    }
    judged = Judgement()
    for pod in pods(facts.resources):
        judged.looked += 1
        account = str(pod.spec.get("serviceAccountName") or pod.spec.get("serviceAccount") or "default")
        mounts = pod.spec.get("automountServiceAccountToken")
        if account != "default" or mounts is False:
            continue
        if mounts is None and (pod.resource.namespace, "default") in withheld:
            continue
        what = "carries the token of the default service account"
        judged.breaches.append(
            pod.resource.breach(what, pod.spec.lines.get("automountServiceAccountToken", pod.spec.line))
        )
    return judged


CONTROL = control(
    "default-service-account",
    "No pod carries the token of the default service account",
    proves="Each pod has an account of its own, or no token.",
    severity=Severity.MEDIUM,
    remedy="Set `automountServiceAccountToken: false`, or give it a service account of its own.",
    cis=("5.1.5", "5.1.6"),
    judge=judge,
    bad=a_pod(),
)
