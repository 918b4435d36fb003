"""Stario's gateway, its six services and its payment providers' status pages, as the runbook describes them."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from deployments.lab.loopback import Answer, Handler, Request
from deployments.lab.stage.service import Service, bearer, health, ready
from deployments.lab.stage.stores import Stores, fetch

SERVICES = {
    "video-gen": ("database", "cache", "storage"),
    "voice-gen": ("storage",),
    "face-similarity": ("cache",),
    "poster-gen": ("storage",),
    "merch-engine": ("database",),
    "regtech-filter": ("database",),
}
"""The services behind the gateway with the stores that they cannot work without."""

_PROVIDERS = {"payme": "Payme", "click": "Click"}


def service(system: str, stores: Stores) -> Service | None:
    """Play the gateway, a service or a provider's status page."""
    if system == "gateway":
        return _gateway(stores)
    if system in SERVICES:
        return _behind(system, stores)
    return _status_page(_PROVIDERS[system]) if system in _PROVIDERS else None


def _behind(name: str, stores: Stores) -> Service:
    played = Service(name)
    played.on("GET", "/health", ready(played, stores, SERVICES[name]))
    played.on("GET", "/metrics", played.metrics)
    kind = name.replace("-", "_").replace("_gen", "_generation")
    seconds = Histogram(f"{kind}_duration_seconds", "Time of one job.", registry=played.registry)
    seconds.observe(0.12)
    return played


def _status_page(name: str) -> Service:
    page = Service(name)
    page.on("GET", "/api/status", lambda _: Answer.of({"provider": name, "status": "operational", "incidents": []}))
    return page


def _gateway(stores: Stores) -> Service:
    gateway = Service("api-gateway")
    own = ("database", "cache", "storage")
    gateway.on("GET", "/health", lambda _: _overall(gateway, stores, own))
    gateway.on("GET", "/health/api-gateway", ready(gateway, stores, own))
    for name in SERVICES:
        gateway.on("GET", f"/health/{name}", partial(_one, gateway, stores, name))
    gateway.on("GET", "/metrics", gateway.metrics)
    pending = Gauge("ephemeral_pending_deletions", "Uploads that wait for deletion.", registry=gateway.registry)
    pending.set_function(lambda: _queue_length(stores) or 0)
    Counter("payments", "Payments.", ["status"], registry=gateway.registry).labels("success").inc(912)
    gateway.on("POST", "/payments/webhook/payme", payment_webhook)
    guarded: dict[tuple[str, str], Callable[[Request, Stores], Answer]] = {
        ("POST", "/content/audit-logs/export"): export_audit_logs,
        ("POST", "/content/legal-export"): export_for_the_court,
        ("GET", "/admin/compliance/report"): compliance_report,
    }
    for (method, path), handler in guarded.items():
        gateway.on(method, path, _for_admins(handler, stores))
    return gateway


def _question(stores: Stores, name: str) -> dict[str, Callable[[], object]]:
    url = stores.value(f"{name.upper().replace('-', '_')}_URL")
    return {name: partial(fetch, f"{url}/health")} if url else {}


def _one(gateway: Service, stores: Stores, name: str, _request: Request) -> Answer:
    return health(gateway, stores.ask(_question(stores, name)))


def _overall(gateway: Service, stores: Stores, own: tuple[str, ...]) -> Answer:
    questions = {key: question for name in SERVICES for key, question in _question(stores, name).items()}
    return health(gateway, stores.check(own) | stores.ask(questions), optional=(*SERVICES, "storage"))


def payment_webhook(request: Request) -> Answer:
    """Take a provider's notice; only a test is answered with anything."""
    try:
        notice = request.json()
    except ValueError:
        return Answer.of({"detail": "JSON is needed"}, 400)
    test = isinstance(notice, dict) and notice.get("test") is True
    return Answer.of({"received": True, "test": test})


def _for_admins(handler: Callable[[Request, Stores], Answer], stores: Stores) -> Handler:
    def guarded(request: Request) -> Answer:
        token, wanted = bearer(request), stores.value("ADMIN_TOKEN")
        if not token or (wanted and not hmac.compare_digest(token.encode(), wanted.encode())):
            return Answer.of({"detail": "Not authenticated"}, 401)
        return handler(request, stores)

    return guarded


def _range(request: Request) -> tuple[dict[str, Any], date, date] | None:
    try:
        wanted = request.json()
        first, last = date.fromisoformat(wanted["date_from"]), date.fromisoformat(wanted["date_to"])
    except (ValueError, KeyError, TypeError):
        return None
    return (wanted, first, last) if first <= last else None


def export_audit_logs(request: Request, stores: Stores) -> Answer:
    """Count the audit log's entries of a range of days; both ends are in it."""
    wanted = _range(request)
    if wanted is None:
        return Answer.of({"detail": "date_from and date_to are needed, as 2025-01-31"}, 422)
    return _audit_logs(stores, wanted[1], wanted[2])


def _audit_logs(stores: Stores, first: date, last: date) -> Answer:
    import psycopg  # noqa: PLC0415 - drivers are loaded after the ports are open

    statement = "SELECT count(*) FROM audit_logs WHERE at >= %s AND at < %s"
    try:
        (count,) = stores.query(statement, (first, last + timedelta(days=1)))
    except psycopg.Error:
        return Answer.of({"detail": "the audit log cannot be read"}, 503)
    return Answer.of({"date_from": first.isoformat(), "date_to": last.isoformat(), "entries": count})


def export_for_the_court(request: Request, _stores: Stores) -> Answer:
    """Accept an order for a legal export."""
    wanted = _range(request)
    if wanted is None or not wanted[0].get("case_id") or not wanted[0].get("user_ids"):
        return Answer.of({"detail": "case_id, user_ids, date_from and date_to are needed"}, 422)
    case = str(wanted[0]["case_id"])
    number = sha256(case.encode()).hexdigest()[:12]
    return Answer.of({"case_id": case, "export_id": f"exp-{number}", "status": "prepared"}, 202)


def compliance_report(_request: Request, stores: Stores) -> Answer:
    """Say what the monthly checklist asks for, as far as the stores know it."""
    conditions = stores.check(("database", "cache", "storage"))
    body = {
        "data_residency": "UZ",
        "ephemeral_pending_deletions": _queue_length(stores),
        "stores": {name: condition.document() for name, condition in conditions.items()},
    }
    return Answer.of(body, 200 if all(condition.ok for condition in conditions.values()) else 503)


def _queue_length(stores: Stores) -> int | None:
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        return int(stores.redis().llen("ephemeral_deletion_queue"))
    except (RedisError, OSError, ValueError):
        return None
