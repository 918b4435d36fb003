"""Takes steps at an OpenSearch: one request. Its user needs what the request needs."""

from __future__ import annotations

from tasks.clients.requests import ask
from tasks.core.steps import Step, Taken
from tasks.core.system import Access
from tasks.systems.opensearch.probe import credentials
from tasks.systems.opensearch.spec import Spec


async def take(spec: Spec, step: Step, canary: str, access: Access) -> Taken:
    """Make a request, such as `POST /users/_search`; the places in the answer count that hold the canary.

    Raises:
        WatchkeeperError: As the server says; an index that is not there is no proof of absence.
    """
    return await ask(step, spec.url, credentials(spec, access), canary, spec.timeout.total_seconds(), access)
