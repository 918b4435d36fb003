"""Takes steps at a Prometheus: one query."""

from __future__ import annotations

import asyncio

from tasks.clients.http import session
from tasks.clients.prometheus import Api
from tasks.core.steps import Step, Taken
from tasks.core.system import Access
from tasks.systems.prometheus.probe import subject_of
from tasks.systems.prometheus.spec import Spec


async def take(spec: Spec, step: Step, canary: str, access: Access) -> Taken:  # noqa: ARG001 - the same for every kind
    """Ask the query that is the call; each series is a row with `name` and `value`.

    Raises:
        WatchkeeperError: As the server says.
    """
    end = asyncio.get_running_loop().time() + spec.timeout.total_seconds()
    headers = {"Authorization": f"Bearer {access.resolver.resolve(spec.token)}"} if spec.token else {}
    address = access.resolver.resolve(step.address or spec.url)
    async with session(address, ca_bundle=access.ca_bundle, headers=headers) as client:
        answered = await Api(client, end).query(step.call, access.now())
    rows = [{"name": subject_of(labels), "value": value} for labels, value in answered.values.items()]
    return Taken(len(rows), tuple(rows))
