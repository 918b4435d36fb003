"""No pod shares the node's shared memory."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Pod, over_pods
from tasks.core.control import Judgement, Severity


def _check(pod: Pod) -> Iterator[tuple[str, int]]:
    if pod.spec.get("hostIPC") is True:
        yield "shares its node's shared memory (hostIPC)", pod.spec.lines["hostIPC"]


def judge(facts: Manifests) -> Judgement:
    """Judge every pod."""
    return over_pods(facts.resources, _check)


CONTROL = control(
    "host-ipc",
    "No pod shares its node's shared memory",
    proves="No manifest asks for hostIPC.",
    severity=Severity.HIGH,
    remedy="Remove `hostIPC: true`.",
    cis=("5.2.4",),
    judge=judge,
    bad=a_pod(spec="hostIPC: true"),
)
