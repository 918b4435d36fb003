"""Quantities: as people write them, and back."""

from __future__ import annotations

import math
import random
from datetime import timedelta

import pytest
from pydantic import BaseModel, ValidationError

from tasks.core.units import (
    Duration,
    Size,
    Unit,
    format_bytes,
    format_duration,
    format_quantity,
    parse_quantity,
    write_quantity,
)


class Holder(BaseModel):
    wait: Duration = timedelta(seconds=1)
    room: Size = 1.0


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("80%", 0.8, Unit.RATIO),
        ("99.95 %", 0.9995, Unit.RATIO),
        ("200ms", 0.2, Unit.SECONDS),
        ("1h30m", 5400, Unit.SECONDS),
        ("1h 30m", 5400, Unit.SECONDS),
        ("30d", 2_592_000, Unit.SECONDS),
        ("2w", 1_209_600, Unit.SECONDS),
        ("5µs", 5e-6, Unit.SECONDS),
        ("2GiB", 2 * 1024**3, Unit.BYTES),
        ("2Gi", 2 * 1024**3, Unit.BYTES),
        ("500MB", 500e6, Unit.BYTES),
        ("1,000,000B", 1e6, Unit.BYTES),
        ("100", 100, Unit.COUNT),
        ("1_000", 1000, Unit.COUNT),
        ("-3", -3, Unit.COUNT),
        (100, 100, Unit.COUNT),
        (4.5, 4.5, Unit.COUNT),
        ("100/h", 100 / 3600, Unit.RATE),
        ("5/s", 5, Unit.RATE),
        (True, 1, Unit.YES_NO),
        (False, 0, Unit.YES_NO),
    ],
)
def test_a_quantity_is_read_in_the_base_of_its_unit(text, number, unit):
    assert parse_quantity(text) == (pytest.approx(number), unit)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no quantity"),
        ("lots", "no quantity"),
        ("80 percent", "'percent' in '80 percent' is no unit"),
        ("5 mins", "no unit"),
        ("5M", "no unit"),
        ("1,5%", "no unit"),
        ("-5s", "negative"),
        ("5s later", "no unit"),
        ("1e999%", "larger than any"),
        ("9" * 400, "larger than any"),
        (math.nan, "not a finite number"),
        (math.inf, "not a finite number"),
        (None, "not NoneType"),
        ([80], "not list"),
        ({"a": 1}, "not dict"),
    ],
)
def test_what_is_no_quantity_is_refused_with_what_is(text, says):
    with pytest.raises(ValueError, match=says):
        parse_quantity(text)


def _any_number(unit: Unit, chance: random.Random) -> float:
    if unit is Unit.YES_NO:
        return float(chance.random() < 0.5)
    whole = chance.random() < 0.5
    number = chance.choice([0, 1, 7, 59, 60, 61, 3600, 86400, 1024, 1536, 10**9])
    return float(number) if whole else chance.uniform(0, 1) * 10 ** chance.randint(-4, 12)


@pytest.mark.parametrize("unit", [unit for unit in Unit if unit is not Unit.TEXT])
def test_what_is_written_is_read_as_the_same(unit):
    chance = random.Random(f"units {unit}")  # noqa: S311 - a fixed seed: the same numbers in every run
    for _ in range(500):
        number = _any_number(unit, chance)
        text = write_quantity(number, unit)
        read, as_unit = parse_quantity({"yes": True, "no": False}.get(text, text))
        assert as_unit is unit, text
        assert math.isclose(read, number, rel_tol=1e-12), text


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (0.995, Unit.RATIO, "99.5%"),
        (5400, Unit.SECONDS, "90m"),
        (86400, Unit.SECONDS, "1d"),
        (0.2, Unit.SECONDS, "200ms"),
        (0, Unit.SECONDS, "0s"),
        (1.5, Unit.SECONDS, "1500ms"),
        (2 * 1024**3, Unit.BYTES, "2GiB"),
        (1000, Unit.BYTES, "1000B"),
        (100 / 3600, Unit.RATE, "100/h"),
        (100, Unit.COUNT, "100"),
    ],
)
def test_a_quantity_is_written_in_the_unit_that_people_choose(number, unit, text):
    assert write_quantity(number, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0004, "0.4 ms"),
        (0.2, "200 ms"),
        (4.2, "4.2 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (12_000, "3 h 20 min"),
        (86_400, "1 d"),
        (1_036_800, "12 days"),
        (-60, "-1 min"),
    ],
)
def test_a_duration_reads_as_a_person_would_say_it(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1536, "1.5 KiB"), (5 * 1024**4, "5 TiB"), (-1024, "-1 KiB"), (2.0**80, "1,048,576 EiB")],
)
def test_a_size_reads_in_binary_units(size, text):
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.8349, Unit.RATIO, "83.49%"),
        (0.00001, Unit.RATIO, "0.001%"),
        (3.4e-8, Unit.RATIO, "< 0.001%"),
        (True, Unit.YES_NO, "yes"),
        (0.0, Unit.YES_NO, "no"),
        (1234567.0, Unit.COUNT, "1,234,567"),
        (4.567, Unit.COUNT, "4.57"),
        (100 / 3600, Unit.RATE, "100/h"),
        (12.5, Unit.RATE, "12.5/s"),
        ("green", Unit.TEXT, "green"),
        (math.nan, Unit.RATIO, "nan"),
        (math.inf, Unit.SECONDS, "inf"),
    ],
)
def test_a_value_reads_in_its_unit(value, unit, text):
    assert format_quantity(value, unit) == text


def test_a_duration_survives_being_stored_and_read_again():
    chance = random.Random(7)  # noqa: S311 - a fixed seed
    for _ in range(200):
        held = Holder(wait=timedelta(microseconds=chance.randrange(1, 10**15)))
        assert Holder.model_validate_json(held.model_dump_json()) == held


@pytest.mark.parametrize(
    ("wait", "says"),
    [
        ("80%", "is no duration"),
        (15, "is no duration"),
        ("soon", "no quantity"),
        ("99999999999d", "longer than any duration"),
    ],
)
def test_what_is_no_duration_is_refused(wait, says):
    with pytest.raises(ValidationError, match=says):
        Holder(wait=wait)


def test_a_size_is_read_in_bytes():
    assert Holder(room="500GiB").room == 500 * 1024**3  # type: ignore[arg-type]
