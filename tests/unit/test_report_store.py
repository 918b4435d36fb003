from datetime import timedelta

import pytest

from tasks.clients.blobs import FolderStore, MemoryStore
from tasks.clients.report_store import ReportStore
from tasks.clients.secrets import SecretResolver
from tasks.core.errors import Denied
from tasks.core.report import SystemReport, build_report
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.inspections import Inspection
from tests.golden.reports import NOW, PLATFORM


def report(hours=0, systems=("api", "cache"), environment="production", suffix="abc"):
    found = [SystemReport(name=name, kind="http", title=name, seconds=0.1) for name in systems]
    at = NOW + timedelta(hours=hours)
    return build_report(
        PLATFORM, found, flow="health-check", started=at, finished=at, suffix=suffix, environment=environment
    )


def latest(store, systems=("api", "cache"), environment="production", **more):
    return store.latest("apex", "health-check", environment=environment, systems=systems, **more)


def test_a_report_is_kept_as_json_and_html_and_read_again(tmp_path):
    store = ReportStore(FolderStore(tmp_path))
    kept = report()
    where = store.save(kept, "<html>")
    assert where == str(tmp_path / "apex" / "health-check" / f"{kept.id}.html")
    assert latest(store) == (kept, "")


def test_the_newest_report_is_the_one_before():
    store = ReportStore(MemoryStore())
    for hours in (2, 1, 3):
        store.save(report(hours), "")
    assert latest(store).report == report(3)
    assert latest(store, before=report(3).id).report == report(2)


def test_of_two_runs_within_a_second_the_later_one_is_the_newest():
    def begun(milliseconds):
        access = Access(SecretResolver({}), now=lambda: NOW + timedelta(milliseconds=milliseconds))
        return Inspection("health-check", PLATFORM, access, Settings()).report([])

    ids = [begun(milliseconds).id for milliseconds in range(0, 1000, 50)]
    assert ids == sorted(ids)


def test_there_is_none_before_the_first():
    assert latest(ReportStore(MemoryStore())) == (None, "")


def test_a_check_of_one_system_does_not_hide_the_morning():
    store = ReportStore(MemoryStore())
    store.save(report(1), "")
    store.save(report(2, systems=("api",)), "")
    assert latest(store).report == report(1)
    assert latest(store, systems=("api",)).report == report(2, systems=("api",))


def test_the_lab_is_never_compared_with_production():
    store = ReportStore(MemoryStore())
    store.save(report(1), "")
    store.save(report(2, environment="lab"), "")
    assert latest(store).report == report(1)
    assert latest(store, environment="lab").report == report(2, environment="lab")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 0}', b"\xff\xfe"])
def test_a_report_that_cannot_be_read_is_passed_over_and_said(content):
    blobs = MemoryStore()
    store = ReportStore(blobs)
    store.save(report(1), "")
    blobs.put(f"apex/health-check/{report(2).id}.json", content)
    found = latest(store)
    assert found.report == report(1)
    assert "1 earlier report(s) could not be read" in found.note


def test_a_report_of_a_newer_version_with_more_in_it_is_still_read():
    blobs = MemoryStore()
    text = report().model_dump_json().replace('"version":1', '"version":1,"mood":"fine"', 1)
    blobs.put(f"apex/health-check/{report().id}.json", text.encode())
    assert latest(ReportStore(blobs)).report == report()


def test_a_store_that_refuses_to_list_is_said_and_not_raised(monkeypatch):
    blobs = MemoryStore()

    def refuse(_):
        raise Denied("no", operation="list")

    monkeypatch.setattr(blobs, "list", refuse)
    assert latest(ReportStore(blobs)) == (None, "earlier reports cannot be read: list: no")
