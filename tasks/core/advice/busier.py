"""The facts as they would be with more traffic."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from tasks.core.advice.bundle import Facts, Namespace
from tasks.core.advice.facts import Usage
from tasks.core.advice.read_replicas import Replicas


def busier(facts: Facts, factor: float) -> Facts:
    """Return the facts as they would be with so much more traffic: load is multiplied, and so is growth.

    Memory of pods and of caches stays as it was: what it has to do with traffic, nobody measured.
    """

    def grown(series: pd.Series[float] | None) -> pd.Series[float] | None:
        return None if series is None or not len(series) else series.iloc[-1] + (series - series.iloc[-1]) * factor

    return replace(
        facts,
        services={key: replace(one, usage=_used_more(one.usage, factor)) for key, one in facts.services.items()},
        namespaces={name: _busier(one, factor) for name, one in facts.namespaces.items()},
        databases={
            name: replace(
                one,
                server=replace(one.server, connections=one.server.connections * factor),
                replicas=None if one.replicas is None else _read_more(one.replicas, factor),
            )
            for name, one in facts.databases.items()
        },
        buckets={name: replace(one, used=grown(one.used)) for name, one in facts.buckets.items()},
    )


def _read_more(replicas: Replicas, factor: float) -> Replicas:
    used, busy = (None if one is None else one * factor for one in (replicas.connections, replicas.processor))
    return replace(replicas, connections=used, processor=busy)


def _used_more(usage: Usage, factor: float) -> Usage:
    frames = {}
    for name, frame in usage.containers.items():
        columns = [column for column in ("cpu", "busiest") if column in frame]
        frames[name] = frame.assign(**{column: frame[column] * factor for column in columns})
    seen = None if usage.seen is None else usage.seen * factor
    wanted = {metric: one * factor for metric, one in usage.wanted.items()}
    return replace(usage, containers=frames, seen=seen, wanted=wanted)


def _busier(namespace: Namespace, factor: float) -> Namespace:
    return replace(
        namespace,
        usage={subject: _used_more(one, factor) for subject, one in namespace.usage.items()},
        queues={
            name: replace(one, length=None if one.length is None else one.length * factor)
            for name, one in namespace.queues.items()
        },
        volumes={
            name: one.iloc[-1] + (one - one.iloc[-1]) * factor for name, one in namespace.volumes.items() if len(one)
        },
    )
