"""What a report and a digest look like wherever they are published: one page, one artifact, one message."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, Self

from tasks.clients.report_store import Publishable
from tasks.core.digest import Digest
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, Verdict
from tasks.reports import (
    digest_html,
    digest_markdown,
    digest_slack,
    digest_words,
    html,
    markdown,
    slack,
    wording,
)
from tasks.reports.slack import SlackMessage


class Told(Publishable, Protocol):
    """What is kept, and when it was made."""

    @property
    def finished(self) -> datetime:
        """When it was made."""
        ...


class Faces(Protocol):
    """Everything that publishing needs to know."""

    rows_are: str
    """What a row of the table artifact is: a part of its key."""

    @property
    def kept(self) -> Told:
        """What goes into the store."""
        ...

    @property
    def verdict(self) -> Verdict:
        """What the run's state follows."""
        ...

    @property
    def title(self) -> str:
        """Say platform and verdict in a line."""
        ...

    @property
    def headline(self) -> str:
        """Say the worst thing too."""
        ...

    @property
    def files(self) -> tuple[bytes, ...]:
        """Return the pictures for the message's thread."""
        ...

    def page(self) -> str:
        """Return the HTML page."""
        ...

    def markdown(self) -> str:
        """Return the markdown artifact."""
        ...

    def rows(self) -> list[dict[str, str]]:
        """Return the table artifact."""
        ...

    def summary(self) -> SlackMessage:
        """Return the message for the channel."""
        ...

    def details(self) -> list[SlackMessage]:
        """Return the messages for its thread."""
        ...


class OfReport:
    """The faces of a health check's report, with its chart once that is drawn."""

    rows_are = "findings"

    def __init__(self, report: Report, platform: PlatformSpec, chart: bytes | None = None) -> None:
        self.report, self._platform, self._chart = report, platform, chart

    def with_chart(self, chart: bytes) -> Self:
        """Return the same with a chart."""
        return type(self)(self.report, self._platform, chart)

    @property
    def kept(self) -> Report:
        """The report itself."""
        return self.report

    @property
    def verdict(self) -> Verdict:
        """The report's verdict."""
        return self.report.verdict

    @property
    def title(self) -> str:
        """Say platform and verdict in a line."""
        return wording.verdict_line(self.report)

    @property
    def headline(self) -> str:
        """Say the worst thing too."""
        return wording.headline(self.report, self._platform)

    @property
    def files(self) -> tuple[bytes, ...]:
        """Return the chart."""
        return (self._chart,) if self._chart else ()

    def page(self) -> str:
        """Return the HTML page."""
        return html.render(self.report, self._platform)

    def markdown(self) -> str:
        """Return the markdown artifact."""
        return markdown.render(self.report, self._platform, chart=self._chart)

    def rows(self) -> list[dict[str, str]]:
        """Return a row for each finding."""
        return markdown.table(self.report, self._platform)

    def summary(self) -> SlackMessage:
        """Return the message for the channel."""
        return slack.summary(self.report, self._platform)

    def details(self) -> list[SlackMessage]:
        """Return the messages for its thread."""
        return slack.details(self.report, self._platform)


class OfDigest:
    """The faces of an evening's digest."""

    rows_are = "problems"
    files: tuple[bytes, ...] = ()

    def __init__(self, digest: Digest, platform: PlatformSpec) -> None:
        self.digest, self._platform = digest, platform

    @property
    def kept(self) -> Digest:
        """The digest itself."""
        return self.digest

    @property
    def verdict(self) -> Verdict:
        """The digest's verdict."""
        return self.digest.verdict

    @property
    def title(self) -> str:
        """Say platform and verdict in a line."""
        return digest_words.verdict_line(self.digest)

    @property
    def headline(self) -> str:
        """Say the worst thing too."""
        return digest_words.headline(self.digest, self._platform)

    def page(self) -> str:
        """Return the HTML page."""
        return digest_html.render(self.digest, self._platform)

    def markdown(self) -> str:
        """Return the markdown artifact."""
        return digest_markdown.render(self.digest, self._platform)

    def rows(self) -> list[dict[str, str]]:
        """Return a row for each problem of the day."""
        return digest_markdown.table(self.digest, self._platform)

    def summary(self) -> SlackMessage:
        """Return the message for the channel."""
        return digest_slack.summary(self.digest, self._platform)

    def details(self) -> list[SlackMessage]:
        """Return the messages for its thread."""
        return digest_slack.details(self.digest, self._platform)
