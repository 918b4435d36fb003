"""Measures a NATS server by its monitoring port with httpx. The port has no users: `grant.md` says how to keep it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from tasks.clients.http import Answer, session
from tasks.clients.json_api import JsonApi
from tasks.core.errors import Garbled, NotOffered, WatchkeeperError
from tasks.core.results import Gap, Measurement, Reading
from tasks.core.system import Access
from tasks.systems.nats.spec import CATALOG, Spec

_MARGIN = 0.9  # of the system's time: what is slow must be told before the whole check is cut off
_GRANT = "let this host reach the monitoring port"
_PAGE = 256
_MOST_ACCOUNTS = 4096
_MOST_STREAMS = 500
_REMARK = 200


class _Varz(BaseModel):
    """What is used of /varz."""

    connections: int
    max_connections: int = 0
    slow_consumers: int = 0
    in_msgs: int = 0
    mem: int = 0
    jetstream: dict[str, Any] = Field(default_factory=dict)


class _State(BaseModel):
    messages: int
    bytes: int = 0
    consumer_count: int = 0


class _Consumer(BaseModel):
    name: str
    num_pending: int = 0
    num_ack_pending: int = 0
    num_redelivered: int = 0


class _Limits(BaseModel):
    max_bytes: int = -1
    max_msgs: int = -1


class _Stream(BaseModel):
    name: str
    state: _State
    config: _Limits = Field(default_factory=_Limits)
    consumers: tuple[_Consumer, ...] = Field((), alias="consumer_detail")


class _Account(BaseModel):
    name: str
    streams: tuple[_Stream, ...] = Field((), alias="stream_detail")


class _Store(BaseModel):
    max_storage: int = 0
    max_memory: int = 0


class _Jsz(BaseModel):
    """What is used of /jsz."""

    disabled: bool = False
    storage: int = 0
    memory: int = 0
    config: _Store = Field(default_factory=_Store)
    accounts: tuple[_Account, ...] = Field((), alias="account_details")


_Read = Callable[..., Measurement]


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield the server's health, its connections, and JetStream's store, streams and consumers."""
    end = asyncio.get_running_loop().time() + spec.timeout.total_seconds() * _MARGIN
    async with session(access.resolver.resolve(spec.url), ca_bundle=access.ca_bundle) as client:
        api = JsonApi(client, end, what="NATS", grant=_GRANT)

        def read(name: str, value: float | bool, subject: str = "", note: str = "") -> Measurement:  # noqa: FBT001
            return CATALOG.read(name, value, at=access.now(), subject=subject, note=note)

        health, answer = await api.get("/healthz", sick=(500, 503))
        for reading in _health(health, answer, read):
            yield reading
        for reading in _server(await _parsed(api, _Varz, "/varz"), read):
            yield reading
        try:
            pages = [page async for page in _jetstream(api)]
        except WatchkeeperError as error:
            for name in ("backlog", *(["stream_present"] if spec.streams else ())):
                yield Gap.of(error, name)
            return
        for reading in _store(pages[0], read):
            yield reading
        for reading in _streams([s for page in pages for a in page.accounts for s in a.streams], spec, read):
            yield reading


async def _jetstream(api: JsonApi) -> AsyncIterator[_Jsz]:
    """Yield what /jsz tells, page by page of accounts."""
    for offset in range(0, _MOST_ACCOUNTS, _PAGE):
        params = {"streams": "true", "consumers": "true", "config": "true"}
        page = await _parsed(api, _Jsz, "/jsz", params | {"limit": str(_PAGE), "offset": str(offset)})
        if page.disabled:
            raise NotOffered("JetStream is not on in this server", hint="start it with -js, or take `streams` out")
        yield page
        if len(page.accounts) < _PAGE:
            return
    raise Garbled(f"it has more than {_MOST_ACCOUNTS} accounts", hint="watch them through Prometheus")


async def _parsed(api: JsonApi, model: type[Any], path: str, params: dict[str, str] | None = None) -> Any:
    document, _ = await api.get(path, params)
    try:
        return model.model_validate(document)
    except ValidationError:
        raise Garbled(f"its {path} is not of the form that NATS documents") from None


def _health(health: Any, answer: Answer, read: _Read) -> Iterator[Reading]:
    if not isinstance(health, dict) or not isinstance(health.get("status"), str):
        raise Garbled("its /healthz is not of the form that NATS documents")
    yield read("latency", answer.seconds)
    note = str(health.get("error") or "")[:_REMARK]
    yield read("healthy", answer.status == 200 and health["status"] == "ok", note=note)  # noqa: PLR2004


def _server(varz: _Varz, read: _Read) -> Iterator[Reading]:
    yield read("connections", varz.connections)
    if varz.max_connections > 0:
        note = f"{varz.connections} of {varz.max_connections}"
        yield read("connections_used", varz.connections / varz.max_connections, note=note)
    yield read("slow_consumers", varz.slow_consumers)
    yield read("memory", varz.mem)


def _store(page: _Jsz, read: _Read) -> Iterator[Reading]:
    for name, used, most in (
        ("storage_used", page.storage, page.config.max_storage),
        ("memory_store_used", page.memory, page.config.max_memory),
    ):
        if most > 0:
            yield read(name, used / most)


def _streams(streams: list[_Stream], spec: Spec, read: _Read) -> Iterator[Reading]:
    known = {stream.name for stream in streams}
    for wanted in spec.streams:
        yield read("stream_present", wanted in known, wanted)
    looked_at = [stream for stream in streams if not spec.streams or stream.name in spec.streams]
    if len(looked_at) > _MOST_STREAMS:
        hint = "name those that matter in `streams`"
        yield Gap.of(Garbled(f"it has {len(looked_at):,} streams, more than {_MOST_STREAMS}", hint=hint), "backlog")
    for stream in looked_at[:_MOST_STREAMS]:
        yield read("messages", stream.state.messages, stream.name)
        yield read("consumers", stream.state.consumer_count, stream.name)
        if (used := _used(stream)) is not None:
            yield read("stream_used", used, stream.name)
        for consumer in stream.consumers:
            subject = f"{stream.name}/{consumer.name}"
            yield read("backlog", consumer.num_pending, subject)
            yield read("unacknowledged", consumer.num_ack_pending, subject)
            yield read("redelivered", consumer.num_redelivered, subject)


def _used(stream: _Stream) -> float | None:
    """Return how full a stream is against the nearer of its own bounds; None where it has none."""
    pairs = ((stream.state.bytes, stream.config.max_bytes), (stream.state.messages, stream.config.max_msgs))
    return max((used / most for used, most in pairs if most > 0), default=None)
