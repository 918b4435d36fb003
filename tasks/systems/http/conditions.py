"""The small language of expected JSON values: equality, and comparisons written as text.

`ok`, `3`, `true`, `null`, lists and mappings must be equal, and of the same type: 1 is not `true`. Text that opens with
`>`, `>=`, `<` or `<=` compares a number; `!=` asks for any other value. A path is dotted (`checks.database`,
`items.0.name`); `length` at the end counts a list, a mapping or a text that has no such key.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

_COMPARISON = re.compile(r"(>=|<=|!=|>|<)\s*(.*)", re.DOTALL)
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def check_expected(expected: Any) -> Any:
    """Refuse a comparison with what is no number.

    Raises:
        ValueError: It is one.
    """
    if isinstance(expected, str) and (match := _COMPARISON.fullmatch(expected)) and match[1] != "!=":
        try:
            float(match[2])
        except ValueError:
            raise ValueError(f"{expected!r} compares with no number: write '> 5'") from None
    return expected


def unmet(document: Any, expected: Mapping[str, Any]) -> list[str]:
    """Return what a JSON document does not fulfil, a sentence for each; nothing when it is as expected."""
    sentences = []
    for path, wanted in expected.items():
        try:
            found = look_up(document, path)
        except LookupError:
            sentences.append(f"the JSON has no {path}")
            continue
        if not holds(found, wanted):
            sentences.append(f"{path} is {_shown(found)}, not {_shown(wanted)}")
    return sentences


def look_up(document: Any, path: str) -> Any:
    """Return the value at a dotted path.

    Raises:
        LookupError: There is none.
    """
    here = document
    parts = path.split(".")
    for position, part in enumerate(parts):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdecimal():
            here = here[int(part)]
        elif part == "length" and position == len(parts) - 1 and isinstance(here, list | dict | str):
            here = len(here)
        else:
            raise LookupError(path)
    return here


def holds(found: Any, wanted: Any) -> bool:
    """Tell whether a value is as wanted."""
    match = _COMPARISON.fullmatch(wanted) if isinstance(wanted, str) else None
    if match is None:
        return _same(found, wanted)
    if match[1] == "!=":
        return not _same(found, match[2]) and not _same(found, _parsed(match[2]))
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    return _OPERATORS[match[1]](found, float(match[2]))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool) is not isinstance(wanted, bool):
        return False
    return bool(found == wanted)


def _shown(value: Any) -> str:
    match value:
        case str() if _COMPARISON.fullmatch(value):
            return value
        case str():
            return f'"{value}"'
        case list():
            return f"a list of {len(value)}"
        case dict():
            return f"a mapping of {len(value)}"
        case _:
            return json.dumps(value)
