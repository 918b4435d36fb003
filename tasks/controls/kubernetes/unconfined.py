"""No container switches off what confines it."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import a_pod, control
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, mappings, over_containers, part
from tasks.core.control import Judgement, Severity

_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SAFE_SYSCTLS = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
})  # fmt: skip


def _check(container: Container) -> Iterator[tuple[str, int]]:
    profile = container.effective("appArmorProfile")
    old = part(container.pod.metadata, "annotations").get(_APPARMOR + container.name)
    if old == "unconfined" or (isinstance(profile, dict) and profile.get("type") == "Unconfined"):
        yield "AppArmor is switched off", container.line("securityContext", "appArmorProfile")
    if container.security.get("procMount") == "Unmasked":
        yield "sees all of /proc (procMount: Unmasked)", container.line("securityContext", "procMount")
    windows = container.effective("windowsOptions")
    if isinstance(windows, dict) and windows.get("hostProcess") is True:
        yield "is a process of its Windows node (hostProcess)", container.line("securityContext", "windowsOptions")
    if container is container.pod.containers[0]:
        for one in mappings(part(container.pod.spec, "securityContext"), "sysctls"):
            if one.get("name") not in _SAFE_SYSCTLS:
                yield f"changes the kernel's {one.get('name')}", one.line


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "unconfined",
    "No container switches off what confines it",
    proves="No manifest switches AppArmor off, unmasks /proc, sets unsafe sysctls, or is a host process.",
    severity=Severity.HIGH,
    remedy="Remove the setting.",
    cis=("5.2.11", "5.7.3"),
    judge=judge,
    bad=a_pod(container="securityContext: {procMount: Unmasked}"),
)
