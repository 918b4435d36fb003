"""SIGN X Studio's API, as its runbook describes it."""

from __future__ import annotations

import math
from hashlib import sha256

from prometheus_client import Counter, Gauge

from deployments.lab.loopback import Answer, Request
from deployments.lab.stage.service import Service, ready
from deployments.lab.stage.stores import Stores

_POUNDS_PER_SQUARE_FOOT = 4.2
_LARGEST_HEIGHT = 200.0


def service(system: str, stores: Stores) -> Service | None:
    """Play the API."""
    if system != "api":
        return None
    api = Service("apex-api")
    pool = Gauge("apex_pg_pool_used", "Connections taken from the pool of 30.", registry=api.registry)
    pool.set_function(lambda: 4 + int(api.uptime) % 3)
    for name, seed in (("search_requests", 3_104), ("search_fallback", 12)):
        Counter(name, name.replace("_", " "), registry=api.registry).inc(seed)
    api.on("GET", "/health", api.alive)
    wanted = ("database", "cache", "storage", "search")
    api.on("GET", "/ready", ready(api, stores, wanted, optional=("search",), word="ready"))
    api.on("GET", "/metrics", api.metrics)
    api.on("POST", "/signage/common/cabinets/derive", derive)
    api.on("POST", "/files/presign", lambda request: presign(request, stores))
    return api


def derive(request: Request) -> Answer:
    """Derive area, weight and the least diameter of the pole from a sign's cabinets."""
    try:
        wanted = request.json()
        height = float(wanted["overall_height_ft"])
        areas = [float(cabinet["width_ft"]) * float(cabinet["height_ft"]) for cabinet in wanted["cabinets"]]
    except (ValueError, KeyError, TypeError):
        return Answer.of({"detail": "overall_height_ft and cabinets [{width_ft, height_ft}] are needed"}, 422)
    if not areas or not 0 < height <= _LARGEST_HEIGHT or min(areas) <= 0:
        return Answer.of({"detail": "sizes must be above zero, and the sign at most 200 ft high"}, 422)
    area = sum(areas)
    moment = area * 30 * height
    return Answer.of(
        {
            "result": {
                "area_ft2": round(area, 2),
                "weight_lb": round(area * _POUNDS_PER_SQUARE_FOOT, 1),
                "pole_diameter_in": round((32 * moment * 12 / (math.pi * 24_000)) ** (1 / 3), 2),
            },
            "assumptions": ["wind 30 psf", "steel 24 ksi"],
            "confidence": 0.95,
            "search_fallback": False,
        }
    )


def presign(request: Request, stores: Stores) -> Answer:
    """Hand out an address to upload to, if the storage is there."""
    try:
        name = str(request.json()["filename"])
    except (ValueError, KeyError, TypeError):
        return Answer.of({"detail": "filename is needed"}, 422)
    storage = stores.check(["storage"]).get("storage")
    if storage is not None and not storage.ok:
        return Answer.of({"detail": f"storage: {storage.error}"}, 503)
    key = f"uploads/{sha256(name.encode()).hexdigest()[:12]}/{name}"
    return Answer.of({"method": "PUT", "key": key, "url": f"{stores.value('S3_URL')}/apex-uploads/{key}"})
