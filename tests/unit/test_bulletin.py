"""Each face of a bulletin against tests/golden, within Slack's limits, and harmless whatever its texts are."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from deployments.lab.slack.limits import check_blocks
from tasks.core.results import Outcome
from tasks.reports import bulletin_html, bulletin_markdown, bulletin_slack, bulletin_terminal, bulletin_words, slack
from tasks.reports.bulletin import Bulletin, Part, Picture
from tests.golden.bulletins import BULLETINS
from tests.unit.test_digest_golden import TABLE, body, same
from tests.unit.test_report_html import ALLOWED_TAGS, Page

GOLDEN = Path(__file__).parents[1] / "golden" / "bulletin"


def slack_text(bulletin: Bulletin) -> str:
    messages = [bulletin_slack.summary(bulletin), *bulletin_slack.details(bulletin)]
    return json.dumps([message.model_dump() for message in messages], indent=1, ensure_ascii=False) + "\n"


def terminal_text(bulletin: Bulletin) -> str:
    console = Console(file=io.StringIO(), width=72, color_system=None)
    console.print(bulletin_terminal.render(bulletin))
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def markdown_text(bulletin: Bulletin) -> str:
    rows = "\n".join(json.dumps(row, ensure_ascii=False) for row in bulletin_markdown.table(bulletin))
    return f"{bulletin_markdown.render(bulletin)}\n<!-- table\n{rows}\n-->\n"


RENDERERS = {
    "slack.json": slack_text,
    "txt": terminal_text,
    "md": markdown_text,
    "html": lambda bulletin: body(bulletin_html.render(bulletin)),
}


@pytest.mark.parametrize("suffix", RENDERERS)
@pytest.mark.parametrize("name", ["well", "bad"])
def test_a_bulletin_reads_as_its_golden_file(name, suffix, request):
    same(GOLDEN / f"{name}.{suffix}", RENDERERS[suffix](BULLETINS[name]()), request)


@pytest.mark.parametrize("name", BULLETINS)
def test_a_bulletin_keeps_to_slacks_limits(name):
    bulletin = BULLETINS[name]()
    for message in [bulletin_slack.summary(bulletin), *bulletin_slack.details(bulletin)]:
        assert message.text
        assert check_blocks(message.blocks) == []
        assert 0 < len(message.blocks) <= slack.MOST_BLOCKS
        assert slack.size(message.blocks) <= slack.MOST_CHARACTERS


@pytest.mark.parametrize("name", BULLETINS)
def test_a_bulletins_page_is_well_formed_and_needs_no_script_and_no_network(name):
    page = Page(bulletin_html.render(BULLETINS[name]()))
    assert page.open == []
    assert set(page.tags) <= ALLOWED_TAGS | TABLE
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name in ("src", "style")]


def test_a_hostile_text_is_shown_and_does_nothing():
    bulletin = BULLETINS["hostile"]()
    faces = [make(bulletin) for make in RENDERERS.values()]
    assert "<script>alert(1)</script>" in "".join(Page(bulletin_html.render(bulletin)).text)
    assert not [face for face in faces if "\u202e" in face or "\x1b" in face or "javascript:" in face]
    assert "<!channel>" not in faces[0]


def test_problems_come_worst_first_and_what_does_not_fit_is_counted():
    bad, many = BULLETINS["bad"](), BULLETINS["hostile"]()
    assert [line.outcome for line in bad.problems] == [Outcome.FAILED, Outcome.ERRORED]
    assert "more problems" in json.dumps(bulletin_slack.summary(many).blocks)
    assert "and 70 more" in bulletin_markdown.render(many)
    assert "and 80 more" in terminal_text(many)


def test_what_is_not_covered_is_said_even_where_all_is_well():
    bulletin = BULLETINS["bad"]()
    well = bulletin.model_copy(update={"verdict": BULLETINS["well"]().verdict})
    assert "Not covered" in json.dumps(bulletin_slack.summary(well).blocks)


def test_a_chart_is_shown_light_and_dark_on_the_page_and_light_in_the_artifact():
    picture = Picture(name="phases.png", title="Phases", light=b"light", dark=b"dark")
    bulletin = BULLETINS["well"]().model_copy(update={"parts": (Part(title="Phases", pictures=(picture,)),)})
    page, text = bulletin_html.render(bulletin), bulletin_markdown.render(bulletin)
    assert "bGlnaHQ=" in page
    assert "ZGFyaw==" in page
    assert "](data:image/png;base64,bGlnaHQ=)" in text
    assert bulletin.pictures == (picture,)


def test_the_headline_says_the_sentence_or_the_worst_thing():
    bad = BULLETINS["bad"]()
    assert bulletin_words.headline(bad).endswith("project_payloads is empty")
    assert "rows of project_payloads (0)" in bulletin_words.headline(bad.model_copy(update={"sentence": ""}))
