"""No pod shares the node's network."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Pod, over_pods
from tasks.core.control import Judgement, Severity


def _check(pod: Pod) -> Iterator[tuple[str, int]]:
    if pod.spec.get("hostNetwork") is True:
        yield "shares its node's network (hostNetwork)", pod.spec.lines["hostNetwork"]


def judge(facts: Manifests) -> Judgement:
    """Judge every pod."""
    return over_pods(facts.resources, _check)


CONTROL = control(
    "host-network",
    "No pod shares its node's network",
    proves="No manifest asks for hostNetwork.",
    severity=Severity.HIGH,
    remedy="Remove `hostNetwork: true`.",
    cis=("5.2.5",),
    judge=judge,
    bad=a_pod(spec="hostNetwork: true"),
)
