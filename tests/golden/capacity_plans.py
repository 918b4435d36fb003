"""A capacity plan with advice of every urgency, something supposed, and something that could not be judged.

Nothing in it is forecast, so that it reads the same whatever forecasts become.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from tasks.core.advice import autoscaling, redis, requests
from tasks.core.advice.amounts import GIB, MIB
from tasks.core.advice.facts import Autoscaler, Container, Kill, Target, Usage, Workload
from tasks.core.advice.model import Advice, Fine, Judged, Supposed, Unjudged, by_urgency
from tasks.core.advice.names import named
from tasks.core.advice.wrong import cost_of_being_wrong
from tasks.core.capacity import CapacityReport, Outlook, Reached
from tasks.core.foresight import Foresight, Prices
from tasks.core.results import Outcome
from tasks.core.units import Unit
from tests.golden.reports import NOW
from tests.unit.test_advice_workloads import DAY, frame

_AHEAD = Foresight(prices=Prices(core=20, memory_gib=3, storage_gib=0.05))
_CREATED = NOW - timedelta(days=200)


def _workload(kind: str, name: str, container: Container, replicas: int = 1, **more: object) -> Workload:
    values: dict[str, object] = {"created": _CREATED, "containers": (container,)}
    return Workload(kind, name, "apex", replicas, **(values | more))  # type: ignore[arg-type]


def _judged() -> list[Judged]:
    api = _workload("Deployment", "apex-api", Container("api", 0.25, None, 512 * MIB, GIB), 3)
    kills = (Kill("worker", NOW - timedelta(days=1), GIB),)
    worker = _workload("Deployment", "apex-worker", Container("worker", 0.5, 1.0, GIB, GIB), 2, kills=kills)
    search = _workload("StatefulSet", "opensearch", Container("opensearch", 2.0, None, 4 * GIB, 4 * GIB))
    fresh = _workload("Deployment", "fresh", Container("fresh"), created=NOW - timedelta(hours=2))
    scaler = Autoscaler("apex-api-hpa", api.subject, 3, 10, (Target("cpu", 0.7), Target("requests_per_second")))
    load = Usage({"api": frame(2.0 + 1.2 * DAY, 400 * MIB, pods=9)}, source="test")
    usage = {
        worker: Usage({"worker": frame(np.float64(0.8), 980 * MIB)}, source="test"),
        search: Usage({"opensearch": frame(np.float64(0.3), GIB, pods=1)}, source="test"),
        fresh: Usage(),
    }
    return [
        autoscaling.advise("cluster/hpa/apex-api-hpa", api, scaler, load, NOW),
        *(requests.advise(f"cluster/{one.subject}", one, used, NOW) for one, used in usage.items()),
        redis.advise("cache", redis.Redis(500 * MIB, 600 * MIB, GIB, "allkeys-lru", machine=16 * GIB), None),
    ]


def _outlook() -> Outlook:
    reached = Reached(
        limit="85%",
        bound=0.85,
        critical=False,
        state="within the horizon",
        median=NOW + timedelta(days=24),
        early=NOW + timedelta(days=10),
        late=NOW + timedelta(days=31),
        probability=1.0,
        text="in 24 days (10 days to 31 days)",
    )
    return Outlook(
        key="machine/disk_used[/]",
        name="disk / of machine",
        share="its size",
        unit=Unit.RATIO,
        source="test",
        outcome=Outcome.WARNED,
        now=0.6,
        reached=(reached,),
        method="ensemble",
        mase=0.67,
        coverage=0.79,
        remedy="Grow the disk.",
    )


def plan() -> CapacityReport:
    """Make the plan."""
    judged, outlook = [named(one, {"cache": "Redis"}) for one in _judged()], _outlook()
    wrong = cost_of_being_wrong(outlook, _AHEAD.lead_time, NOW)
    supposed = Supposed(
        what="traffic=2",
        follows=("autoscaler apex-api-hpa: max replicas 10 → 41 (as it is: max replicas 10 → 21)",),
        unknown=("how memory of pods follows traffic: it is taken as it was",),
    )
    return CapacityReport(
        id="apex-capacity-plan-20261122T080000Z-1a2b3c",
        platform="apex",
        title="SIGN X Studio",
        timezone="UTC",
        started=NOW,
        finished=NOW + timedelta(seconds=20),
        horizon_days=90,
        outlooks=(outlook,),
        advice=by_urgency(_AHEAD.priced(one) for one in judged if isinstance(one, Advice)),
        fine=tuple(one for one in judged if isinstance(one, Fine)),
        unjudged=tuple(one for one in judged if isinstance(one, Unjudged)),
        wrong=(wrong,) if wrong else (),
        supposed=(supposed,),
    )
