"""The lab as a whole: healthy when it comes up, broken and mended by name, private, and gone when it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import timedelta
from urllib.parse import urlsplit

import psutil
import pytest
import redis

from deployments import lab as the_lab
from deployments import supervisor
from deployments.lab import catalog
from deployments.lab.pieces import Lab, Piece
from tasks.core.errors import ConfigError, NotOffered, PermanentError
from tasks.core.results import Outcome
from tasks.platforms import load, platform_names
from tasks.systems.checking import check_system

pytestmark = pytest.mark.lab


async def report(lab, target, seconds=30):
    name, _, system = target.partition("/")
    platform = load(name)
    patient = platform.systems[system].model_copy(update={"timeout": timedelta(seconds=seconds)})
    platform = platform.model_copy(update={"systems": {**platform.systems, system: patient}})
    return await check_system(platform, system, lab.access)


async def problems(lab, target, seconds=30):
    found = await report(lab, target, seconds)
    return {finding.measurement for finding in found.findings if finding.outcome.is_problem}


async def measured(lab, target, name):
    found = await report(lab, target)
    return next(one.value for one in found.measurements if one.name == name)


@pytest.mark.parametrize("platform", platform_names())
async def test_every_objective_has_data_and_holds(lab, platform):
    found = await report(lab, f"{platform}/metrics", seconds=60)
    objectives = load(platform).systems["metrics"].objectives
    judged = [finding for finding in found.findings if finding.measurement in objectives]
    assert {finding.key: finding.outcome for finding in judged if finding.outcome is not Outcome.PASSED} == {}
    assert {one.name for one in found.measurements} >= set(objectives)


@pytest.mark.parametrize(
    ("target", "fault", "problem"),
    [
        ("apex/database", "stopped", "reachable"),
        ("eyewear/database", "hanging", "reachable"),
        ("stario/certificate", "hanging", "reachable"),
        ("apex/storage", "stopped", "reachable"),
        ("stylesync/cluster", "stopped", "reachable"),
        ("apex/database", "connections", "connections_used"),
        ("apex/cache", "full", "memory_used"),
        ("apex/cache", "bgsave-failed", "last_save_ok"),
        ("apex/metrics", "errors", "error_rate"),
        ("stylesync/metrics", "errors", "error_rate"),
        ("stylesync/certificate", "expiring", "expires_in"),
        ("stylesync/certificate", "expired", "expires_in"),
        ("stylesync/certificate", "untrusted", "trusted"),
        ("stylesync/certificate", "wrong-name", "name_matches"),
        ("stario/voice-gen", "unhealthy", "as_expected"),
        ("synesthesia/services", "stopped", "reachable"),
        ("synesthesia/services", "exited", "running"),
        ("synesthesia/services", "unhealthy", "healthy"),
        ("synesthesia/services", "restarting", "recent_restarts"),
        ("synesthesia/services", "missing", "running"),
        ("synesthesia/logs", "brute-force", "most_by_one"),
        ("synesthesia/logs", "injection", "matches"),
        ("synesthesia/logs", "hanging", "reachable"),
        ("stylesync/logs", "degraded", "matches"),
        ("apex/logs", "errors", "matches"),
        ("eyewear/logs", "brute-force", "matches"),
        ("synesthesia/machine", "disk-full", "disk_used"),
        ("eyewear/machines", "disk-full", "disk_used"),
        ("stario/gpus", "gpu-memory", "gpu_memory_used"),
        ("stario/gpus", "stopped", "reachable"),
        ("stario/voice-gen", "cut", "reachable"),
        ("apex/search", "red", "primaries_assigned"),
        ("synesthesia/search", "yellow", "replicas_assigned"),
        ("eyewear/search", "write-block", "read_only_indices"),
        ("synesthesia/messages", "stopped", "reachable"),
        ("stario/video-queue", "stopped", "reachable"),
    ],
)
async def test_a_fault_is_found_and_mended(lab, target, fault, problem):
    assert problem not in await problems(lab, target)
    lab.break_(target, fault)
    assert problem in await problems(lab, target, seconds=2 if fault == "hanging" else 30)
    assert lab.mend(target) == [f"{target} {fault}"]
    assert problem not in await problems(lab, target)


@pytest.mark.parametrize("fault", ["crashloop", "forbidden"])
async def test_a_cluster_is_broken_and_mended(lab, fault):
    before = await problems(lab, "apex/cluster")
    lab.break_("apex/cluster", fault)
    deadline = time.monotonic() + 60  # a crash loop needs some crashes
    while not (found := await problems(lab, "apex/cluster") - before) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    assert found
    assert lab.mend() == [f"apex/cluster {fault}"]


async def test_a_long_query_runs_until_it_is_mended(lab):
    lab.break_("stario/database", "long-query")
    assert await measured(lab, "stario/database", "longest_query") > 0
    lab.mend("stario/database")
    assert await measured(lab, "stario/database", "longest_query") < 1


async def until(lab, target, problem, *, there):
    """Wait until a problem is there, or gone: a broker gathers its figures once a second."""
    deadline = time.monotonic() + 60
    while (problem in await problems(lab, target)) is not there:
        assert time.monotonic() < deadline, f"{target} {problem}: still {not there}"
        await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("target", "fault", "problem"),
    [
        ("apex/work", "backlog", "depth"),
        ("stario/video-queue", "backlog", "depth"),
        ("stario/deletion-queue", "backlog", "depth"),
        ("synesthesia/messages", "backlog", "backlog"),
        ("eyewear/queue", "backlog", "messages"),
        ("eyewear/queue", "consumers-gone", "consumers"),
    ],
)
async def test_a_backlog_of_messages_or_jobs_is_found_and_mended(lab, target, fault, problem):
    known = {piece.target: piece for piece in Lab.read(lab.state).pieces}
    if known[target].front is None:
        pytest.skip(known[target].note)
    await until(lab, target, problem, there=False)
    lab.break_(target, fault)
    await until(lab, target, problem, there=True)
    assert lab.mend(target) == [f"{target} {fault}"]
    await until(lab, target, problem, there=False)


async def test_uploads_are_left_behind_and_cleaned_up(lab):
    assert await measured(lab, "stario/ephemeral", "objects") == 0
    lab.break_("stario/ephemeral", "stale-uploads")
    assert await measured(lab, "stario/ephemeral", "objects") == 20
    lab.mend()
    assert await measured(lab, "stario/ephemeral", "objects") == 0


def test_a_queue_grows_and_shrinks_and_a_read_only_redis_is_a_replica(lab):
    pieces = {piece.target: piece for piece in Lab.read(lab.state).pieces}
    with redis.Redis.from_url(pieces["stario/cache"].address) as client:
        usual = client.llen("video_generation_queue")
        lab.break_("stario/video-queue", "backlog")
        lab.break_("stario/cache", "read-only")
        assert client.llen("video_generation_queue") == usual + 500
        assert client.info("replication")["role"] == "slave"
        assert sorted(lab.mend()) == ["stario/cache read-only", "stario/video-queue backlog"]
        assert client.llen("video_generation_queue") == usual
        assert client.info("replication")["role"] == "master"


def test_the_newest_fault_of_a_door_takes_the_place_of_the_one_before(lab):
    lab.break_("apex/storage", "stopped")
    lab.break_("apex/backups", "hanging")
    broken = {one.target: one.faults for one in the_lab.status(lab.state).systems if one.faults}
    assert broken == {"apex/backups": ("hanging",)}


def test_an_unknown_name_is_answered_with_the_likely_one(lab):
    with pytest.raises(ConfigError, match=r"did you mean 'apex/cache'\?"):
        lab.break_("apex/cahce", "stopped")
    with pytest.raises(PermanentError, match=r"did you mean 'stopped'\?"):
        lab.break_("apex/cache", "stoped")
    with pytest.raises(PermanentError, match="no fault of a redis system"):
        lab.break_("apex/cache", "expired")


def test_what_is_not_played_cannot_be_broken_and_says_why():
    with pytest.raises(NotOffered, match="apt did not bring it"):
        catalog.find("stopped", Piece("eyewear/queue", "rabbitmq", note="apt did not bring it"))


def test_every_name_in_every_spec_has_a_value(lab):
    def names(value):
        if isinstance(value, dict):
            if isinstance(value.get("env"), str):
                yield value["env"]
            for inner in value.values():
                yield from names(inner)

    environment = lab.environment
    for platform in platform_names():
        for system in load(platform).systems.values():
            assert [name for name in names(system.model_dump()) if name not in environment] == []


def test_the_lab_is_private_and_listens_on_loopback_only(lab):
    for path in (lab.state / "environment.json", lab.state / "lab.json", lab.state / "stage.json"):
        assert path.stat().st_mode & 0o077 == 0
    processes = supervisor.status(lab.state / "supervisor")["processes"].values()
    ours = {child.pid for one in processes for child in [psutil.Process(one["pid"])]}
    listening = [one for one in psutil.net_connections("inet") if one.status == "LISTEN" and one.pid in ours]
    assert {one.laddr.ip for one in listening} == {"127.0.0.1"}


def test_no_command_line_shows_a_secret(lab):
    secrets = {urlsplit(value).password for value in lab.environment.values()} - {None}
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [secret for secret in secrets if any(secret in line for line in lines)] == []


def test_a_second_up_changes_nothing(lab):
    before = lab.environment
    assert the_lab.up(["apex"], lab.state).platforms == the_lab.status(lab.state).platforms
    assert lab.environment == before


def test_one_platform_comes_up_alone_survives_no_kill_and_starts_again_over_the_remains(tmp_path):
    state = tmp_path / "alone"
    status = the_lab.up(["stylesync"], state)
    assert status.platforms == ("stylesync",)
    assert {one.target.partition("/")[0] for one in status.systems} == {"stylesync"}
    mark = (state / "supervisor" / "mark").read_text()
    os.kill(supervisor.status(state / "supervisor")["pid"], signal.SIGKILL)
    waited = psutil.wait_procs([psutil.Process(pid) for pid in supervisor.marked(mark)], timeout=60)
    assert waited[1] == []
    assert not the_lab.status(state).up
    again = the_lab.up(["stylesync"], state)
    assert again.up
    assert the_lab.down(state)
    assert not state.exists()
    assert not the_lab.down(state)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="no lab"):
        the_lab.up(["stylesync"], tmp_path)
    the_lab.down(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_the_help_of_every_fault_is_one_sentence():
    found = the_lab.faults()
    assert {"any", "postgres", "redis", "s3", "tls", "http", "kubernetes", "prometheus", "queue"} <= set(found)
    for faults in found.values():
        assert all(text.endswith(".") and "\n" not in text for text in faults.values())
