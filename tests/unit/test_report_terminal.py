"""The terminal's summary: complete without colour and at 60 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tasks.reports import terminal
from tests.golden import reports
from tests.golden.reports import PLATFORM, REPORTS


def printed(renderable, width=60, **options):
    console = Console(file=io.StringIO(), width=width, **({"color_system": None} | options))
    console.print(renderable)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("name", REPORTS)
def test_every_summary_fits_its_columns_and_carries_no_control_sign(name, width):
    text = printed(terminal.render(REPORTS[name](), PLATFORM), width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert not [sign for sign in text if ord(sign) < 32 and sign != "\n"]


def test_each_outcome_is_marked_in_letters():
    lines = printed(terminal.render(reports.two_failures(), PLATFORM), 80).splitlines()
    for start in (
        "FAIL  cache does not answer",
        "?     could not tell about storage",
        "WARN  certificate",
        "ok    api",
    ):
        assert any(line.startswith(start) for line in lines)


def test_colours_are_used_where_there_are_any():
    text = printed(terminal.render(reports.all_green()), color_system="standard", force_terminal=True)
    assert "\x1b[32m" in text


def test_markup_in_a_note_is_shown_as_it_is():
    assert "[bold red]markup[/]" in printed(terminal.render(reports.hostile()), 200)


def test_three_hundred_failures_are_counted():
    assert "and 260 more problems" in printed(terminal.render(reports.overflow()))


@pytest.mark.parametrize(
    ("position", "said"),
    [(3, "FAIL  cache redis  1 failed  10 ms"), (5, "-     search opensearch  1 not checked  200 ms")],
)
def test_one_line_tells_of_a_system_that_was_just_checked(position, said):
    assert printed(terminal.system_line(reports.two_failures().systems[position])).strip() == said


def test_a_system_without_limits_has_a_line_too():
    assert "nothing to judge" in printed(terminal.system_line(reports.system("a", "b")))
