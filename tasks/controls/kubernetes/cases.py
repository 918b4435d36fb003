"""Small manifests by which the controls prove themselves."""

from __future__ import annotations

from collections.abc import Callable

from tasks.controls.kubernetes.reading import Manifests
from tasks.core.control import Control, Judgement, Severity

_GOOD_POD = """
apiVersion: v1
kind: Pod
metadata: {name: good, namespace: shop}
spec:
  serviceAccountName: shop
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: app
      image: registry.example/app:1.2.3
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: "1", memory: 64Mi}}
      livenessProbe: {httpGet: {path: /, port: 80}}
      readinessProbe: {httpGet: {path: /, port: 80}}
"""


def of(text: str) -> Manifests:
    """Return the facts that a text holds."""
    facts = Manifests()
    facts.read(text, "case.yaml")
    return facts


def good_pod() -> Manifests:
    """Return a pod with which no control finds a fault, beside a policy of its network."""
    policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\n"
    return of(f"{_GOOD_POD}---\n{policy}spec: {{podSelector: {{}}}}\n")


def a_pod(spec: str = "", container: str = "") -> Callable[[], Manifests]:
    """Return what makes a pod with parts of its spec and of its only container, both in YAML's flow style."""
    inside = ", ".join(part for part in ("name: app, image: a:1", container) if part)
    whole = ", ".join(part for part in (f"containers: [{{{inside}}}]", spec) if part)
    text = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: bad, namespace: shop}}\nspec: {{{whole}}}\n"
    return lambda: of(text)


def control(
    name: str,
    title: str,
    *,
    proves: str,
    severity: Severity,
    remedy: str,
    cis: tuple[str, ...],
    judge: Callable[[Manifests], Judgement],
    bad: Callable[[], Manifests],
    good: Callable[[], Manifests] = good_pod,
    also: dict[str, tuple[str, ...]] | None = None,
) -> Control[Manifests]:
    """Return a control over manifests, with what all of them help to meet."""
    shared = {"SOC 2": ("CC6.1", "CC7.1"), "ISO 27001:2022": ("A.8.9",), "GDPR": ("Art. 32",), "CIS Kubernetes": cis}
    return Control(
        id=f"kubernetes-{name}",
        about="kubernetes",
        title=title,
        proves=proves,
        severity=severity,
        remedy=remedy,
        requirements=shared | (also or {}),
        judge=judge,
        bad=bad,
        good=good,
    )
