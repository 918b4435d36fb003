"""Each face of a digest, of a status page and of a badge against tests/golden; `make golden` writes them anew."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from deployments.lab.slack.limits import check_blocks
from tasks.core.digest import Digest
from tasks.reports import badge, digest_html, digest_markdown, digest_slack, digest_terminal, slack, status_page
from tests.golden.digests import DIGESTS, EVENING, PLATFORM, STANDINGS
from tests.unit.test_report_html import ALLOWED_TAGS, Page

GOLDEN = Path(__file__).parents[1] / "golden"
SHOWN = [name for name in DIGESTS if name != "storm"]
TABLE = {"table", "thead", "tbody", "tr", "th", "td"}


def slack_text(digest: Digest) -> str:
    messages = [digest_slack.summary(digest, PLATFORM), *digest_slack.details(digest, PLATFORM)]
    return json.dumps([message.model_dump() for message in messages], indent=1, ensure_ascii=False) + "\n"


def terminal_text(digest: Digest) -> str:
    console = Console(file=io.StringIO(), width=72, color_system=None)
    console.print(digest_terminal.render(digest, PLATFORM))
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def markdown_text(digest: Digest) -> str:
    rows = "\n".join(json.dumps(row, ensure_ascii=False) for row in digest_markdown.table(digest, PLATFORM))
    return f"{digest_markdown.render(digest, PLATFORM)}\n<!-- table\n{rows}\n-->\n"


def body(page: str) -> str:
    return page[page.index("<body>") :]


RENDERERS = {
    "slack.json": slack_text,
    "txt": terminal_text,
    "md": markdown_text,
    "html": lambda digest: body(digest_html.render(digest, PLATFORM)),
}


def same(path, text, request):
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "run `make golden` and read the difference"


@pytest.mark.parametrize("suffix", RENDERERS)
@pytest.mark.parametrize("name", SHOWN)
def test_a_digest_reads_as_its_golden_file(name, suffix, request):
    same(GOLDEN / "digest" / f"{name}.{suffix}", RENDERERS[suffix](DIGESTS[name]()), request)


@pytest.mark.parametrize("name", STANDINGS)
def test_a_status_page_and_its_badge_read_as_their_golden_files(name, request):
    standing = STANDINGS[name]()
    same(GOLDEN / "status" / f"{name}.html", body(status_page.render(standing)), request)
    same(GOLDEN / "status" / f"{name}.svg", badge.render(standing), request)


def test_the_index_reads_as_its_golden_file(request):
    page = status_page.index([make() for make in STANDINGS.values()], EVENING)
    same(GOLDEN / "status" / "index.html", body(page), request)


@pytest.mark.parametrize("name", DIGESTS)
def test_a_digest_keeps_to_slacks_limits(name):
    digest = DIGESTS[name]()
    for message in [digest_slack.summary(digest, PLATFORM), *digest_slack.details(digest, PLATFORM)]:
        assert message.text
        assert check_blocks(message.blocks) == []
        assert 0 < len(message.blocks) <= slack.MOST_BLOCKS
        assert slack.size(message.blocks) <= slack.MOST_CHARACTERS


def test_a_green_day_is_three_lines_and_the_business_table():
    message = digest_slack.summary(DIGESTS["green"](), PLATFORM)
    *lines, table = [
        text["text"] for block in message.blocks for text in [block.get("text"), *block.get("elements", [])] if text
    ]
    assert len("\n".join(lines).splitlines()) == 3
    assert table.startswith("```")
    assert digest_slack.details(DIGESTS["green"](), PLATFORM) == []


def test_a_storm_shows_ten_problems_and_counts_the_rest():
    digest = DIGESTS["storm"]()
    written = json.dumps(digest_slack.summary(digest, PLATFORM).blocks)
    shown = written.count("half of the requests took")
    assert 5 <= shown <= slack.MOST_PROBLEMS
    assert f"and {300 - shown} more problems" in written
    assert digest_html.render(digest, PLATFORM).count('class="card problem failed"') == 300
    assert "and 250 more" in digest_markdown.render(digest, PLATFORM)


def test_a_day_that_nobody_looked_at_says_so_first():
    digest = DIGESTS["nobody-looked"]()
    assert "no check ran" in digest_slack.summary(digest, PLATFORM).text
    assert "No health check ran since yesterday 18:00 CET" in terminal_text(digest)
    assert 'class="card unknown"' in digest_html.render(digest, PLATFORM)


@pytest.mark.parametrize("name", DIGESTS)
def test_a_digests_page_is_well_formed_and_needs_no_script_and_no_network(name):
    page = Page(digest_html.render(DIGESTS[name](), PLATFORM))
    assert page.open == []
    assert set(page.tags) <= ALLOWED_TAGS | TABLE
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name in ("src", "style")]


def test_a_hostile_text_is_shown_and_does_nothing():
    text = digest_html.render(DIGESTS["unkind"](), PLATFORM)
    assert "<script>alert('x')</script>" in "".join(Page(text).text)
    assert "\u202e" not in text
    assert "javascript:alert(1)" not in text


@pytest.mark.parametrize("name", STANDINGS)
def test_a_status_page_holds_its_one_script_and_fetches_nothing(name):
    text = status_page.render(STANDINGS[name]())
    page = Page(text)
    assert page.open == []
    assert text.count("<script") == 1
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]+'\"", text)
    assert not [value for _, attribute, value in page.attributes if attribute in ("src", "style")]


def test_a_public_page_names_systems_by_title_and_nothing_more():
    down = STANDINGS["down"]()
    public, inside = status_page.render(down), status_page.render(down, inside=True)
    assert "PostgreSQL: degraded" in public
    assert "disk used" not in public
    assert "connection refused" not in public + inside
    assert "PostgreSQL: degraded – database disk used" in inside  # noqa: RUF001 - an en dash


@pytest.mark.parametrize("name", ["stale", "never", "unreadable"])
def test_what_is_not_known_now_is_never_green(name):
    standing = STANDINGS[name]()
    page = status_page.render(standing)
    assert 'class="is-stale"' in page
    assert "all is well" not in page
    assert "#1b6e3c" not in badge.render(standing)


def test_days_without_reports_are_grey_and_say_so():
    page = status_page.render(STANDINGS["well"]())
    assert page.count('<li class="unchecked" title="') == 7
    assert "9 Oct 2026: no data" in page


def test_a_badge_escapes_its_platform_and_says_when_it_was_made():
    standing = STANDINGS["well"]().model_copy(update={"title": '<b>"x" & y'})
    text = badge.render(standing)
    assert "&lt;b&gt;&#34;x&#34; &amp; y" in text
    assert "22 Nov 09:00 CET" in text
