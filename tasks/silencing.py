"""Silencing a problem from the Prefect UI."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks import silences
from tasks.core.errors import WatchkeeperError
from tasks.core.settings import Settings
from tasks.reports.wording import plural

Action = Literal["acknowledge", "snooze", "end"]


@task(name="keep-silence", cache_policy=NO_CACHE)
def keep_silence(platform: str, problem: str, action: Action, hours: int, by: str, why: str) -> State[Any]:
    """Acknowledge a problem, put it off, or take that back; failed, with what there is, where it names nothing."""
    settings = Settings()
    try:
        if action == "end":
            ended = silences.end(platform, problem, settings)
            return Completed(message=f"{plural(len(ended), 'silence')} of {platform} ended: {problem} is told again")
        kind: Any = {"acknowledge": "acknowledged", "snooze": "snoozed"}[action]
        given = silences.silence(
            kind, platform, problem, lasting=timedelta(hours=hours), by=by, why=why, settings=settings
        )
    except WatchkeeperError as error:
        return Failed(message=str(error))
    covered = f" ({plural(len(given.outcomes), 'problem')})" if given.outcomes else ""
    until = f"{given.until:%a %d %b %Y %H:%M} UTC"
    return Completed(message=f"{platform} {problem}{covered} is {given.text}, until {until}")
