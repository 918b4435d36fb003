"""Reading everything of one resource: page by page, as of one version of the cluster where the server still has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.clients.cluster import Connection, Object, TooLong
from tasks.core.errors import Denied, Garbled, NotOffered, Unreachable, WatchkeeperError
from tasks.systems.kubernetes.discovery import Resource

PAGE = 250
_ATTEMPTS = 5
_LARGEST_PAGE = 2000


@dataclass
class Reader:
    """Reads lists of one namespace.

    Attributes:
        version: The resourceVersion that every list shows, once the first one is read.
        later: Resources that were read as they were later, as the server could not show them at that version.
        page: How many objects a page has.
    """

    connection: Connection
    namespace: str
    version: str = ""
    later: set[str] = field(default_factory=set)
    page: int = PAGE

    def attempts(self, resource: Resource) -> Iterator[Iterator[Object]]:
        """Yield the objects of a resource, again from the beginning for as long as whoever reads them is cut short.

        The caller reads one iterator to its end, and then asks for no more; `Expired` and `TooLong` on the way mean
        that the next one is to be read.

        Raises:
            Unreachable: It was begun anew too often.
        """
        size, exact = self.page, bool(self.version)
        for _ in range(_ATTEMPTS):
            run = _Run(self, resource, size, exact=exact)
            yield run.items()
            if run.too_long:
                size = max(size // 8, 1)
            else:
                size, exact = min(size * 4, _LARGEST_PAGE), False
        raise Unreachable("its pages are forgotten before they are read", operation=f"list {resource.qualified}")


class _Run:
    """One reading of a list."""

    def __init__(self, reader: Reader, resource: Resource, size: int, *, exact: bool) -> None:
        self._reader, self._resource, self._size, self._exact = reader, resource, size, exact
        self.too_long = False

    def items(self) -> Iterator[Object]:
        try:
            token = ""
            while True:
                answer = self._ask(token) if token else self._first()
                yield from self._objects(answer)
                token = str((answer.get("metadata") or {}).get("continue") or "")
                if not token:
                    return
        except TooLong:
            self.too_long = True
            raise

    def _first(self) -> Object:
        reader = self._reader
        if self._exact:
            try:
                return self._ask(resourceVersion=reader.version, resourceVersionMatch="Exact")
            except (Denied, NotOffered, TooLong):
                raise
            except WatchkeeperError:
                pass  # compacted by now, or of a server that counts otherwise: as it is now, then
        answer = self._ask()
        if reader.version:
            reader.later.add(self._resource.qualified)
        else:
            reader.version = str((answer.get("metadata") or {}).get("resourceVersion") or "")
        return answer

    def _ask(self, token: str = "", **query: str) -> Object:
        more = {"continue": token} if token else query
        path = self._resource.path(self._reader.namespace)
        return self._reader.connection.get(path, limit=str(self._size), **more)

    def _objects(self, answer: Object) -> Iterator[Object]:
        items = answer.get("items") or []
        if not isinstance(items, list):
            raise Garbled("the answer to a list has no items", operation=f"list {self._resource.qualified}")
        for item in items:
            meta = item.get("metadata") if isinstance(item, dict) else None
            if not isinstance(meta, dict) or not meta.get("name"):
                raise Garbled("an item of the list has no name", operation=f"list {self._resource.qualified}")
            yield item
