"""A capacity plan with advice of every urgency, something supposed, and something that could not be judged."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from tasks.core.advice.amounts import GIB, MIB
from tasks.core.advice.bundle import Aim, Cache, Facts, Namespace, advise_all
from tasks.core.advice.facts import Autoscaler as Scaler
from tasks.core.advice.facts import Cluster, Container, Kill, Target, Usage, Workload
from tasks.core.advice.model import Advice, Fine, Unjudged, by_urgency
from tasks.core.advice.redis import Redis
from tasks.core.advice.what_if import parse, suppose
from tasks.core.advice.wrong import cost_of_being_wrong
from tasks.core.capacity import CapacityReport, History, Threshold
from tasks.core.capacity import by_urgency as dates_by_urgency
from tasks.core.foresight import Foresight, Prices
from tasks.core.outlooks import look_ahead
from tasks.core.units import Unit
from tests.golden.reports import NOW
from tests.unit.test_advice_workloads import frame as frame_until

_SHIFT = timedelta(days=2, hours=8)
_HOURS = np.arange(24 * 60)
_AIM = Foresight(prices=Prices(core=20, memory_gib=3, storage_gib=0.05))


def _namespace() -> Namespace:
    at = frame_until(0.1, MIB).index
    day = np.sin(2 * np.pi * np.asarray(at.as_unit("ns").asi8 / 1e9) / 86400)
    created = NOW - timedelta(days=200)
    api = Workload("Deployment", "apex-api", "apex", 3, created, (Container("api", 0.25, None, 512 * MIB, GIB),))
    kills = (Kill("worker", NOW - timedelta(days=1), GIB),)
    worker = Workload(
        "Deployment", "apex-worker", "apex", 2, created, (Container("worker", 0.5, 1.0, GIB, GIB),), kills
    )
    idle = Workload(
        "StatefulSet", "opensearch", "apex", 1, created, (Container("opensearch", 2.0, None, 4 * GIB, 4 * GIB),)
    )
    young = Workload("Deployment", "fresh", "apex", 1, NOW - timedelta(hours=2), (Container("fresh"),))
    usage = {
        "deployment/apex-api": Usage({"api": frame_until(2.0 + 1.2 * day, 400 * MIB, pods=9)}, source="test"),
        "deployment/apex-worker": Usage({"worker": frame_until(0.8, 980 * MIB)}, source="test"),
        "statefulset/opensearch": Usage({"opensearch": frame_until(0.3, GIB, pods=1)}, source="test"),
    }
    scaler = Scaler("apex-api-hpa", "deployment/apex-api", 3, 10, (Target("cpu", 0.7), Target("requests_per_second")))
    return Namespace(Cluster("apex", (api, worker, idle, young), (scaler,)), usage)


def plan() -> CapacityReport:
    """Make the plan."""
    facts = Facts(
        namespaces={"cluster": _namespace()},
        caches={"cache": Cache(Redis(500 * MIB, 600 * MIB, GIB, "allkeys-lru", machine=16 * GIB))},
    )
    aim = Aim(NOW)
    judged = advise_all(facts, aim)
    values = 0.6 - 0.01 / 24 * _HOURS[::-1] + 0.002 * np.sin(_HOURS * 1.7)
    times = NOW.timestamp() - 3600.0 * _HOURS[::-1]
    history = History(
        "machine/disk_used[/]",
        Unit.RATIO,
        times,
        values,
        "test",
        (Threshold(text="85%", value=0.85),),
        "Grow the disk.",
    )
    outlook = look_ahead(history, timedelta(days=90), drawn=False)
    wrong = cost_of_being_wrong(outlook, _AIM.lead_time, NOW)
    return CapacityReport(
        id="apex-capacity-plan-20261122T080000Z-1a2b3c",
        platform="apex",
        title="SIGN X Studio",
        timezone="UTC",
        started=NOW,
        finished=NOW + timedelta(seconds=20),
        horizon_days=90,
        outlooks=dates_by_urgency([outlook]),
        advice=by_urgency(_AIM.priced(one) for one in judged if isinstance(one, Advice)),
        fine=tuple(one for one in judged if isinstance(one, Fine)),
        unjudged=tuple(one for one in judged if isinstance(one, Unjudged)),
        wrong=(wrong,) if wrong else (),
        supposed=(suppose(parse("traffic=2"), facts, aim, [history], timedelta(days=90)),),
    )
