"""What retention and the check of vaults say: each face against tests/golden, the worst first."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.lab.slack.limits import check_blocks
from tasks.core.prune_report import PruneReport
from tasks.core.report import Verdict
from tasks.core.vault_report import VaultReport
from tasks.reports import bulletin_html, bulletin_slack, prune_words, vault_words
from tests.golden import vault_reports as made
from tests.unit.test_bulletin import RENDERERS
from tests.unit.test_digest_golden import TABLE, same
from tests.unit.test_report_html import ALLOWED_TAGS, Page

GOLDEN = Path(__file__).parents[1] / "golden" / "vaults"
BULLETINS = {name: prune_words.bulletin(make()) for name, make in made.PRUNES.items()}
BULLETINS |= {name: vault_words.bulletin(make()) for name, make in made.CHECKS.items()}


@pytest.mark.parametrize("suffix", RENDERERS)
@pytest.mark.parametrize("name", [name for name in BULLETINS if name != "unkind"])
def test_it_reads_as_its_golden_file(name, suffix, request):
    same(GOLDEN / f"{name}.{suffix}", RENDERERS[suffix](BULLETINS[name]), request)


@pytest.mark.parametrize("name", BULLETINS)
def test_it_keeps_to_slacks_limits_and_its_page_is_harmless(name):
    for message in [bulletin_slack.summary(BULLETINS[name]), *bulletin_slack.details(BULLETINS[name])]:
        assert check_blocks(message.blocks) == []
        assert "<!channel>" not in str(message.blocks)
    page = Page(bulletin_html.render(BULLETINS[name]))
    assert page.open == []
    assert set(page.tags) <= ALLOWED_TAGS | TABLE


@pytest.mark.parametrize(
    ("report", "verdict", "word"),
    [
        (made.pruned(), Verdict.PASSED, "done"),
        (made.waiting(), Verdict.FAILED, "something failed"),
        (made.planned(), Verdict.WARNED, "something to look at"),
        (made.prune(), Verdict.UNKNOWN, "nothing was planned"),
        (made.prune(applied=False, notes=("spec: broken",)), Verdict.UNKNOWN, "nothing was planned"),
    ],
)
def test_a_run_of_retention_says_its_verdict_in_a_word(report, verdict, word):
    assert (report.verdict, prune_words.word(report)) == (verdict, word)
    assert PruneReport.model_validate_json(report.model_dump_json()) == report


def test_what_waits_names_the_very_plan_that_would_be_approved():
    (line,) = [line for line in BULLETINS["waiting"].problems if "would go" in line.text]
    assert line.remedy.endswith(f"approve={made.waiting().fingerprint}")
    other = made.waiting().vaults[0].model_copy(update={"fingerprint": "cc33"})
    assert made.prune(other).fingerprint != made.prune(made.waiting().vaults[0]).fingerprint


@pytest.mark.parametrize(
    ("report", "verdict"),
    [(made.sound(), Verdict.PASSED), (made.lost(), Verdict.FAILED), (made.vaults(), Verdict.UNKNOWN)],
)
def test_a_check_of_vaults_fails_where_a_backup_is_lost_and_nothing_is_green_where_nothing_was_seen(report, verdict):
    assert report.verdict is verdict
    assert VaultReport.model_validate_json(report.model_dump_json()) == report
