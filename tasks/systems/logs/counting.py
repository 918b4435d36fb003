"""Counting patterns in lines: pure, and bounded in what it remembers of what strangers wrote."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from tasks.core.results import Measurement
from tasks.systems.logs.spec import CATALOG, Pattern

LONGEST_LINE = 4096
"""What follows in a longer line is not looked at: a pattern must not be able to take for ever."""

_MOST_KEYS = 10_000
_COMMONEST = 3
_SHOWN = 100
_OTHERS = "others"
_HIDDEN = (
    (re.compile(r"(?i)(password|passwd|secret|token|authorization|api[_-]?key)(\W{1,4})\S+"), r"\1\2***"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "<email>"),
    (re.compile(r"\b(?=\w*\d\w*\d\w*\d)[\w-]{16,}\b"), "<id>"),
    (re.compile(r"\d+"), "#"),
    (re.compile(r"^\W*#[-/#:.,+]*([T ]#[#:.,+-]*)?Z?[\])]?\s+"), ""),
)


class Count:
    """Counts one pattern.

    Args:
        name: The pattern's name.
        pattern: What counts.
    """

    def __init__(self, name: str, pattern: Pattern) -> None:
        self._name, self._pattern = name, pattern
        self._expression = re.compile(pattern.match)
        self._total = 0
        self._keys: Counter[str] = Counter()

    def look(self, line: str) -> None:
        """Look at one line."""
        found = self._expression.search(line)
        if found is None or not self._is_over(found):
            return
        self._total += 1
        key = self._key(found, line)
        self._keys[key if key in self._keys or len(self._keys) < _MOST_KEYS else _OTHERS] += 1

    def measurements(self, since: timedelta, at: datetime, remark: str) -> list[Measurement]:
        """Return what was counted.

        Args:
            since: The time looked back.
            at: When it is.
            remark: What was left out, for every note.
        """
        commonest = ", ".join(f"{key} ({count})" for key, count in self._keys.most_common(_COMMONEST))
        note = "; ".join(part for part in (commonest, remark) if part)
        found = [
            CATALOG.read("matches", self._total, at=at, subject=self._name, note=note),
            CATALOG.read("rate", self._total / since.total_seconds(), at=at, subject=self._name, note=remark),
        ]
        if self._pattern.divides:
            ((key, most),) = self._keys.most_common(1) or [("", 0)]
            note = "; ".join(part for part in (key, remark) if part)
            found.append(CATALOG.read("most_by_one", most, at=at, subject=self._name, note=note))
        return found

    def _is_over(self, found: re.Match[str]) -> bool:
        if self._pattern.over is None:
            return True
        try:
            return float(found["value"]) > self._pattern.over
        except (TypeError, ValueError):
            return False

    def _key(self, found: re.Match[str], line: str) -> str:
        if self._pattern.by is not None:
            return _shown(_field(line, self._pattern.by))
        if self._pattern.divides:
            return _shown(found["by"] or _OTHERS)
        return alike(line)


def alike(line: str) -> str:
    """Write a line so that the same trouble reads the same: without numbers, names and secrets."""
    text = line.strip()[: 4 * _SHOWN]
    for expression, instead in _HIDDEN:
        text = expression.sub(instead, text)
    return _shown(" ".join(text.split())) or "a line of numbers"


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_SHOWN])


def _field(line: str, name: str) -> str:
    """Return a field of a line that is JSON, or that has JSON at its end."""
    begin = line.find("{")
    try:
        document = json.loads(line[begin:]) if begin >= 0 else {}
        value = document.get(name)
    except (ValueError, RecursionError):
        return f"without {name}"
    return str(value) if isinstance(value, str | int) else f"without {name}"


def look_at(lines: Iterable[str], counts: Iterable[Count]) -> None:
    """Count all patterns in all lines."""
    counts = tuple(counts)
    for line in lines:
        short = line[:LONGEST_LINE]
        for count in counts:
            count.look(short)
