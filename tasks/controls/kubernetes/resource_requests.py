"""Every container says how much it needs."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, over_containers, part
from tasks.core.control import Judgement, Severity


def _check(container: Container) -> Iterator[tuple[str, int]]:
    if container.sort == "ephemeral":
        return  # they may have none
    resources = part(container.data, "resources")
    said = part(resources, "requests").keys() | part(resources, "limits").keys()  # a request is its limit by default
    missing = [name for name in ("cpu", "memory") if name not in said]
    if missing:
        yield f"has no request of {' and '.join(missing)}", container.line("resources", "requests")


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "resource-requests",
    "Every container has requests of CPU and memory",
    proves="Each manifest sets requests of both.",
    severity=Severity.LOW,
    remedy="Set `resources.requests.cpu` and `resources.requests.memory`.",
    cis=("5.7.3",),
    judge=judge,
    bad=a_pod(container="resources: {}"),
    also={"SOC 2": ("A1.1", "CC7.1"), "ISO 27001:2022": ("A.8.6", "A.8.9")},
)
