"""Each renderer against the files in tests/golden/report; `make golden` writes them anew, to be read in the diff."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from tasks.core.report import Report
from tasks.core.results import Measurement, Sample
from tasks.core.units import Unit
from tasks.reports import html, markdown, slack, terminal
from tasks.reports.schema import report_schema
from tests.golden.reports import NOW, PLATFORM, REPORTS, system
from tests.golden.reports import report as report_of

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "report"


def slack_text(report: Report) -> str:
    messages = [slack.summary(report, PLATFORM), *slack.details(report, PLATFORM)[:1]]
    return json.dumps([message.model_dump() for message in messages], indent=1, ensure_ascii=False) + "\n"


def terminal_text(report: Report) -> str:
    console = Console(file=io.StringIO(), width=72, color_system=None)
    console.print(terminal.render(report, PLATFORM))
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def markdown_text(report: Report) -> str:
    rows = "\n".join(json.dumps(row, ensure_ascii=False) for row in markdown.table(report)[:40])
    return f"{markdown.render(report, PLATFORM)}\n<!-- table\n{rows}\n-->\n"


def html_body(report: Report) -> str:
    page = html.render(report, PLATFORM)
    return page[page.index("<body>") :]


RENDERERS = {
    "slack.json": slack_text,
    "md": markdown_text,
    "txt": terminal_text,
    "html": html_body,
}


# The page of 300 failures is half a megabyte of the same; test_report_html.py holds it.
CASES = [(name, suffix) for name in REPORTS for suffix in RENDERERS if (name, suffix) != ("overflow", "html")]


@pytest.mark.parametrize(("name", "suffix"), CASES)
def test_a_report_reads_as_its_golden_file(name, suffix, request):
    _compare(GOLDEN / f"{name}.{suffix}", RENDERERS[suffix](REPORTS[name]()), request)


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_fits_its_schema_and_reads_back_the_same(name):
    report = REPORTS[name]()
    written = report.model_dump_json(indent=2)
    jsonschema.validate(json.loads(written), json.loads(report_schema()))
    assert Report.model_validate_json(written) == report


def test_a_report_with_values_that_are_no_numbers_is_read_back():
    odd = (Sample(NOW, math.inf), Sample(NOW, math.nan))
    measured = Measurement(name="error_rate", value=math.nan, unit=Unit.RATIO, at=NOW, series=odd)
    written = report_of(system("metrics", "prometheus", measurements=(measured,))).model_dump_json()
    read = Report.model_validate_json(written).systems[0].measurements[0]
    assert read.text == "NaN"
    assert read.series[0].value == math.inf
    assert "error rate" in html.render(Report.model_validate_json(written))


def _compare(path, text, request):
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "run `make golden` and read the difference"
