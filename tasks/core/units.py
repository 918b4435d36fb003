"""Quantities as people write them (`80%`, `200ms`, `1h30m`, `2GiB`, `100/h`), and as they read them.

A quantity is held as a float in its unit's base: a ratio (0.8), seconds, bytes, a count, or events per second.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema


class Unit(StrEnum):
    """What a measured value is counted in."""

    RATIO = "ratio"
    SECONDS = "seconds"
    BYTES = "bytes"
    COUNT = "count"
    RATE = "per second"
    YES_NO = "yes or no"
    TEXT = "text"


EXAMPLES = {
    Unit.RATIO: "80%",
    Unit.SECONDS: "200ms",
    Unit.BYTES: "2GiB",
    Unit.COUNT: "100",
    Unit.RATE: "100/h",
    Unit.YES_NO: "no",
    Unit.TEXT: "green",
}

_DURATIONS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_SIZES = {"B": 1.0} | {
    prefix + suffix: float(base**power)
    for suffix, base in (("B", 1000), ("iB", 1024))
    for power, prefix in enumerate("KMGTPE", start=1)
}
_SIZES |= {"kB": 1000.0} | {prefix + "i": _SIZES[prefix + "iB"] for prefix in "KMGTPE"}
_NUMBER = r"[0-9]+(?:[_,][0-9]{3})*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_ONE_DURATION = re.compile(rf"({_NUMBER})\s*(ns|us|µs|ms|s|m|h|d|w)")
_WHOLE_DURATION = re.compile(rf"(?:{_ONE_DURATION.pattern}\s*)+")
_QUANTITY = re.compile(rf"(-?{_NUMBER})\s*(.*)", re.DOTALL)


def _number(text: str) -> float:
    number = float(text.replace("_", "").replace(",", ""))
    if not math.isfinite(number):
        raise ValueError(f"{text} is larger than any quantity")
    return number


def parse_quantity(value: object) -> tuple[float, Unit]:  # noqa: C901, PLR0911 - one case for each kind of unit
    """Read a quantity with its unit.

    Args:
        value: Text such as `80%`, or a bare number (a count), or a boolean (yes or no).

    Returns:
        The number in the unit's base, and the unit.

    Raises:
        ValueError: The text is no quantity; the message shows what is.
    """
    if isinstance(value, bool):
        return float(value), Unit.YES_NO
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return float(value), Unit.COUNT
    if not isinstance(value, str):
        raise ValueError(f"a quantity is text like 80%, 200ms, 2GiB or 100, not {type(value).__name__}")  # noqa: TRY004
    text = value.strip()
    if _WHOLE_DURATION.fullmatch(text):
        return sum(_number(n) * _DURATIONS[u] for n, u in _ONE_DURATION.findall(text)), Unit.SECONDS
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no quantity: write 80%, 200ms, 30d, 2GiB, 100 or 100/h")
    number, suffix = _number(match[1]), match[2].strip()
    if not suffix:
        return number, Unit.COUNT
    if suffix == "%":
        return number / 100, Unit.RATIO
    if suffix in _SIZES:
        return number * _SIZES[suffix], Unit.BYTES
    if suffix.startswith("/") and suffix[1:] in _DURATIONS:
        return number / _DURATIONS[suffix[1:]], Unit.RATE
    if _WHOLE_DURATION.fullmatch(text.removeprefix("-")):
        raise ValueError(f"{text!r} is negative: no duration is")
    raise ValueError(f"{suffix!r} in {text!r} is no unit: write 80%, 200ms, 30d, 2GiB, 100 or 100/h")


def write_quantity(number: float, unit: Unit) -> str:
    """Write a quantity as a spec does, so that `parse_quantity` reads the same again: `80%`, `90m`, `1536MiB`."""
    if unit is Unit.YES_NO:
        return "yes" if number else "no"
    if unit is Unit.RATIO:
        return f"{_exact(number * 100)}%"
    if unit is Unit.RATE:
        size, name = _largest(number, {f"/{name}": 1 / _DURATIONS[name] for name in ("s", "m", "h", "d")}, default="/s")
        return f"{_exact(number / size)}{name}"
    if unit is Unit.SECONDS:
        size, name = _largest(number, {name: _DURATIONS[name] for name in ("d", "h", "m", "s", "ms")}, default="s")
        return f"{_exact(number / size)}{name}"
    if unit is Unit.BYTES:
        size, name = _largest(number, {name: _SIZES[name] for name in ("TiB", "GiB", "MiB", "KiB")}, default="B")
        return f"{_exact(number / size)}{name}"
    return _exact(number)


def _exact(number: float) -> str:
    return f"{number:.15g}"


def _largest(number: float, sizes: dict[str, float], *, default: str) -> tuple[float, str]:
    """Return the first size of which the number is a whole multiple, with its name."""
    for name, size in sizes.items():
        if number and (number / size).is_integer() and number / size * size == number:
            return size, name
    return 1.0, default


def _trim(number: float, digits: int = 1) -> str:
    if number and abs(number) < 10**-digits:
        return f"{number:.2g}"
    return f"{number:,.{digits}f}".rstrip("0").rstrip(".") if digits else f"{number:,.0f}"


def format_duration(seconds: float) -> str:
    """Write a duration as a person would: `200 ms`, `4.2 s`, `3 h 20 min`, `12 days`."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds == 0:
        return "0 s"
    if seconds < 1:
        return f"{_trim(seconds * 1000)} ms"
    if seconds < 60:  # noqa: PLR2004
        return f"{_trim(seconds)} s"
    for size, name, smaller, smaller_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            few = int(rest // smaller)
            if size == 86400 and whole >= 3:  # noqa: PLR2004
                return f"{whole:,.0f} days"
            return f"{whole:.0f} {name} {few} {smaller_name}" if few else f"{whole:.0f} {name}"
    raise AssertionError(seconds)


def format_bytes(size: float) -> str:
    """Write a size in binary units: `1.5 GiB`."""
    value, power = abs(size), 0
    while value >= 1024 and power < 6:  # noqa: PLR2004
        value, power = value / 1024, power + 1
    text = f"{_trim(value)} {['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'][power]}"
    return f"-{text}" if size < 0 else text


def format_quantity(value: float | bool | str, unit: Unit) -> str:  # noqa: FBT001, PLR0911
    """Write a value in its unit for a person."""
    if isinstance(value, str):
        return value
    if unit is Unit.YES_NO:
        return "yes" if value else "no"
    if not math.isfinite(value):
        return str(float(value))
    if unit is Unit.RATIO:
        return "< 0.001%" if 0 < value < 0.00001 else f"{_trim(value * 100, 2)}%"  # noqa: PLR2004
    if unit is Unit.SECONDS:
        return format_duration(value)
    if unit is Unit.BYTES:
        return format_bytes(value)
    if unit is Unit.RATE:
        return f"{_trim(value * 3600)}/h" if value < 0.1 else f"{_trim(value)}/s"  # noqa: PLR2004
    return _trim(value, 0 if float(value).is_integer() else 2)


def parse_duration(value: Any) -> timedelta:
    """Read a duration.

    Raises:
        ValueError: It is none; the message shows what is.
    """
    if isinstance(value, timedelta):
        return value
    number, unit = parse_quantity(value)
    if unit is not Unit.SECONDS:
        raise ValueError(f"{value!r} is no duration: write 200ms, 30s, 15m, 4h or 30d")
    try:
        return timedelta(seconds=number)
    except OverflowError:
        raise ValueError(f"{value!r} is longer than any duration: write 200ms, 30s, 15m, 4h or 30d") from None


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(lambda value: write_quantity(value.total_seconds(), Unit.SECONDS), return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^([0-9.]+\s*(ns|us|µs|ms|s|m|h|d|w)\s*)+$",
            "examples": ["200ms", "15m", "1h30m", "30d"],
        }
    ),
]
"""A duration such as `200ms`, `15m`, `1h30m` or `30d`; a `timedelta` once read."""


def _size(value: Any) -> Any:
    number, unit = parse_quantity(value)
    if unit is not Unit.BYTES or number < 0:
        raise ValueError(f"{value!r} is no size: write 500MB, 2GiB or 1.5TiB")
    return number


Size = Annotated[
    float,
    BeforeValidator(_size),
    PlainSerializer(lambda value: f"{value:.0f}B", return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9][0-9._,]*\s*([kKMGTPE]i?)?B$",
            "examples": ["500MB", "2GiB", "1.5TiB"],
        }
    ),
]
"""A size such as `500MB` or `2GiB`; bytes as a float once read."""
