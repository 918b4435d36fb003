"""Service levels: how fast each burns its error budget, and how much of it is left.

After "Alerting on SLOs" in Google's Site Reliability Workbook: a burn rate counts over a long window, so that a blip is
none, and over a short one too, so that what is over is over.
"""

from __future__ import annotations

import asyncio
import math
from datetime import datetime, timedelta

from tasks.clients.prometheus import Api
from tasks.core.errors import PermanentError, WatchkeeperError
from tasks.core.results import Gap, Outcome, Reading
from tasks.systems.prometheus.spec import BURNS, CATALOG, ServiceLevel, Spec, promql_duration


async def read_service_levels(api: Api, spec: Spec, at: datetime, slots: asyncio.Semaphore) -> list[Reading]:
    """Measure every service level; what goes wrong with one window concerns what is told of it alone."""

    async def ask(level: ServiceLevel, window: timedelta) -> float | Gap:
        async with slots:
            return await _bad_share(api, level, window, at)

    readings: list[Reading] = []
    for name, level in spec.service_levels.items():
        windows = sorted({level.period, *(window for burn in BURNS.values() for window in burn.windows)})
        shares = await asyncio.gather(*(ask(level, window) for window in windows))
        readings += _readings(name, level, dict(zip(windows, shares, strict=True)), at)
    return readings


async def _bad_share(api: Api, level: ServiceLevel, window: timedelta, at: datetime) -> float | Gap:
    """Ask which share was bad over a window; a gap says why that is not known."""
    try:
        values = (await api.query(level.query(window), at)).values
        if len(values) > 1:
            raise PermanentError(f"the query answers {len(values)} series", hint="aggregate with sum() or avg()")
    except WatchkeeperError as error:
        return Gap.of(error, "")
    share = next(iter(values.values()), math.nan)
    if math.isfinite(share):
        return min(max(share, 0.0), 1.0)
    if level.empty == "zero":
        return 0.0
    reason = f"nothing was counted over {promql_duration(window)}"
    hint = "See that the metric is still scraped and named so; `empty` in the spec says what no data means."
    return Gap(outcome=Outcome(level.empty), reason=reason, hint=hint)


def _readings(name: str, level: ServiceLevel, shares: dict[timedelta, float | Gap], at: datetime) -> list[Reading]:
    readings: list[Reading] = []
    budget = 1 - level.slo.number
    for measure, burn in BURNS.items():
        found = [shares[window] for window in burn.windows]
        gap = next((one for one in found if isinstance(one, Gap)), None)
        if gap is not None:
            readings.append(gap.model_copy(update={"name": measure, "subject": name}))
            continue
        rates = [share / budget for share in found if not isinstance(share, Gap)]
        over = zip(rates, burn.windows, strict=True)
        note = ", ".join(f"{rate:.1f} times over {promql_duration(window)}" for rate, window in over)
        readings.append(CATALOG.read(measure, min(rates), at=at, subject=name, note=note))
    return [*readings, *_over_the_period(name, level, shares[level.period], at)]


def _over_the_period(name: str, level: ServiceLevel, bad: float | Gap, at: datetime) -> list[Reading]:
    if isinstance(bad, Gap):
        return [bad.model_copy(update={"name": "error_budget_left", "subject": name})]
    left = 1 - bad / (1 - level.slo.number)
    note = f"{level.slo} over {promql_duration(level.period)} is the target"
    return [
        CATALOG.read("service_level", 1 - bad, at=at, subject=name, note=note),
        CATALOG.read("error_budget_left", left, at=at, subject=name, note=note),
    ]
