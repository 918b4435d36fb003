"""The checklist: what was not looked at is never green, people's word is no proof, and exceptions end."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from deployments.cli import main
from deployments.lab.slack.limits import check_blocks
from tasks.checklists import ChecklistRun, is_encrypted, state, statements
from tasks.clients.blobs import FolderStore
from tasks.clients.ledger import Ledger
from tasks.controls import about
from tasks.controls.platform.common import AT, copies, health
from tasks.core.backup import Taken
from tasks.core.compliance import Checklist, Copy, Facts, Statement, itemize, lapsed
from tasks.core.control import Result, settle
from tasks.core.errors import ConfigError, Unreachable
from tasks.core.manifest import Manifest, Part
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.reports import bulletin_html, bulletin_markdown, bulletin_slack, checklist_words
from tasks.vault import records
from tasks.vault.vault import Vault

CONTROLS = {control.id: control for control in about("platform")}
DAY = timedelta(days=1)


def result(name, facts):
    return settle(CONTROLS[name], facts)


def statement(control, kind="waiver", until=AT + DAY, **more):
    known = {"id": "s1", "platform": "p", "by": "ada", "approver": "bob", "text": "because", "at": AT - 9 * DAY}
    return Statement.model_validate(known | {"kind": kind, "control": control, "until": until} | more)


def made(facts, before=None, at=AT):
    judged = [settle(control, facts) for control in CONTROLS.values()]
    items, notes = itemize(judged, facts, before), lapsed(facts, judged)
    return Checklist(id="c", platform="p", title="P", started=at, finished=at, items=items, notes=notes)


def item(checklist, name):
    return next(one for one in checklist.items if one.control == name)


def test_with_no_facts_at_all_nothing_is_proven_and_the_list_is_not_green():
    found = made(Facts(AT, ledger=None))
    assert Result.PASS not in found.counts
    assert found.verdict is Verdict.WARNED
    assert found.denominator.startswith("0 of ")


@pytest.mark.parametrize("name", ["certificates", "backups-recent", "access-anomalies"])
def test_what_the_health_check_could_not_tell_or_told_long_ago_is_not_passed(name):
    measurement = {"certificates": "expires_in", "backups-recent": "backup_age"}.get(name, "sql_injection")
    assert result(name, health(measurement, Outcome.PASSED)).result is Result.PASS
    assert result(name, health(measurement, Outcome.WARNED)).result is Result.FAIL
    assert result(name, health(measurement, Outcome.ERRORED)).result is Result.NOT_CHECKED
    assert result(name, health(measurement, Outcome.PASSED, at=AT - 3 * DAY)).result is Result.STALE
    assert result(name, health("latency", Outcome.FAILED)).result is Result.NOT_APPLICABLE
    assert result(name, Facts(AT)).result is Result.NOT_CHECKED


def test_a_vault_that_gives_no_answer_makes_no_control_green_and_accuses_nobody():
    good = copies()
    blind = Facts(AT, good.protected, copies=good.copies, unread={"offsite": "no answer"})
    assert result("backups-encrypted", blind).result is Result.NOT_CHECKED
    unproven = Facts(AT, good.protected, unread={"local": "no answer"})
    assert result("backups-restored", unproven).result is Result.NOT_CHECKED


def test_every_protected_system_must_have_come_back_within_the_quarter():
    facts = copies()
    assert result("backups-restored", facts).result is Result.PASS
    two = Facts(AT, {"database": ("local",), "cache": ("local",)}, copies=facts.copies)
    assert [breach.what for breach in result("backups-restored", two).breaches] == [
        "no backup of cache was ever restored"
    ]
    old = Copy("cache", "local", "c", AT - 100 * DAY, encrypted=True, proven=AT - 93 * DAY)
    assert len(result("backups-restored", Facts(AT, two.protected, copies=[*facts.copies, old])).breaches) == 1


def test_a_drill_that_failed_is_no_rehearsal_and_nothing_to_restore_needs_none():
    protected = {"database": ("local",)}
    assert result("disaster-drilled", Facts(AT, protected, drilled=((AT - DAY, False),))).result is Result.FAIL
    assert result("disaster-drilled", Facts(AT, protected)).result is Result.FAIL
    assert result("disaster-drilled", Facts(AT)).result is Result.NOT_APPLICABLE


def test_each_day_without_a_check_is_named():
    seen = tuple(AT - number * DAY for number in range(1, 40) if number not in (3, 5))
    found = [breach.what for breach in result("checks-ran", Facts(AT, checked=seen)).breaches]
    assert found == ["no health check ran on 2026-01-26", "no health check ran on 2026-01-28"]


def test_a_statement_counts_as_attested_and_lapses():
    named = "incident-contacts"
    facts = Facts(AT, statements=(statement(named, "attestation", evidence="https://wiki/1"),))
    found = result(named, facts)
    assert found.result is Result.ATTESTED
    assert "https://wiki/1" in found.reason
    bare = Facts(AT, statements=(statement(named, "attestation"),))
    assert "without evidence" in result(named, bare).reason
    over = Facts(AT, statements=(statement(named, "attestation", until=AT - DAY),))
    assert result(named, over).result is Result.FAIL


def test_a_waiver_is_shown_until_the_very_moment_it_ends_wherever_that_is():
    facts = copies(encrypted=False)
    tokyo = datetime.fromisoformat("2026-01-31T21:00:00+09:00")  # the moment AT
    for until, expected in ((tokyo + timedelta(seconds=1), Result.WAIVED), (tokyo, Result.FAIL)):
        waived = statement("backups-encrypted", until=until)
        found = made(Facts(AT, facts.protected, copies=facts.copies, statements=(waived,)))
        assert item(found, "backups-encrypted").result is expected
        assert any("ended" in note for note in found.notes) is (expected is Result.FAIL)


def test_a_waiver_of_nothing_and_one_that_is_not_needed_are_told():
    found = made(Facts(AT, statements=(statement("evidence-intact"), statement("gone", id="s2"))))
    assert len(found.notes) == 2
    assert "nothing to waive" in found.notes[0]
    assert "no control" in found.notes[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"approver": ""},
        {"approver": "ada"},
        {"text": ""},
        {"until": AT - 10 * DAY},
        {"until": "2026-02-01T00:00:00"},
    ],
)
def test_a_waiver_without_reason_approver_or_zone_is_refused(wrong):
    with pytest.raises(ValidationError):
        statement("backups-encrypted", **wrong)


def test_what_changed_since_the_list_before_is_said_and_since_when_it_has_been_so():
    bad, good = copies(encrypted=False), copies()
    first = made(good, at=AT - 30 * DAY)
    assert item(first, "backups-encrypted").change == "new"
    second = made(bad, first)
    assert item(second, "backups-encrypted").change == "regressed"
    third = made(Facts(AT + DAY, bad.protected, copies=bad.copies), second)
    assert item(third, "backups-encrypted").change == "unchanged"
    assert item(third, "backups-encrypted").since == AT
    assert item(made(good, third), "backups-encrypted").change == "fixed"
    blind = made(Facts(AT, good.protected, unread={"local": "gone"}), third)
    assert item(blind, "backups-encrypted").change == "incomparable"


def test_it_reads_back_and_every_face_of_it_is_within_bounds():
    found = made(copies(encrypted=False))
    assert found.verdict is Verdict.FAILED
    assert Checklist.model_validate_json(found.model_dump_json()) == found
    said = checklist_words.bulletin(found)
    assert said.problems[0].text in ("A disaster was rehearsed within the quarter", "Every backup is encrypted")
    assert "not checked" in said.sentence
    for message in [bulletin_slack.summary(said), *bulletin_slack.details(said)]:
        assert check_blocks(message.blocks) == []
    assert "Every backup is encrypted" in bulletin_html.render(said)
    assert "Every backup is encrypted" in bulletin_markdown.render(said)


SPEC = """
platform: shop
title: Shop
slack: {channel: "#shop"}
severities: {P0: {means: down, respond: 15m}}
default_severity: {warn: P0, critical: P0}
encryption: none
vaults: {local: {kind: folder, path: %s, keep: {last: 8}}}
systems:
  cache: {kind: redis, url: {env: SHOP_CACHE_URL}, backup: {to: [local]}}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "platforms").mkdir()
    (tmp_path / "platforms" / "shop.yaml").write_text(SPEC % (tmp_path / "vault"), encoding="utf-8")
    monkeypatch.setenv("WATCHKEEPER_PLATFORMS", str(tmp_path / "platforms"))
    monkeypatch.setenv("WATCHKEEPER_STATE", str(tmp_path / "state"))
    return tmp_path


def back_up(place, *, restored):
    vault = Vault("local", FolderStore(place / "vault"), encrypted=False)
    with vault.begin("shop", "cache", "redis") as backup:
        with backup.part("dump.rdb") as part:
            part.write(b"REDIS")
        manifest = backup.commit(Taken(method="rdb", consistent_as_of=datetime.now(UTC)))
    if restored:
        records.record(vault, manifest.folder, level=3, outcome=Outcome.PASSED)


@pytest.mark.parametrize(
    ("recipients", "parts", "encrypted"),
    [
        (("age1x",), {"base.tar": "age", "backup_manifest": "none"}, True),
        (("age1x",), {"base.tar": "none", "backup_manifest": "none"}, False),
        ((), {"base.tar": "age"}, False),
        (("age1x",), {}, True),
    ],
)
def test_a_backup_is_encrypted_where_all_but_its_lists_of_hashes_is(recipients, parts, encrypted):
    held = tuple(Part.model_construct(name=name, encryption=how) for name, how in parts.items())
    assert is_encrypted(Manifest.model_construct(recipients=recipients, parts=held)) is encrypted


def run(*arguments):
    outcome = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    return outcome.exit_code, json.loads(outcome.output)


def test_facts_come_from_the_vaults_and_the_ledger(place):
    back_up(place, restored=True)
    Ledger(FolderStore(place / "state" / "evidence")).append({"n": 1})
    code, found = run("checklist", "shop")
    results = {one["control"]: one["result"] for one in found["items"]}
    assert code == 1
    assert results["backups-restored"] == "pass"
    assert results["backups-encrypted"] == "fail"
    assert results["evidence-intact"] == "pass"
    assert results["certificates"] == "not checked"


def test_a_backup_that_never_came_back_and_a_vault_that_is_gone_are_told_apart(place, monkeypatch):
    back_up(place, restored=False)
    report = ChecklistRun.open("shop", Settings())
    assert item(report.report(report.look()), "backups-restored").result is Result.FAIL

    def gone(*_arguments, **_options):
        raise Unreachable("no answer")

    monkeypatch.setattr("tasks.checklists.open_platform_vault", gone)
    report = ChecklistRun.open("shop", Settings())
    assert item(report.report(report.look()), "backups-restored").result is Result.NOT_CHECKED


def test_people_state_by_command_and_only_what_no_machine_checks(place):
    until = "2099-01-31T00:00+01:00"
    code, kept = run("controls", "attest", "shop", "incident-contacts", "--text", "all five", "--until", until)
    assert (code, kept["kind"]) == (0, "attestation")
    code, told = run("controls", "attest", "shop", "backups-encrypted", "--text", "trust me", "--until", until)
    assert code == 2
    assert "a machine checks" in told["error"]
    words = ("--text", "moved", "--until", until, "--by", "ada", "--approver")
    assert run("controls", "waive", "shop", "backups-encrypted", *words, "bob")[0] == 0
    assert run("controls", "waive", "shop", "backups-encrypted", *words, "ada")[0] == 2
    assert run("controls", "waive", "shop", "nonsense", *words, "bob")[0] == 2
    assert run("controls", "attest", "shop", "post-mortems", "--text", "x", "--until", "2099-01-31T00:00")[0] == 2
    assert len(statements("shop", Settings())) == 2
    back_up(place, restored=True)
    results = {one["control"]: one["result"] for one in run("checklist", "shop")[1]["items"]}
    assert (results["incident-contacts"], results["backups-encrypted"]) == ("attested", "waived")


def test_a_statement_that_cannot_be_read_is_told_in_the_list(place):
    state(statement("backups-encrypted", platform="shop"), Settings())
    (place / "state" / "statements" / "shop" / "x.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match="no statement"):
        statements("shop", Settings())
    assert any("no statement" in note for note in run("checklist", "shop")[1]["notes"])
