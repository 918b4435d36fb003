"""The kernel refuses unusual system calls to every container."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, over_containers, part
from tasks.core.control import Judgement, Severity

_GOOD = frozenset({"RuntimeDefault", "Localhost"})
_OLD = "seccomp.security.alpha.kubernetes.io/pod"


def _check(container: Container) -> Iterator[tuple[str, int]]:
    if container.pod.windows:
        return
    profile = container.effective("seccompProfile")
    said = profile.get("type") if isinstance(profile, dict) else None
    old = str(part(container.pod.metadata, "annotations").get(_OLD, ""))
    if said is None and (old in ("runtime/default", "docker/default") or old.startswith("localhost/")):
        return
    if said not in _GOOD:
        what = "seccomp is switched off (Unconfined)" if said == "Unconfined" else "no seccomp profile is set"
        yield what, container.line("securityContext", "seccompProfile")


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "seccomp",
    "Every container has a seccomp profile",
    proves="Each manifest says RuntimeDefault or a profile of its own.",
    severity=Severity.MEDIUM,
    remedy="Set `securityContext.seccompProfile.type: RuntimeDefault` for the pod.",
    cis=("5.7.2",),
    judge=judge,
    bad=a_pod(spec="securityContext: {seccompProfile: {type: Unconfined}}"),
)
