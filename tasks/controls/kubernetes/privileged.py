"""No container runs privileged: it would be root on the node."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, over_containers
from tasks.core.control import Judgement, Severity


def _check(container: Container) -> Iterator[tuple[str, int]]:
    if container.security.get("privileged") is True:
        yield "runs privileged, as root on its node", container.line("securityContext", "privileged")


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "privileged",
    "No container runs privileged",
    proves="No manifest asks for a privileged container; not that none is running.",
    severity=Severity.CRITICAL,
    remedy="Remove `privileged: true`; add the single capability that is needed, if any.",
    cis=("5.2.2",),
    judge=judge,
    bad=a_pod(container="securityContext: {privileged: true}"),
)
