"""Synesthesia's API and its web front end, as the runbook describes them."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from deployments.lab.loopback import Answer
from deployments.lab.stage.service import Service, health, ready
from deployments.lab.stage.stores import Stores, fetch

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Synesthesia AI</title></head>
<body><div id="__next"><main><h1>Synesthesia AI</h1><p>Stories that you read, see and hear.</p></main></div>
</body></html>
"""


def service(system: str, stores: Stores) -> Service | None:
    """Play the API or the web front end."""
    if system == "api":
        return _api(stores)
    return _web(stores) if system == "web" else None


def _api(stores: Stores) -> Service:
    api = Service("synesthesia-api")
    packs = Counter("story_packs_generated", "Story packs.", ["status"], registry=api.registry)
    packs.labels("success").inc(1_482)
    packs.labels("failed").inc(11)
    seconds = Histogram("story_pack_generation_seconds", "Time for a pack.", registry=api.registry)
    seconds.observe(31.5)
    wanted = ("database", "cache", "search", "messages")
    api.on("GET", "/v1/health", ready(api, stores, wanted, optional=("search",)))
    api.on("GET", "/metrics", api.metrics)
    return api


def _web(stores: Stores) -> Service:
    """The front end shows its page whatever the API does; its own health says that it cannot be used then."""
    web = Service("synesthesia-web")
    web.on("GET", "/", lambda _: Answer.text(_PAGE, content_type="text/html; charset=utf-8"))
    address = stores.value("API_URL")
    asked = {"api": lambda: fetch(f"{address}/v1/health")} if address else {}
    web.on("GET", "/api/health", lambda _: health(web, stores.ask(asked)))
    return web
