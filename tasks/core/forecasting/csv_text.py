"""Read a series from CSV text: `timestamp,value`, one measurement a line. What is wrong is named with its line."""

from __future__ import annotations

import csv
import io
import math
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from tasks.core.errors import ConfigError
from tasks.core.forecasting.arrays import Floats

_TIME_NAMES = ("timestamp", "time", "ts", "datetime", "date", "ds")
_VALUE_NAMES = ("value", "y", "val")
_MISSING = ("", "nan", "null", "none", "na", "n/a")
_INFINITE = ("inf", "+inf", "-inf", "infinity", "-infinity")
_HINT = "a line is timestamp,value: 2026-11-26T05:00:00Z,71.5"
_HEAD = 1 << 16
_OFFSET = r"(?:[zZ]|[+-]\d\d:?\d\d)$"


def read_series(data: bytes, name: str) -> tuple[Floats, Floats]:
    """Return the moments in seconds since 1970, and the values with NaN for what is missing, in the file's order.

    Args:
        data: The file's bytes, UTF-8. A header is optional; times are ISO 8601 or seconds, milliseconds,
            microseconds or nanoseconds since 1970. Times without an offset are taken as UTC.
        name: How the file is named in errors.

    Raises:
        ConfigError: It is no such file; the message begins with `name:line:`.
    """
    header, time_at, value_at = columns = _columns(data, name)
    try:
        frame = pd.read_csv(
            io.BytesIO(data),
            encoding="utf-8-sig",
            header=None,
            skiprows=header,
            usecols=[time_at, value_at],
            dtype={value_at: "float64"},
            na_values=list(_MISSING),
            skipinitialspace=True,
            low_memory=False,
        )
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError):
        _find_fault(data, name, columns)
        raise _wrong(name, header + 1, "there is no measurement in it") from None
    return _times(frame[time_at], data, name, columns), frame[value_at].to_numpy(dtype=float)


def _columns(data: bytes, name: str) -> tuple[int, int, int]:
    """Return how many lines come before the first measurement, and in which columns time and value are."""
    head = data[:_HEAD].decode("utf-8-sig", errors="replace")
    for number, line in enumerate(head.splitlines()):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        lowered = [cell.lower() for cell in cells]
        times = [at for at, cell in enumerate(lowered) if cell in _TIME_NAMES]
        values = [at for at, cell in enumerate(lowered) if cell in _VALUE_NAMES]
        if times and values:
            return number + 1, times[0], values[0]
        if len(cells) != 2:  # noqa: PLR2004
            if len(cells) == 1 and (other := next((mark for mark in (";", "\t", "|") if mark in line), None)):
                raise _wrong(name, number + 1, f"columns are parted by {other!r}; write commas, and 1.5 for decimals")
            raise _wrong(name, number + 1, f"{len(cells)} columns, and none is named both timestamp and value")
        return (number, 0, 1) if _is_time(cells[0]) else (number + 1, 0, 1)
    raise _wrong(name, 1, "the file is empty")


def _times(written: pd.Series[Any], data: bytes, name: str, columns: tuple[int, int, int]) -> Floats:
    if pd.api.types.is_numeric_dtype(written.dtype):
        numbers = written.to_numpy(dtype=float)
        if np.isfinite(numbers).all():
            return _seconds(numbers)
    texts = written.astype("str").str.strip()
    offsets = texts.str.contains(_OFFSET, regex=True).to_numpy(dtype=bool)
    moments = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    if moments.isna().any() or (offsets.any() and not offsets.all()):
        _find_fault(data, name, columns)
        raise _wrong(name, columns[0] + 1, "a time cannot be read")
    return (moments.to_numpy(dtype="datetime64[ns]").astype(np.int64) / 1e9).astype(float)


def _seconds(numbers: Floats) -> Floats:
    size = float(np.median(np.abs(numbers)))
    unit = next((unit for bound, unit in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)) if size > bound), 1.0)
    return numbers / unit


def _find_fault(data: bytes, name: str, columns: tuple[int, int, int]) -> None:
    """Look at each line, and raise the first fault."""
    header, time_at, value_at = columns
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(name, data[: error.start].count(b"\n") + 1, "it is not UTF-8 text") from None
    zoned: bool | None = None
    for number, line in enumerate(text.splitlines()[header:], start=header + 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        if len(cells) <= max(time_at, value_at):
            raise _wrong(name, number, f"{line.strip()[:60]!r} has no {'value' if cells else 'time'}")
        if not _is_number(cells[value_at]):
            raise _wrong(name, number, f"{cells[value_at][:60]!r} is no number")
        if not _is_time(cells[time_at]):
            raise _wrong(name, number, f"{cells[time_at][:60]!r} is no time")
        if not _is_number(cells[time_at]):
            has_zone = datetime.fromisoformat(cells[time_at]).tzinfo is not None
            if zoned is not None and zoned != has_zone:
                raise _wrong(name, number, f"{cells[time_at]!r} has {'an' if has_zone else 'no'} offset, unlike others")
            zoned = has_zone


def _is_number(cell: str) -> bool:
    if cell.lower() in _MISSING or cell.lower() in _INFINITE:
        return True
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _is_time(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        pass
    try:
        datetime.fromisoformat(cell)
    except ValueError:
        return False
    return True


def _wrong(name: str, line: int, what: str) -> ConfigError:
    return ConfigError(f"{name}:{line}: {what}", hint=_HINT)
