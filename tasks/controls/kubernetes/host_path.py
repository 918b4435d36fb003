"""No pod mounts a folder of its node."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Pod, mappings, over_pods, part
from tasks.core.control import Judgement, Severity

_WORST = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd",
    "/var/run/containerd",
    "/var/run/crio",
    "/etc",
    "/root",
    "/proc",
)


def _check(pod: Pod) -> Iterator[tuple[str, int]]:
    for volume in mappings(pod.spec, "volumes"):
        if "hostPath" not in volume:
            continue
        path = str(part(volume, "hostPath").get("path", ""))
        own = path.rstrip("/") == "" or path.startswith(_WORST)
        worst = ", which gives the node away" if own else ""
        yield f"mounts {path or '?'} of its node{worst}", volume.lines["hostPath"]


def judge(facts: Manifests) -> Judgement:
    """Judge every pod."""
    return over_pods(facts.resources, _check)


CONTROL = control(
    "host-path",
    "No pod mounts a folder of its node",
    proves="No manifest has a volume of type hostPath.",
    severity=Severity.HIGH,
    remedy="Use a PersistentVolumeClaim, an emptyDir or a ConfigMap instead of hostPath.",
    cis=("5.2.12",),
    judge=judge,
    bad=a_pod(spec="volumes: [{name: v, hostPath: {path: /var/run/docker.sock}}]"),
)
