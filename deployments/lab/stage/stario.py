"""Stario's gateway, its six services and its payment providers' status pages, as the runbook describes them."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import partial

from prometheus_client import Counter, Gauge, Histogram

from deployments.lab.loopback import Answer, Handler, Request
from deployments.lab.stage.service import Service, bearer, health, ready
from deployments.lab.stage.stario_content import QUEUE, Orders, erase, export_audit_logs
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
    orders = Orders(stores)
    guarded: dict[tuple[str, str], Callable[[Request, Stores], Answer]] = {
        ("POST", "/content/audit-logs/export"): export_audit_logs,
        ("POST", "/content/legal-export"): orders.take,
        ("GET", "/content/legal-export"): orders.hand_over,
        ("POST", "/admin/users/erase"): erase,
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
        return int(stores.redis().llen(QUEUE))
    except (RedisError, OSError, ValueError):
        return None
