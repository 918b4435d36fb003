"""A source over what a `MemorySink` took, for tests of what kinds restore; the vault's own is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tasks.core.backup import Parent, Taken
from tasks.core.errors import Garbled
from tasks.core.manifest import Manifest, Part
from tasks.core.restore import Order
from tests.sinks import MemorySink

NOW = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)
_CHUNK = 5000  # odd, so that nothing ends where a chunk ends


@dataclass
class MemorySource:
    """One backup in memory; `others` are those that it may be made from, by id."""

    taken: Taken
    sink: MemorySink
    id: str = "20261126T040000Z-00000001"
    kind: str = "it"
    others: dict[str, MemorySource] = field(default_factory=dict)

    @property
    def manifest(self) -> Manifest:
        parts = tuple(
            Part(
                name=name,
                path=name,
                plain_bytes=len(data),
                plain_hash="",
                stored_bytes=len(data),
                sha256="0" * 64,
                compression="none",
                encryption="none",
            )
            for name, data in sorted(self.sink.parts.items())
        )
        told = {name: getattr(self.taken, name) for name in Taken.model_fields}
        return Manifest(
            **told,
            id=self.id,
            restore_point=self.id,
            platform="test",
            system="it",
            kind=self.kind,
            started=NOW,
            ended=NOW,
            parts=parts,
            recovery_sha256="",
        )

    def read(self, part: str) -> Iterator[bytes]:
        data = self.sink.parts[part]
        for start in range(0, len(data), _CHUNK):
            yield data[start : start + _CHUNK]

    def parent(self, backup: str) -> MemorySource:
        if backup not in self.others:
            raise Garbled(f"{backup} is not there")
        return self.others[backup]

    def later(self, method: str) -> Sequence[MemorySource]:  # noqa: ARG002
        return []

    def archived(self) -> Sequence[str]:
        return []

    def read_archived(self, name: str) -> Iterator[bytes]:
        raise Garbled(f"there is no {name}")

    def as_parent(self) -> Parent:
        """Return it as the next backup is given it: only what is not encrypted can be read."""

        def read(part: str) -> Iterator[bytes]:
            assert part in self.sink.open_parts, f"{part} is encrypted, and there is no key"
            return self.read(part)

        return Parent(self.id, self.taken, self.taken.parents, read)


def order(folder: Path, **fields: object) -> Order:
    """Return an order whose phases are not timed."""
    folder.mkdir(parents=True, exist_ok=True)
    return Order(folder=folder, phase=lambda _: nullcontext(), **fields)
