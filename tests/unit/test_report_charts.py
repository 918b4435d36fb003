"""The PNG chart, and the scale that it shares with the bars of the HTML page."""

from __future__ import annotations

import io
import math
import subprocess
import sys

import pytest
from PIL import Image

from tasks.core.results import Outcome
from tasks.core.units import Unit
from tasks.reports import charts, markdown, scale
from tests.golden import reports
from tests.golden.reports import REPORTS, finding


@pytest.mark.parametrize("name", [name for name in REPORTS if name != "nothing-checked"])
def test_a_chart_is_a_png_that_a_phone_can_show(name):
    image = Image.open(io.BytesIO(charts.overview(REPORTS[name]())))
    assert image.format == "PNG"
    assert 800 <= image.width <= 1200
    assert image.height <= 4_000


def test_the_same_report_gives_the_same_bytes():
    assert charts.overview(reports.two_failures()) == charts.overview(reports.two_failures())


def test_a_chart_holds_no_time_and_no_program_of_its_own():
    assert Image.open(io.BytesIO(charts.overview(reports.all_green()))).info.keys() <= {"dpi"}


def test_nothing_to_draw_is_no_chart():
    assert charts.overview(reports.nothing_checked()) is None


def test_a_chart_of_three_hundred_failures_still_fits_the_artifact():
    chart = charts.overview(reports.overflow())
    assert chart is not None
    assert "data:image/png;base64," in markdown.render(reports.overflow(), chart=chart)
    assert "too large" in markdown.render(reports.overflow(), chart=chart * 10)


def test_matplotlib_is_not_imported_before_a_chart_is_drawn():
    code = "import sys; import tasks.reports.charts; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0  # noqa: S603 - fixed


@pytest.mark.parametrize(
    ("value", "unit", "bound", "worse", "share"),
    [
        (0.4, Unit.RATIO, 0.8, "above", 0.5),
        (2.0, Unit.SECONDS, 2.0, "above", 1.0),
        (0.999, Unit.RATIO, 0.99, "below", 0.1),
        (0.98, Unit.RATIO, 0.99, "below", 2.0),
        (1.0, Unit.RATIO, 1.0, "below", 0.0),
        (0.9, Unit.RATIO, 1.0, "below", math.inf),
        (60.0, Unit.SECONDS, 30.0, "below", 0.5),
        (0.0, Unit.SECONDS, 30.0, "below", math.inf),
        (-5.0, Unit.SECONDS, 30.0, "below", math.inf),
        (0.0, Unit.COUNT, 0.0, "above", 0.0),
        (1.0, Unit.COUNT, 0.0, "above", math.inf),
        (0.0, Unit.COUNT, 0.0, "below", 0.0),
        (3.0, Unit.COUNT, -1.0, "above", None),
        (math.nan, Unit.COUNT, 1.0, "above", None),
        (1.0, Unit.YES_NO, 0.0, "below", None),
    ],
)
def test_a_share_says_how_much_of_its_limit_a_value_uses(value, unit, bound, worse, share):
    found = scale.share(finding("a", "b", value, unit, bound=bound, worse=worse))
    assert found is None if share is None else found == pytest.approx(share)


def test_a_failure_without_a_number_presses_more_than_any_number():
    silent = finding("a", "reachable", 0.0, Unit.YES_NO, Outcome.FAILED)
    near = finding("a", "b", 0.9, Unit.RATIO, bound=0.8, worse="above")
    assert scale.pressing(silent) > scale.pressing(near) > scale.pressing(finding("a", "c")) == -1.0


def test_far_beyond_a_limit_is_said_in_words():
    assert scale.said(0.83) == "83% of its limit"
    assert scale.said(math.inf) == "far beyond its limit"
