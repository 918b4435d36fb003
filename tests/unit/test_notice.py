"""Of which problems people are told: dependencies, windows, acknowledgements, snoozes, and our own network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.notice import gated, is_cut_off, quieted
from tasks.core.platform import DefaultSeverity, PlatformSpec, Severity, Slack
from tasks.core.report import Report, SystemReport, Verdict, compare
from tasks.core.results import Finding, Outcome
from tasks.core.silences import Silence
from tasks.core.system import SystemSpec, Use
from tasks.core.windows import Window

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
PASSED, WARNED, FAILED, ERRORED = Outcome.PASSED, Outcome.WARNED, Outcome.FAILED, Outcome.ERRORED


class Through(SystemSpec):
    through: str | None = None

    def uses(self):
        own = (Use(("through",), self.through),) if self.through else ()
        return (*super().uses(), *own)

    @property
    def is_local(self):
        return self.kind == "here"


PLATFORM = PlatformSpec(
    platform="shop",
    title="Shop",
    slack=Slack(channel="#shop"),
    severities={"P1": Severity(means="bad", respond="immediately"), "P2": Severity(means="odd", respond="next-day")},
    default_severity=DefaultSeverity(warn="P2", critical="P1"),
    systems={
        "cache": SystemSpec(kind="redis"),
        "api": SystemSpec(kind="http", depends_on=("cache",)),
        "web": SystemSpec(kind="http", depends_on=("api",)),
        "queue": Through(kind="queue", through="cache"),
        "disk": Through(kind="here"),
    },
)


def finding(system, measurement="reachable", outcome=FAILED, **more):
    since = NOW if outcome.is_problem else None
    return Finding(
        **{"system": system, "measurement": measurement, "outcome": outcome, "at": NOW, "since": since} | more
    )


def found(*findings):
    names = dict.fromkeys(one.system for one in findings)
    return [
        SystemReport(
            name=name, kind="any", title=name, seconds=0, findings=tuple(one for one in findings if one.system == name)
        )
        for name in names
    ]


def quiet(systems, platform=PLATFORM, silences=(), now=NOW):
    settled = quieted(systems, platform, silences=silences, now=now)
    return {one.key: one.quiet and one.quiet.why for system in settled for one in system.findings}


def report(systems, number=1):
    return Report(
        id=f"shop-health-check-{number}",
        platform="shop",
        title="Shop",
        timezone="UTC",
        flow="health-check",
        started=NOW,
        finished=NOW,
        systems=tuple(systems),
    )


def test_a_dead_parent_silences_all_that_needs_it_directly_through_others_or_lives_in_it():
    systems = found(
        finding("cache"), finding("api", "as_expected"), finding("web", "latency", WARNED), finding("queue")
    )
    assert quiet(systems) == {
        "cache/reachable": None,
        "api/as_expected": "dependency",
        "web/latency": "dependency",
        "queue/reachable": "dependency",
    }
    (_, api, *_) = quieted(systems, PLATFORM, now=NOW)
    assert api.findings[0].outcome is FAILED
    assert api.findings[0].quiet.text == "depends on cache, which does not answer"


@pytest.mark.parametrize(
    "parent",
    [
        finding("cache", "memory_used"),
        finding("cache", "check", ERRORED),
        finding("cache", outcome=ERRORED),
        finding("cache", outcome=PASSED),
    ],
    ids=["answers badly", "could not tell", "could not tell whether it answers", "well"],
)
def test_a_parent_that_is_not_known_to_be_dead_silences_nobody(parent):
    assert quiet(found(parent, finding("api")))["api/reachable"] is None


def test_a_dead_child_silences_no_parent_and_an_unrelated_system_is_told():
    assert quiet(found(finding("api"), finding("cache", "memory_used"), finding("disk", "disk_used"))) == {
        "api/reachable": None,
        "cache/memory_used": None,
        "disk/disk_used": None,
    }


def test_a_dead_parent_never_keeps_a_resolution_back():
    before = report(found(finding("cache", outcome=PASSED), finding("api", "latency", WARNED)))
    now = quieted(found(finding("cache"), finding("api", "latency", PASSED)), PLATFORM, now=NOW)
    assert [one.key for one in compare(now, before).resolved] == ["api/latency"]


def test_what_was_silenced_by_its_parent_is_new_once_the_parent_is_back():
    before = report(quieted(found(finding("cache"), finding("api")), PLATFORM, now=NOW))
    changes = compare(quieted(found(finding("cache", outcome=PASSED), finding("api")), PLATFORM, now=NOW), before)
    assert [one.key for one in changes.new] == ["api/reachable"]
    assert [one.key for one in changes.resolved] == ["cache/reachable"]


def test_what_is_silenced_is_neither_new_nor_resolved():
    before = report(found(finding("cache", outcome=PASSED), finding("api")))
    changes = compare(quieted(found(finding("cache"), finding("api")), PLATFORM, now=NOW), before)
    assert [one.key for one in changes.silenced] == ["api/reachable"]
    assert [one.key for one in changes.new] == ["cache/reachable"]
    assert not changes.resolved
    assert not changes.unseen


def windowed(**given):
    windows = {"weekly": Window.model_validate({"day": "sunday", "from": "02:00", "to": "04:00"} | given)}
    return PLATFORM.model_copy(update={"maintenance": windows})


def test_in_a_window_nobody_is_notified_and_the_verdict_is_not_fine():
    systems = quieted(found(finding("disk")), windowed(title="index upkeep"), now=NOW)
    (told,) = systems[0].findings
    assert (told.quiet.why, told.quiet.text) == ("maintenance", "maintenance: index upkeep")
    assert told.quiet.until == NOW + timedelta(hours=1)
    assert report(systems).verdict is Verdict.WARNED


def test_a_window_of_some_systems_holds_for_those_alone():
    systems = found(finding("disk"), finding("cache"))
    assert quiet(systems, windowed(systems=["disk"])) == {"disk/reachable": "maintenance", "cache/reachable": None}


def test_out_of_the_window_people_are_notified():
    assert quiet(found(finding("disk")), windowed(), now=NOW + timedelta(hours=1)) == {"disk/reachable": None}


def said(kind, pattern, *, outcomes=None, at=NOW - timedelta(hours=1), until=NOW + timedelta(hours=1)):
    return Silence(
        id="1",
        kind=kind,
        platform="shop",
        pattern=pattern,
        by="kim",
        why="on it",
        at=at,
        until=until,
        outcomes=outcomes or {},
    )


YESTERDAY = NOW - timedelta(days=1)


def test_an_acknowledged_problem_is_silent_until_the_acknowledgement_ends():
    systems = found(finding("disk", "disk_used", WARNED, since=YESTERDAY))
    acknowledged = said("acknowledged", "disk/disk_used", outcomes={"disk/disk_used": WARNED})
    assert quiet(systems, silences=[acknowledged]) == {"disk/disk_used": "acknowledged"}
    assert quiet(systems, silences=[acknowledged], now=acknowledged.until) == {"disk/disk_used": None}


def test_an_acknowledged_problem_that_gets_worse_is_told():
    systems = found(finding("disk", "disk_used", FAILED, since=YESTERDAY))
    assert quiet(systems, silences=[said("acknowledged", "disk", outcomes={"disk/disk_used": WARNED})]) == {
        "disk/disk_used": None
    }


def test_a_problem_that_came_back_after_it_was_acknowledged_is_told():
    systems = found(finding("disk", "disk_used", WARNED, since=NOW))
    assert quiet(systems, silences=[said("acknowledged", "disk", outcomes={"disk/disk_used": WARNED})]) == {
        "disk/disk_used": None
    }


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("disk/disk_used[/data]", True),
        ("disk/*", True),
        ("disk", True),
        ("*", True),
        ("disk/disk_used", False),
        ("cache", False),
        ("disk/disk_used[/dat?]", False),
    ],
)
def test_a_snooze_holds_for_all_that_fits_even_what_comes_later(pattern, fits):
    systems = found(finding("disk", "disk_used", subject="/data"))
    assert quiet(systems, silences=[said("snoozed", pattern)]) == {"disk/disk_used[/data]": "snoozed" if fits else None}


def test_a_snooze_that_has_ended_or_has_not_begun_holds_nothing_back():
    systems = found(finding("disk"))
    for times in ({"until": NOW}, {"at": NOW + timedelta(minutes=1)}):
        assert quiet(systems, silences=[said("snoozed", "*", **times)]) == {"disk/reachable": None}


def test_one_loud_failure_among_silenced_ones_still_fails():
    systems = quieted(found(finding("disk"), finding("cache")), windowed(systems=["disk"]), now=NOW)
    assert report(systems).verdict is Verdict.FAILED


def test_what_passes_is_never_silenced():
    assert quiet(found(finding("disk", outcome=PASSED)), windowed()) == {"disk/reachable": None}


def test_when_nothing_remote_answers_it_may_be_us():
    assert is_cut_off(found(finding("cache"), finding("api"), finding("disk", outcome=PASSED)), PLATFORM)
    assert not is_cut_off(found(finding("cache"), finding("api", outcome=PASSED)), PLATFORM)
    assert not is_cut_off(found(finding("cache"), finding("disk", outcome=PASSED)), PLATFORM)
    assert not is_cut_off([], PLATFORM)


def test_without_a_network_nothing_is_said_to_have_failed_and_nothing_to_be_fine():
    systems = gated(found(finding("cache"), finding("api"), finding("disk", outcome=PASSED)), PLATFORM, "no interface")
    (cache, _, disk) = systems
    assert cache.findings[0].outcome is ERRORED
    assert cache.findings[0].quiet.text == "this host's own network is gone: no interface"
    assert disk.findings[0].outcome is PASSED
    assert quiet(systems)["cache/reachable"] == "dependency"
    network = finding("watchkeeper", "network", ERRORED)
    assert report([*quieted(systems, PLATFORM, now=NOW), *found(network)]).verdict is Verdict.UNKNOWN
