"""What every kept result of a run has: whose it is, when it was made, and where the run is seen. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, Field, model_validator

from tasks.core.model import Model
from tasks.core.platform import PlatformSpec
from tasks.core.report import report_id


class RunReport(Model):
    """The head of a result; each kind of run adds what it brought home, its `flow` and its `verdict`."""

    version: int = 1
    id: str = Field(description="Unique, sorts by time: `apex-backup-20260131T020000Z-1a2b3c`.")
    platform: str
    title: str
    timezone: str = "UTC"
    environment: str = Field("production", description="`lab` where the embedded lab was meant.")
    started: AwareDatetime
    finished: AwareDatetime
    scheduled: AwareDatetime | None = Field(None, description="When it should have started, if it was scheduled.")
    run_url: str | None = Field(None, description="Where the run is seen in the Prefect UI.")

    @model_validator(mode="before")
    @classmethod
    def _derived_anew(cls, data: Any) -> Any:
        """Leave out what is derived: a kept result is judged anew when it is read."""
        derived = cls.model_computed_fields
        return {key: value for key, value in data.items() if key not in derived} if isinstance(data, dict) else data


def head(
    platform: PlatformSpec,
    flow: str,
    *,
    environment: str,
    started: datetime,
    finished: datetime,
    suffix: str,
    scheduled: datetime | None = None,
    run_url: str | None = None,
) -> dict[str, Any]:
    """Return the fields of `RunReport`.

    Args:
        platform: Whose result it is.
        flow: The flow's name.
        environment: `production` or `lab`.
        started: Aware time of the run's beginning; part of the id.
        finished: Aware time of its end.
        suffix: Tells two runs of the same second apart.
        scheduled: When the run should have begun, if it was scheduled.
        run_url: Where the run is seen in the Prefect UI.
    """
    return {
        "id": report_id(platform.platform, flow, started.astimezone(UTC), suffix),
        "platform": platform.platform,
        "title": platform.title,
        "timezone": platform.timezone,
        "environment": environment,
        "started": started,
        "finished": finished,
        "scheduled": scheduled,
        "run_url": run_url,
    }
