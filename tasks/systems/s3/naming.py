"""How keys are called in a tar and in a folder, where not every key can be a path. Pure."""

from __future__ import annotations

import hashlib

ODD = "=odd"
_LONGEST = 200


def is_plain(key: str) -> bool:
    """Tell whether a key can be a path as it is, below any folder."""
    return all(
        piece not in ("", ".", "..") and len(piece.encode()) <= _LONGEST and piece.isprintable()
        for piece in key.split("/")
    ) and not key.startswith(f"{ODD}/")


def odd_name(key: str, version: str = "") -> str:
    """Return the path of what cannot have its key's own."""
    named = f"{key}\0{version}" if version else key
    return f"{ODD}/{hashlib.sha256(named.encode()).hexdigest()}"


class Above:
    """Tells of each key of a sorted listing whether another object's key is a folder of its path.

    `a` and `a/b` are two objects, and no file system can hold both. All keys between them begin with `a`.
    """

    def __init__(self) -> None:
        self._above: list[str] = []

    def holds(self, key: str) -> bool:
        """Take the next key, and tell whether an earlier one is above it."""
        while self._above and not key.startswith(self._above[-1]):
            self._above.pop()
        found = any(key[len(above) : len(above) + 1] == "/" for above in self._above)
        if not self._above or self._above[-1] != key:
            self._above.append(key)
        return found
