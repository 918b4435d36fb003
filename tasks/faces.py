"""What each kind of result looks like wherever it is published: one page, one artifact, one message."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol, Self

from tasks.clients.report_store import Publishable
from tasks.core.digest import Digest
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, Verdict
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.reports import (
    bulletin_html,
    bulletin_markdown,
    bulletin_slack,
    bulletin_words,
    digest_html,
    digest_markdown,
    digest_slack,
    digest_words,
    html,
    markdown,
    slack,
    wording,
)
from tasks.reports.bulletin import Bulletin
from tasks.reports.slack import SlackMessage


class File(NamedTuple):
    """A file that goes with a message."""

    name: str
    title: str
    data: bytes


class Told(Publishable, Protocol):
    """What is kept, and when it was made."""

    @property
    def finished(self) -> datetime:
        """When it was made."""
        ...


class Ran(Protocol):
    """Whose result it is, and with what it was made."""

    @property
    def platform(self) -> PlatformSpec:
        """The spec, or what could be saved of a broken one."""
        ...

    @property
    def access(self) -> Access:
        """Resolves references; knows the secrets that must not show; tells the time."""
        ...

    @property
    def settings(self) -> Settings:
        """Where things are kept."""
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
    def files(self) -> tuple[File, ...]:
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
    def files(self) -> tuple[File, ...]:
        """Return the chart."""
        return (File("overview.png", self.title, self._chart),) if self._chart else ()

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
    files: tuple[File, ...] = ()

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


class OfBulletin:
    """The faces of whatever says what it has to say in a bulletin: a backup, a drill, a checklist.

    Args:
        kept: The result itself, as it is stored and read back.
        bulletin: What it says.
        tables: CSV by the name of its file, kept beside it and sent along.
    """

    rows_are = "lines"

    def __init__(self, kept: Told, bulletin: Bulletin, tables: Mapping[str, str] | None = None) -> None:
        self._kept, self.bulletin, self.tables = kept, bulletin, dict(tables or {})

    @property
    def kept(self) -> Told:
        """The result itself."""
        return self._kept

    @property
    def verdict(self) -> Verdict:
        """The result's verdict."""
        return self.bulletin.verdict

    @property
    def title(self) -> str:
        """Say what it is and its verdict in a line."""
        return bulletin_words.verdict_line(self.bulletin)

    @property
    def headline(self) -> str:
        """Say its sentence, or the worst thing, too."""
        return bulletin_words.headline(self.bulletin)

    @property
    def files(self) -> tuple[File, ...]:
        """Return its charts and its tables."""
        charts = tuple(File(picture.name, picture.title, picture.light) for picture in self.bulletin.pictures)
        return charts + tuple(File(name, name, text.encode()) for name, text in self.tables.items())

    def page(self) -> str:
        """Return the HTML page."""
        return bulletin_html.render(self.bulletin)

    def markdown(self) -> str:
        """Return the markdown artifact."""
        return bulletin_markdown.render(self.bulletin)

    def rows(self) -> list[dict[str, str]]:
        """Return a row for each line."""
        return bulletin_markdown.table(self.bulletin)

    def summary(self) -> SlackMessage:
        """Return the message for the channel."""
        return bulletin_slack.summary(self.bulletin)

    def details(self) -> list[SlackMessage]:
        """Return the messages for its thread."""
        return bulletin_slack.details(self.bulletin)
