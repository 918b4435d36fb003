"""Restores a PostgreSQL backup: dumps into scratch or an empty place, a copy of the files into scratch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.core.errors import ConfigError
from tasks.core.manifest import Manifest
from tasks.core.restore import Order, Restored, Source
from tasks.core.system import Access
from tasks.systems.postgres.load import load
from tasks.systems.postgres.places import database_of, endpoints
from tasks.systems.postgres.rebuild import rebuild
from tasks.systems.postgres.spec import Spec
from tasks.systems.postgres.tools import server_programs
from tasks.systems.postgres.verify import newest_record

__all__ = ["endpoints", "ready", "restore"]


@contextmanager
def restore(spec: Spec, access: Access, source: Source, order: Order) -> Iterator[Restored]:
    """Restore a backup and give what was restored to the block. See `tasks.core.restore.Restore`.

    Raises:
        ConfigError: The place is the live system, or as `load` and `rebuild` say.
    """
    live = _live(spec, access)
    if live is not None and order.into is not None and endpoints(order.into) & endpoints(live):
        raise ConfigError("that is the live database", hint="name another place, or leave it out for scratch")
    wanted = database_of(live) if live is not None else None
    way = rebuild if source.manifest.method == "physical" else load
    with way(source, order, wanted) as restored:
        yield dataclasses.replace(restored, recovered_to=newest_record(spec, restored) or restored.recovered_to)


def ready(manifest: Manifest) -> str:
    """Name the server's programs with which a backup is restored here.

    Raises:
        NotOffered: There are none of a version that can.
    """
    major = int(manifest.server_version.split(".")[0])
    folder = server_programs(major, newer=manifest.method != "physical")
    return f"PostgreSQL {major} by {folder}"


def _live(spec: Spec, access: Access) -> str | None:
    """Return the live system's address, where it is known here: a machine that restores need not know it."""
    try:
        return access.resolver.resolve(spec.dsn)
    except ConfigError:
        return None
