"""When each flow of a platform is to run, as `prefect.yaml` says it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from cronsim import CronSim, CronSimError
from dateutil.rrule import rrulestr

from tasks.core.errors import ConfigError

PLAN = Path(__file__).resolve().parents[1] / "prefect.yaml"
_MOST = 2_000


def slots(platform: str, since: datetime, until: datetime, plan: Path = PLAN) -> dict[str, list[datetime]]:
    """Return when each flow of a platform was to run between two times, by its name; in UTC, in their order.

    Args:
        platform: Whose deployments: those with this parameter.
        since: Aware time.
        until: Aware time.
        plan: The file with the deployments.

    Raises:
        ConfigError: There is no such file, or a schedule in it cannot be read.
    """
    found: dict[str, set[datetime]] = {}
    for deployment in _deployments(plan):
        if deployment.get("parameters", {}).get("platform") == platform and deployment.get("schedules"):
            flow = str(deployment["entrypoint"]).rpartition(":")[2].replace("_", "-")
            for schedule in deployment["schedules"]:
                if schedule.get("active", True):
                    found.setdefault(flow, set()).update(_times(schedule, since, until, plan))
    return {flow: sorted(times) for flow, times in found.items()}


def _deployments(plan: Path) -> list[dict[str, Any]]:
    try:
        return list(yaml.safe_load(plan.read_text(encoding="utf-8"))["deployments"])
    except (OSError, yaml.YAMLError, LookupError, TypeError):
        raise ConfigError(f"{plan.name} cannot be read", hint="run from a whole checkout, which has it") from None


def _times(schedule: dict[str, Any], since: datetime, until: datetime, plan: Path) -> Iterator[datetime]:
    zone = ZoneInfo(schedule.get("timezone") or "UTC")
    begin, end = since.astimezone(zone), until.astimezone(zone)
    try:
        if "cron" in schedule:
            times: Iterator[datetime] = CronSim(str(schedule["cron"]), begin)
        else:  # Prefect reads a rule's times as those of its zone, and so does this
            rule = rrulestr(str(schedule["rrule"]))
            times = (at.replace(tzinfo=zone) for at in rule.xafter(begin.replace(tzinfo=None)))
        yield from (
            at.astimezone(UTC) for at, _ in zip(takewhile(lambda at: at < end, times), range(_MOST), strict=False)
        )
    except (CronSimError, ValueError, KeyError):
        raise ConfigError(f"{plan.name}: the schedule {schedule} cannot be read", hint="write cron or rrule") from None
