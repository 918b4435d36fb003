"""A capacity plan over weeks of history in a real server of the query API: what fills up is named with its date."""

import math
import urllib.request
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import yaml

from deployments.lab.pieces import Lab
from deployments.lab.wear import wearing
from tasks.core.advice.model import When
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.looking_ahead import CapacityPlan
from tasks.platforms import platform_names

pytestmark = pytest.mark.lab

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
DAYS = 40
DISK_FULL, BUCKET_FULL, LEAK_FULL = 20, 50, 5
QUEUE_LONG, MONGO_FULL = 12, 30
"""In so many days each of them reaches its bound of 90 %."""


def values(day: float, noise: float) -> dict[str, float]:
    """Return what each service tells so many days from now."""
    swing = math.sin(2 * math.pi * day)
    teeth = 0.3 + 0.4 * (day % 3) / 3
    return {
        "disk": 0.9 - 0.01 * (DISK_FULL - day) + 0.002 * noise,
        "bucket": 0.9 - 0.006 * (BUCKET_FULL - day) + 0.001 * noise,
        "leak": 0.9 - 0.015 * (LEAK_FULL - day) + 0.01 * swing + 0.003 * noise,
        "busy": 0.5 + 0.3 * swing + 0.02 * noise,
        "cleaned": teeth + 0.003 * noise,
    }


def exported(day: float) -> dict[str, float]:
    """Return what exporters tell so many days from now: a queue that is too long and a disk that is full on a day."""
    return {
        'celery_queue_length{queue_name="celery"}': 100 - 1.5 * (QUEUE_LONG - day) + 3 * math.sin(2 * math.pi * day),
        'rabbitmq_queue_messages_ready{vhost="/",queue="mail"}': 5 + 2 * math.sin(2 * math.pi * day),
        'mongodb_dbstats_fsUsedSize{instance="db-1:9216",database="shop"}': 1e9 * (80 - 1.0 * (MONGO_FULL - day)),
        'mongodb_dbstats_fsTotalSize{instance="db-1:9216",database="shop"}': 1e11,
        'mongodb_dbstats_storageSize{instance="db-1:9216",database="shop"}': 1e9 * (40 + 0.8 * day),
        'mongodb_dbstats_indexSize{instance="db-1:9216",database="shop"}': 1e9 * (10 + 0.2 * day),
    }


@pytest.fixture(scope="module")
def seeded(prometheus_server):
    random = np.random.default_rng(1)
    lines = []
    for quarter in range(-DAYS * 96, 1):
        at = NOW + timedelta(minutes=15 * quarter)
        told = values(quarter / 96, float(random.normal()))
        lines += [f'seed_used{{of="{name}"}} {value} {int(at.timestamp() * 1000)}' for name, value in told.items()]
        lines += [f"{name} {value} {int(at.timestamp() * 1000)}" for name, value in exported(quarter / 96).items()]
    body = "\n".join(lines).encode() + b"\n"
    for path, data in (("api/v1/import/prometheus", body), ("internal/force_flush", None)):
        urllib.request.urlopen(f"{prometheus_server.address}/{path}", data=data, timeout=20).close()  # noqa: S310
    return prometheus_server.address


async def test_what_fills_up_is_named_with_the_date_that_was_seeded_and_nothing_healthy_is(seeded, tmp_path):
    spec = {
        "platform": "seeded",
        "title": "Seeded",
        "slack": {"channel": "#seeded"},
        "severities": {"P0": {"means": "down", "respond": "15m"}},
        "default_severity": {"warn": "P0", "critical": "P0"},
        "systems": {
            "cache": {"kind": "redis", "url": {"env": "SEEDED_CACHE"}},
            "work": {
                "kind": "queue",
                "title": "Celery",
                "in": "cache",
                "celery": "celery",
                "limits": {"depth": {"warn": 100, "remedy": "Scale the workers."}},
            },
            "metrics": {
                "kind": "prometheus",
                "url": seeded,
                "objectives": {
                    "used": {"query": "seed_used", "critical": "90%"},
                    "gone": {"query": "no_such", "warn": 1},
                },
            },
        },
    }
    (tmp_path / "seeded.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    settings = Settings(platforms=tmp_path, state=tmp_path / "state")
    plan = CapacityPlan.open("seeded", settings, horizon=timedelta(days=60))
    await plan.gather()
    plan.look()
    found = {one.key: one for one in plan.report().outlooks}
    assert plan.notes == []
    assert found["metrics/used[leak]"].outcome is Outcome.FAILED
    for name, days in (("disk", DISK_FULL), ("bucket", BUCKET_FULL), ("leak", LEAK_FULL)):
        reached = found[f"metrics/used[{name}]"].pressing
        off = reached.median - (NOW + timedelta(days=days))
        assert abs(off) < timedelta(days=max(0.05 * days, 1)), name
    assert {found[f"metrics/used[{name}]"].outcome for name in ("busy", "cleaned")} == {Outcome.PASSED}
    assert found["metrics/gone"].unfit == "the query answers no data"
    (queue,) = [one for one in found.values() if one.name == "jobs that wait in Celery"]
    assert (queue.pressing.limit, queue.remedy) == ("100", "Scale the workers.")
    disk = found["metrics/mongodb_disk[db-1:9216]"]
    for one, days in ((queue, QUEUE_LONG), (disk, MONGO_FULL)):
        assert abs(one.pressing.median - (NOW + timedelta(days=days))) < timedelta(days=2), one.name
    growing = found["metrics/mongodb_database[shop]"]
    assert (growing.name, growing.outcome) == ("size of database shop with its indexes", Outcome.PASSED)
    assert growing.ahead[-1].value == pytest.approx(1e9 * (50 + 60), rel=0.02)
    assert found["metrics/rabbitmq_queue[mail /]"].name == "messages that wait in queue mail of /"


@pytest.mark.parametrize("platform", platform_names())
async def test_a_platform_of_the_lab_names_what_runs_out_on_the_days_that_are_seeded_and_nothing_else(
    running_lab, platform, tmp_path
):
    (piece,) = [one for one in Lab.read(running_lab.state).pieces if one.target == f"{platform}/metrics"]
    if piece.note:
        pytest.skip(piece.note)
    began = datetime.fromtimestamp(float(piece.details["began"]), UTC)
    settings = Settings(state=tmp_path / "state", lab=running_lab.state)
    plan = CapacityPlan.open(platform, settings, horizon=timedelta(days=45))
    await plan.gather()
    plan.look()
    outlooks = plan.report().outlooks
    problems = [one for one in outlooks if one.outcome.is_problem]
    assert plan.notes == []
    assert [one.key for one in outlooks if not one.name or one.name == one.key or "[" in one.name] == []
    assert len(outlooks) > 2 * len(problems)
    assert len(problems) == len(wearing(platform)), [one.key for one in problems]
    traffic = {
        "apex": "request_rate",
        "eyewear": "request_rate",
        "stylesync": "request_rate",
        "synesthesia": "pack_rate",
    }
    if platform in traffic:
        (rate,) = [one for one in outlooks if one.key == f"metrics/{traffic[platform]}"]
        assert rate.ahead[-1].value > 0
    (leak,) = [one for one in plan.report().advice if "leaks" in one.do]
    assert (leak.when, leak.kind in ("requests", "autoscaler")) == (When.NOW, True)
    assert leak.patches[0].command.startswith("kubectl") or leak.patches[0].text.startswith("docker service update")
    for wear in wearing(platform):
        (found,) = [one for one in problems if one.key.startswith(f"metrics/{wear.measurement}[")]
        (full,) = [one for one in found.reached if one.bound == wear.bound]
        assert abs(full.median - began - timedelta(days=wear.days)) < timedelta(days=1 + 0.03 * wear.days), wear.name
        assert found.outcome is (Outcome.FAILED if wear.name == "leak" else Outcome.WARNED)
