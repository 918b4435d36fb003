"""No pod shares the node's processes."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Pod, over_pods
from tasks.core.control import Judgement, Severity


def _check(pod: Pod) -> Iterator[tuple[str, int]]:
    if pod.spec.get("hostPID") is True:
        yield "shares its node's processes (hostPID)", pod.spec.lines["hostPID"]


def judge(facts: Manifests) -> Judgement:
    """Judge every pod."""
    return over_pods(facts.resources, _check)


CONTROL = control(
    "host-pid",
    "No pod shares its node's processes",
    proves="No manifest asks for hostPID.",
    severity=Severity.HIGH,
    remedy="Remove `hostPID: true`.",
    cis=("5.2.3",),
    judge=judge,
    bad=a_pod(spec="hostPID: true"),
)
