"""Measures an OpenSearch or Elasticsearch cluster with httpx. `role.json` holds what its user needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from pydantic import BaseModel, Field, RootModel, ValidationError

from tasks.clients.http import session
from tasks.clients.json_api import JsonApi, basic
from tasks.core.errors import ConfigError, Garbled, NotOffered, Unreachable, WatchkeeperError
from tasks.core.results import Gap, Measurement, Reading
from tasks.core.system import Access
from tasks.systems.opensearch.spec import CATALOG, Spec

_MARGIN = 0.9  # of the system's time: what is slow must be told before the whole check is cut off
_GRANT = "grant the user of the spec what role.json beside the kind holds"
_MOST_INDICES = 500
_NAMED = 5
_BLOCKS = ("index.blocks.read_only_allow_delete", "index.blocks.read_only")


class _Health(BaseModel):
    """What is used of /_cluster/health."""

    status: str
    timed_out: bool = False
    nodes: int = Field(alias="number_of_nodes")
    data_nodes: int = Field(alias="number_of_data_nodes")
    unassigned: int = Field(alias="unassigned_shards")
    delayed: int = Field(0, alias="delayed_unassigned_shards")
    initializing: int = Field(alias="initializing_shards")
    relocating: int = Field(alias="relocating_shards")
    pending: int = Field(alias="number_of_pending_tasks")
    waiting: int = Field(0, alias="task_max_waiting_in_queue_millis")


class _Disk(BaseModel):
    total: int = Field(alias="total_in_bytes")
    available: int = Field(alias="available_in_bytes")


class _Files(BaseModel):
    total: _Disk | None = None


class _Memory(BaseModel):
    heap_used_percent: int


class _Machine(BaseModel):
    mem: _Memory


class _Node(BaseModel):
    name: str
    fs: _Files | None = None
    jvm: _Machine | None = None


class _Nodes(BaseModel):
    """What is used of /_nodes/stats."""

    nodes: dict[str, _Node]


class _Index(BaseModel):
    index: str
    health: str | None = None
    status: str = "open"
    documents: str | None = Field(None, alias="docs.count")


class _Settings(BaseModel):
    settings: dict[str, Any] = Field(default_factory=dict)


_Indices = RootModel[list[_Index]]
_Blocks = RootModel[dict[str, _Settings]]
_Read = Callable[..., Measurement]
_Part = Callable[[JsonApi, Spec, _Read], AsyncIterator[Reading]]


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield the cluster's health, its nodes' disks and heaps, and its indices; what one part cannot is a gap of it."""
    end = asyncio.get_running_loop().time() + spec.timeout.total_seconds() * _MARGIN
    address, headers = access.resolver.resolve(spec.url), credentials(spec, access)
    async with session(address, ca_bundle=access.ca_bundle, headers=headers) as client:
        api = JsonApi(client, end, what="OpenSearch", grant=_GRANT)

        def read(name: str, value: float | bool | str, subject: str = "", note: str = "") -> Measurement:  # noqa: FBT001
            return CATALOG.read(name, value, at=access.now(), subject=subject, note=note)

        async for reading in _health(api, spec, read):
            yield reading
        for part, names in _PARTS:
            try:
                async for reading in part(api, spec, read):
                    yield reading
            except WatchkeeperError as error:
                for name in names:
                    yield Gap.of(error, name)


def credentials(spec: Spec, access: Access) -> dict[str, str]:
    """Return the headers that the spec's user sends.

    Raises:
        ConfigError: Half of them is missing.
    """
    if spec.user is None or spec.password is None:
        if spec.user is not None or spec.password is not None:
            raise ConfigError("a user and a password belong together", hint="give both, or none")
        return {}
    return basic(spec.user, access.resolver.resolve(spec.password))


async def _parsed(api: JsonApi, model: type[Any], path: str, **params: str) -> Any:
    document, answer = await api.get(path, params)
    try:
        return model.model_validate(document), answer.seconds
    except ValidationError:
        raise Garbled(f"its {path} is not of the form that OpenSearch documents") from None


async def _health(api: JsonApi, _spec: Spec, read: _Read) -> AsyncIterator[Reading]:
    try:
        health, seconds = await _parsed(api, _Health, "/_cluster/health")
    except NotOffered as error:
        raise Garbled(error.message, hint="see that the url is that of an OpenSearch or Elasticsearch") from None
    if health.timed_out:
        raise Unreachable("its own cluster manager did not answer in time")
    yield read("latency", seconds)
    yield read("status", health.status)
    note = f"{health.unassigned} shards have no node" if health.unassigned else ""
    yield read("primaries_assigned", health.status != "red", note=note)
    yield read("replicas_assigned", health.status == "green", note=note)
    delayed = f"{health.delayed} of them are delayed until their node may be back" if health.delayed else ""
    yield read("unassigned_shards", health.unassigned, note=delayed)
    yield read("initializing_shards", health.initializing)
    yield read("relocating_shards", health.relocating)
    yield read("nodes", health.nodes)
    yield read("data_nodes", health.data_nodes)
    yield read("pending_tasks", health.pending)
    yield read("oldest_pending_task", health.waiting / 1000)


async def _nodes(api: JsonApi, _spec: Spec, read: _Read) -> AsyncIterator[Reading]:
    found, _ = await _parsed(api, _Nodes, "/_nodes/stats/fs,jvm")
    disks = [reading for node in found.nodes.values() for reading in _disk(node, read)]
    heaps = [
        read("heap_used", node.jvm.mem.heap_used_percent / 100, node.name) for node in found.nodes.values() if node.jvm
    ]
    for name, readings in (("disk_used", disks), ("heap_used", heaps)):
        if not readings:
            yield Gap.of(NotOffered("no node tells of it"), name)
    for reading in (*disks, *heaps):
        yield reading


def _disk(node: _Node, read: _Read) -> Iterator[Reading]:
    disk = node.fs.total if node.fs else None
    if disk is not None and disk.total > 0:
        yield read("disk_used", 1 - disk.available / disk.total, node.name)


async def _indices(api: JsonApi, spec: Spec, read: _Read) -> AsyncIterator[Reading]:
    columns = {"format": "json", "h": "index,health,status,docs.count", "expand_wildcards": "open,closed"}
    found, _ = await _parsed(api, _Indices, "/_cat/indices", **columns)
    ours = [index for index in found.root if not index.index.startswith(".")]
    red = sorted(index.index for index in found.root if index.health == "red")
    yield read("red_indices", len(red), note=_listed(red))
    known = {index.index for index in found.root}
    for wanted in spec.indices:
        yield read("index_present", wanted in known, wanted)
    looked_at = [index for index in ours if not spec.indices or index.index in spec.indices]
    if len(looked_at) > _MOST_INDICES:
        hint = "name those that matter in `indices`"
        yield Gap.of(Garbled(f"it has {len(looked_at):,} indices, more than {_MOST_INDICES}", hint=hint), "documents")
        return
    for index in looked_at:
        if index.documents is not None and index.documents.isdecimal():
            yield read("documents", int(index.documents), index.index)


async def _read_only(api: JsonApi, _spec: Spec, read: _Read) -> AsyncIterator[Reading]:
    found, _ = await _parsed(api, _Blocks, "/_all/_settings/index.blocks.*", flat_settings="true")
    blocked = sorted(
        name
        for name, index in found.root.items()
        if any(str(index.settings.get(block)).lower() == "true" for block in _BLOCKS)
    )
    yield read("read_only_indices", len(blocked), note=_listed(blocked))


_PARTS: tuple[tuple[_Part, tuple[str, ...]], ...] = (
    (_nodes, ("disk_used", "heap_used")),
    (_indices, ("red_indices", "documents")),
    (_read_only, ("read_only_indices",)),
)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
