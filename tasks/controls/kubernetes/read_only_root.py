"""No container can write over its own programs."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, over_containers
from tasks.core.control import Judgement, Severity


def _check(container: Container) -> Iterator[tuple[str, int]]:
    if container.security.get("readOnlyRootFilesystem") is not True and not container.pod.windows:
        yield "can write over its own files", container.line("securityContext", "readOnlyRootFilesystem")


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "read-only-root",
    "Every root file system is read-only",
    proves="Each manifest sets readOnlyRootFilesystem to true.",
    severity=Severity.LOW,
    remedy="Set `securityContext.readOnlyRootFilesystem: true`; mount an emptyDir where it writes.",
    cis=("5.7.3",),
    judge=judge,
    bad=a_pod(container="securityContext: {readOnlyRootFilesystem: false}"),
)
