"""Logs: lines with and without times, files that rotate, and counts that stay bounded whatever is written."""

import gzip
import os
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from tasks.core.results import Outcome
from tasks.systems.logs import sources
from tasks.systems.logs.counting import LONGEST_LINE, Count, alike, look_at
from tasks.systems.logs.spec import Pattern
from tasks.systems.logs.times import time_of
from tests.hostile import NOW, check, finding, measured

PRAGUE = ZoneInfo("Europe/Prague")
AT = datetime(2026, 11, 22, 8, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("2026-11-22T08:30:05Z ERROR x", AT),
        ("2026-11-22T09:30:05.123456+01:00 ERROR x", AT),
        ("2026-11-22 09:30:05,123 ERROR x", AT),
        ("2026/11/22 09:30:05 [error] 7#7: *1 x", AT),
        ('{"time": "2026-11-22T08:30:05Z", "level": "ERROR"}', AT),
        ('{"ts": 1795336205.5, "level": "ERROR"}', AT),
        ('{"timestamp": 1795336205123}', AT),
        ('203.0.113.9 - - [22/Nov/2026:08:30:05 +0000] "GET / HTTP/1.1" 200 1', AT),
        ("Nov 22 09:30:05 host app[1]: x", AT),
        ("Dec 31 23:59:59 host app[1]: x", datetime(2025, 12, 31, 22, 59, 59, tzinfo=UTC)),
        ("Traceback (most recent call last):", None),
        ("2026-13-45T99:99:99Z no such time", None),
        ("Foo 22 09:30:05 no such month", None),
    ],
)
def test_the_common_ways_to_write_a_time_are_understood(line, at):
    found = time_of(line, PRAGUE, NOW)
    assert (found.replace(microsecond=0) if found else None) == at


def count(lines, **pattern):
    one = Count("it", Pattern.model_validate(pattern))
    look_at(lines, [one])
    return {m.name: m for m in one.measurements(timedelta(hours=1), NOW, "")}


def test_matches_are_counted_by_type_from_json():
    lines = ['{"level": "ERROR", "error_type": "Timeout"}'] * 3 + ['x {"level": "ERROR", "error_type": "Refused"}']
    lines += ["ERROR plain", '{"level": "ERROR"', "INFO fine"]
    found = count(lines, match="ERROR", by="error_type")
    assert found["matches"].value == 6
    assert found["matches"].note == "Timeout (3), without error_type (2), Refused (1)"
    assert (found["most_by_one"].value, found["most_by_one"].note) == (3, "Timeout")
    assert found["rate"].value == pytest.approx(6 / 3600)


def test_only_values_over_the_bound_count():
    lines = [f"phase2_duration_ms={number}" for number in (900, 1000, 1001, 5000.5)] + ["phase2_duration_ms=1.2.3"]
    found = count(lines, match=r"(?P<by>phase\d)_duration_ms=(?P<value>[0-9.]+)", over=1000)
    assert found["matches"].value == 2
    assert found["most_by_one"].note == "phase2"


def test_lines_of_the_same_trouble_are_one_and_show_no_secret():
    lines = [
        "2026-11-22T08:30:05Z ERROR user jane@example.com password=hunter2 request 4f9a8b7c6d5e4f3a2b1c failed",
        "2026-11-22T09:11:59Z ERROR user joe@example.com password=letmein request 1f2a3b4c5d6e7f8a9b0c failed",
    ]
    assert {alike(line) for line in lines} == {"ERROR user <email> password=*** request <id> failed"}
    assert alike("2026-11-22 09:30:05,123 Timeout") == "Timeout"
    assert alike("\x1b[31m1\x00") == "?[#m#?"


def test_strangers_cannot_make_it_remember_without_end():
    found = count((f"failed from {number}" for number in range(30_000)), match=r"failed from (?P<by>\d+)")
    assert found["matches"].value == 30_000
    assert found["most_by_one"].note == "others"


def test_what_follows_in_a_very_long_line_is_not_looked_at():
    assert count(["x" * LONGEST_LINE + "ERROR"], match="ERROR")["matches"].value == 0


@pytest.mark.parametrize(
    "pattern",
    [{"match": "("}, {"match": "x", "over": 3}, {"match": "(?P<value>1)"}, {"match": "(?P<by>x)", "by": "type"}],
)
def test_a_pattern_that_cannot_count_is_refused(pattern):
    with pytest.raises(ValidationError):
        Pattern.model_validate(pattern)


def line(minutes, text="ERROR it broke"):
    return f"{(NOW - timedelta(minutes=minutes)).isoformat()} {text}\n"


async def counted(folder, *files, **fields):
    system = {"kind": "logs", "folder": str(folder), "files": files, "since": "1h"}
    system["patterns"] = {"errors": {"match": "ERROR", "limits": {"matches": {"warn": 0}}}}
    return await check(system | fields, now=NOW)


def stamped(path, text, minutes):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    at = (NOW - timedelta(minutes=minutes)).timestamp()
    os.utime(path, (at, at))


async def test_only_the_lines_of_the_window_count_and_a_traceback_belongs_to_its_line(tmp_path):
    stamped(tmp_path / "app.log", line(90) + "ERROR still the old one\n" + line(30) + "ERROR its traceback\n", 30)
    report = await counted(tmp_path, "app.log")
    assert finding(report, "matches", "errors").outcome is Outcome.WARNED
    assert measured(report, "matches", "errors").value == 2


async def test_a_log_without_new_lines_is_green(tmp_path):
    stamped(tmp_path / "app.log", line(90), 90)
    assert finding(await counted(tmp_path, "app.log"), "matches", "errors").outcome is Outcome.PASSED


async def test_what_was_rotated_away_within_the_window_is_read_once(tmp_path):
    stamped(tmp_path / "app.log", line(5), 5)
    stamped(tmp_path / "app.log.1", line(20), 20)
    stamped(tmp_path / "app.log.2.gz", gzip.compress((line(120) + line(40)).encode()), 40)
    stamped(tmp_path / "app.log.3.gz", gzip.compress(line(130).encode()), 130)
    for files in (("app.log",), ("app.log", "app.log*")):
        assert measured(await counted(tmp_path, *files), "matches", "errors").value == 3


async def test_a_file_that_was_just_rotated_and_is_empty_still_counts_what_came_before(tmp_path):
    stamped(tmp_path / "app.log", "", 0)
    stamped(tmp_path / "app.log-20261122", line(1), 1)
    assert measured(await counted(tmp_path, "app.log"), "matches", "errors").value == 1


async def test_bytes_that_are_no_text_are_counted_past(tmp_path):
    stamped(tmp_path / "app.log", b"\xff\xfe\x00\n" + line(5).encode() + b"\x80ERROR\xc3\n", 5)
    assert measured(await counted(tmp_path, "app.log"), "matches", "errors").value == 2


async def test_a_huge_file_is_read_from_its_end_and_the_note_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MOST_BYTES", 1000)
    stamped(tmp_path / "app.log", line(59) * 100, 59)
    report = await counted(tmp_path, "app.log")
    assert measured(report, "bytes_read").value <= 1000
    assert "only the last" in measured(report, "matches", "errors").note
    assert 0 < measured(report, "matches", "errors").value < 100


async def test_lines_whose_time_is_not_understood_are_all_counted_and_the_note_says_so(tmp_path):
    stamped(tmp_path / "app.log", "ERROR once\nERROR twice\n", 5)
    found = measured(await counted(tmp_path, "app.log"), "matches", "errors")
    assert found.value == 2
    assert "no time that is understood" in found.note


async def test_a_file_that_is_missing_or_none_is_errored_and_the_others_go_on(tmp_path):
    stamped(tmp_path / "app.log", line(5), 5)
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "folder.log").mkdir()
    stamped(tmp_path / "broken.log.gz", b"\x1f\x8b\x08nonsense", 5)
    files = ("gone.log", "pipe.log", "folder.log", "broken.log.gz", "app.log")
    report = await counted(tmp_path, *files)
    errored = {f.subject.rpartition("/")[2] for f in report.findings if f.outcome is Outcome.ERRORED}
    assert errored == set(files) - {"app.log"}
    assert measured(report, "matches", "errors").value == 1


async def test_where_nothing_could_be_read_nothing_is_green(tmp_path):
    report = await counted(tmp_path, "gone.log")
    assert finding(report, "matches", "errors").outcome is Outcome.ERRORED
