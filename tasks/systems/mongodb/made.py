"""What a restored MongoDB consists of while it is made: which collections, how many documents, which indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.systems.mongodb.connection import Blocking
from tasks.systems.mongodb.layout import BUCKETS

_INDEX_FIELDS = frozenset({
    "v", "key", "name", "unique", "sparse", "expireAfterSeconds", "partialFilterExpression", "collation", "weights",
    "default_language", "language_override", "textIndexVersion", "2dsphereIndexVersion", "bits", "min", "max",
    "bucketSize", "wildcardProjection", "hidden", "storageEngine", "prepareUnique",
})  # fmt: skip
_OURS = frozenset({"admin", "config", "local"})


@dataclass
class Made:
    """What is there so far.

    Attributes:
        client: Of the server that it is made on.
        only: `database` or `database.collection`; all where there is nothing.
        with_users: Whether users and roles come along: in scratch, nowhere else.
        counts: Documents by `database.collection`.
        sums: What they hold, by the same names: see `sums`.
        indexes: What a collection is to have, by its name and theirs; they are made last.
        views: What makes each view.
        series: Time series whose documents lie in another collection, `system.buckets.<name>`, and are counted there.
        warnings: What could not be made, for a person.
    """

    client: Blocking
    only: tuple[str, ...] = ()
    with_users: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)
    indexes: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    views: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    series: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)

    def wants(self, database: str, collection: str) -> bool:
        """Tell whether a collection is a part of what is asked for."""
        if database in {"config", "local"} or (database == "admin" and collection.startswith("system.")):
            return False
        return not self.only or database in self.only or f"{database}.{collection}" in self.only

    def warn(self, text: str) -> None:
        """Keep something that a person should know, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def add_collection(self, database: str, name: str, options: Mapping[str, Any]) -> None:
        """Make an empty collection, or remember a view."""
        if "viewOn" in options:
            self.views[f"{database}.{name}"] = options
            return
        self.client[database].command({"create": name, **options})
        self.counts[f"{database}.{name}"] = self.sums[f"{database}.{name}"] = 0

    def add_series(self, database: str, name: str, options: Mapping[str, Any]) -> None:
        """Make an empty time series; the server makes its buckets."""
        self.add_collection(database, name, options)
        self.series.add(f"{database}.{name}")
        for held in (self.counts, self.sums):
            held[f"{database}.{BUCKETS}{name}"] = held.pop(f"{database}.{name}")

    def add_indexes(self, space: str, indexes: Sequence[Mapping[str, Any]]) -> None:
        """Remember the indexes of a collection."""
        held = self.indexes.setdefault(space, {})
        for index in indexes:
            if index.get("name") != "_id_" and not index.get("clustered"):
                held[str(index["name"])] = {key: value for key, value in index.items() if key in _INDEX_FIELDS}

    def forget(self, space: str) -> None:
        """Forget a collection or a view that was dropped."""
        for held in (self.counts, self.sums, self.indexes, self.views):
            held.pop(space, None)
        self.series.discard(space)

    def finish(self) -> None:
        """Make the indexes and the views."""
        for space, indexes in self.indexes.items():
            database, _, name = space.partition(".")
            if indexes and (space in self.counts or space in self.series):
                self.client[database].command({"createIndexes": name, "indexes": list(indexes.values())})
        for space, options in self.views.items():
            database, _, name = space.partition(".")
            self.client[database].command({"create": name, **options})

    def index_counts(self) -> dict[str, int]:
        """Return how many indexes each collection has, the one of its ids among them."""
        plain = (space for space in self.counts if not space.partition(".")[2].startswith(BUCKETS))
        return {space: len(self.indexes.get(space, {})) + 1 for space in plain}

    def expiring(self) -> list[str]:
        """Name the collections whose documents the server removes by themselves."""
        return sorted(
            space for space, held in self.indexes.items() if any("expireAfterSeconds" in one for one in held.values())
        )


def databases_in(client: Blocking) -> set[str]:
    """Name the databases of a server that are people's own."""
    return set(client.list_database_names()) - _OURS
