"""Whether what runs in a namespace fits the nodes that would be left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tasks.core.advice.amounts import cpu_text
from tasks.core.advice.bundle import Facts
from tasks.core.advice.facts import Cluster, Node
from tasks.core.units import format_bytes


def of_nodes(facts: Facts, change: int) -> Iterator[str]:
    """Yield for each cluster and resource whether it fits with so many nodes fewer, or more."""
    for name, namespace in facts.namespaces.items():
        cluster = namespace.cluster
        left = remaining(cluster.nodes, change)
        if not cluster.nodes:
            continue
        if not left:
            yield f"{name}: no node is left of {len(cluster.nodes)}"
            continue
        for resource, text in (("cpu", cpu_text), ("memory", format_bytes)):
            room = sum(float(getattr(node, resource)) for node in left)
            used = [getattr(node, f"{resource}_used") for node in cluster.nodes]
            now, most = asked(cluster, resource, most=False), asked(cluster, resource, most=True)
            parts = [
                f"{text(now)} asked for by this namespace",
                f"{text(most)} with every autoscaler at its ceiling" if most > now else "",
            ]
            if all(one is not None for one in used):
                parts.append(f"{text(sum(float(one) for one in used))} in use by all pods")
            heavy = max([now, *([sum(float(one) for one in used)] if None not in used else [])])
            fits = "does not fit" if heavy > room else "fits, but not at every ceiling" if most > room else "fits"
            words = ", ".join(part for part in parts if part)
            yield f"{name}: {len(left)} nodes have {text(room)} of {resource}: it {fits} ({words})"


def remaining(nodes: Sequence[Node], change: int) -> list[Node]:
    """Return the nodes without the largest so many, or with so many more of the middle's size."""
    ordered = sorted(nodes, key=lambda node: (node.cpu, node.memory))
    if change < 0:
        return ordered[:change]
    return [*ordered, *([ordered[len(ordered) // 2]] * change if ordered else [])]


def asked(cluster: Cluster, resource: str, *, most: bool) -> float:
    """Return what a namespace's workloads reserve, as they run or as far as autoscalers may go."""
    ceilings: Mapping[str, int] = {one.workload: one.maximum for one in cluster.autoscalers} if most else {}
    return sum(max(one.replicas, ceilings.get(one.subject, 0)) * one.reserved(resource) for one in cluster.workloads)


def unknown_of_nodes(facts: Facts) -> Iterator[str]:
    """Yield what of it cannot be told."""
    if not facts.namespaces:
        yield "no cluster could be read"
    for name, namespace in facts.namespaces.items():
        cluster = namespace.cluster
        if not cluster.nodes:
            yield f"{name}: {cluster.missing.get('nodes', 'its nodes are not known')}"
        elif any(node.cpu_used is None for node in cluster.nodes):
            yield f"{name}: what other namespaces use there: no metrics API tells"
        else:
            yield f"{name}: what other namespaces ask for; what they use is in the sums"
