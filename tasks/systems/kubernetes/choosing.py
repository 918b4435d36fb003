"""Which resources of a cluster a plan takes."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from tasks.core.errors import ConfigError
from tasks.systems.kubernetes.discovery import Discovery, Resource, restorable
from tasks.systems.kubernetes.manifests import rank
from tasks.systems.kubernetes.spec import Plan

_BUILT_IN = frozenset(
    {"", "apps", "autoscaling", "batch", "policy", "extensions"}
    | {
        f"{name}.k8s.io"
        for name in (
            *("admissionregistration", "apiextensions", "apiregistration", "authentication", "authorization"),
            *("certificates", "coordination", "discovery", "events", "flowcontrol.apiserver", "internal.apiserver"),
            *("metrics", "networking", "node", "rbac.authorization", "resource", "scheduling", "storage"),
            "storagemigration",
        )
    }
)


class Choice(NamedTuple):
    """One resource to take.

    Attributes:
        resource: What it is.
        named: Whether the plan names it: then it must be readable.
        patterns: Names of the objects to take; all of them where there are none.
    """

    resource: Resource
    named: bool
    patterns: tuple[str, ...] = ()

    def takes(self, name: str) -> bool:
        """Tell whether an object is taken."""
        return not self.patterns or any(fnmatchcase(name, pattern) for pattern in self.patterns)


def of_namespace(plan: Plan, found: Discovery) -> list[Choice]:
    """Return what is taken of the namespace, in the order in which it is applied.

    Raises:
        ConfigError: The plan names what the cluster does not have.
    """
    offered = [resource for resource in restorable(found.resources) if resource.namespaced]
    if plan.resources != "all":
        _must_exist(plan.resources, offered)
    _must_exist(plan.exclude, [resource for resource in found.resources if resource.namespaced])
    chosen = [
        resource
        for resource in offered
        if (plan.resources == "all" or _is_called(resource, plan.resources))
        and not _is_called(resource, plan.exclude)
        and not (plan.secrets == "omitted" and resource.qualified == "secrets")
    ]
    choices = [Choice(resource, plan.resources != "all" or _is_wanted(resource, plan)) for resource in chosen]
    return sorted(choices, key=lambda choice: rank(choice.resource.qualified))


def _is_wanted(resource: Resource, plan: Plan) -> bool:
    return resource.qualified == "secrets" and "secrets" in plan.model_fields_set


def of_cluster(plan: Plan, found: Discovery) -> list[Choice]:
    """Return what is taken from beyond the namespace.

    Raises:
        ConfigError: The plan names what the cluster does not have.
    """
    offered = [resource for resource in restorable(found.resources) if not resource.namespaced]
    named = "cluster" in plan.model_fields_set
    entries = [entry.partition("/")[::2] for entry in plan.cluster]
    if named:
        _must_exist([kind for kind, _ in entries], offered)
    choices = []
    for resource in offered:
        patterns = [pattern for kind, pattern in entries if resource.is_called(kind)]
        if patterns:
            choices.append(Choice(resource, named, tuple(pattern for pattern in patterns if pattern)))
    return sorted(choices, key=lambda choice: rank(choice.resource.qualified))


def custom(resource: Resource) -> bool:
    """Tell whether a resource may be defined by a CustomResourceDefinition."""
    return resource.group not in _BUILT_IN


def _is_called(resource: Resource, names: Sequence[str]) -> bool:
    return any(resource.is_called(name) for name in names)


def _must_exist(names: Sequence[str], offered: Sequence[Resource]) -> None:
    missing = [name for name in names if not any(resource.is_called(name) for resource in offered)]
    if missing:
        raise ConfigError(
            f"the cluster has no resource {', '.join(missing)} that can be taken here",
            hint="kubectl api-resources lists what there is",
        )
