"""Reaching the server that a spec names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tasks.clients.http import session
from tasks.clients.prometheus import Api
from tasks.core.references import Address
from tasks.core.system import Access
from tasks.systems.prometheus.spec import Spec


@asynccontextmanager
async def connected(
    spec: Spec, access: Access, seconds: float, *, patience: float | None = None, address: Address | None = None
) -> AsyncIterator[Api]:
    """Give the API of a server for as long as the block lasts; nothing is asked yet.

    Args:
        spec: Of the system.
        access: Resolves its references.
        seconds: How long all answers together may take.
        patience: How many seconds one of them may take; as long as there is time where None.
        address: Where it is instead of at the spec's own address.
    """
    end = asyncio.get_running_loop().time() + seconds
    headers = {"Authorization": f"Bearer {access.resolver.resolve(spec.token)}"} if spec.token else {}
    where = access.resolver.resolve(address or spec.url)
    async with session(where, ca_bundle=access.ca_bundle, headers=headers) as client:
        yield Api(client, end, patience=patience)
