"""The status page of a platform and the index of all: self-contained files that turn stale by the reader's own clock.

The few lines of script only compare two times; the page's policy allows this very text by its hash, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from tasks.core.freshness import EXPECTED_WITHIN
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.standing import Standing, State
from tasks.reports import status_words as words
from tasks.reports import wording
from tasks.reports.html import TONES, template

_FRESH_MS = int(EXPECTED_WITHIN.total_seconds() * 1000)
SCRIPT = f"""
(function () {{
  function look() {{
    document.querySelectorAll("[data-checked]").forEach(function (part) {{
      var age = Date.now() - Date.parse(part.dataset.checked);
      if (!(age <= {_FRESH_MS})) part.classList.add("is-stale");
    }});
  }}
  look();
  setInterval(look, 60000);
}})();
"""
_POLICY = f"'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
_NO_DATA = "unchecked"


@dataclass(frozen=True)
class Line:
    """One line of the page: a system, a day, an incident."""

    text: str
    tone: str
    word: str = ""
    more: str = ""


@dataclass(frozen=True)
class Card:
    """One platform on the index."""

    name: str
    word: str
    stale_word: str
    stale: bool
    tone: str
    checked: str
    stamp: str
    link: str
    days: list[Line]


def render(standing: Standing, *, inside: bool = False) -> str:
    """Return a platform's status page.

    Args:
        standing: How it stands.
        inside: Say what was wrong too, which may name addresses; titles alone otherwise.
    """
    return template("status.html.jinja").render(
        standing=standing,
        words=words,
        tone=_tone(words.shown(standing)),
        stamp=_stamp(standing.checked),
        systems=[_system(state, standing) for state in standing.systems],
        days=_days(standing),
        incidents=[
            Line(
                words.incident(one, inside=inside),
                "passed" if one.ended else TONES[one.finding.outcome],
                "ended" if one.ended else "now",
                words.lasted(one, standing),
            )
            for one in standing.incidents
        ],
        **_page(standing.made),
    )


def index(standings: Sequence[Standing], made: datetime) -> str:
    """Return the page that leads to all platforms' pages."""
    return template("status_index.html.jinja").render(
        cards=[
            Card(
                name=words.name_of(one),
                word=words.verdict_word(one),
                stale_word=words.stale_word(one),
                stale=one.stale,
                tone=_tone(words.shown(one)),
                checked=words.moment(one.checked, one) if one.checked else "never",
                stamp=_stamp(one.checked),
                link=f"{one.platform}.html",
                days=_days(one),
            )
            for one in standings
        ],
        words=words,
        **_page(made),
    )


def _page(made: datetime) -> dict[str, object]:
    return {"script": Markup(SCRIPT), "policy": Markup(_POLICY), "made": f"{made:%Y-%m-%d %H:%M} UTC"}  # noqa: S704 - constants of this module


def _stamp(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else ""


def _tone(verdict: Verdict | None) -> str:
    return TONES[wording.WORST[verdict]] if verdict is not None else _NO_DATA


def _system(state: State, standing: Standing) -> Line:
    known = state.outcome if not state.stale else None
    tone = TONES[known] if known is not None else TONES[Outcome.NOT_CHECKED]
    seen = f"seen {words.short(state.at, standing)}" if state.at else ""
    return Line(wording.plain(state.title, 80), tone, words.state_word(state), seen)


def _days(standing: Standing) -> list[Line]:
    return [Line(words.day_words(day), _tone(day.verdict)) for day in standing.days]
