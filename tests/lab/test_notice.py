"""What is told of a lab that is broken: the cause and not its consequences, and nothing of what was gone at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployments.check import check_now
from tasks import silences
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.inspections import report_store
from tasks.platforms import load
from tasks.systems.checking import check_system

pytestmark = pytest.mark.lab


@pytest.fixture
def settings(lab, tmp_path):
    return Settings(state=tmp_path, lab=lab.state, confirm=False)


def check(settings, *systems):
    return check_now("apex", systems, settings, began=lambda _: None, told=lambda _: None)


def test_a_cache_that_is_gone_is_told_and_what_needs_it_is_silenced_until_it_is_back(lab, settings):
    lab.break_("apex/cache", "stopped")
    report = check(settings, "cache", "api", "work", "certificate")
    assert {finding.key for finding in report.loud} == {"cache/reachable"}
    silenced = {finding.key: finding.quiet.text for finding in report.problems if finding.quiet}
    assert silenced == dict.fromkeys(
        ["api/as_expected[/ready]", "work/reachable"], "depends on cache, which does not answer"
    )
    report_store(settings).save(report, "")
    lab.mend("apex/cache")
    mended = check(settings, "cache", "api", "work", "certificate")
    assert {"cache/reachable", "work/reachable"} <= {finding.key for finding in mended.changes.resolved}
    assert mended.loud == ()


async def test_what_is_gone_at_the_second_look_is_no_problem_and_is_noted(lab):
    async def mend_meanwhile(_seconds):
        lab.mend("stario/gateway")

    lab.break_("stario/gateway", "stopped")
    access = replace(lab.access, pause=mend_meanwhile)
    report = await check_system(load("stario"), "gateway", access)
    reachable = {finding.outcome for finding in report.findings if finding.measurement == "reachable"}
    assert reachable == {Outcome.PASSED}
    assert any("failed in 1 of 2 looks" in finding.note for finding in report.findings)


async def test_what_is_still_there_at_the_second_look_fails(lab):
    looks = []

    async def again(seconds):
        looks.append(seconds)

    lab.break_("stario/gateway", "stopped")
    report = await check_system(load("stario"), "gateway", replace(lab.access, pause=again))
    assert looks == [load("stario").confirm.every.total_seconds()]
    assert report.outcome is Outcome.FAILED


def test_an_acknowledged_outage_of_the_lab_fails_no_more_and_says_who_is_on_it(lab, settings):
    lab.break_("apex/cache", "stopped")
    report_store(settings).save(check(settings, "cache"), "")
    silences.silence("acknowledged", "apex", "cache", by="kim", why="", settings=settings, lasting=silences.LONGEST)
    report = check(settings, "cache")
    assert (report.loud, report.verdict.value) == ((), "warned")
    assert report.problems[0].quiet.text == "acknowledged by kim"
