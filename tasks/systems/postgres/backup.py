"""Backs a PostgreSQL server up: by dumps of its databases, or by a copy of its files."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.core.backup import Order, Sink, Taken
from tasks.core.system import Access
from tasks.systems.postgres import logical, physical
from tasks.systems.postgres.by_hand import physical_recovery
from tasks.systems.postgres.spec import Spec


def backup(spec: Spec, access: Access, sink: Sink, order: Order) -> Taken:
    """Take the copy that is asked for: `logical` or `physical`. See `tasks.core.backup.Backup`."""
    if order.method == "physical":
        return physical.copy(spec, access, sink, order)
    return logical.dump(spec, access, sink)


def recovery(taken: Taken, parts: Sequence[str]) -> str:
    """Return the commands that restore it with PostgreSQL's own programs. See `tasks.core.backup.Recovery`."""
    if taken.method == "physical":
        return physical_recovery(taken, parts)
    return logical.recovery(taken, parts)
