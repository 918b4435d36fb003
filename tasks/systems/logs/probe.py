"""Counts patterns in logs. Needs to read the files; or `get` on `pods/log` and `list` on `pods`; or GET at the engine.

Reading is bounded in bytes, lines and time, and every note says what was left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from zoneinfo import ZoneInfo

from tasks.clients.threads import in_thread
from tasks.core.errors import ConfigError, Unreachable
from tasks.core.results import Gap, Outcome, Reading
from tasks.core.system import Access
from tasks.systems.logs.containers import read_compose, read_pods
from tasks.systems.logs.counting import Count, look_at
from tasks.systems.logs.files import Window, read_files
from tasks.systems.logs.sources import Haul, Taken
from tasks.systems.logs.spec import CATALOG, Spec

_MARGIN = 0.6  # of the system's time: what was read must still be counted


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield how often each pattern matched within the time looked back, and how much was read for it."""
    haul, now = await haul_of(spec, access), access.now()
    counts = {name: Count(name, pattern) for name, pattern in spec.patterns.items()}
    for taken in haul.taken:
        await in_thread(_count, taken, counts)
    read = sum(len(taken.text) for taken in haul.taken)
    yield CATALOG.read("bytes_read", read, at=now, note=haul.remark)
    for gap in haul.gaps:
        yield gap
    for name, count in counts.items():
        if haul.taken:
            for measurement in count.measurements(spec.since, now, haul.remark):
                yield measurement
        else:
            yield Gap(outcome=Outcome.ERRORED, name="matches", subject=name, reason="nothing could be read")


def _count(taken: Taken, counts: dict[str, Count]) -> None:
    look_at(taken.lines(), counts.values())


async def haul_of(spec: Spec, access: Access) -> Haul:
    """Read all the logs of a spec, within its bounds.

    Raises:
        Unreachable: What has them gives no answer.
        WatchkeeperError: They cannot be read at all.
    """
    if spec.inside is None:
        now = access.now()
        window = Window(now - spec.since, now, ZoneInfo(spec.timezone))
        return await in_thread(read_files, Path(access.resolver.resolve(spec.folder)), spec.files, window)
    through = (access.systems or {}).get(spec.inside)
    if through is None:
        raise ConfigError(f"the platform has no system {spec.inside}")
    read = read_compose if through.kind == "compose" else read_pods
    try:
        return await read(spec, through, access, spec.timeout.total_seconds() * _MARGIN)
    except Unreachable as error:
        raise Unreachable(f"{spec.inside}, which has them, gives no answer: {error.message}") from error
