"""Where a restore goes: a namespace of a cluster, written as an address.

    /path/to/kubeconfig?context=staging&namespace=apex-restored      a named place
    /path/to/kubeconfig?context=staging                              a namespace made for the purpose, gone afterwards
    in-cluster?namespace=apex-restored                               the cluster that this runs in

The text of a kubeconfig may stand in place of its path.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from tasks.clients.cluster import Connection, Place, server_of
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.system import Access
from tasks.systems.kubernetes.spec import Spec

_IN_CLUSTER = "in-cluster"
_OPTIONS = re.compile(r"[a-z]+=[^=&?\n]*(&[a-z]+=[^=&?\n]*)*")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_WHOLE_SECONDS = 6 * 3600.0
_ANSWER_SECONDS = 60.0
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Target:
    """A namespace of a cluster.

    Attributes:
        kubeconfig: A path or a text; None inside a cluster.
        context: The kubeconfig's context; None for its current one.
        namespace: Empty where one is to be made for the purpose.
        ca_bundle: A PEM file to trust where the kubeconfig names no authority.
    """

    kubeconfig: str | None
    context: str | None = None
    namespace: str = ""
    ca_bundle: str | None = None

    @classmethod
    def parse(cls, address: str) -> Target:
        """Read an address.

        Raises:
            ConfigError: It has options that are not known, or its namespace cannot be one.
        """
        head, mark, tail = address.rpartition("?")
        if not mark or not _OPTIONS.fullmatch(tail):
            head, tail = address, ""
        options = dict(parse_qsl(tail))
        unknown = options.keys() - {"context", "namespace", "ca"}
        namespace = options.get("namespace", "")
        if unknown or not head.strip() or (namespace and not _NAMESPACE.fullmatch(namespace)):
            raise ConfigError(
                "this is no namespace of a cluster", hint="write /path/to/kubeconfig?context=NAME&namespace=NAME"
            )
        kubeconfig = None if head == _IN_CLUSTER else head
        return cls(kubeconfig, options.get("context"), namespace, options.get("ca"))

    def __str__(self) -> str:
        options = {"context": self.context, "namespace": self.namespace, "ca": self.ca_bundle}
        given = urlencode({name: value for name, value in options.items() if value})
        return f"{self.kubeconfig or _IN_CLUSTER}{'?' if given else ''}{given}"

    def connect(self) -> Connection:
        """Return a connection; whoever asked closes it."""
        return Connection(self.place())

    def place(self) -> Place:
        """Return where the cluster is, with the time that a restore may take."""
        bundle = None if self.ca_bundle is None else Path(self.ca_bundle)
        return Place(self.kubeconfig, self.context, bundle, _WHOLE_SECONDS, _ANSWER_SECONDS)


def live(spec: Spec, access: Access) -> Target:
    """Return the namespace that a system's spec names."""
    kubeconfig = None if spec.kubeconfig is None else access.resolver.resolve(spec.kubeconfig)
    return Target(kubeconfig, spec.context, spec.namespace, _bundle(access))


def scratch(spec: Spec, access: Access) -> Target | None:
    """Return the cluster that the plan names for drills."""
    place = spec.backup.scratch if spec.backup is not None else None
    if place is None:
        return None
    return Target(access.resolver.resolve(place.kubeconfig), place.context, "", _bundle(access))


def _bundle(access: Access) -> str | None:
    return None if access.ca_bundle is None else str(access.ca_bundle)


def endpoints(address: str) -> frozenset[str]:
    """Return each address of the API server with the namespace: `127.0.0.1:6443/apex`."""
    target = Target.parse(address)
    url = urlsplit(server_of(target.place()))
    host, port = url.hostname or "", url.port or _PORTS.get(url.scheme, 443)
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError:
        found = {host}
    return frozenset(f"{ip}:{port}{url.path.rstrip('/')}/{target.namespace}" for ip in found)


def identity(connection: Connection) -> str:
    """Return what is the same for one cluster at whatever address; empty where it may not be seen."""
    try:
        return str(connection.get("/api/v1/namespaces/kube-system")["metadata"]["uid"])
    except (WatchkeeperError, KeyError, TypeError):
        return ""
