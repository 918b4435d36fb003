"""Takes steps at a Prometheus: one query."""

from __future__ import annotations

from tasks.core.steps import Step, Taken
from tasks.core.system import Access
from tasks.systems.prometheus.connection import connected
from tasks.systems.prometheus.probe import subject_of
from tasks.systems.prometheus.spec import Spec


async def take(spec: Spec, step: Step, canary: str, access: Access) -> Taken:  # noqa: ARG001 - the same for every kind
    """Ask the query that is the call; each series is a row with `name` and `value`.

    Raises:
        WatchkeeperError: As the server says.
    """
    async with connected(spec, access, spec.timeout.total_seconds(), address=step.address) as api:
        answered = await api.query(step.call, access.now())
    rows = [{"name": subject_of(labels), "value": value} for labels, value in answered.values.items()]
    return Taken(len(rows), tuple(rows))
