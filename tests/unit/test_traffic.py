"""Traffic and places: an address is held against its own history, and what cannot tell where it is is not green."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.controls import about
from tasks.controls.platform.cases import audited, planned
from tasks.controls.platform.common import AT
from tasks.core.audit import Audited, Part, Place, Rows, Told
from tasks.core.compliance import Facts
from tasks.core.control import Result, settle
from tasks.core.logscan.scan import Scan
from tasks.core.logscan.traffic import Traffic

CONTROLS = {control.id: control for control in about("platform")}
HOUR = timedelta(hours=1)


def entry(source, at, number):
    return f'{source} - - [{at:%d/%b/%Y:%H:%M:%S %z}] "GET /{number} HTTP/1.1" 200 5 "-" "x"'.encode()


def counted(*hours, source="192.0.2.1"):
    """Scan so many requests in each of the last hours, oldest first."""
    traffic = Traffic()
    lines = [
        entry(source, AT - HOUR * (len(hours) - number), request)
        for number, count in enumerate(hours)
        for request in range(count)
    ]
    Scan(traffic=traffic).read("log", lines, AT)
    return traffic


def test_an_hour_with_many_times_the_usual_requests_is_unusual():
    (found,) = counted(40, 50, 60, 50, 2000).unusual(10)
    assert (found["source"], found["requests"], found["usual"]) == ("192.0.2.1", 2000, 50)


@pytest.mark.parametrize("hours", [(50, 50, 50, 400), (1, 1, 1, 90), (1, 1, 5000)], ids=["ten times", "few", "new"])
def test_less_than_that_little_or_without_a_history_is_not(hours):
    assert counted(*hours).unusual(10) == []


def test_an_address_that_always_asks_for_much_is_usual_by_its_own_history():
    assert counted(5000, 5000, 5000, 6000).unusual(10) == []


def test_requests_are_counted_in_json_too_and_only_where_somebody_counts():
    lines = [b'{"status": 200, "remote_addr": "192.0.2.9", "time": "2026-01-31T10:00:00Z"}'] * 3
    traffic = Traffic()
    Scan(traffic=traffic).read("log", lines, AT)
    assert {source: sum(hours.values()) for source, hours in traffic.sources.items()} == {"192.0.2.9": 3}
    assert Scan().traffic is None


def residency(*places, stated=None, vaults=()):
    plan = planned(residency={"regions": ["uz-*"], "places": stated or {}})
    told = Told(
        audits={"cluster": Audited("cluster", places=list(places))},
        vaults={
            f"vault {name}": Audited(f"vault {name}", places=[Place(f"vault {name}", name=name)]) for name in vaults
        },
    )
    return settle(CONTROLS["data-residency"], Facts(AT, plan=plan, told=told))


def test_what_tells_where_it_is_goes_before_what_the_spec_says():
    abroad = residency(Place("node a", "us-east-1", "a"), stated={"a": "uz-tashkent"})
    assert [breach.what for breach in abroad.breaches] == ["node a is in us-east-1"]
    assert residency(Place("node a", "", "a"), stated={"a": "uz-tashkent"}).result is Result.PASS
    assert residency(Place("node a", "", "a"), stated={"cluster": "uz-tashkent"}).result is Result.PASS


def test_what_tells_nothing_and_is_not_placed_is_not_checked():
    found = residency(Place("standby db2", name="db2"), vaults=("local",))
    assert found.result is Result.NOT_CHECKED
    assert "standby db2" in found.reason
    assert "vault local" in found.reason


def test_a_place_of_the_spec_that_is_not_allowed_is_a_breach_whoever_asked_for_it():
    found = residency(stated={"paper-archive": "eu-central-1"})
    assert [breach.what for breach in found.breaches] == ["paper-archive is in eu-central-1, as the spec says"]


@pytest.mark.parametrize("control", sorted(set(CONTROLS) - {"checks-ran", "disaster-drilled", "evidence-intact"}))
def test_a_system_that_tells_nothing_makes_no_control_green(control):
    blind = audited(kind="postgres", gaps=dict.fromkeys(Part, "no answer"))
    kinds = ("postgres", "redis", "s3")
    told = Told(audits={kind: Audited(kind, kind, gaps=dict.fromkeys(Part, "no answer")) for kind in kinds})
    facts = Facts(AT, told=told, plan=planned(buckets={"versioned": ["s3"]}), ledger=None, locked=("offsite",))
    assert settle(CONTROLS[control], facts).result in (Result.NOT_CHECKED, Result.NOT_APPLICABLE)
    assert settle(CONTROLS[control], blind).result in (Result.NOT_CHECKED, Result.NOT_APPLICABLE)


def lists(control, **rows):
    plan = planned(incidents={"log": {"command": ["x"]}, "contacts": {"command": ["x"]}})
    given = {name: Rows(tuple(one)) for name, one in rows.items()}
    return settle(CONTROLS[control], Facts(AT, plan=plan, told=Told(**given), roles=("On-call", "Lead")))


def test_an_incident_that_goes_on_needs_no_post_mortem_and_a_date_that_is_none_is_told():
    assert lists("post-mortems", incidents=[{"id": 1, "ended": None}]).result is Result.NOT_APPLICABLE
    late = lists("post-mortems", incidents=[{"id": 7, "ended": (AT - 49 * HOUR).isoformat()}])
    assert late.breaches[0].what == "incident 7: its post-mortem is missing after 2 d 1 h"
    broken = lists("post-mortems", incidents=[{"id": 8, "ended": "yesterday"}])
    assert (broken.result, broken.reason) == (Result.NOT_CHECKED, "incident 8: it is no time")


def test_every_contact_of_the_spec_must_have_answered_its_newest_call():
    asked = AT - timedelta(days=3)
    good = {"asked": asked.isoformat(), "answered": (asked + timedelta(minutes=5)).isoformat()}
    assert lists("incident-contacts", calls=[{"role": "On-call"} | good, {"role": "Lead"} | good]).result is Result.PASS
    silent = {"role": "Lead", "asked": (AT - HOUR).isoformat(), "answered": ""}
    found = lists("incident-contacts", calls=[{"role": "On-call"} | good, {"role": "Lead"} | good, silent])
    assert [breach.what for breach in found.breaches] == ["Lead has not answered since 2026-01-31"]
    old = datetime(2025, 6, 1, tzinfo=UTC).isoformat()
    found = lists("incident-contacts", calls=[{"role": "On-call", "asked": old, "answered": old}])
    assert {breach.what for breach in found.breaches} == {
        "On-call was last called on 2025-06-01",
        "Lead was never called",
    }
