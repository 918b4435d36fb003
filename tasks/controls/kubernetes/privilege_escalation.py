"""No process may gain more rights than its parent."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, over_containers
from tasks.core.control import Judgement, Severity


def _check(container: Container) -> Iterator[tuple[str, int]]:
    allowed = container.security.get("allowPrivilegeEscalation")
    if container.pod.windows or allowed is False:
        return
    said = "allowPrivilegeEscalation: true" if allowed else "allowPrivilegeEscalation is not set to false"
    yield (
        f"may gain rights that it was not given: {said}",
        container.line("securityContext", "allowPrivilegeEscalation"),
    )


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "privilege-escalation",
    "No process gains more rights than its parent",
    proves="Each manifest sets allowPrivilegeEscalation to false.",
    severity=Severity.MEDIUM,
    remedy="Set `securityContext.allowPrivilegeEscalation: false`.",
    cis=("5.2.6",),
    judge=judge,
    bad=a_pod(container="securityContext: {allowPrivilegeEscalation: true}"),
)
