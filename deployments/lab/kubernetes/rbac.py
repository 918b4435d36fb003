"""Who may do what: tokens are users, and their rights are the roles that are bound to them, as stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deployments.lab.kubernetes.failures import forbidden
from deployments.lab.kubernetes.resources import Resource
from deployments.lab.kubernetes.store import Store

ANONYMOUS = "system:anonymous"
ADMIN = "system:serviceaccount:watchkeeper:lab"
RESTRICTED = "lab:restricted"
"""A cluster role of the seeds: what is left while the lab plays `forbidden`."""


@dataclass(frozen=True)
class Wish:
    """One thing that a user asks to do."""

    verb: str
    resource: Resource
    subresource: str = ""
    namespace: str = ""
    name: str = ""


def require(store: Store, user: str, wish: Wish) -> None:
    """Refuse what no bound role allows.

    Raises:
        Failure: 403.
    """
    if not allowed(store, user, wish):
        raise forbidden(user, wish.verb, wish.resource, wish.subresource, wish.namespace, wish.name)


def allowed(store: Store, user: str, wish: Wish) -> bool:
    """Tell whether some role that is bound to the user allows it."""
    return any(_grants(rule, wish) for rule in _rules(store, user, wish.namespace))


def _rules(store: Store, user: str, namespace: str) -> Iterator[dict[str, Any]]:
    for binding in store.all("clusterrolebindings"):
        yield from _bound(store, binding, user, "")
    for binding in store.all("rolebindings", namespace) if namespace else ():
        yield from _bound(store, binding, user, namespace)


def _bound(store: Store, binding: dict[str, Any], user: str, namespace: str) -> Iterator[dict[str, Any]]:
    if not any(_names(subject, user) for subject in binding.get("subjects") or []):
        return
    reference = binding["roleRef"]
    plural = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
    for role in store.all(plural, namespace if plural == "roles" else ""):
        if role["metadata"]["name"] == reference["name"]:
            yield from role.get("rules") or []


def _names(subject: dict[str, Any], user: str) -> bool:
    if subject["kind"] == "ServiceAccount":
        return user == f"system:serviceaccount:{subject.get('namespace', '')}:{subject['name']}"
    return subject["kind"] == "User" and bool(subject["name"] == user)


def _grants(rule: dict[str, Any], wish: Wish) -> bool:
    what = wish.resource.plural + (f"/{wish.subresource}" if wish.subresource else "")
    names = rule.get("resourceNames") or []
    return (
        any(verb in ("*", wish.verb) for verb in rule.get("verbs") or [])
        and any(group in ("*", wish.resource.group) for group in rule.get("apiGroups") or [])
        and any(resource in ("*", what, f"*/{wish.subresource}") for resource in rule.get("resources") or [])
        and (not names or wish.name in names)
    )
