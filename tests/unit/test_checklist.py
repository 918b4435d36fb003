"""The checklist: what was not looked at is never green, people's word is no proof, and exceptions end."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from deployments.cli import main
from deployments.lab.slack.limits import check_blocks
from tasks.checklists import ChecklistRun, is_encrypted, unanswered
from tasks.clients.blobs import FolderStore
from tasks.clients.ledger import Ledger
from tasks.controls import about
from tasks.controls.platform.common import AT, copies, health
from tasks.core.backup import Taken
from tasks.core.compliance import Checklist, Copy, Exceptions, Facts, gone, itemize, settled, void
from tasks.core.control import Result, settle
from tasks.core.ends import read_end
from tasks.core.errors import Unreachable
from tasks.core.manifest import Manifest, Part
from tasks.core.operating import Gap, Operated
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.core.statements import Request, Statement, Waiver, due
from tasks.reports import bulletin_html, bulletin_markdown, bulletin_slack, checklist_words
from tasks.vault import records
from tasks.vault.vault import Vault
from tests.small import platform_in

CONTROLS = {control.id: control for control in about("platform")}
DAY = timedelta(days=1)


def result(name, facts):
    return settle(CONTROLS[name], facts)


def statement(control, kind="waiver", until=AT + DAY, **more):
    known = {"id": "s1", "platform": "p", "by": "ada", "approver": "bob", "text": "because", "at": AT - 9 * DAY}
    known |= {"evidence": "https://wiki.example/1"}
    return Statement.model_validate(known | {"kind": kind, "control": control, "until": until} | more)


def made(facts, before=None, at=AT, last_month=None):
    judged = [settled(settle(control, facts), facts) for control in CONTROLS.values()]
    results = {one.control.id: one.result for one in judged}
    judged += [settle(control, Exceptions(facts.now, facts.statements, results)) for control in about("waivers")]
    items, notes = itemize(judged, facts, before, last_month), void(facts, judged)
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


def test_each_time_at_which_nothing_ran_is_named_and_what_is_explained_is_no_breach():
    gaps = (Gap(at=AT - 5 * DAY), Gap(at=AT - 3 * DAY, why="downtime: moved"))
    one = Operated(flow="health-check", expected=30, ran=28, gaps=gaps)
    found = result("checks-ran", Facts(AT, operated=(one,)))
    assert [breach.what for breach in found.breaches] == ["health-check did not run on 2026-01-26 12:00 UTC"]
    assert found.looked == 30
    assert result("checks-ran", Facts(AT)).result is Result.NOT_CHECKED
    idle = Operated(flow="health-check", expected=0, ran=0)
    assert result("checks-ran", Facts(AT, operated=(idle,))).result is Result.NOT_CHECKED


def test_a_statement_counts_as_attested_and_lapses():
    named = "incident-contacts"

    def heard(**given):
        facts = Facts(AT, statements=(statement(named, "attestation", **given),))
        return settled(result(named, facts), facts)

    found = heard()
    assert found.result is Result.ATTESTED
    assert "ada: because" in found.reason
    assert "https://wiki.example/1" in found.reason
    over = heard(until=AT - DAY)
    assert over.result is Result.FAIL
    assert "not attested" in over.breaches[0].what


def request(controls, until, **more):
    known = {"id": "r", "platform": "p", "controls": controls, "at": AT - 7 * DAY, "until": until}
    return Request.model_validate(known | more)


def heard(name, facts):
    return settled(result(name, facts), facts)


def test_what_people_were_asked_and_nobody_said_in_time_is_not_attested_and_no_longer_open():
    named = "incident-contacts"
    waiting = heard(named, Facts(AT, requests=(request((named,), AT + DAY),)))
    assert (waiting.result, "may attest until 2026-02-01" in waiting.reason) == (Result.NOT_CHECKED, True)
    over = heard(named, Facts(AT, requests=(request((named,), AT),)))
    assert over.result is Result.FAIL
    assert over.breaches[0].what.startswith("not attested: people were asked on 2026-01-24")
    other = heard("post-mortems", Facts(AT, requests=(request((named,), AT),)))
    assert other.result is Result.NOT_CHECKED
    said = Facts(AT, statements=(statement(named, "attestation"),), requests=(request((named,), AT),))
    assert heard(named, said).result is Result.ATTESTED


def machine(judge):
    """Return a control that a machine checks where it can, and a person attests where it cannot."""
    return replace(CONTROLS["certificates"], id="machine", judge=judge, attestable=True)


def test_where_a_machine_can_tell_nothing_a_person_may_and_where_it_fails_a_statement_is_void():
    def judge(facts):
        return CONTROLS["certificates"].judge(facts)

    control, said = machine(judge), (statement("machine", "attestation"),)
    blind = Facts(AT, statements=said)
    assert settled(settle(control, blind), blind).result is Result.ATTESTED
    assert "no health check" in settled(settle(control, blind), blind).reason
    bad = replace(health("expires_in", Outcome.FAILED), statements=said)
    judged = settled(settle(control, bad), bad)
    assert judged.result is Result.FAIL
    assert "void" in void(bad, [judged])[0]
    assert void(blind, [settled(settle(control, blind), blind)]) == ()
    good = replace(health("expires_in", Outcome.PASSED), statements=said)
    assert settled(settle(control, good), good).result is Result.PASS
    stubborn = replace(control, attestable=False)
    assert settled(settle(stubborn, blind), blind).result is Result.NOT_CHECKED


def test_people_are_asked_for_what_no_machine_can_tell_and_no_statement_covers_for_long():
    def asked(*statements, since=None):
        return {one.id for one in unanswered(Facts(AT, statements=statements), since)}

    named = "incident-contacts"
    assert named in asked()
    assert "certificates" not in asked()
    assert named not in asked(statement(named, "attestation", until=AT + 60 * DAY))
    soon = statement(named, "attestation", until=AT + 5 * DAY)
    assert named in asked(soon)
    assert named not in asked(soon, since=AT - 10 * DAY)
    assert named in asked(soon, since=AT - DAY)


def test_a_reminder_comes_two_weeks_and_three_days_before_a_statement_lapses_and_not_for_one_that_was_renewed():
    def reminders(*statements):
        return [(one.id, before.days) for one, before in due(statements, AT)]

    named = "incident-contacts"
    assert reminders(statement(named, "attestation", until=AT + 15 * DAY)) == []
    assert reminders(statement(named, "attestation", until=AT + 14 * DAY)) == [("s1", 14)]
    near = statement(named, "attestation", until=AT + 3 * DAY)
    assert reminders(near) == [("s1", 3)]
    assert reminders(near, statement(named, "attestation", id="s2", until=AT + 90 * DAY)) == []
    assert reminders(statement(named, "attestation", until=AT)) == []
    assert reminders(statement(named, until=AT + DAY)) == []


def waivers(found):
    return item(found, "waivers-current")


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "UTC", "Asia/Tashkent"])
def test_a_waiver_that_ends_today_ends_when_the_day_is_over_in_its_own_time_zone(zone):
    facts = copies(encrypted=False)
    spec = Waiver(control="backups-encrypted", reason="moved", owner="ada", approver="bob", until=f"2026-01-31 {zone}")
    midnight = datetime(2026, 2, 1, tzinfo=ZoneInfo(zone))
    for now, expected in ((midnight - timedelta(seconds=1), Result.WAIVED), (midnight, Result.FAIL)):
        given = replace(facts, now=now.astimezone(UTC), statements=(spec.statement("p"),))
        found = made(given)
        assert item(found, "backups-encrypted").result is expected
        assert (waivers(found).result is Result.FAIL) is (expected is Result.FAIL)
    assert "ended on 2026-02-01 00:00" in waivers(found).findings[0]
    assert zone in waivers(found).findings[0]


def test_a_waiver_is_shown_with_who_approved_it_and_hides_no_finding():
    facts = copies(encrypted=False)
    found = item(made(replace(facts, statements=(statement("backups-encrypted"),))), "backups-encrypted")
    assert found.result is Result.WAIVED
    assert "because (ada, approved by bob, until 2026-02-01 12:00 UTC), see https://wiki.example/1" in found.reason
    assert found.findings


def test_a_waiver_of_nothing_and_one_that_is_not_needed_are_findings():
    found = waivers(made(replace(copies(), statements=(statement("backups-encrypted"), statement("gone", id="s2")))))
    assert found.result is Result.FAIL
    assert "nothing to waive" in found.findings[0]
    assert "matches nothing" in found.findings[1]
    unknown = Facts(AT, statements=(statement("certificates"),))
    assert waivers(made(unknown)).result is Result.PASS
    assert waivers(made(Facts(AT))).result is Result.NOT_APPLICABLE


def test_a_waiver_of_the_spec_that_ended_stays_a_finding_and_one_by_form_is_history_in_time():
    old = AT - 100 * DAY
    spec = Waiver(control="backups-encrypted", reason="moved", owner="ada", approver="bob", until=old).statement("p")
    form = statement("backups-encrypted", at=AT - 200 * DAY, until=old)
    assert waivers(made(replace(copies(), statements=(spec,)))).result is Result.FAIL
    assert waivers(made(replace(copies(), statements=(form,)))).result is Result.PASS
    assert waivers(made(replace(copies(encrypted=False), statements=(form,)))).result is Result.FAIL
    renewed = statement("backups-encrypted", id="s2")
    assert waivers(made(replace(copies(encrypted=False), statements=(form, renewed)))).result is Result.PASS


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2027-01-31T18:00+05:00", "2027-01-31T13:00:00+00:00"),
        ("2027-01-31 18:00 Asia/Tashkent", "2027-01-31T13:00:00+00:00"),
        ("2027-01-31 Asia/Tashkent", "2027-01-31T19:00:00+00:00"),
        ("2027-01-31Z", "2027-02-01T00:00:00+00:00"),
        ("2027-06-30 Europe/Berlin", "2027-06-30T22:00:00+00:00"),
        (datetime(2027, 1, 31, tzinfo=UTC), "2027-01-31T00:00:00+00:00"),
    ],
)
def test_an_end_is_read_in_the_zone_that_it_names(written, expected):
    assert read_end(written).astimezone(UTC).isoformat() == expected


@pytest.mark.parametrize(
    "written",
    ["2027-01-31", "2027-01-31T18:00", date(2027, 1, 31), datetime.fromisoformat("2027-01-31"),
     "31.1.2027 UTC", "2027-02-30 UTC", "2027-01-31 Mars/Base", "tomorrow", 7, "2027-01-31T25:00Z"],
)  # fmt: skip
def test_an_end_without_a_zone_or_that_is_none_is_refused_with_what_to_write(written):
    with pytest.raises(ValueError, match="write 2027-01-31T18:00"):
        read_end(written)


@pytest.mark.parametrize(
    "wrong",
    [
        {"approver": ""},
        {"approver": "ada"},
        {"approver": " Ada "},
        {"text": ""},
        {"text": " "},
        {"until": AT - 10 * DAY},
        {"until": "2026-02-01T00:00:00"},
    ],
)
def test_a_waiver_without_reason_approver_or_zone_is_refused(wrong):
    with pytest.raises(ValidationError):
        statement("backups-encrypted", **wrong)


@pytest.mark.parametrize("evidence", ["", "trust me", "wiki/1", "sha256:12", "https://"])
def test_an_attestation_without_evidence_that_can_be_followed_is_refused(evidence):
    with pytest.raises(ValidationError):
        statement("incident-contacts", "attestation", evidence=evidence)


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


def test_the_difference_is_to_last_month_and_the_age_of_a_result_to_the_list_before():
    november, yesterday = made(copies(), at=AT - 30 * DAY), made(copies(encrypted=False), at=AT - DAY)
    again = made(copies(encrypted=False), yesterday, last_month=november)
    assert item(again, "backups-encrypted").change == "regressed"
    assert item(again, "backups-encrypted").since == item(yesterday, "backups-encrypted").since


def test_a_control_that_is_no_more_is_said():
    before = made(copies())
    left = [one for one in before.items if one.control != "certificates"]
    assert gone(left, before) == ("certificates was in the list of 2026-01-31 and is no control any more",)
    assert gone(before.items, before) == ()
    assert gone(before.items, None) == ()


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


@pytest.fixture
def place(tmp_path, monkeypatch):
    cache = "cache: {kind: redis, url: {env: SHOP_CACHE_URL}, backup: {to: [local]}}"
    return platform_in(tmp_path, monkeypatch, cache)


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


UNTIL = ("--until", "2099-01-31T00:00+01:00")
SHOWN = ("--evidence", "https://wiki.example/1")


def entries(place):
    return [json.loads(data) for _, data in Ledger(FolderStore(place / "state" / "evidence")).records()]


def test_people_state_by_command_and_only_what_no_machine_checks(place):
    code, kept = run("controls", "attest", "shop", "incident-contacts", "--text", "all five", *UNTIL, *SHOWN)
    assert (code, kept["kind"]) == (0, "attestation")
    code, told = run("controls", "attest", "shop", "backups-encrypted", "--text", "trust me", *UNTIL, *SHOWN)
    assert code == 2
    assert "a machine checks" in told["error"]
    words = ("--text", "moved", *UNTIL, "--by", "ada", "--approver")
    assert run("controls", "waive", "shop", "backups-encrypted", *words, "bob")[0] == 0
    assert run("controls", "waive", "shop", "backups-encrypted", *words, "ada")[0] == 2
    assert run("controls", "waive", "shop", "nonsense", *words, "bob")[0] == 2
    assert [one["control"] for one in run("controls", "statements", "shop")[1]] == [
        "incident-contacts",
        "backups-encrypted",
    ]
    back_up(place, restored=True)
    results = {one["control"]: one["result"] for one in run("checklist", "shop")[1]["items"]}
    assert (results["incident-contacts"], results["backups-encrypted"]) == ("attested", "waived")
    assert [(one["flow"], one["kind"]) for one in entries(place)] == [
        ("attestation", "control"),
        ("waiver", "control"),
        ("compliance-checklist", "control"),
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"--until": "2099-01-31T00:00"}, "until: 2099-01-31T00:00 names no time zone"),
        ({"--until": "2001-01-31 UTC"}, "is over already"),
        ({"--evidence": "trust me"}, "evidence: 'trust me' is neither an address"),
        ({"--evidence": "sha256:" + "0" * 64}, "there is no file sha256:000"),
        ({"--text": " "}, "says nothing"),
    ],
)
def test_a_statement_that_is_refused_names_the_field_and_the_cure(place, wrong, said):
    assert place
    given = {"--text": "all five", UNTIL[0]: UNTIL[1], SHOWN[0]: SHOWN[1]} | wrong
    words = [word for pair in given.items() for word in pair]
    code, told = run("controls", "attest", "shop", "incident-contacts", *words)
    assert (code, said in told["error"]) == (2, True), told


def test_a_file_is_evidence_under_its_hash(place):
    (place / "calls.txt").write_text("all five answered", encoding="utf-8")
    code, kept = run("evidence", "attach", place / "calls.txt")
    assert code == 0
    words = ("--text", "all five", *UNTIL, "--evidence", kept["evidence"])
    assert run("controls", "attest", "shop", "incident-contacts", *words)[0] == 0
    assert run("evidence", "attach", place / "gone.txt")[0] == 2


def test_a_statement_that_cannot_be_read_is_told_in_the_list_and_takes_no_other_with_it(place):
    assert run("controls", "attest", "shop", "incident-contacts", "--text", "all five", *UNTIL, *SHOWN)[0] == 0
    (place / "state" / "statements" / "shop" / "x.json").write_text("{}", encoding="utf-8")
    found = run("checklist", "shop")[1]
    assert any("x.json cannot be read" in note for note in found["notes"])
    assert {one["control"]: one["result"] for one in found["items"]}["incident-contacts"] == "attested"


def test_a_waiver_of_the_spec_counts_and_is_read_with_its_zone(place):
    path = place / "platforms" / "shop.yaml"
    waiver = """
waivers:
  - {control: backups-encrypted, reason: moved, owner: Ada, approver: Bob, until: %s}
"""
    spec = path.read_text(encoding="utf-8")
    back_up(place, restored=True)
    path.write_text(spec + waiver % "2099-01-31 Asia/Tashkent", encoding="utf-8")
    item = {one["control"]: one for one in run("checklist", "shop")[1]["items"]}["backups-encrypted"]
    assert item["result"] == "waived"
    assert "until 2099-02-01 00:00 +05 (Asia/Tashkent)" in item["reason"]
    path.write_text(spec + waiver % "2099-01-31", encoding="utf-8")
    code, told = run("checklist", "shop")
    assert (code, "names no time zone" in told["error"]) == (2, True)


def test_downtime_is_noted_with_its_reason_and_becomes_evidence(place):
    words = ("--text", "the data centre moved", "--from", "2026-11-20T06:00Z", "--until")
    code, kept = run("controls", "downtime", "shop", *words, "2026-11-20T12:00Z")
    assert (code, kept["begin"]) == (0, "2026-11-20T06:00:00Z")
    assert entries(place)[0]["effective"] == {"from": "2026-11-20T06:00:00Z", "until": "2026-11-20T12:00:00Z"}
    for wrong in ("2026-11-20T05:00Z", "2026-11-20T12:00", "soon"):
        assert run("controls", "downtime", "shop", *words, wrong)[0] == 2
    assert len(entries(place)) == 1
