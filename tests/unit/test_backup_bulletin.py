"""What a run of backups says: each face against tests/golden, within Slack's limits, failures first."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.lab.slack.limits import check_blocks
from tasks.core.backup_report import BackupReport
from tasks.core.report import Verdict
from tasks.reports import bulletin_html, bulletin_slack, bulletin_words, slack
from tasks.reports.backup_words import bulletin
from tests.golden.backups import BACKUPS, bad, new_warning, well
from tests.unit.test_bulletin import RENDERERS
from tests.unit.test_digest_golden import TABLE, same
from tests.unit.test_report_html import ALLOWED_TAGS, Page

GOLDEN = Path(__file__).parents[1] / "golden" / "backup"


@pytest.mark.parametrize("suffix", RENDERERS)
@pytest.mark.parametrize("name", ["well", "bad", "new-warning", "none"])
def test_a_run_of_backups_reads_as_its_golden_file(name, suffix, request):
    same(GOLDEN / f"{name}.{suffix}", RENDERERS[suffix](bulletin(BACKUPS[name]())), request)


@pytest.mark.parametrize("name", BACKUPS)
def test_it_keeps_to_slacks_limits_and_its_page_is_harmless(name):
    said = bulletin(BACKUPS[name]())
    for message in [bulletin_slack.summary(said), *bulletin_slack.details(said)]:
        assert check_blocks(message.blocks) == []
        assert slack.size(message.blocks) <= slack.MOST_CHARACTERS
        assert "<!channel>" not in str(message.blocks)
    page = Page(bulletin_html.render(said))
    assert page.open == []
    assert set(page.tags) <= ALLOWED_TAGS | TABLE


@pytest.mark.parametrize("name", BACKUPS)
def test_it_is_read_back_from_the_store_as_it_was_kept(name):
    report = BACKUPS[name]()
    assert BackupReport.model_validate_json(report.model_dump_json()) == report


def test_the_failures_come_first_and_name_what_is_missing():
    said = bulletin(bad())
    assert said.parts[0].title == "Failed"
    assert [line.text for line in said.parts[0].lines] == [
        "database (logical)",
        "the copy of cache (rdb) in offsite",
    ]
    assert bulletin_words.headline(said) == (
        "❌ [LAB] SIGN X Studio, backup: 1 of 2 backups failed, 1 copy failed · database (logical): connection refused"
    )


def test_what_is_never_in_a_backup_is_said_and_is_no_warning_and_what_is_new_is_one():
    assert well().verdict is Verdict.PASSED
    assert "the roles' passwords are not in it" in RENDERERS["slack.json"](bulletin(well()))
    assert new_warning().verdict is Verdict.WARNED
    missing, damaged = bulletin(new_warning()).problems
    assert "3 files could not be read" in missing.text
    assert "cannot be gone on from" in damaged.text


def test_where_there_is_no_backup_nothing_is_green():
    none = BACKUPS["none"]()
    assert none.verdict is Verdict.UNKNOWN
    assert "nothing was backed up" in bulletin_words.headline(bulletin(none))
