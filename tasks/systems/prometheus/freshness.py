"""How old what the server knows is: a Prometheus that scrapes nothing any more still answers every query."""

from __future__ import annotations

from datetime import datetime

from tasks.clients.prometheus import Api
from tasks.core.errors import WatchkeeperError
from tasks.core.results import Gap, Outcome, Reading
from tasks.systems.prometheus.spec import CATALOG, Spec


async def read_freshness(api: Api, spec: Spec, at: datetime) -> Reading:
    """Measure the age of the newest sample of the series that is always scraped."""
    newest = f"max(timestamp({spec.heartbeat}))"
    try:
        for promql in (newest, f"max(max_over_time(timestamp({spec.heartbeat})[1d:5m]))"):
            for stamp in (await api.query(promql, at)).values.values():
                return CATALOG.read("newest_sample", max(at.timestamp() - stamp, 0.0), at=at)
    except WatchkeeperError as error:
        return Gap.of(error, "newest_sample")
    return Gap(
        outcome=Outcome.ERRORED,
        name="newest_sample",
        reason=f"there was no sample of {spec.heartbeat} within a day",
        hint="See that this server still scrapes; `heartbeat` in the spec names a series that is always there.",
    )
