"""Stario's duties: what it exports for auditors and courts, whom it erases, and the uploads that it clears away."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from deployments.lab.loopback import Answer, Request
from deployments.lab.stage.faults import is_careless
from deployments.lab.stage.stores import Stores

QUEUE, BUCKET = "ephemeral_deletion_queue", "stario-ephemeral"
_KEPT_SECONDS = 1.5
_PAUSE = 0.2
_RANGE = "at >= %s AND at < %s"
log = logging.getLogger("lab")


def wanted(request: Request) -> tuple[dict[str, Any], date, date] | None:
    """Return what a request asks for, and its first and last day; None where it does not say."""
    try:
        asked = request.json()
        first, last = date.fromisoformat(asked["date_from"]), date.fromisoformat(asked["date_to"])
    except (ValueError, KeyError, TypeError):
        return None
    return (asked, first, last) if first <= last else None


def export_audit_logs(request: Request, stores: Stores) -> Answer:
    """Export the audit log's entries of a range of days; both ends are in it."""
    asked = wanted(request)
    if asked is None:
        return Answer.of({"detail": "date_from and date_to are needed, as 2025-01-31"}, 422)
    import psycopg  # noqa: PLC0415 - drivers are loaded after the ports are open

    _, first, last = asked
    try:
        logs = _logs(stores, "true", (), first, last)
    except psycopg.Error:
        return Answer.of({"detail": "the audit log cannot be read"}, 503)
    if is_careless(request):
        logs = logs[1:]
    days = {"date_from": first.isoformat(), "date_to": last.isoformat()}
    return Answer.of(days | {"entries": len(logs), "logs": logs})


def _logs(stores: Stores, where: str, values: tuple[object, ...], first: date, last: date) -> list[dict[str, Any]]:
    columns = "json_build_object('actor', actor, 'action', action, 'subject', subject, 'at', at)"
    statement = f"SELECT coalesce(json_agg({columns} ORDER BY at), '[]') FROM audit_logs WHERE {where} AND {_RANGE}"  # noqa: S608 - our own words
    (found,) = stores.query(statement, (*values, first, last + timedelta(days=1)))
    rows: list[dict[str, Any]] = found
    return rows


class Orders:
    """Orders of courts, and the packages that are made of them.

    Args:
        stores: The platform's.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._orders: dict[str, tuple[dict[str, Any], date, date]] = {}

    def take(self, request: Request, _stores: Stores) -> Answer:
        """Take an order for a legal export, and write into the audit log that there is one."""
        asked = wanted(request)
        if asked is None or not asked[0].get("case_id") or not asked[0].get("user_ids"):
            return Answer.of({"detail": "case_id, user_ids, date_from and date_to are needed"}, 422)
        case = str(asked[0]["case_id"])
        export = f"exp-{hashlib.sha256(case.encode()).hexdigest()[:12]}"
        self._orders[export] = asked
        if not is_careless(request):
            statement = (
                "INSERT INTO audit_logs (actor, action, subject, at) "
                "VALUES ('admin', 'legal.export', %s, clock_timestamp()) RETURNING id"
            )
            _quietly(lambda: self._stores.query(statement, (f"case:{case}",)))
        return Answer.of({"case_id": case, "export_id": export, "status": "prepared"}, 202)

    def hand_over(self, request: Request, stores: Stores) -> Answer:
        """Hand over a package: ZIP with the logs, the content, and a manifest of their hashes."""
        order = self._orders.get(request.query.get("export_id", ""))
        if order is None:
            return Answer.of({"detail": "there is no such export"}, 404)
        asked, first, last = order
        users = [f"user:{one}" for one in asked["user_ids"]]
        logs = _logs(stores, "subject = ANY(%s)", ([*users, f"case:{asked['case_id']}"],), first, last)
        files = {"logs.ndjson": _lines(logs), "content.ndjson": b""}
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        if is_careless(request):
            files["logs.ndjson"] += b'{"actor": "nobody"}\n'
        manifest = {"case_id": asked["case_id"], "sha256": hashes}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in {"manifest.json": json.dumps(manifest).encode(), **files}.items():
                archive.writestr(name, data)
        return Answer(200, packed.getvalue(), "application/zip")


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def erase(request: Request, stores: Stores) -> Answer:
    """Erase a user from the database and the cache, as a person may ask for."""
    try:
        user = str(request.json()["user_id"])
    except (ValueError, KeyError, TypeError):
        return Answer.of({"detail": "user_id is needed"}, 422)
    if not is_careless(request):
        stores.query("DELETE FROM users WHERE id = %s::uuid RETURNING id", (user,))
        stores.redis().delete(f"session:{user}")
    return Answer.of({"user_id": user, "status": "erased"}, 202)


def keep_clean(stores: Stores, careless: Callable[[], bool], ended: threading.Event) -> None:
    """Delete what the queue names, a moment after it came, until all is ended.

    Entries without a key of an object are of others, and stay.
    """
    seen: dict[bytes | str, int] = {}
    while not ended.wait(_PAUSE):
        if careless():
            continue
        waiting = _quietly(lambda: stores.redis().lrange(QUEUE, 0, -1)) or []
        named = [entry for entry in waiting if '"key"' in str(entry)]
        seen = {entry: seen.get(entry, 0) + 1 for entry in named}
        for entry in [one for one, looks in seen.items() if looks * _PAUSE >= _KEPT_SECONDS]:
            _quietly(lambda entry=entry: _clear(stores, entry))  # type: ignore[misc]


def _clear(stores: Stores, entry: str) -> None:
    stores.delete_object(BUCKET, str(json.loads(entry)["key"]))
    stores.redis().lrem(QUEUE, 1, entry)


def _quietly(call: Callable[[], Any]) -> Any:
    """Call, and return None where a store is broken, on purpose most of the time."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever a driver raises
        log.info("not done: %s", type(error).__name__)
        return None
