"""Queues in a real Valkey, seen by a user with the documented grant: a plain list, and Celery as Kombu lays it out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from tasks.core.results import Outcome
from tasks.systems.queue import spec as kind
from tests.hostile import check, finding, measured

pytestmark = pytest.mark.lab
GRANT = Path(kind.__file__).with_name("grant.acl").read_text(encoding="utf-8").split()
PASSWORD = "wk-queue-s3cret"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.fixture
def admin(redis_server):
    with redis.Redis.from_url(redis_server.address) as client:
        yield client
        client.delete("my_queue", "celery", "celery\x06\x169", "unacked", "unacked_index")


@pytest.fixture
def granted(redis_server, admin):
    admin.execute_command("ACL", "SETUSER", "queues", *GRANT[2:], f">{PASSWORD}")
    return f"redis://queues:{PASSWORD}@127.0.0.1:{redis_server.port}/0"


async def checked(url, **fields):
    others = {"cache": {"kind": "redis", "url": {"env": "IT_URL"}}}
    return await check({"kind": "queue", "in": "cache", **fields}, {"IT_URL": url}, others=others, now=NOW)


async def test_a_list_that_grows_is_found_and_well_once_it_was_worked_off(granted, admin):
    limits = {"depth": {"warn": 100}}
    admin.rpush("my_queue", *["job"] * 101)
    assert finding(await checked(granted, list="my_queue", limits=limits), "depth").outcome is Outcome.WARNED
    admin.lpop("my_queue")
    report = await checked(granted, list="my_queue", limits=limits)
    assert finding(report, "depth").outcome is Outcome.PASSED
    assert finding(report, "depth").value == 100


async def test_a_list_that_is_not_there_is_an_empty_queue(granted, admin):
    assert not admin.exists("my_queue")
    report = await checked(granted, list="my_queue", timestamp="at", limits={"oldest_job": {"warn": "1s"}})
    assert measured(report, "depth").value == 0
    assert finding(report, "oldest_job").outcome is Outcome.PASSED


@pytest.mark.parametrize("push", ["rpush", "lpush"])
async def test_the_oldest_job_is_found_at_either_end(granted, admin, push):
    for minutes in (30, 20, 10):
        at = NOW - timedelta(minutes=minutes)
        getattr(admin, push)("my_queue", json.dumps({"meta": {"at": at.isoformat()}, "secret": "of a person"}))
    fields = {"list": "my_queue", "timestamp": "meta.at", "limits": {"oldest_job": {"warn": "15m"}}}
    report = await checked(granted, **fields)
    assert finding(report, "oldest_job").outcome is Outcome.WARNED
    assert finding(report, "oldest_job").value == 1800
    assert "of a person" not in report.model_dump_json()
    admin.delete("my_queue")
    admin.rpush("my_queue", json.dumps({"meta": {"at": NOW.timestamp() - 60}}))
    assert finding(await checked(granted, **fields), "oldest_job").outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "job",
    [
        *("no json", "[]", "{}", '{"at": null}', '{"at": "yesterday"}', '{"at": "2026-11-22T09:00:00"}'),
        '{"at": 1e300}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
async def test_a_job_without_a_usable_time_is_an_error_of_that_alone(granted, admin, job):
    admin.rpush("my_queue", job)
    report = await checked(granted, list="my_queue", timestamp="at")
    assert finding(report, "oldest_job").outcome is Outcome.ERRORED
    assert measured(report, "depth").value == 1


async def test_celery_counts_every_priority_and_what_its_workers_hold(granted, admin):
    admin.lpush("celery", *["{}"] * 3)
    admin.lpush("celery\x06\x169", "{}", "{}")
    admin.hset("unacked", "tag", json.dumps(["{}", "celery", "celery"]))
    admin.zadd("unacked_index", {"tag": NOW.timestamp() - 7200})
    limits = {"depth": {"warn": 4}, "unacknowledged": {"warn": 10}, "oldest_unacknowledged": {"warn": "1h"}}
    report = await checked(granted, celery="celery", limits=limits)
    assert finding(report, "depth").outcome is Outcome.WARNED
    assert finding(report, "depth").note == "3 of priority 0, 2 of priority 9"
    assert finding(report, "unacknowledged").outcome is Outcome.PASSED
    assert finding(report, "oldest_unacknowledged").outcome is Outcome.WARNED
    admin.zadd("unacked_index", {"tag": NOW.timestamp() - 60})
    admin.delete("celery\x06\x169")
    report = await checked(granted, celery="celery", limits=limits)
    assert not report.outcome.is_problem


async def test_a_key_that_is_no_list_is_errored(granted, admin):
    admin.set("my_queue", "text")
    report = await checked(granted, list="my_queue")
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "WRONGTYPE" in finding(report, "check").note


async def test_a_user_without_the_grant_is_told_what_is_missing(redis_server, admin):
    admin.execute_command("ACL", "SETUSER", "poor", "on", f">{PASSWORD}", "~*", "-@all", "+ping", "+select", "+llen")
    url = f"redis://poor:{PASSWORD}@127.0.0.1:{redis_server.port}/0"
    report = await checked(url, celery="celery")
    assert finding(report, "unacknowledged").outcome is Outcome.ERRORED
    assert measured(report, "depth").value == 0


async def test_a_million_jobs_are_counted_without_reading_them(granted, admin):
    with admin.pipeline(transaction=False) as pipeline:
        for _ in range(100):
            pipeline.rpush("my_queue", *["j"] * 10_000)
        pipeline.execute()
    report = await checked(granted, list="my_queue", limits={"depth": {"warn": 100}})
    assert finding(report, "depth").value == 1_000_000
