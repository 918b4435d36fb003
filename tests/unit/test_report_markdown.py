"""The markdown artifact, its table and its key, as Prefect takes them."""

from __future__ import annotations

import re

import pytest

from tasks.reports import markdown
from tests.golden import reports
from tests.golden.reports import PLATFORM, REPORTS


@pytest.mark.parametrize("name", REPORTS)
def test_every_row_of_a_table_is_flat_text_with_the_same_columns(name):
    rows = markdown.table(REPORTS[name]())
    assert rows
    assert len({tuple(row) for row in rows}) == 1
    assert all(isinstance(value, str) for row in rows for value in row.values())


@pytest.mark.parametrize("name", REPORTS)
def test_every_table_in_the_markdown_has_as_many_cells_in_each_line(name):
    text = markdown.render(REPORTS[name](), PLATFORM)
    for block in text.split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("| "):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_a_hostile_text_makes_no_tag_no_link_and_no_heading():
    text = markdown.render(reports.hostile(), PLATFORM)
    assert "<script" not in text
    assert "<img" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    assert "\n# heading" not in text
    assert "```" not in re.sub(r"\\`", "", text)


def test_a_very_long_table_is_cut_and_says_so():
    systems = [
        reports.system("api", "http", *(reports.finding("api", "latency", subject=str(n)) for n in range(700))),
    ]
    rows = markdown.table(reports.report(*systems))
    assert len(rows) == markdown.MOST_ROWS + 1
    assert rows[-1]["what"] == "and 200 more, in the HTML report"


def test_the_markdown_of_three_hundred_failures_stays_small_and_counts_the_rest():
    text = markdown.render(reports.overflow(), PLATFORM)
    assert "and 250 more" in text
    assert len(text) < 100_000


@pytest.mark.parametrize(
    ("platform", "flow", "key"),
    [("apex", "health-check", "health-check-apex"), ("Apex_2", "Health Check!", "health-check-apex-2")],
)
def test_a_key_is_lower_case_digits_and_dashes(platform, flow, key):
    assert markdown.artifact_key(platform, flow) == key


def test_a_remedy_that_is_an_address_is_a_link():
    text = markdown.render(reports.two_failures())
    assert "[https://wiki.example.com/certificates#renew](https://wiki.example.com/certificates#renew)" in text
