"""Every container gives the capabilities up that the runtime hands out."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, items, over_containers, part
from tasks.core.control import Judgement, Severity


def _check(container: Container) -> Iterator[tuple[str, int]]:
    dropped = {str(name).upper() for name in items(part(container.security, "capabilities"), "drop")}
    if "ALL" not in dropped and not container.pod.windows:
        line = container.line("securityContext", "capabilities", "drop")
        yield "keeps the capabilities that the runtime hands out: ALL is not dropped", line


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "capabilities-dropped",
    "Every container drops all capabilities",
    proves="Each manifest drops ALL.",
    severity=Severity.MEDIUM,
    remedy="Set `securityContext.capabilities.drop: [ALL]`.",
    cis=("5.2.10",),
    judge=judge,
    bad=a_pod(container="securityContext: {capabilities: {drop: [NET_RAW]}}"),
)
