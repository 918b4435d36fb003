"""Where a spec's cluster is, for whoever reads it."""

from __future__ import annotations

from tasks.clients.cluster import Place
from tasks.core.system import Access
from tasks.systems.kubernetes.spec import Spec


def place_of(spec: Spec, access: Access, *, least: float = 0.0) -> Place:
    """Return where the cluster is.

    Args:
        spec: Of the system.
        access: Resolves its references.
        least: So many seconds an answer may take at least, whatever the spec's time-out.
    """
    return Place(
        kubeconfig=None if spec.kubeconfig is None else access.resolver.resolve(spec.kubeconfig),
        context=spec.context,
        ca_bundle=access.ca_bundle,
        seconds=max(spec.timeout.total_seconds(), least),
    )
