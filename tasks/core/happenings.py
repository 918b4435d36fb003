"""What happened on a platform, to be drawn where its measurements are: deploys, backups, windows, incidents. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Literal

from pydantic import AwareDatetime, Field

from tasks.core.model import Model
from tasks.core.results import Finding, Measurement
from tasks.core.windows import Window

REVISION = "revision"
"""The measurement that says which rollout a deployment is at."""
Kind = Literal["deploy", "incident", "maintenance", "backup", "restore", "drill"]


class Happening(Model):
    """Something that happened."""

    kind: Kind
    at: AwareDatetime = Field(description="When it began, or was first seen.")
    until: AwareDatetime | None = Field(None, description="When it ended, where it lasted and that is known.")
    text: str = Field(description="What it was: `apex-api: revision 7`.")


def deploys(measured: Mapping[str, Sequence[Measurement]]) -> Iterator[Happening]:
    """Yield each change of a deployment's revision, when it was first seen.

    Args:
        measured: What was measured over time, by system, measurement and subject.
    """
    for key, measurements in measured.items():
        if key.partition("/")[2].partition("[")[0] == REVISION:
            for before, after in pairwise(sorted(measurements, key=lambda one: one.at)):
                if before.value != after.value:
                    text = f"{after.subject or key.partition('/')[0]}: revision {after.text}"
                    yield Happening(kind="deploy", at=after.at, text=text)


def incidents(found: Iterable[tuple[datetime, Finding]]) -> Iterator[Happening]:
    """Yield the problems that were new in a report and of which people were notified.

    Args:
        found: The new problems of each report, with its time.
    """
    for at, finding in found:
        if finding.is_loud and finding.severity:
            subject = f"[{finding.subject}]" if finding.subject else ""
            text = f"{finding.severity} {finding.system}/{finding.measurement}{subject}"
            yield Happening(kind="incident", at=finding.since or at, text=text)


def maintenance(windows: Mapping[str, Window], since: datetime, until: datetime, zone: str) -> Iterator[Happening]:
    """Yield the announced windows between two times.

    Args:
        windows: By name.
        since: The first moment.
        until: The last moment.
        zone: The platform's time zone.
    """
    for name, window in windows.items():
        for start, end in window.spans(since, until, zone):
            yield Happening(kind="maintenance", at=start, until=end, text=window.title or name)
