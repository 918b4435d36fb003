"""Every container is bounded."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, over_containers, part
from tasks.core.control import Judgement, Severity


def _check(container: Container) -> Iterator[tuple[str, int]]:
    if container.sort == "ephemeral":
        return  # they may have none
    said = part(container.data, "resources", "limits").keys()
    missing = [name for name in ("cpu", "memory") if name not in said]
    if missing:
        yield f"has no limit of {' and '.join(missing)}", container.line("resources", "limits")


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "resource-limits",
    "Every container has limits of CPU and memory",
    proves="Each manifest sets limits of both.",
    severity=Severity.MEDIUM,
    remedy="Set `resources.limits.cpu` and `resources.limits.memory`.",
    cis=("5.7.3",),
    judge=judge,
    bad=a_pod(container="resources: {}"),
    also={"SOC 2": ("A1.1", "CC7.1"), "ISO 27001:2022": ("A.8.6", "A.8.9")},
)
