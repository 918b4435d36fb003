"""What every run over one platform begins with: whose it is, with what, when it began, and what is to be told of it."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from tasks.core.platform import PlatformSpec
from tasks.core.results import Outcome
from tasks.core.run_report import head
from tasks.core.settings import Settings
from tasks.core.system import Access


class Run:
    """One run over one platform.

    A plain class, so that Prefect hands it to tasks as it is and never looks inside.

    Attributes:
        platform: The spec, or what could be saved of a broken one.
        access: Resolves references; tells the time.
        settings: Where things are kept.
        started: When it began.
        suffix: Tells two runs of the same second apart; ids that end with it sort by time.
        notes: What a person should know of the run itself.
    """

    def __init__(self, platform: PlatformSpec, access: Access, settings: Settings) -> None:
        self.platform, self.access, self.settings = platform, access, settings
        self.started = access.now()
        self.suffix = f"{self.started.microsecond // 1000:03}{secrets.token_hex(3)}"
        self.notes: list[str] = []

    def trouble(self, what: str, error: Exception, outcome: Outcome) -> None:  # noqa: ARG002 - publishing calls it so
        """Remember what is to be told of Watchkeeper itself."""
        self.notes.append(self.access.resolver.scrub(f"{what.replace('_', ' ')}: {error}"))

    def head(self, flow: str, *, scheduled: datetime | None = None, run_url: str | None = None) -> dict[str, Any]:
        """Return the head of the run's result, which ends now; see `tasks.core.run_report.head`."""
        return head(
            self.platform,
            flow,
            environment=self.settings.environment,
            started=self.started,
            finished=self.access.now(),
            suffix=self.suffix,
            scheduled=scheduled,
            run_url=run_url,
        )
