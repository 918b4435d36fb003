"""Requests and limits of a workload that no autoscaler scales by CPU."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import yaml

from tasks.core.advice.amounts import cpu_text, memory_text
from tasks.core.advice.facts import Container, Usage, Workload
from tasks.core.advice.model import Advice, Change, Fine, Judged, Patch, Replayed, Saving, Unjudged, When
from tasks.core.advice.needs import RULES, Need, Rules, clean, needs_of, step_of
from tasks.core.units import format_bytes, format_duration

_RECENT = timedelta(days=7)
_A_LITTLE = 600.0
"""Seconds in the whole history that are none."""
_LEAK_SOON, _LEAK_TOLD = 14.0, 365.0
_HELD_BACK = 0.01
"""The share of the time that counts as throttled."""


@dataclass(frozen=True)
class Sizes:
    """What a container is to be given."""

    cpu_request: float
    cpu_limit: float | None
    memory_request: float
    memory_limit: float | None


def advise(
    key: str,
    workload: Workload,
    usage: Usage,
    now: datetime,
    *,
    memory_target: float | None = None,
    rules: Rules = RULES,
) -> Judged:
    """Say what a workload should ask for and may use.

    Args:
        key: `cluster/deployment/api`.
        workload: As it is set today.
        usage: What its pods used.
        now: The time.
        memory_target: The share of its memory request that an autoscaler aims at, if one does.
        rules: By what measure.
    """
    needs = needs_of(workload, usage, now, memory_target=memory_target, rules=rules)
    if isinstance(needs, str):
        return Unjudged(key=key, kind="requests", reason=needs)
    sizes = {one.container.name: sized(one, rules) for one in needs}
    changes = tuple(changed(workload.running, sizes))
    growing = [one for one in needs if one.growth]
    if not changes and not growing:
        return Fine(key=key, kind="requests")
    return Advice(
        key=key,
        kind="requests",
        when=when_of(needs, sizes, usage, now),
        do=do(changes, growing),
        why=_why(needs, sizes, usage),
        changes=changes,
        evidence=tuple(evidence(needs, usage)),
        replay=tuple(replay(needs, sizes, usage)),
        saving=saving(workload, sizes, workload.replicas),
        risk="; ".join((*leak_words(growing), risk(needs, sizes))),
        unknown=tuple(unknown(needs)),
        patches=(patch(workload, sizes),) if changes else (),
    )


def sized(need: Need, rules: Rules = RULES, *, cpu: float | None = None) -> Sizes:
    """Decide what a container is given; what is near enough to its need stays as it is.

    A limit of memory is raised and never lowered: it reserves nothing, and what is rare may not be in the history. A
    limit of CPU goes where it held the container back, or would.

    Args:
        need: What it needs.
        rules: By what measure.
        cpu: The request that an autoscaler asks for instead.
    """
    now = need.container
    cpu_request = cpu if cpu is not None else _near(now.cpu_request, need.cpu, rules)
    memory_request = _near(now.memory_request, need.memory, rules)
    limit = now.cpu_limit
    binds = limit is not None and (limit < cpu_request or _is_held_back(need))
    enough = now.memory_limit is not None and now.memory_limit >= need.memory * (1 - rules.short)
    memory_limit = max(now.memory_limit or 0.0, memory_request, 0.0 if enough else need.memory)
    return Sizes(cpu_request, None if binds else limit, memory_request, memory_limit)


def _near(today: float | None, need: float, rules: Rules) -> float:
    """Return what is set today where it is near enough to the need, else the need."""
    return today if today is not None and need * (1 - rules.short) <= today <= need * rules.slack else need


def _is_held_back(need: Need) -> bool:
    return bool(need.throttled and need.throttled > _A_LITTLE)


def changed(containers: Sequence[Container], sizes: Mapping[str, Sizes]) -> Iterator[Change]:
    """Yield each value that becomes another."""
    for one in containers:
        size = sizes[one.name]
        rows = (
            ("CPU request", one.cpu_request, size.cpu_request, cpu_text),
            ("CPU limit", one.cpu_limit, size.cpu_limit, cpu_text),
            ("memory request", one.memory_request, size.memory_request, memory_text),
            ("memory limit", one.memory_limit, size.memory_limit, memory_text),
        )
        for what, before, after, text in rows:
            if text(before) != text(after):
                yield Change(what=f"{one.name}: {what}", before=text(before), after=text(after))


def when_of(needs: Sequence[Need], sizes: Mapping[str, Sizes], usage: Usage, now: datetime) -> When:
    """Say how soon: at once after memory ran out, this month where too little is asked for."""
    if any(kill.at > now - _RECENT for one in needs for kill in one.kills if _raises_memory(one, sizes)):
        return When.NOW
    if any(_left(one) < _LEAK_SOON for one in needs):
        return When.NOW
    seconds = _looked(usage)
    if any((one.throttled or 0.0) > _HELD_BACK * seconds for one in needs):
        return When.MONTH
    lacking = any(one.growth for one in needs) or any(
        (one.container.cpu_request or 0.0) < sizes[one.container.name].cpu_request
        or (one.container.memory_request or 0.0) < sizes[one.container.name].memory_request
        for one in needs
    )
    return When.MONTH if lacking else When.LATER


def _left(need: Need) -> float:
    """Return the days until what leaks is killed at its limit of today; infinite where nothing leaks or limits it."""
    limit = need.container.memory_limit
    return (limit - need.peak) / need.growth if need.growth and limit is not None else float("inf")


def _raises_memory(need: Need, sizes: Mapping[str, Sizes]) -> bool:
    return (sizes[need.container.name].memory_limit or 0.0) > (need.container.memory_limit or 0.0)


def _looked(usage: Usage) -> float:
    """Return the seconds of history."""
    spans = [clean(frame["busiest"]).index for frame in usage.containers.values() if "busiest" in frame]
    return max(((index[-1] - index[0]).total_seconds() for index in spans if len(index)), default=0.0)


def do(changes: Sequence[Change], growing: Sequence[Need]) -> str:
    """Say what to do: what changes, after what leaks."""
    told = ", ".join(_told_once(changes))
    if not growing:
        return told
    leak = f"find what {growing[0].container.name} leaks"
    return f"{leak}; until then {told}" if told else leak


def _told_once(changes: Sequence[Change]) -> Iterator[str]:
    """Yield each change; of several containers each is named with its first one, a single one is not."""
    split = [one.what.rpartition(": ") for one in changes]
    several, before = len({container for container, _, _ in split if container}) > 1, ""
    for one, (container, _, what) in zip(changes, split, strict=True):
        named = f"{container}: {what}" if several and container and container != before else what
        before = container
        yield f"{named} {one.before} → {one.after}"


def _why(needs: Sequence[Need], sizes: Mapping[str, Sizes], usage: Usage) -> str:
    """Return the reason that weighs most."""
    return next(_reasons(needs, sizes, usage))


def _reasons(needs: Sequence[Need], sizes: Mapping[str, Sizes], usage: Usage) -> Iterator[str]:
    killed = [one for one in needs if one.kills and _raises_memory(one, sizes)]
    if killed:
        worst = max(killed, key=lambda one: len(one.kills))
        had = max((kill.limit or 0.0 for kill in worst.kills), default=0.0)
        times = f"{len(worst.kills)} time" + "s" * (len(worst.kills) > 1)
        yield f"{worst.container.name} ran out of memory {times}" + (f" with {memory_text(had)}" if had else "")
    yield from leaking(needs)
    held = max(needs, key=lambda one: one.throttled or 0.0)
    if _is_held_back(held):
        share = (held.throttled or 0.0) / max(_looked(usage), 1.0)
        yield f"{held.container.name} is held back {share:.1%} of the time by its CPU limit"
    bare = [one.container.name for one in needs if one.container.memory_request is None]
    if bare:
        yield f"{', '.join(bare)} asks for no memory: it is the first to be evicted, and the scheduler is blind"
    short = [one for one in needs if one.container.memory_request and one.container.memory_request < one.memory]
    if short:
        one, asked = short[0], memory_text(short[0].container.memory_request)
        yield f"{one.container.name} peaks at {format_bytes(one.peak)} and asks for {asked}"
    slow = [one for one in needs if (one.container.cpu_request or 0.0) < one.cpu]
    if slow:
        one = slow[0]
        yield f"{one.container.name} uses {cpu_text(one.usual)} and asks for {cpu_text(one.container.cpu_request)}"
    one = max(needs, key=lambda need: (need.container.cpu_request or 0.0) - need.cpu)
    yield f"{one.container.name} asks for {cpu_text(one.container.cpu_request)} and uses {cpu_text(one.usual)}"


def evidence(needs: Sequence[Need], usage: Usage) -> Iterator[str]:
    """Yield the numbers on which it rests."""
    days = format_duration(_looked(usage))
    for one in needs:
        name, peak = one.container.name, format_bytes(one.peak)
        yield f"{name}: busiest pod below {cpu_text(one.usual)} cores in 95% of {days}, fullest pod {peak}"
        if one.kills:
            yield f"{name}: memory ran out, last {one.kills[-1].at:%Y-%m-%d %H:%M} UTC"
    if usage.source:
        yield f"source: {usage.source}"


def replay(needs: Sequence[Need], sizes: Mapping[str, Sizes], usage: Usage) -> Iterator[Replayed]:
    """Yield what would have been with the new values."""
    for one in needs:
        name, size = one.container.name, sizes[one.container.name]
        frame = usage.containers[name]
        if one.throttled:
            after = one.throttled if size.cpu_limit is not None else 0.0
            yield Replayed(what=f"{name}: minutes held back", before=_minutes(one.throttled), after=_minutes(after))
        cpu = clean(frame["busiest"])
        step = step_of(cpu)
        over = [
            _minutes(float((cpu > request).sum()) * step)
            for request in (one.container.cpu_request or 0.0, size.cpu_request)
        ]
        yield Replayed(what=f"{name}: minutes above the CPU request", before=over[0], after=over[1])
        if one.kills:
            beyond = sum((kill.limit or 0.0) >= (size.memory_limit or 0.0) for kill in one.kills)
            note = "use is cut off where memory ran out: that the new limit is enough is likely, not certain"
            yield Replayed(what=f"{name}: kills for memory", before=len(one.kills), after=beyond, note=note)
        caused = one.peak > (size.memory_limit or float("inf"))
        yield Replayed(what=f"{name}: kills caused by the new limit", before=0, after=float(caused))


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 1)


def saving(workload: Workload, sizes: Mapping[str, Sizes], pods: float) -> Saving:
    """Return what so many pods reserve less."""
    given = [
        Container(one.name, sizes[one.name].cpu_request, None, sizes[one.name].memory_request)
        if one.name in sizes
        else one
        for one in workload.containers
    ]
    then = Workload(workload.kind, workload.name, workload.namespace, workload.replicas, None, tuple(given))
    return Saving(
        cores=round(pods * (workload.reserved("cpu") - then.reserved("cpu")), 4),
        memory=pods * (workload.reserved("memory") - then.reserved("memory")),
    )


def risk(needs: Sequence[Need], sizes: Mapping[str, Sizes]) -> str:
    """Say what may go wrong."""
    parts = ["its pods are replaced one after the other"]
    if any((one.container.cpu_request or 0.0) > sizes[one.container.name].cpu_request for one in needs):
        parts.append("a burst above the request has only what the node has to spare")
    was = [one.container for one in needs]
    if all(c.cpu_request and c.cpu_request == c.cpu_limit and c.memory_request == c.memory_limit for c in was):
        parts.append("it is Guaranteed now and becomes Burstable")
    return "; ".join(parts)


def unknown(needs: Sequence[Need]) -> Iterator[str]:
    """Yield what could not be told."""
    for one in needs:
        if any(kill.limit is None for kill in one.kills):
            yield f"what {one.container.name} was allowed when its memory ran out"


def leaking(needs: Sequence[Need]) -> Iterator[str]:
    """Say of the container that leaks and is full first by how much it grows, and when it is at its limit."""
    first = min(needs, key=lambda one: (not one.growth, _left(one)))
    if first.growth:
        grows = f"{first.container.name} grows by {format_bytes(first.growth)} a day and gives nothing back"
        yield grows + (f": at its limit in {max(left, 0):.0f} days" if (left := _left(first)) < _LEAK_TOLD else "")


def leak_words(growing: Sequence[Need]) -> Iterator[str]:
    """Say of each container that leaks when its new memory is used up."""
    for one in growing:
        days = max(one.memory - one.peak, 0.0) / one.growth
        yield (
            f"{one.container.name} grows by {format_bytes(one.growth)} a day and gives nothing back: any limit only "
            f"postpones the end, this one by {days:.0f} days; find the leak"
        )


def patch(workload: Workload, sizes: Mapping[str, Sizes]) -> Patch:
    """Return the strategic merge patch that gives a workload its new sizes; null removes a limit."""
    lists: dict[str, list[Any]] = {"initContainers": [], "containers": []}
    for one in workload.running:
        size = sizes[one.name]
        limits: dict[str, str | None] = {"memory": memory_text(size.memory_limit)}
        if one.cpu_limit is not None:
            limits["cpu"] = None if size.cpu_limit is None else cpu_text(size.cpu_limit)
        requests = {"cpu": cpu_text(size.cpu_request), "memory": memory_text(size.memory_request)}
        item = {"name": one.name, "resources": {"requests": requests, "limits": limits}}
        lists["initContainers" if one.sidecar else "containers"].append(item)
    body = {"spec": {"template": {"spec": {name: items for name, items in lists.items() if items}}}}
    return kubectl_patch(workload.kind.lower(), workload.name, workload.namespace, body)


def kubectl_patch(resource: str, name: str, namespace: str, body: Any, how: str = "strategic") -> Patch:
    """Return a patch as a YAML file with the command that applies it."""
    file = f"{name}-{resource.partition('.')[0]}.yaml"
    return Patch(
        title=f"{resource} {name}",
        language="yaml",
        text=yaml.safe_dump(json.loads(json.dumps(body)), sort_keys=False),
        command=f"kubectl -n {namespace} patch {resource} {name} --type {how} --patch-file {file}",
        file=file,
    )
