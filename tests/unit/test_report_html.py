"""The HTML page: self-contained, escaped, accessible."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from markupsafe import Markup

from tasks.core.results import Sample
from tasks.reports import html, svg
from tests.golden import reports
from tests.golden.reports import NOW, PLATFORM, REPORTS

VOID = {"meta", "link", "img", "br", "hr", "input", "rect", "line", "polyline"}
ALLOWED_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "article"),
    *("div", "p", "span", "strong", "b", "a", "h1", "h2", "h3", "ul", "li", "svg", "rect", "line", "polyline"),
    *("details", "summary", "pre"),
}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("name", REPORTS)
def test_every_page_is_well_formed_and_needs_no_script_and_no_network(name):
    page = Page(html.render(REPORTS[name](), PLATFORM))
    assert page.open == []
    assert set(page.tags) <= ALLOWED_TAGS
    for tag, attribute, value in page.attributes:
        assert not attribute.startswith("on")
        assert attribute not in ("src", "srcset", "style", "action")
        if attribute == "href":
            assert (tag, value.split(":")[0]) in {("a", "https"), ("a", "http")}
    style = html.render(REPORTS[name]()).split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("name", REPORTS)
def test_every_chart_says_in_words_what_it_shows(name):
    charts = re.findall(r"<svg [^>]*>", html.render(REPORTS[name](), PLATFORM))
    assert all(re.search(r'role="img" aria-label="[^"]+"', chart) for chart in charts)
    assert charts or name == "nothing-checked"


def test_headings_go_down_one_level_at_a_time():
    levels = [
        int(tag[1]) for tag in Page(html.render(reports.two_failures(), PLATFORM)).tags if tag in ("h1", "h2", "h3")
    ]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_a_hostile_text_is_shown_and_does_nothing():
    text = html.render(reports.hostile(), PLATFORM)
    page = Page(text)
    assert "<script>alert('x')</script>" in "".join(page.text)
    assert "{{ 7 * 7 }}" in "".join(page.text)
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "javascript:alert" not in [value for _, name, value in page.attributes if name == "href"]


def test_all_three_hundred_failures_are_there():
    text = html.render(reports.overflow(), PLATFORM)
    assert text.count('class="card problem failed"') == 300
    assert len(text) < 1_000_000


def test_a_page_shows_observed_limit_since_and_remedy():
    text = "".join(Page(html.render(reports.two_failures(), PLATFORM)).text)
    assert "database longest query is 44 min" in text
    assert "P1, respond within 1 h · fails above 30 min for 5 min · for 52 min, since today 08:08 CET" in text
    assert "Find it in pg_stat_activity" in text


def test_a_page_marks_the_lab_and_a_late_run():
    assert "LAB: this report is about the embedded lab" in html.render(reports.first_on_the_lab())
    assert "Ran 2 h 12 min late" in html.render(reports.late())


def test_a_remedy_that_is_an_address_is_a_link():
    page = html.render(reports.two_failures())
    assert '<a href="https://wiki.example.com/certificates#renew">' in page


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_every_colour_of_text_has_enough_contrast(scheme):
    style = html.render(reports.all_green())
    themes = dict(zip(("light", "dark", "print"), re.findall(r":root \{(.*?)\}", style, re.DOTALL), strict=True))
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", themes[scheme]))
    for name in ("ink", "quiet", "failed", "errored", "warned", "unchecked", "passed", "informs", "link"):
        for ground in ("page", "card"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    assert contrast(colours["lab"], colours["lab-back"]) >= 4.5


def contrast(first, second):
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    """Relative luminance as WCAG 2.2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(sign * 2 for sign in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def history(values):
    return [Sample(NOW + timedelta(minutes=minute), value) for minute, value in enumerate(values)]


def test_a_long_history_keeps_its_peak():
    values = [1.0] * 5_000
    values[3_333] = 9.0
    drawn = svg.sparkline(history(values), "passed", "history")
    points = re.search(r'points="([^"]+)"', drawn)[1].split()
    assert len(points) <= 250
    assert any(point.endswith(",2.0") for point in points)


def test_a_history_without_two_numbers_is_not_drawn():
    assert svg.sparkline(history([1.0, float("nan")]), "passed", "history") == Markup("")


def test_a_bound_far_away_does_not_press_the_history_flat():
    assert "bound" not in svg.sparkline(history([1.0, 2.0]), "passed", "history", bound=1e9)
    assert 'class="bound"' in svg.sparkline(history([1.0, 2.0]), "passed", "history", bound=3.0)
