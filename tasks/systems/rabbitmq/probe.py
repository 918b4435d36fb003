"""Measures a RabbitMQ broker by its management API with httpx. `grant.sh` holds what its user needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from tasks.clients.http import session
from tasks.clients.json_api import JsonApi, basic
from tasks.core.errors import ConfigError, Garbled, NotOffered, WatchkeeperError
from tasks.core.results import Gap, Measurement, Reading
from tasks.core.system import Access
from tasks.systems.rabbitmq.spec import CATALOG, Spec

_MARGIN = 0.9  # of the system's time: what is slow must be told before the whole check is cut off
_GRANT = "run grant.sh beside the kind: it makes a user with the tag monitoring"
_MOST_QUEUES = 500
_NO_FIGURES = "has told the management API no figures yet: it does so every few seconds"
_QUEUE_FIELDS = "name,state,messages_ready,messages_unacknowledged,consumers,head_message_timestamp"


class _Totals(BaseModel):
    connections: int = 0
    channels: int = 0


class _Overview(BaseModel):
    """What is used of /api/overview."""

    totals: _Totals = Field(alias="object_totals")


class _Node(BaseModel):
    """What is used of one of /api/nodes; one that does not run tells of nothing else."""

    name: str
    running: bool
    memory_alarm: bool | None = Field(None, alias="mem_alarm")
    disk_alarm: bool | None = Field(None, alias="disk_free_alarm")
    memory: int = Field(0, alias="mem_used")
    memory_limit: int = Field(0, alias="mem_limit")
    disk_free: int | None = None
    files: int = Field(0, alias="fd_used")
    files_limit: int = Field(0, alias="fd_total")
    partitions: tuple[str, ...] = ()


class _Queue(BaseModel):
    """What is used of one of /api/queues; the numbers come some seconds after the queue."""

    name: str
    state: str = "running"
    ready: int | None = Field(None, alias="messages_ready")
    unacknowledged: int | None = Field(None, alias="messages_unacknowledged")
    consumers: int | None = None
    oldest: float | None = Field(None, alias="head_message_timestamp")


class _Page(BaseModel):
    items: tuple[_Queue, ...]
    total: int = Field(alias="filtered_count")


_NODES = TypeAdapter(list[_Node])
_Read = Callable[..., Measurement]


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield the broker's connections, its nodes with their alarms, and the queues of one virtual host."""
    end = asyncio.get_running_loop().time() + spec.timeout.total_seconds() * _MARGIN
    address, headers = access.resolver.resolve(spec.url), _credentials(spec, access)
    async with session(address, ca_bundle=access.ca_bundle, headers=headers) as client:
        api = JsonApi(client, end, what="RabbitMQ's management API", grant=_GRANT)

        def read(name: str, value: float | bool | str, subject: str = "", note: str = "") -> Measurement:  # noqa: FBT001
            return CATALOG.read(name, value, at=access.now(), subject=subject, note=note)

        for reading in await _overview(api, read):
            yield reading
        for take, names in ((_nodes, ("alarms", "nodes_running")), (_queues, ("messages", "consumers"))):
            try:
                for reading in await take(api, spec, read):
                    yield reading
            except WatchkeeperError as error:
                for name in names:
                    yield Gap.of(error, name)


def _credentials(spec: Spec, access: Access) -> dict[str, str]:
    if spec.user is None or spec.password is None:
        raise ConfigError("the management API asks for a user and a password", hint="give both in the spec")
    return basic(spec.user, access.resolver.resolve(spec.password))


async def _overview(api: JsonApi, read: _Read) -> list[Reading]:
    try:
        document, answer = await api.get("/api/overview")
    except NotOffered as error:
        raise Garbled(error.message, hint="see that the url is that of the management plugin") from None
    overview = _valid(_Overview.model_validate, document, "/api/overview")
    return [
        read("latency", answer.seconds),
        read("connections", overview.totals.connections),
        read("channels", overview.totals.channels),
    ]


def _valid(validate: Callable[[Any], Any], document: Any, path: str) -> Any:
    try:
        return validate(document)
    except ValidationError:
        raise Garbled(f"its {path} is not of the form that RabbitMQ documents") from None


async def _nodes(api: JsonApi, _spec: Spec, read: _Read) -> list[Reading]:
    document, _ = await api.get("/api/nodes")
    nodes = _valid(_NODES.validate_python, document, "/api/nodes")
    if not nodes:
        raise Garbled("it names no node of its own cluster")
    stopped = [node.name for node in nodes if not node.running]
    parted = [node.name for node in nodes if node.partitions]
    return [
        read("nodes_running", 1 - len(stopped) / len(nodes), note=_named("not running", stopped)),
        _alarms([node for node in nodes if node.running], read),
        read("partitions", len(parted), note=_named("sees others as gone", parted)),
        *(reading for node in nodes if node.running for reading in _room(node, read)),
    ]


def _alarms(nodes: list[_Node], read: _Read) -> Reading:
    silent = [node.name for node in nodes if node.memory_alarm is None or node.disk_alarm is None]
    if silent:
        return Gap.of(NotOffered(f"{', '.join(silent)} {_NO_FIGURES}"), "alarms")
    found = [f"memory of {node.name}" for node in nodes if node.memory_alarm]
    found += [f"disk of {node.name}" for node in nodes if node.disk_alarm]
    return read("alarms", len(found), note=", ".join(found))


def _named(what: str, names: list[str]) -> str:
    return f"{what}: {', '.join(names)}" if names else ""


def _room(node: _Node, read: _Read) -> Iterator[Reading]:
    if node.memory_limit > 0:
        yield read("memory_used", node.memory / node.memory_limit, node.name)
    if node.disk_free is not None:
        yield read("disk_free", node.disk_free, node.name)
    if node.files_limit > 0:
        yield read("files_used", node.files / node.files_limit, node.name)


async def _queues(api: JsonApi, spec: Spec, read: _Read) -> list[Reading]:
    host = quote(spec.virtual_host, safe="")
    if spec.queues:
        looks = await asyncio.gather(*(_one(api, host, name, read) for name in spec.queues))
        return [reading for look in looks for reading in look]
    params = {"page": "1", "page_size": str(_MOST_QUEUES), "columns": _QUEUE_FIELDS}
    document, _ = await api.get(f"/api/queues/{host}", params)
    page = _valid(_Page.model_validate, document, "/api/queues")
    readings = [reading for queue in page.items for reading in _queue(queue, read)]
    if page.total > _MOST_QUEUES:
        hint = "name those that matter in `queues`"
        error = Garbled(f"it has {page.total:,} queues, more than {_MOST_QUEUES}", hint=hint)
        readings.append(Gap.of(error, "messages"))
    return readings


async def _one(api: JsonApi, host: str, name: str, read: _Read) -> list[Reading]:
    """Look at one queue that the spec names; one that is not there is a finding of its own."""
    try:
        document, _ = await api.get(f"/api/queues/{host}/{quote(name, safe='')}")
    except NotOffered:
        return [read("queue_present", value=False, subject=name)]
    except WatchkeeperError as error:
        return [Gap.of(error, "queue_present", name)]
    queue = _valid(_Queue.model_validate, document, "/api/queues")
    return [read("queue_present", value=True, subject=name), *_queue(queue, read)]


def _queue(queue: _Queue, read: _Read) -> Iterator[Reading]:
    yield read("queue_running", queue.state in ("running", "idle", "flow"), queue.name, note=queue.state)
    figures = {"messages": queue.ready, "unacknowledged": queue.unacknowledged, "consumers": queue.consumers}
    for name, value in figures.items():
        if value is None:
            yield Gap.of(NotOffered(f"{queue.name} {_NO_FIGURES}"), name, queue.name)
        else:
            yield read(name, value, queue.name)
    if queue.oldest is not None:
        age = read("messages", 0).at.timestamp() - queue.oldest
        yield read("oldest_message", max(0.0, age), queue.name)
