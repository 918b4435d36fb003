"""A bulletin: what a backup, a drill, a checklist or a forecast has to say, in parts that every renderer knows.

Each kind of result is turned into a bulletin once; how that looks as a Prefect artifact, in Slack, as a page and on a
terminal is the same for all. Texts are plain, and each renderer escapes them. Health checks and digests, which say
more, have renderers of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import AwareDatetime, Field

from tasks.core.model import Model
from tasks.core.report import Verdict
from tasks.core.results import Outcome


class Line(Model):
    """One thing that was found."""

    text: str = Field(description="What, in a few words.")
    outcome: Outcome | None = Field(None, description="How it is; None where it only informs.")
    badge: str = Field("", description="What the outcome is called here; by its own word where this is empty.")
    facts: tuple[str, ...] = Field((), description="Numbers, limits, times: what a reader looks for first.")
    note: str = Field("", description="What a person should know besides.")
    remedy: str = Field("", description="What to do.")
    code: str = Field("", description="What to copy in order to do it: commands, a patch; of several lines.")


class Row(Model):
    """One row of a table."""

    cells: tuple[str, ...]
    outcome: Outcome | None = None
    badge: str = Field("", description="What the outcome is called here; by its own word where this is empty.")
    note: str = ""


class Table(Model):
    """A table; the first cell of a row says what it is of."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    wraps: bool = Field(default=False, description="Whether its cells hold sentences, which may break into lines.")


class Picture(Model):
    """A chart, drawn for a light page and for a dark one."""

    name: str = Field(description="Of the file, with its ending: `timeline.png`.")
    title: str = Field(description="What it shows, for those who do not see it as well.")
    light: bytes = Field(description="PNG.", repr=False)
    dark: bytes = Field(description="PNG.", repr=False)


class Part(Model):
    """One part of a bulletin, under a heading."""

    title: str
    lines: tuple[Line, ...] = ()
    table: Table | None = None
    pictures: tuple[Picture, ...] = ()
    aside: bool = Field(default=False, description="Whether it is left to the thread in Slack.")


class Bulletin(Model):
    """All that is to be said of one result."""

    name: str = Field(description="Platform and what this is: `SIGN X Studio, backup`; the lab is marked.")
    word: str = Field(description="The verdict in a few words: `all backed up`.")
    verdict: Verdict
    sentence: str = Field("", description="The result in one sentence with its numbers, for a locked phone.")
    facts: tuple[str, ...] = Field((), description="What holds for all of it: counts, when, how long.")
    warnings: tuple[str, ...] = Field((), description="What must be known of the bulletin itself: that it is late.")
    parts: tuple[Part, ...] = ()
    platform: str
    flow: str
    id: str
    environment: str = "production"
    finished: AwareDatetime
    made: str = Field("", description="When it was made and how long that took, for a person.")
    run_url: str | None = None

    @property
    def problems(self) -> tuple[Line, ...]:
        """The lines that a person should look at, worst first."""
        bad = (line for part in self.parts for line in part.lines if line.outcome and line.outcome.is_problem)
        return tuple(sorted(bad, key=lambda line: list(Outcome).index(line.outcome or Outcome.PASSED)))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All charts, in the order of the parts."""
        return tuple(picture for part in self.parts for picture in part.pictures)

    def rows(self) -> Iterator[tuple[str, Line]]:
        """Yield each line with its part's title."""
        yield from ((part.title, line) for part in self.parts for line in part.lines)
