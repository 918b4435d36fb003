"""Somebody who writes into the lab's databases all the while, and keeps a log of its own of what was committed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import NamedTuple, Self

import psycopg
import pymongo

from deployments.lab.pieces import Lab, Piece

_SECONDS = 0.25
_INSERT = {
    "apex": "INSERT INTO project_events (project_id, event_type, actor, at) "
    "SELECT id, 'project.tried', 'writer', clock_timestamp() FROM projects LIMIT 1 RETURNING at",
    "stario": "INSERT INTO audit_logs (actor, action, subject, at) "
    "VALUES ('writer', 'login', 'user:1', clock_timestamp()) RETURNING at",
    "synesthesia": "INSERT INTO story_packs (user_id, title, status, created_at) "
    "SELECT id, 'Written', 'completed', clock_timestamp() FROM users LIMIT 1 RETURNING created_at",
}
_LSN = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


class Record(NamedTuple):
    """A committed record: its own time, and the log's places before and after it, where it has a log."""

    at: datetime
    before: int = 0
    after: int = 0


class Writer:
    """Writes a record into each database of the lab, four times a second, for as long as its block lasts.

    Args:
        lab: What is up.
    """

    def __init__(self, lab: Lab) -> None:
        databases = [piece for piece in lab.pieces if piece.kind in ("postgres", "mongodb")]
        self.log: dict[str, list[Record]] = {piece.platform: [] for piece in databases}
        self.errors: list[BaseException] = []
        self._ended = threading.Event()
        ways = {"postgres": self._rows, "mongodb": self._documents}
        self._threads = [threading.Thread(target=ways[piece.kind], args=(piece,), daemon=True) for piece in databases]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def _rows(self, piece: Piece) -> None:
        with psycopg.connect(piece.owner, autocommit=True) as connection:
            while not self._ended.wait(_SECONDS):
                before = connection.execute(_LSN).fetchone()
                at = connection.execute(_INSERT[piece.platform].encode()).fetchone()
                after = connection.execute(_LSN).fetchone()
                assert before
                assert at
                assert after
                self.log[piece.platform].append(Record(at[0], int(before[0]), int(after[0])))

    def _documents(self, piece: Piece) -> None:
        client: pymongo.MongoClient[dict[str, object]]
        with pymongo.MongoClient(piece.address, serverSelectionTimeoutMS=10_000) as client:
            tried = client[piece.details["database"]].try_ons
            while not self._ended.wait(_SECONDS):
                now = datetime.now(UTC)
                at = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as it is kept
                tried.insert_one({"user": 1, "frame": 1, "success": True, "at": at, "writer": True})
                self.log[piece.platform].append(Record(at))

    def newest(self, platform: str, until: datetime) -> datetime:
        """Return the time of the newest record that was committed until a moment."""
        return max(record.at for record in self.log[platform] if record.at <= until)

    def newest_in_log(self, platform: str, end: int) -> datetime:
        """Return the time of the newest record that lies in the log before a place."""
        return max(record.at for record in self.log[platform] if record.after <= end)
