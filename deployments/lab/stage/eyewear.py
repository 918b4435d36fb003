"""EyewearML's API gateway, as its runbook describes it."""

from __future__ import annotations

from deployments.lab.loopback import Answer, Request
from deployments.lab.stage.service import Service, ready
from deployments.lab.stage.stores import Stores

_ALL = ("database", "cache", "storage", "search")


def service(system: str, stores: Stores) -> Service | None:
    """Play the gateway."""
    if system != "api":
        return None
    api = Service("eyewear-api")
    api.on("GET", "/health", ready(api, stores, ("database", "cache"), optional=("cache",)))
    api.on("GET", "/health/dependencies", ready(api, stores, _ALL, optional=("search",)))
    api.on("GET", "/health/monitoring", ready(api, stores, ("metrics",), word="monitoring"))
    api.on("GET", "/alerts/active", lambda _: alerts(stores))
    api.on("GET", "/alerts/dashboard", dashboard)
    api.on("GET", "/metrics", api.metrics)
    return api


def alerts(stores: Stores) -> Answer:
    """List an alert for each store that is down."""
    active = [
        {"name": f"{name}_down", "severity": "critical", "summary": f"{name}: {condition.error}"}
        for name, condition in stores.check(_ALL).items()
        if not condition.ok
    ]
    return Answer.of({"alerts": active, "count": len(active)})


def dashboard(_request: Request) -> Answer:
    """Show the dashboard's page."""
    page = "<!doctype html><html lang=en><title>Alerts</title><h1>EyewearML alerts</h1></html>"
    return Answer.text(page, content_type="text/html; charset=utf-8")
