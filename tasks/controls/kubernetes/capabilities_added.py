"""No container is given capabilities of the kernel."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, items, over_containers, part
from tasks.core.control import Judgement, Severity

_HARMLESS = frozenset({"NET_BIND_SERVICE"})


def _check(container: Container) -> Iterator[tuple[str, int]]:
    capabilities = part(container.security, "capabilities")
    for name in items(capabilities, "add"):
        plain = str(name).upper().removeprefix("CAP_")
        if plain not in _HARMLESS:
            yield f"is given the capability {plain}", capabilities.lines["add"]


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "capabilities-added",
    "No container is given capabilities",
    proves="No manifest adds a capability but NET_BIND_SERVICE.",
    severity=Severity.HIGH,
    remedy="Remove it from `securityContext.capabilities.add`.",
    cis=("5.2.9", "5.2.8"),
    judge=judge,
    bad=a_pod(container="securityContext: {capabilities: {add: [SYS_ADMIN]}}"),
)
