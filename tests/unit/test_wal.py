"""The write-ahead log by its names: what is missing, and how far a copy can be rolled on."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import ConfigError, Garbled
from tasks.systems.postgres.wal import (
    SEGMENT_BYTES,
    Base,
    Segment,
    Switch,
    format_lsn,
    gap_text,
    is_archived_name,
    parse_history,
    parse_lsn,
    parse_segment,
    reaches,
    segment_name,
    segment_of,
)

AT = datetime(2026, 11, 25, 2, tzinfo=UTC)


def lsn(segment, byte=0):
    return segment * SEGMENT_BYTES + byte


def base(first=5, last=6, timeline=1, name="full"):
    return Base(name, timeline, lsn(first, 40), lsn(last, 300), AT)


def named(*numbers, timeline=1):
    return [segment_name(Segment(timeline, number)) for number in numbers]


@given(st.integers(1, 0xFFFFFFFF), st.integers(0, 2**64 - 1), st.sampled_from([2**power for power in range(20, 31)]))
def test_a_segments_name_says_where_it_is(timeline, place, size):
    segment = segment_of(timeline, place, size)
    assert parse_segment(segment_name(segment, size), size) == segment
    assert segment.number * size <= place < (segment.number + 1) * size
    assert parse_lsn(format_lsn(place)) == place


def test_names_are_postgresqls_own():
    assert segment_name(segment_of(1, parse_lsn("16/B374D848"))) == "0000000100000016000000B3"
    for name in ("0000000100000016000000B3.partial", "00000002.history", "0000000100000016000000B3.00000028.backup"):
        assert is_archived_name(name)
        assert parse_segment(name) is None
    for name in ("0000000100000016000000b3", "../0000000100000016000000B3", "RECOVERYXLOG", "", "00000002.history\n"):
        assert not is_archived_name(name)


def test_a_text_that_is_no_lsn_is_refused_with_an_example():
    for text in ("", "16", "16/", "yesterday", "123456789/0", "1/2/3"):
        with pytest.raises(ConfigError, match="is no LSN") as caught:
            parse_lsn(text)
        assert "16/B374D848" in caught.value.hint


def test_log_without_a_gap_reaches_to_the_end_of_its_last_segment():
    times = {name: AT + timedelta(minutes=position) for position, name in enumerate(named(5, 6, 7, 8))}
    (reach,) = reaches(named(5, 6, 7, 8), [base()], archived_at=times)
    assert (reach.until, reach.last, reach.missing) == (lsn(9), named(8)[0], ())
    assert reach.until_time == AT + timedelta(minutes=3)
    assert reach.consistent


def test_a_gap_is_named_and_ends_the_reach_before_it():
    (reach,) = reaches(named(4, 5, 6, 7, 10, 12), [base()])
    assert reach.missing == tuple(named(8, 9, 11))
    assert (reach.until, reach.last) == (lsn(8), named(7)[0])
    assert reach.consistent


def test_a_copy_whose_own_log_is_missing_is_of_no_use():
    (reach,) = reaches(named(5, 7, 8), [base()])
    assert reach.missing == tuple(named(6))
    assert not reach.consistent
    (reach,) = reaches([], [base()])
    assert reach.missing == tuple(named(5, 6))
    assert (reach.last, reach.consistent) == (None, False)


def test_each_copy_has_a_reach_of_its_own():
    found = reaches(named(5, 6, 8, 9, 10), [base(), base(9, 9, name="later")])
    assert [(reach.base, reach.until, reach.missing) for reach in found] == [
        ("full", lsn(7), tuple(named(7))),
        ("later", lsn(11), ()),
    ]


def test_a_timeline_goes_on_from_the_one_that_it_branched_off():
    there = [*named(5, 6, 7, 8), *named(7, 8, 9, timeline=2), "00000002.history"]
    first, second = reaches(there, [base()], histories={2: (Switch(1, lsn(7, 500)),)})
    assert (first.timeline, first.until) == (1, lsn(9))
    assert (second.timeline, second.until, second.missing) == (2, lsn(10), ())


def test_a_timeline_that_branched_off_before_the_copy_ended_is_no_way_on():
    there = [*named(5, 6, 7), *named(6, 7, timeline=2)]
    found = reaches(there, [base()], histories={2: (Switch(1, lsn(6, 100)),)})
    assert [reach.timeline for reach in found] == [1]


def test_a_gap_before_the_branch_is_of_the_timeline_before():
    there = [*named(5, 6), *named(8, 9, timeline=2)]
    _, second = reaches(there, [base()], histories={2: (Switch(1, lsn(8, 500)),)})
    assert second.missing == tuple(named(7))


@given(st.sets(st.integers(0, 30)))
def test_what_is_missing_and_what_is_there_make_the_whole_way(there):
    (reach,) = reaches(named(*there), [base()])
    missing = {parse_segment(name).number for name in reach.missing}
    assert missing | (there & set(range(5, 31))) == set(range(5, max([6, *there]) + 1))
    assert not missing & there
    assert reach.until == lsn(min(missing, default=max([6, *there]) + 1))


def test_a_history_is_read_without_its_reasons_and_comments():
    text = "# a comment\n1\t0/5000000\tno recovery target specified\n\n2\t16/B374D848\tbefore 2026-11-25 14:03:00+00\n"
    assert parse_history(text) == (Switch(1, 0x5000000), Switch(2, parse_lsn("16/B374D848")))
    with pytest.raises(Garbled):
        parse_history("<html>not found</html>")


def test_a_long_gap_is_not_listed_whole():
    assert gap_text(named(*range(9))) == ", ".join(named(*range(5))) + " and 4 more"
