"""Which moment a place in the log was: the server's own clock beside its log, looked at while a copy is under way.

The stream of a copy lags behind the server by what lies in buffers, so its end alone does not tell the moment.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import psycopg

from tasks.systems.postgres.wal import parse_lsn

_OFTEN = 0.5
_SAMPLE = """
SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text,
       clock_timestamp()
"""


class Sampler:
    """What was seen so far."""

    def __init__(self) -> None:
        self._seen: list[tuple[int, datetime]] = []
        self._stop = threading.Event()

    def moment(self, lsn: int) -> datetime | None:
        """Return the newest moment known of which all that was committed until then lies before a place in the log."""
        return max((at for seen, at in self._seen if seen <= lsn), default=None)

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def watch(self, dsn: str, trust: dict[str, str]) -> None:
        """Look until `stop` is called; a server that does not answer is not looked at any more."""
        with suppress(psycopg.Error), psycopg.connect(dsn, autocommit=True, connect_timeout=30, **trust) as connection:  # type: ignore[arg-type]
            while not self._stop.is_set():
                row = connection.execute(_SAMPLE).fetchone()
                if row is not None and row[0] is not None:
                    self._seen.append((parse_lsn(row[0]), row[1]))
                self._stop.wait(_OFTEN)


@contextmanager
def sampling(dsn: str, ca_bundle: Path | None) -> Iterator[Sampler]:
    """Look at a server's log and clock for as long as the block lasts."""
    sampler = Sampler()
    trust = {"sslrootcert": str(ca_bundle)} if ca_bundle is not None and "sslrootcert" not in dsn else {}
    trust["application_name"] = "watchkeeper backup"
    thread = threading.Thread(target=sampler.watch, args=(dsn, trust), name="sample log", daemon=True)
    thread.start()
    try:
        yield sampler
    finally:
        sampler.stop()
        thread.join(2 * _OFTEN)
