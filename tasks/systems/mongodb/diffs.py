"""What an update in the oplog makes of a document. Pure.

A server writes an update as a replacement, as `$set` and `$unset` of paths (`$v` 1), or as a difference (`$v` 2): by
level with the sections `u`, `i`, `d` and `s<field>`, arrays marked by `a`; or by path, as change streams tell it. What
finds no place in the document is left out, as servers do: when the oplog is replayed on a newer copy, a later entry
puts it right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.core.errors import Garbled

_BY_PATH = frozenset({"updatedFields", "removedFields", "truncatedArrays"})
_Document = dict[str, Any]


def is_replacement(update: Mapping[str, Any]) -> bool:
    """Tell whether an update's `o` is the whole new document."""
    return "$v" not in update and not any(name.startswith("$") for name in update)


def patched(document: _Document, update: Mapping[str, Any]) -> _Document:
    """Return the document after an update that is no replacement; the given one is changed.

    Raises:
        Garbled: The update is of no known form.
    """
    if isinstance(difference := update.get("diff"), dict):
        if difference.keys() <= _BY_PATH:
            _by_path(document, difference)
        else:
            _object(document, difference)
        return document
    if unknown := update.keys() - {"$v", "$set", "$unset"}:
        raise Garbled(f"the oplog has an update of an unknown form: {min(unknown)[:20]!r}")
    for path, value in update.get("$set", {}).items():
        _set(document, path.split("."), value)
    for path in update.get("$unset", {}):
        _unset(document, path.split("."))
    return document


def _by_path(document: _Document, difference: Mapping[str, Any]) -> None:
    for cut in difference.get("truncatedArrays") or []:
        held: Any = document
        for step in cut["field"].split("."):
            held = _at(held, step)
        if isinstance(held, list):
            del held[cut["newSize"] :]
    for path, value in (difference.get("updatedFields") or {}).items():
        _set(document, path.split("."), value)
    for path in difference.get("removedFields") or []:
        _unset(document, path.split("."))


def _object(document: _Document, difference: Mapping[str, Any]) -> None:
    for name, section in difference.items():
        if name == "d":
            for gone in section:
                document.pop(gone, None)
        elif name == "u":
            document.update(section)
        elif name == "i":
            for new in section:
                document.pop(new, None)
            document.update(section)
        elif name.startswith("s"):
            _inner(document.get(name[1:]), section)
        else:
            raise Garbled(f"the oplog has a difference of an unknown form: {name[:20]!r}")


def _array(array: list[Any], difference: Mapping[str, Any]) -> None:
    for name, section in difference.items():
        if name == "a":
            continue
        if name == "l":
            del array[section:]
            array.extend([None] * (section - len(array)))
        elif name[1:].isdigit() and name[0] == "u":
            _put(array, int(name[1:]), section)
        elif name[1:].isdigit() and name[0] == "s":
            place = int(name[1:])
            _inner(array[place] if place < len(array) else None, section)
        else:
            raise Garbled(f"the oplog has a difference of an unknown form: {name[:20]!r}")


def _inner(held: Any, difference: Mapping[str, Any]) -> None:
    if difference.get("a") is True:
        if isinstance(held, list):
            _array(held, difference)
    elif isinstance(held, dict):
        _object(held, difference)


def _at(held: Any, step: str) -> Any:
    if isinstance(held, dict):
        return held.get(step)
    if isinstance(held, list) and step.isdigit() and int(step) < len(held):
        return held[int(step)]
    return None


def _set(held: Any, path: list[str], value: Any) -> None:
    for step in path[:-1]:
        inner = _at(held, step)
        if inner is None and isinstance(held, dict | list):
            inner = {}
            _set(held, [step], inner)
        held = inner
    if isinstance(held, dict):
        held[path[-1]] = value
    elif isinstance(held, list) and path[-1].isdigit():
        _put(held, int(path[-1]), value)


def _unset(held: Any, path: list[str]) -> None:
    for step in path[:-1]:
        held = _at(held, step)
    if isinstance(held, dict):
        held.pop(path[-1], None)
    elif isinstance(held, list) and path[-1].isdigit() and int(path[-1]) < len(held):
        held[int(path[-1])] = None


def _put(array: list[Any], place: int, value: Any) -> None:
    array.extend([None] * (place + 1 - len(array)))
    array[place] = value
