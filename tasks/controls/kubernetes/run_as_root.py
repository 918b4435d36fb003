"""No container may run as root."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, over_containers
from tasks.core.control import Judgement, Severity


def _check(container: Container) -> Iterator[tuple[str, int]]:
    if container.pod.windows:
        return
    user, not_root = container.effective("runAsUser"), container.effective("runAsNonRoot")
    line = container.line("securityContext", "runAsUser")
    if user == 0 and not isinstance(user, bool):
        yield "runs as root (runAsUser: 0)", line
    elif not_root is False and not user:
        yield "may run as root (runAsNonRoot: false)", container.line("securityContext", "runAsNonRoot")
    elif not_root is not True and not user:
        yield "may run as root: neither runAsNonRoot nor runAsUser is set", container.line("securityContext")


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "run-as-root",
    "No container runs as root",
    proves="Each manifest says runAsNonRoot, or a user that is not 0; not what the image says.",
    severity=Severity.HIGH,
    remedy="Set `securityContext.runAsNonRoot: true` and a `runAsUser` above 0.",
    cis=("5.2.7",),
    judge=judge,
    bad=a_pod(container="securityContext: {runAsUser: 0}"),
)
