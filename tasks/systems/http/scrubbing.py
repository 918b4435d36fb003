"""Taking secrets out of what a server sends back, and cutting it short, in this order."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

from tasks.core.references import Resolver

_SCHEMES = frozenset({"basic", "bearer", "digest", "token", "apikey", "negotiate"})
_SHORTEST = 4
_LONGEST_TEXT = 200


class Scrubber:
    """Makes a server's text fit for a note: without the secrets that were sent to it, in one short line.

    Args:
        resolver: Knows the secrets as the spec refers to them.
        values: Header values; the parts of each are secrets too, as a server may echo the token without its `Bearer`.
    """

    def __init__(self, resolver: Resolver, values: Iterable[str]) -> None:
        self._resolver = resolver
        parts = {part for value in values for part in _parts(value) if len(part) >= _SHORTEST}
        self._parts = sorted(parts, key=len, reverse=True)

    def short(self, text: str) -> str:
        """Return a text in one line of at most 200 characters, without secrets."""
        text = self._resolver.scrub(text)
        for part in self._parts:
            text = text.replace(part, "***")
        text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
        return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "..."


def _parts(value: str) -> Iterator[str]:
    for word in re.split(r"[\s;,]+", value):
        if word.lower() in _SCHEMES:
            continue
        yield word
        yield word.partition("=")[2]
        yield from _password(word)


def _password(word: str) -> Iterator[str]:
    """Yield the password inside a word of Basic authentication."""
    try:
        plain = base64.b64decode(word, validate=True).decode()
    except ValueError:
        return
    if ":" in plain:
        yield plain
        yield plain.partition(":")[2]
