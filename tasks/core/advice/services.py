"""What a Docker Swarm's services may use and reserve, and how many tasks they need: as their containers used it.

What a service reserves of processors is told by no container: it is left as it is, and said.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import yaml

from tasks.core.advice import requests
from tasks.core.advice.amounts import MIB, load_text
from tasks.core.advice.facts import Container, Usage, Workload
from tasks.core.advice.model import Advice, Change, Fine, Judged, Patch, Saving, Unjudged, When
from tasks.core.advice.needs import Need, needs_of

_FULL = 0.9
"""The share of its limit of processors from which a service needs more tasks."""
_AIM, _SMALL = 0.7, 1e-9


@dataclass(frozen=True)
class Service:
    """A Swarm's service.

    Attributes:
        name: As Docker names it: `shop_api`.
        tasks: How many containers of it there are now.
        container: What each may use and reserves: `cpu_request` is not known, `memory_request` is 0 where it reserves
            nothing and None where that is not known.
        usage: What they used.
    """

    name: str
    tasks: int
    container: Container
    usage: Usage = field(default_factory=Usage)


def advise(key: str, service: Service, now: datetime, ahead: float | None = None) -> Judged:
    """Say what a service should be allowed and reserve, and how many tasks it should have.

    Args:
        key: `metrics/service/shop_api`.
        service: As it is set, and what it used.
        now: The time.
        ahead: The most cores of its busiest task that are expected; None without a forecast.
    """
    workload = Workload("Service", service.name, "", service.tasks, None, (service.container,))
    needs = needs_of(workload, service.usage, now)
    if isinstance(needs, str):
        return Unjudged(key=key, kind="requests", reason=needs)
    (need,) = needs
    sizes = requests.sized(need)
    tasks = _tasks(service, need, ahead)
    changes = tuple(_changes(service, sizes, tasks))
    if not changes and not need.growth:
        return Fine(key=key, kind="requests")
    shown = {service.container.name: sizes}
    more = tasks > service.tasks
    reserving = _reserving(needs, sizes)
    when = requests.when_of(reserving, shown, service.usage, now)
    return Advice(
        key=key,
        kind="requests",
        when=min(when, When.MONTH, key=lambda one: one.rank) if more else when,
        do=requests.do(changes, [need] if need.growth else []),
        why=next(_reasons(service, need, sizes, tasks, ahead)),
        changes=changes,
        evidence=tuple(text.replace(" pod ", " task ") for text in requests.evidence(needs, service.usage)),
        replay=tuple(requests.replay(reserving, shown, service.usage)),
        saving=_saving(service, sizes, tasks),
        risk="; ".join(
            (*requests.leak_words([need] if need.growth else []), "its tasks are replaced one after the other")
        ),
        unknown=("what it reserves of processors: no container tells",),
        patches=tuple(_patches(service, sizes, tasks)) if changes else (),
    )


def _reserving(needs: Sequence[Need], sizes: requests.Sizes) -> list[Need]:
    """Return the needs as if what nobody knows were as it should be, so that it makes nothing urgent."""
    return [replace(one, container=_reserves(one.container, sizes)) for one in needs]


def _reserves(was: Container, sizes: requests.Sizes) -> Container:
    memory = sizes.memory_request if was.memory_request is None else was.memory_request
    return replace(was, cpu_request=sizes.cpu_request, memory_request=memory)


def _tasks(service: Service, need: Need, ahead: float | None) -> int:
    limit, peak = service.container.cpu_limit, max(ahead or 0.0, need.usual)
    if not limit or peak < _FULL * limit:
        return service.tasks
    return max(service.tasks, math.ceil(service.tasks * peak / (_AIM * limit) - _SMALL))


def _changes(service: Service, sizes: requests.Sizes, tasks: int) -> Iterator[Change]:
    was = service.container
    rows = (
        ("memory reservation", was.memory_request, sizes.memory_request),
        ("memory limit", was.memory_limit, sizes.memory_limit),
    )
    for what, before, after in rows[was.memory_request is None :]:
        if size(before) != size(after):
            yield Change(what=what, before=size(before), after=size(after))
    if was.cpu_limit is not None and sizes.cpu_limit is None:
        yield Change(what="CPU limit", before=f"{was.cpu_limit:g}", after="none")
    if tasks != service.tasks:
        yield Change(what="tasks", before=str(service.tasks), after=str(tasks))


def size(amount: float | None) -> str:
    """Write bytes as Docker reads them: `512M` is 512 MiB."""
    return "none" if not amount else f"{math.ceil(amount / MIB)}M"


def _reasons(service: Service, need: Need, sizes: requests.Sizes, tasks: int, ahead: float | None) -> Iterator[str]:
    yield from requests.leaking([need])
    if tasks > service.tasks:
        most, limit = load_text(max(ahead or 0.0, need.usual)), load_text(service.container.cpu_limit or 0.0)
        yield f"its busiest task comes to {most} within a month, and may use {limit}"
    if need.kills:
        yield f"it ran out of memory {len(need.kills)} times"
    if sizes.cpu_limit is None and service.container.cpu_limit is not None:
        yield "it is held back by its CPU limit"
    if service.container.memory_limit is None:
        yield "it may use all memory of its machine"
    yield "what it reserves of memory does not fit what it uses"


def _saving(service: Service, sizes: requests.Sizes, tasks: int) -> Saving:
    if service.container.memory_request is None:
        return Saving()
    return Saving(memory=service.tasks * service.container.memory_request - tasks * sizes.memory_request)


def _patches(service: Service, sizes: requests.Sizes, tasks: int) -> Iterator[Patch]:
    """Yield the command for the running service, and what its stack file must say or the next deploy undoes it."""
    memory, reserve = size(sizes.memory_limit), size(sizes.memory_request)
    told = service.container.memory_request is not None
    options = [f"--limit-memory {memory}", *([f"--reserve-memory {reserve}"] if told else [])]
    limits = {"memory": memory}
    if service.container.cpu_limit is not None:
        cores = sizes.cpu_limit or 0.0
        options += [f"--limit-cpu {cores:g}"] if sizes.cpu_limit != service.container.cpu_limit else []
        limits |= {"cpus": f"{cores:g}"} if cores else {}
    if tasks != service.tasks:
        options.append(f"--replicas {tasks}")
    command = f"docker service update {' '.join(options)} {service.name}"
    yield Patch(title=f"service {service.name}, on a manager of the Swarm", language="shell", text=command + "\n")
    resources = {"limits": limits} | ({"reservations": {"memory": reserve}} if told else {})
    document = {"services": {service.container.name: {"deploy": {"replicas": tasks, "resources": resources}}}}
    text = yaml.safe_dump(document, sort_keys=False)
    yield Patch(title="and the same in its stack file, or the next deploy undoes it", language="yaml", text=text)
