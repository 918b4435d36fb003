"""A platform's past out of the store: each report is read once, and what cannot be read is said."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from tasks import status
from tasks.clients.blobs import FolderStore, MemoryStore
from tasks.clients.report_store import ReportStore
from tasks.clients.secrets import SecretResolver
from tasks.core.digest import Evening
from tasks.core.errors import ConfigError, Denied
from tasks.core.history import Seen
from tasks.core.report import Verdict
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.days import Closing
from tasks.inspections import Inspection, report_store
from tasks.pasts import Past
from tests.golden.digests import EVENING, PLATFORM, green, morning
from tests.golden.reports import NOW, silent

ZONE = ZoneInfo("Europe/Prague")


class Counting(MemoryStore):
    """Counts what is read."""

    def __init__(self):
        super().__init__()
        self.reads = []

    def get(self, key):
        self.reads.append(key)
        return super().get(key)


def past(blobs, environment="production"):
    return Past(ReportStore(blobs), "apex", environment, ZONE)


def keep(blobs, *made):
    for one in made:
        ReportStore(blobs).save(one, "")


def key(hour):
    return f"apex/health-check/{morning(hour=hour).id}.json"


def test_the_checks_between_two_times_come_in_order_and_the_unreadable_are_counted():
    blobs = MemoryStore()
    keep(blobs, morning(hour=12), morning(), morning(back=1))
    blobs.put(key(13), b"{")
    found = past(blobs).between(NOW - timedelta(hours=12), EVENING)
    assert [one.finished.hour for one in found.reports] == [8, 12]
    assert found.unreadable == 1


def test_the_labs_reports_are_none_of_productions():
    blobs = MemoryStore()
    keep(blobs, morning(environment="lab"))
    assert past(blobs).newest().reports == []
    assert len(past(blobs, "lab").newest().reports) == 1
    assert past(blobs).days(NOW.date(), 3)[NOW.date()].verdict is None


def test_a_day_is_read_once_and_again_when_there_is_more_of_it():
    blobs = Counting()
    keep(blobs, morning(), morning(back=1))
    past(blobs).days(NOW.date(), 30)
    blobs.reads.clear()
    past(blobs).days(NOW.date(), 30)
    assert blobs.reads == ["status/apex-production.days.json"]
    keep(blobs, morning(silent("cache"), hour=12))
    found = past(blobs).days(NOW.date(), 30)
    assert (found[NOW.date()].verdict, found[NOW.date()].systems["cache"]) == (Verdict.FAILED, Seen(looks=2, up=1))
    assert key(8) in blobs.reads
    assert not [one for one in blobs.reads if "20261121" in one]


@pytest.mark.parametrize("content", [b"", b"{", b'{"zone": "UTC", "days": []}'])
def test_days_that_were_folded_badly_or_for_another_zone_are_folded_anew(content):
    blobs = MemoryStore()
    keep(blobs, morning())
    blobs.put("status/apex-production.days.json", content)
    assert past(blobs).days(NOW.date(), 30)[NOW.date()].looks == 1


def test_a_day_whose_reports_are_all_unreadable_has_no_verdict_and_says_so():
    blobs = MemoryStore()
    blobs.put(key(8), b"{")
    day = past(blobs).days(NOW.date(), 30)[NOW.date()]
    assert (day.verdict, day.unreadable) == (None, 1)


def test_a_store_that_may_not_be_written_still_tells_its_days(monkeypatch):
    blobs = MemoryStore()
    keep(blobs, morning())

    def refuse(*_):
        raise Denied("read-only")

    monkeypatch.setattr(blobs, "put", refuse)
    assert past(blobs).days(NOW.date(), 30)[NOW.date()].looks == 1


def test_the_digest_before_is_of_an_earlier_day_and_can_be_read():
    blobs = MemoryStore()
    digest = green()
    keep(blobs, digest)
    blobs.put("apex/evening-digest/apex-evening-digest-20261122T180000Z-ffffff.json", b"{")
    assert past(blobs).digest_before(digest.day + timedelta(days=1)) == digest
    assert past(blobs).digest_before(digest.day) is None


@pytest.fixture
def settings(tmp_path):
    return Settings(state=tmp_path)


def closing(settings, day=None):
    access = Access(resolver=SecretResolver({}), now=lambda: EVENING)
    return Closing(Inspection("evening-digest", PLATFORM, access, settings), day)


def test_a_day_is_closed_with_what_the_store_holds_of_it(settings):
    store = report_store(settings)
    for one in (morning(silent("cache"), back=1), morning(silent("cache")), green()):
        store.save(one, "")
    digest = closing(settings).digest(Evening())
    assert [story.finding.key for story in digest.persisting] == ["cache/reachable"]
    assert len(digest.looks) == 1
    assert digest.uptime[1].period == Seen(looks=2, up=0)


def test_the_morning_that_is_missing_is_said(settings):
    report_store(settings).save(morning(back=2), "")
    digest = closing(settings).digest(Evening())
    assert digest.verdict is Verdict.UNKNOWN
    assert digest.missed == tuple(PLATFORM.systems)


def test_reports_that_cannot_be_read_are_said_in_the_digest(settings):
    report_store(settings).save(morning(), "")
    FolderStore(settings.state / "reports").put(key(9), b"\xff")
    assert closing(settings).digest(Evening()).notes == (
        "1 of the day's reports could not be read and were passed over",
    )


def test_a_store_that_cannot_be_opened_is_said_in_the_digest(tmp_path):
    digest = closing(Settings(state=tmp_path, reports="gopher://x")).digest(Evening())
    assert digest.verdict is Verdict.UNKNOWN
    assert "gopher:// is no store" in digest.notes[0]


def test_an_earlier_day_measures_only_what_knows_its_past(settings):
    earlier = closing(settings, EVENING.date() - timedelta(days=3))
    assert list(earlier.inspection.systems) == ["metrics"]
    assert earlier.inspection.access.now().astimezone(ZONE).date() == EVENING.date() - timedelta(days=2)
    assert list(closing(settings).inspection.systems) == ["metrics", "backups"]


def test_a_day_that_has_not_been_yet_is_refused(settings):
    with pytest.raises(ConfigError, match="has not been yet"):
        closing(settings, EVENING.date() + timedelta(days=1))


def test_what_is_compared_is_measured_a_day_and_a_week_back(settings):
    one = closing(settings)
    assert one.yesterday.access.now() == EVENING - timedelta(days=1)
    assert one.last_week.access.now() == EVENING - timedelta(days=7)


def test_status_pages_are_built_for_every_platform_out_of_the_store_alone(settings, tmp_path):
    report_store(settings).save(morning(), "")
    standings = {one.platform: one for one in status.build(tmp_path / "public", settings, EVENING)}
    assert standings["eyewear"].checked is None
    assert standings["apex"].days[-1].verdict is Verdict.PASSED
    written = {path.name for path in (tmp_path / "public").iterdir()}
    assert written == {"index.html", *(f"{name}.{suffix}" for name in standings for suffix in ("html", "svg"))}


def test_a_page_beside_the_reports_and_an_index_of_all_that_are_known(settings):
    store = report_store(settings)
    store.save(morning(), "")
    where = status.write_beside(settings, PLATFORM, EVENING)
    assert where.endswith("status/apex.html")
    index = (settings.state / "reports/status/index.html").read_text()
    assert "SIGN X Studio" in index
    assert "EyewearML" not in index


def test_a_system_that_was_not_looked_at_lately_keeps_the_page_from_being_green(settings):
    store = report_store(settings)
    store.save(morning(back=3), "")
    later = morning()
    store.save(later.model_copy(update={"systems": later.systems[:2]}), "")
    standing = status.standing_of(PLATFORM, settings, EVENING)
    assert standing.verdict is Verdict.UNKNOWN
    assert [one.stale for one in standing.systems] == [False, False, True, True, True]


def test_a_store_that_cannot_be_read_is_told_and_never_green(tmp_path):
    standing = status.standing_of(PLATFORM, Settings(state=tmp_path, reports="gopher://x"), EVENING)
    assert standing.trouble
    assert standing.stale


def test_a_folder_that_cannot_be_written_is_said(settings, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be written"):
        status.build(tmp_path / "file", settings, EVENING)


def test_a_day_has_the_date_that_it_has_where_the_platform_is():
    blobs = MemoryStore()
    late = morning(hour=23)
    keep(blobs, late)
    assert list(past(blobs).days(date(2026, 11, 24), 5)) == [date(2026, 11, 23)]
