"""Every container that runs on says whether it is alive and ready."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, over_containers, part
from tasks.core.control import Judgement, Severity


def _check(container: Container) -> Iterator[tuple[str, int]]:
    if container.sort != "container" or not container.pod.resource.runs_on:
        return
    missing = [name for name in ("livenessProbe", "readinessProbe") if not part(container.data, name)]
    if missing:
        yield f"has no {' and no '.join(missing)}", container.data.line


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "probes",
    "Every container that runs on has probes",
    proves="Each has a liveness and a readiness probe; not that they tell the truth.",
    severity=Severity.LOW,
    remedy="Add `livenessProbe` and `readinessProbe`.",
    cis=(),
    judge=judge,
    bad=a_pod(),
    also={"SOC 2": ("A1.2", "CC7.2"), "ISO 27001:2022": ("A.8.16",)},
)
