"""A bulletin as an HTML page: one file, no script, nothing fetched, in the report's own dress."""

from __future__ import annotations

import base64

from tasks.core.results import Outcome
from tasks.reports import bulletin_words as words
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin
from tasks.reports.html import TONES, template


def render(bulletin: Bulletin) -> str:
    """Return the bulletin as one HTML page that needs no network and no script."""
    return template("bulletin.html.jinja").render(
        bulletin=bulletin,
        words=words,
        plain=wording.plain,
        tone=TONES[wording.WORST[bulletin.verdict]],
        tone_of=_tone,
        word_of=lambda outcome: "" if outcome is None else wording.OUTCOMES[outcome],
        base64=lambda data: base64.b64encode(data).decode(),
        url=wording.web_address(bulletin.run_url or ""),
        link_of=wording.web_address,
    )


def _tone(outcome: Outcome | None) -> str:
    return "informs" if outcome is None else TONES[outcome]
