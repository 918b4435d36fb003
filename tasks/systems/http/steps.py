"""Takes steps at an HTTP service: one request."""

from __future__ import annotations

from tasks.clients.requests import ask
from tasks.core.references import Reference
from tasks.core.steps import Step, Taken
from tasks.core.system import Access
from tasks.systems.http.spec import Spec


async def take(spec: Spec, step: Step, canary: str, access: Access) -> Taken:
    """Make a request, such as `POST /content/legal-export`; the places in the answer count that hold the canary.

    Raises:
        WatchkeeperError: The service gives no answer, or one that is no success.
    """
    headers = {
        name: access.resolver.resolve(value) if isinstance(value, Reference) else value
        for name, value in spec.headers.items()
    }
    return await ask(step, spec.url, headers, canary, spec.timeout.total_seconds(), access)
