"""No container opens a port of its node."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, mappings, over_containers
from tasks.core.control import Judgement, Severity


def _check(container: Container) -> Iterator[tuple[str, int]]:
    if container.pod.spec.get("hostNetwork") is True:
        return  # told by the control of the network
    for port in mappings(container.data, "ports"):
        if port.get("hostPort"):
            yield f"opens port {port['hostPort']} of its node", port.lines["hostPort"]


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "host-port",
    "No container opens a port of its node",
    proves="No manifest asks for a hostPort.",
    severity=Severity.MEDIUM,
    remedy="Remove `hostPort`; put a Service before it.",
    cis=("5.2.13",),
    judge=judge,
    bad=a_pod(container="ports: [{containerPort: 80, hostPort: 80}]"),
)
