"""Talking to a Kubernetes API server by the official client: bounded answers, and one table of its failures."""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, Protocol, Self

import yaml
from kubernetes import config
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.config.config_exception import ConfigException
from urllib3 import exceptions

from tasks.clients.clocks import ahead
from tasks.core.errors import (
    ConfigError,
    Denied,
    Garbled,
    NotOffered,
    PermanentError,
    Unreachable,
    WatchkeeperError,
)
from tasks.core.references import Address
from tasks.core.system import Access

Object = dict[str, Any]

PAGE = 500
_CHUNK = 1 << 16
_LARGEST_ANSWER = 64 << 20
_LONGEST_MESSAGE = 300
_FORBIDDEN = re.compile(r'cannot (\w+) resource "([^"]+)" in API group "([^"]*)"')


_METADATA_ALONE = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class Expired(Unreachable):
    """410: the state that was asked for is no longer kept; a list is to be begun anew."""


class TooLong(Garbled):
    """The answer is longer than is taken: ask for smaller pages."""


class Conflicting(PermanentError):
    """409: it is there already, or it was changed in between, or its fields are another's."""


class Rejected(PermanentError):
    """422, or 400: the object means nothing here, or an admission rule does not let it in."""


class _Call(NamedTuple):
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    accept: str = "application/json"
    most: int | None = None
    body: Any = None
    content_type: str = ""


class Named(Protocol):
    """What specs of every kind say of a cluster."""

    @property
    def kubeconfig(self) -> Address | None:
        """A path, or what the text of a kubeconfig is read from; None inside a cluster."""
        ...

    @property
    def context(self) -> str | None:
        """The kubeconfig's context; None for its current one."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a cluster is to be found.

    Attributes:
        kubeconfig: A path, or the text of a kubeconfig; None inside a cluster.
        context: The kubeconfig's context; None for its current one.
        ca_bundle: A PEM file to trust where the kubeconfig names no authority.
        seconds: How long one request may take, and all of them together.
        each: How long one request may take, where that is less.
    """

    kubeconfig: str | None
    context: str | None
    ca_bundle: Path | None
    seconds: float
    each: float | None = None

    @classmethod
    def of(cls, named: Named, access: Access, seconds: float, each: float | None = None) -> Self:
        """Return where the cluster is that a spec names.

        Raises:
            ConfigError: Its reference leads nowhere.
        """
        kubeconfig = None if named.kubeconfig is None else access.resolver.resolve(named.kubeconfig)
        return cls(kubeconfig, named.context, access.ca_bundle, seconds, each)


class Connection:
    """Talks to one API server. Blocks; each request ends within the place's time.

    Attributes:
        seen: Lists that several parts of one check need, by their path.
        ahead: How far the server's clock is ahead of the one that `set_clock` compared it with.

    Raises:
        ConfigError: The kubeconfig is missing, is none, or has no such context.
    """

    def __init__(self, place: Place) -> None:
        self.seen: dict[str, list[Object]] = {}
        self.ahead = timedelta(0)
        self._date = ""
        self._end = monotonic() + place.seconds
        self._each = place.each or place.seconds
        self._client: Any = ApiClient(_configuration(place))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def get(self, path: str, **query: str) -> Object:
        """Return the answer to a GET.

        Raises:
            Unreachable: No usable answer in time.
            Denied: 401 or 403.
            NotOffered: 404: there is no such resource here.
            Garbled: An answer that is none of the API's.
        """
        return _object(self._asked(_Call("GET", path, query)))

    def send(self, method: str, path: str, body: Any = None, content_type: str = "", **query: str) -> Object:
        """Return the answer to a request that changes something, or tries to.

        Args:
            method: `POST`, `PUT`, `PATCH` or `DELETE`.
            path: Of the object, or of the collection.
            body: What becomes JSON; a text goes as it is.
            content_type: Of the body.
            query: `dryRun=All` changes nothing.

        Raises:
            Conflicting: 409.
            Rejected: 400 or 422.
            WatchkeeperError: As `get` has it.
        """
        call = _Call(method, path, query, body=body, content_type=content_type or "application/json")
        return _object(self._asked(call))

    def set_clock(self, sent: datetime, received: datetime) -> timedelta | None:
        """Hold the date of the newest answer against the times around it; return how far ahead its server is.

        Returns:
            None where the answer has no date.
        """
        found = ahead(self._date, sent, received)
        self.ahead = found or timedelta(0)
        return found

    def text(self, path: str, most: int, **query: str) -> bytes:
        """Return at most so many bytes of the text that answers a GET: a log.

        Raises:
            Unreachable: No usable answer in time.
            Denied: 401 or 403.
            NotOffered: 404: there is no such resource here.
            Garbled: An answer that is none of the API's.
        """
        return self._asked(_Call("GET", path, query, "*/*", most))

    def _asked(self, call: _Call) -> bytes:
        now = monotonic()
        end = min(self._end, now + self._each)
        if end <= now:
            raise Unreachable("it did not answer in time")
        try:
            return self._read(call, end)
        except Exception as error:
            raise translated(error) from error

    def pages(self, path: str, **query: str) -> Iterator[Object]:
        """Yield the items of a list, asking for one page after the other."""
        token = ""
        while True:
            more = {"continue": token} if token else {}
            answer = self.get(path, limit=str(PAGE), **query, **more)
            items, meta = answer.get("items"), answer.get("metadata") or {}
            if not isinstance(items, list) and items is not None:
                raise Garbled("the answer to a list has no items")
            yield from items or []
            token = meta.get("continue") or ""
            if not token:
                return

    def metadata(self, path: str) -> Iterator[Object]:
        """Yield the metadata of a list's items, and nothing else of them: the server leaves the rest out.

        Raises:
            Garbled: It sent more than metadata; nothing of it is handed on.
            WatchkeeperError: As `get` has it.
        """
        token = ""
        while True:
            query = {"limit": str(PAGE)} | ({"continue": token} if token else {})
            answer = _object(self._asked(_Call("GET", path, query, _METADATA_ALONE)))
            if answer.get("kind") != "PartialObjectMetadataList":
                raise Garbled("the server sends whole objects where it was asked for their metadata")
            yield from answer.get("items") or []
            token = (answer.get("metadata") or {}).get("continue") or ""
            if not token:
                return

    def _read(self, call: _Call, end: float) -> bytes:
        types = {"Content-Type": call.content_type} if call.content_type else {}
        request = self._client.param_serialize(
            method=call.method,
            resource_path=call.path,
            query_params=list(call.query.items()),
            header_params={"Accept": call.accept, **types},
            body=call.body,
            auth_settings=["BearerToken"],
        )
        left = max(end - monotonic(), 0.001)
        with closing(self._client.call_api(*request, _request_timeout=left).response) as answer:
            body = _bounded(answer, call.most, end)
            self._date = answer.headers.get("Date", "")
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise refused(answer.status, body)
        return body


def _bounded(answer: Any, most: int | None, end: float) -> bytes:
    """Read a body to its end, or to where the caller has enough."""
    body = bytearray()
    for chunk in answer.stream(_CHUNK):
        body += chunk
        if most is not None and len(body) > most:
            return bytes(body[:most])
        if len(body) > _LARGEST_ANSWER:
            raise TooLong("the answer does not end")
        if monotonic() > end:
            raise Unreachable("its answer did not end in time")
    return bytes(body)


def _object(body: bytes) -> Object:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise translated(error) from error
    if not isinstance(document, dict):
        raise Garbled("the answer is no object")
    return document


def _configuration(place: Place) -> Any:
    loading: Any = config
    found = Configuration()
    found.retries = False
    hint = "check the kubeconfig's path, its contexts and its certificates"
    try:
        if place.kubeconfig is None:
            loading.load_incluster_config(client_configuration=found)
        elif "\n" in place.kubeconfig:
            content = yaml.safe_load(place.kubeconfig)
            loading.load_kube_config_from_dict(content, place.context, found, persist_config=False)
        else:
            loading.load_kube_config(place.kubeconfig, place.context, found, persist_config=False)
    except ConfigException as error:
        raise ConfigError(f"no usable kubeconfig: {error}", hint=hint) from error
    except (yaml.YAMLError, binascii.Error, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"the kubeconfig cannot be read: {type(error).__name__}", hint=hint) from None
    if place.ca_bundle is not None and not found.ssl_ca_cert:
        found.ssl_ca_cert = str(place.ca_bundle)
    return found


def refused(status: int, body: bytes) -> WatchkeeperError:
    """Make the error of an answer that is no success, from its `Status` body where it has one."""
    try:
        document = json.loads(body)
        message = str(document["message"])[:_LONGEST_MESSAGE]
    except (ValueError, RecursionError, KeyError, TypeError):
        message = f"status {status}"
    if status == HTTPStatus.UNAUTHORIZED:
        return Denied("the credentials are refused", hint="renew the token or the certificate of the kubeconfig")
    if status == HTTPStatus.FORBIDDEN:
        return Denied(message, hint=f"{_missing_grant(message)}bind the role in tasks/systems/kubernetes/role.yaml")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Unreachable(f"it asks to come back later: {message}")
    if status in _REFUSALS:
        return _REFUSALS[HTTPStatus(status)](message)
    kind = Unreachable if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Garbled
    return kind(f"it answers {status}: {message}")


_REFUSALS: dict[HTTPStatus, type[WatchkeeperError]] = {
    HTTPStatus.BAD_REQUEST: Rejected,
    HTTPStatus.NOT_FOUND: NotOffered,
    HTTPStatus.CONFLICT: Conflicting,
    HTTPStatus.GONE: Expired,
    HTTPStatus.UNPROCESSABLE_ENTITY: Rejected,
}


def _missing_grant(message: str) -> str:
    """Name the right that is missing, from the API's own words."""
    found = _FORBIDDEN.search(message)
    if found is None:
        return ""
    verb, resource, group = found.groups()
    return f"grant {verb} on {resource}{'.' * bool(group)}{group}: "


def translated(error: Exception) -> WatchkeeperError:
    """Map the client's and its transport's exceptions; what they say may quote a header, so little of it is told."""
    if isinstance(error, WatchkeeperError):
        return error
    if isinstance(error, ApiException) and error.status:
        return refused(error.status, str(error.body or "").encode())
    unreachable: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
        ((ApiException, exceptions.SSLError), f"TLS failed: {_last_line(error)}"),
        ((exceptions.NameResolutionError,), "its host name is not known"),
        ((exceptions.NewConnectionError,), "the connection is refused"),
        ((exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError, TimeoutError), "it did not answer in time"),
        ((exceptions.HTTPError, OSError), f"the connection broke: {type(error).__name__}"),
    )
    for kinds, message in unreachable:
        if isinstance(error, kinds):
            return Unreachable(message)
    if isinstance(error, ValueError):
        return Garbled("the answer is no JSON")
    return Garbled(f"the client failed: {type(error).__name__}")


def _last_line(error: Exception) -> str:
    """Take the reason out of what the client wraps around a failed handshake."""
    lines = str(getattr(error, "reason", None) or error).strip().splitlines() or [""]
    return lines[-1][:_LONGEST_MESSAGE]


def server_of(place: Place) -> str:
    """Return the URL of the API server that a kubeconfig leads to.

    Raises:
        ConfigError: The kubeconfig is missing, is none, or has no such context.
    """
    return str(_configuration(place).host)
