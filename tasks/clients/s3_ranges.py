"""Many pages of a listing at once, whichever keys there are: places in it are guessed, and every guess is proven.

A listing gives a thousand keys at a time, and where the next page begins is known only once one is there. So that
several can be asked for side by side, one that has more to come is cut where further pages should begin, as if keys
went on as densely. A cut is proven: whoever lists up to it goes on until it sees a key behind it, which must be the
first one that is seen from the cut on. Where it is not, as where the store has another order, or keys come and go, all
of the prefix is listed anew, page after page.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

from tasks.clients.blobs import Scale
from tasks.clients.s3_objects import Page

Pages = Callable[[str, str], Iterator[Page]]
"""Yields the pages of all keys that begin with a text and come after another one."""

_PART = 0.95
"""Of what a page spanned, this is guessed to be in the next one, which then reaches beyond it in one go."""


@dataclass
class _Stretch:
    """A part of the listing of one prefix, and what was found in it.

    Attributes:
        prefix: What its keys begin with.
        after: Its keys come after this one.
        until: They come before this one, which may be moved forward while it is listed.
        sizes: What was found before `until`, and perhaps more.
        first: The first key that was seen; None where there was none.
        beyond: The first key from `until` on; None where the listing ended before one.
        following: The stretch that begins at `until`, if any.
    """

    prefix: str
    after: str
    until: str
    sizes: dict[str, int] = field(default_factory=dict)
    first: str | None = None
    beyond: str | None = None
    following: _Stretch | None = None


def listed_along(pages: Pages, prefixes: Iterable[str], scale: Scale, at_once: int) -> dict[str, int]:
    """Return the size of each key that begins with one of some prefixes and goes on with a name on a scale.

    Args:
        pages: Lists.
        prefixes: Each ends with a slash; none begins another.
        scale: On which the names right below the prefixes lie.
        at_once: How many pages are asked for at the same time.
    """
    return _Listing(pages, scale, at_once).of([*prefixes])


class _Listing:
    def __init__(self, pages: Pages, scale: Scale, at_once: int) -> None:
        self._pages, self._scale, self._at_once = pages, scale, at_once
        self._pool = ThreadPoolExecutor(at_once)
        self._lock, self._open, self._is_over = threading.Lock(), 0, False
        self._begun: deque[Future[None]] = deque()

    def of(self, prefixes: list[str]) -> dict[str, int]:
        first, last = self._scale.first, self._scale.last
        heads = [_Stretch(prefix, f"{prefix}{first}", f"{prefix}{last}") for prefix in prefixes]
        found: dict[str, int] = {}
        with self._pool:
            try:
                self._begin(heads)
                while self._begun:
                    self._begun.popleft().result()
                for sizes, prefix in zip(self._pool.map(self._whole, heads), prefixes, strict=True):
                    start = len(prefix)
                    found.update((key, sizes[key]) for key in sizes if self._scale.holds(key[start:]))
            finally:
                self._is_over = True
        return dict(sorted(found.items()))

    def _begin(self, stretches: list[_Stretch]) -> None:
        with self._lock:
            self._open += len(stretches)
        self._begun.extend(self._pool.submit(self._list, stretch) for stretch in stretches)

    def _list(self, stretch: _Stretch) -> None:
        top = stretch.after
        try:
            for page in self._pages(stretch.prefix, stretch.after):
                if page.sizes:
                    stretch.first = stretch.first or next(iter(page.sizes))
                    stretch.sizes |= page.sizes
                    top = max(top, *page.sizes)
                if top >= stretch.until:
                    stretch.beyond = next(key for key in page.sizes if key >= stretch.until)
                if top >= stretch.until or self._is_over:
                    break
                if page.more:
                    self._cut(stretch, page, top)
        finally:
            with self._lock:
                self._open -= 1

    def _cut(self, stretch: _Stretch, page: Page, top: str) -> None:
        """Leave most of what is still to be listed to those who have nothing to do."""
        with self._lock:
            free = self._at_once - self._open
        begin, end = (self._place(stretch, key) for key in (min(page.sizes, default=""), top))
        if free <= 0 or begin is None or end is None or end <= begin:
            return
        names = (self._scale.name(end + (end - begin) * _PART * number) for number in range(1, free + 1))
        guessed = {f"{stretch.prefix}{name}" for name in names if name is not None}
        cuts = sorted(cut for cut in guessed if top < cut < stretch.until)
        added = [_Stretch(stretch.prefix, after, until) for after, until in pairwise([*cuts, stretch.until])]
        for one, following in pairwise([stretch, *added]):
            following.following, one.following = one.following, following
        if added:
            stretch.until = cuts[0]
            self._begin(added)

    def _place(self, stretch: _Stretch, key: str) -> float | None:
        return self._scale.place(key[len(stretch.prefix) :].partition("/")[0])

    def _whole(self, head: _Stretch) -> dict[str, int]:
        """Return all that was found from a prefix's first stretch on; it is listed anew where a cut was wrong."""
        found, one = head.sizes, head
        while one.following is not None:
            if one.beyond != one.following.first:
                pages = self._pages(head.prefix, "")
                return {key: size for page in pages for key, size in page.sizes.items()}
            one = one.following
            found = found | one.sizes
        return found
