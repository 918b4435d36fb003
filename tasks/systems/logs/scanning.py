"""Hands the lines of logs to a scan for attacks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tasks.clients.threads import in_thread
from tasks.core.errors import PermanentError
from tasks.core.logscan.scan import Scan
from tasks.core.system import Access
from tasks.systems.logs.probe import haul_of
from tasks.systems.logs.sources import Taken
from tasks.systems.logs.spec import Spec

_BACK = timedelta(days=1)


async def scan(spec: Spec, into: Scan, access: Access) -> None:
    """Scan what the logs hold of the last day.

    Raises:
        PermanentError: Nothing of them, or not all, could be read.
        WatchkeeperError: Whatever has them gives no answer.
    """
    haul = await haul_of(spec.model_copy(update={"since": max(spec.since, _BACK)}), access)
    for taken in haul.taken:
        await in_thread(into.read, taken.name, _lines(taken), access.now())
    if haul.gaps or not haul.taken:
        raise PermanentError("; ".join(gap.reason for gap in haul.gaps) or "no log could be read")


def _lines(taken: Taken) -> Iterator[bytes]:
    yield from taken.text.split(b"\n")
