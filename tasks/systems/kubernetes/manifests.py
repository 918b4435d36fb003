"""Objects as text: YAML that kubectl applies, the same bytes for the same objects, and the order to apply them in.

A text is written without quotes only where no reader of YAML 1.1 or 1.2 takes it for anything else: Go's takes `y` for
true and `12e3` for a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tasks.clients.cluster import Object
from tasks.core.errors import Garbled

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_TAKEN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "nil", "none"})
_BLOCK = re.compile(r"[!-~]([ -~\n]*[!-~])?\n?")
_WIDTH = 1 << 30

ORDER = (
    "namespaces",
    "priorityclasses.scheduling.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
    "storageclasses.storage.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "networkpolicies.networking.k8s.io",
    "limitranges",
    "serviceaccounts",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "configmaps",
    "secrets",
    "persistentvolumes",
    "persistentvolumeclaims",
    "services",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "poddisruptionbudgets.policy",
    "daemonsets.apps",
    "deployments.apps",
    "statefulsets.apps",
    "replicasets.apps",
    "replicationcontrollers",
    "pods",
    "jobs.batch",
    "cronjobs.batch",
    "horizontalpodautoscalers.autoscaling",
    "ingressclasses.networking.k8s.io",
    "ingresses.networking.k8s.io",
    "resourcequotas",
)
_LAST = (
    "apiservices.apiregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
)
_RANKS = {name: position for position, name in enumerate(ORDER)}
_LATE = {name: len(ORDER) + 1 + position for position, name in enumerate(_LAST)}


def rank(qualified: str) -> tuple[int, str]:
    """Return what to sort by, so that what others need comes first; custom resources come after the built-in ones."""
    return _RANKS.get(qualified, _LATE.get(qualified, len(ORDER))), qualified


_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's is ten times faster
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(_Base):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: Any, text: str) -> Any:
    if _PLAIN.fullmatch(text) and text.lower() not in _TAKEN:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text)
    block = "\n" in text and " \n" not in text and _BLOCK.fullmatch(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if block else '"')


_Dumper.add_representer(str, _text)


def dump(document: Object) -> bytes:
    """Return one document of a stream, its fields sorted; the same object gives the same bytes."""
    text = yaml.dump(document, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, width=_WIDTH)
    return f"---\n{text}".encode()


def documents(data: bytes, where: str) -> Iterator[Object]:
    """Yield the objects of a part.

    Raises:
        Garbled: It is no YAML, or a document is no object of Kubernetes.
    """
    try:
        for found in yaml.load_all(data, Loader=_Loader):
            yield _object(found, where)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Garbled(f"it is no YAML: {type(error).__name__}", operation=f"read {where}") from None


def _object(found: Any, where: str) -> Object:
    meta = found.get("metadata") if isinstance(found, dict) else None
    if not isinstance(meta, dict) or not all(
        isinstance(text, str) and text for text in (found.get("apiVersion"), found.get("kind"), meta.get("name"))
    ):
        raise Garbled("a document has no apiVersion, kind or name", operation=f"read {where}")
    return dict(found)


def label(document: Object) -> str:
    """Name an object as people do: `Deployment/apex-api`."""
    return f"{document['kind']}/{document['metadata']['name']}"
