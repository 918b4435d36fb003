"""Measures a machine: this one by its own kernel, others by what node-exporter and DCGM told a Prometheus.

Here it needs no more than an ordinary user has, and `nvidia-smi` where there are graphics processors; elsewhere the
right to read `/api/v1/query` of the Prometheus.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.systems.host import elsewhere, here
from tasks.systems.host.spec import Spec


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield what the machine does now. Source: the kernel through psutil, or node-exporter's metrics."""
    readings = here.readings(spec, access) if spec.through is None else elsewhere.readings(spec, access)
    async for reading in readings:
        yield reading
