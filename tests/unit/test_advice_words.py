"""A capacity plan with advice: each face against tests/golden, what to do first, tables for other programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from deployments.lab.slack.limits import check_blocks
from tasks.core.advice.model import Advice, Patch, Saving, When
from tasks.core.capacity import CapacityReport
from tasks.reports import advice_words, bulletin_html, bulletin_markdown, bulletin_slack, capacity_words
from tasks.reports.capacity_tables import tables
from tests.golden.capacity_plans import plan
from tests.unit.test_bulletin import RENDERERS
from tests.unit.test_digest_golden import same
from tests.unit.test_report_html import Page

GOLDEN = Path(__file__).parents[1] / "golden" / "capacity"


@pytest.fixture(scope="module")
def made():
    return plan()


@pytest.mark.parametrize("suffix", RENDERERS)
def test_a_capacity_plan_reads_as_its_golden_file(made, suffix, request):
    same(GOLDEN / f"plan.{suffix}", RENDERERS[suffix](capacity_words.bulletin(made)), request)


@pytest.mark.parametrize("name", ["advice.csv", "forecasts.csv"])
def test_a_capacity_plans_tables_read_as_their_golden_files(made, name, request):
    same(GOLDEN / name, tables(made)[name], request)


def test_the_first_things_that_are_said_are_what_runs_out_when_and_what_to_do(made):
    told = capacity_words.bulletin(made)
    assert told.sentence == (
        "Disk / of machine: 85% of its size on Wed 16 Dec, in 24 days. Do first: deployment apex-worker: memory "
        "request 1Gi → 1536Mi, memory limit 1Gi → 1536Mi. 1 other thing to do this month."
    )
    assert [part.title for part in told.parts[:2]] == ["What runs out, soonest first", "Do this month"]
    assert [line.text.partition(":")[0] for line in told.parts[1].lines] == [
        "Deployment apex-worker",
        "Autoscaler apex-api-hpa",
    ]
    channel = json.dumps(bulletin_slack.summary(told).blocks, ensure_ascii=False)
    assert "max replicas 10 → 21" in channel


def test_a_patch_is_there_to_copy_on_every_face_and_within_slacks_limits(made):
    told = capacity_words.bulletin(made)
    command = "kubectl -n apex patch deployment apex-worker --type strategic --patch-file apex-worker-deployment.yaml"
    assert command in "".join(Page(bulletin_html.render(told)).text)
    assert f"    {command}" in bulletin_markdown.render(told)
    pages = bulletin_slack.details(told)
    assert command in json.dumps([page.blocks for page in pages])
    assert [check_blocks(page.blocks) for page in pages] == [[]] * len(pages)


def test_a_plan_is_read_back_with_its_advice_and_an_older_one_without(made):
    again = CapacityReport.model_validate_json(made.model_dump_json())
    assert again == made
    data = json.loads(made.model_dump_json())
    for name in ("advice", "fine", "unjudged", "wrong", "supposed"):
        del data[name]
    assert CapacityReport.model_validate_json(json.dumps(data), extra="ignore").advice == ()


def advice(**more):
    values = {"key": "a", "kind": "requests", "when": When.NOW, "do": "Do it", "why": "because"}
    return Advice(**(values | more))


def test_a_code_that_would_end_its_own_block_does_not():
    hostile = "```\n<script>alert(1)</script>\n<!channel>\x1b[31m"
    one = advice(patches=(Patch(title="x", language="shell", text=hostile),))
    told = capacity_words.bulletin(plan().model_copy(update={"advice": (one,)}))
    assert "````" in bulletin_markdown.render(told)
    page = Page(bulletin_html.render(told))
    assert "script" not in page.tags
    blocks = json.dumps([page.blocks for page in bulletin_slack.details(told)])
    assert "<!channel>" not in blocks
    assert "\\u001b" not in blocks


def test_a_cell_that_a_spreadsheet_would_calculate_is_a_text():
    one = advice(do="=HYPERLINK(1)", why="-1+1")
    rows = list(csv.DictReader(io.StringIO(tables(plan().model_copy(update={"advice": (one,)}))["advice.csv"])))
    assert (rows[0]["do"], rows[0]["why"]) == ("'=HYPERLINK(1)", "'-1+1")


@pytest.mark.parametrize(
    ("saving", "words"),
    [
        (None, ""),
        (Saving(), ""),
        (Saving(cores=1.5, memory=2.0**31), "1.5 cores and 2 GiB of memory"),
        (Saving(cores=-1.5, storage=-(2.0**40)), "takes 1.5 cores and 1 TiB of storage"),
        (Saving(cores=2, money=40.4, currency="EUR"), "2.0 cores; saves 40 EUR a month"),
        (Saving(cores=-2, money=-40.4, currency="EUR"), "takes 2.0 cores; costs 40 EUR a month"),
    ],
)
def test_a_saving_is_said_in_what_is_given_back_and_what_it_costs(saving, words):
    assert advice_words.gives(saving) == words
