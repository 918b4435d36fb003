"""Compose services through the Docker Engine API: the stand-in as documented, and engines that behave badly."""

import functools
import json
import socket
from contextlib import contextmanager

import pytest

from deployments.lab.docker.api import handle
from deployments.lab.docker.project import Project
from deployments.lab.loopback import Listeners, Request
from tasks.clients.docker import _unframed
from tasks.core.errors import Garbled
from tasks.core.results import Outcome
from tests.hostile import answer, check, finding, measured, routed, serving

VERSION = answer('{"Version": "28", "ApiVersion": "1.47"}')


@contextmanager
def playing(**services):
    project, listeners = Project("shop", services), Listeners()
    port = listeners.add(0, functools.partial(handle, project))
    with listeners:
        yield project, f"tcp://127.0.0.1:{port}"


async def checked(engine, limits=None, **services):
    system = {"kind": "compose", "engine": engine, "project": "shop", "services": services or {"api": {}}}
    return await check(system | {"limits": limits or {}})


async def logged(engine, **fields):
    inner = {"kind": "compose", "engine": engine, "project": "shop", "services": {"api": {}}}
    system = {
        "kind": "logs",
        "in": "docker",
        "patterns": {"errors": {"match": "ERROR", "limits": {"matches": {"warn": 0}}}},
    }
    return await check(system | fields, others={"docker": inner})


@pytest.mark.parametrize(
    ("fault", "measurement", "note"),
    [
        ("exited", "running", "exited, out of memory "),
        ("restarting", "running", "restarting, exit code 1 "),
        ("missing", "running", "there is no container"),
        ("unhealthy", "healthy", "curl: (7) Failed to connect to localhost port 8000: Connection refused"),
    ],
)
async def test_a_service_is_red_with_the_reason_while_it_is_broken_and_green_again(fault, measurement, note):
    with playing(api=1, web=1) as (project, engine):
        project.broken.add(fault)
        broken = finding(await checked(engine), measurement, "api")
        assert broken.outcome is Outcome.FAILED
        assert broken.note.startswith(note)
        project.broken.clear()
        assert finding(await checked(engine), measurement, "api").outcome is Outcome.PASSED


async def test_fewer_replicas_than_expected_fail():
    with playing(worker=3) as (_, engine):
        for replicas, outcome in ((3, Outcome.PASSED), (4, Outcome.FAILED)):
            report = await checked(engine, worker={"replicas": replicas})
            assert finding(report, "running", "worker").outcome is outcome


async def test_a_job_that_the_spec_does_not_name_and_that_failed_is_a_warning():
    with playing(migrate=1, api=1) as (project, engine):
        project.broken.add("exited")
        assert finding(await checked(engine), "ended_badly", "migrate").outcome is Outcome.WARNED


async def test_memory_and_processors_are_measured_where_they_have_a_limit():
    with playing(api=1) as (_, engine):
        report = await checked(engine, limits={"memory_used": {"warn": "30%"}, "cpu": {"warn": "80%"}})
        assert measured(report, "memory_used", "api").value == pytest.approx(0.375)
        assert measured(report, "cpu", "api").value == pytest.approx(0.05, abs=0.001)
        assert finding(report, "memory_used", "api").outcome is Outcome.WARNED


async def test_an_engine_on_a_unix_socket_is_reached_and_one_that_is_missing_says_so(tmp_path):
    report = await checked(f"unix://{tmp_path}/gone.sock")
    assert finding(report, "reachable").note == f"there is no socket at {tmp_path}/gone.sock"
    path = tmp_path / "bound.sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        assert finding(await checked(f"unix://{path}"), "reachable").note == "connection refused"


async def test_an_address_of_another_scheme_is_errored():
    assert finding(await checked("ssh://host"), "check").outcome is Outcome.ERRORED


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answer('{"message": "denied by the proxy"}', status="403 Forbidden"), Outcome.ERRORED),
        (answer("[]"), Outcome.ERRORED),
        (answer('{"message": "daemon is shutting down"}', status="503 Service Unavailable"), Outcome.FAILED),
    ],
)
async def test_an_engine_that_refuses_is_told_from_one_that_is_broken(reply, outcome):
    async with serving(routed(lambda *_: reply)) as port:
        assert (await checked(f"tcp://127.0.0.1:{port}")).outcome is outcome


@pytest.mark.parametrize("listed", ["{}", "[1]", '[{"Labels": null}]', "nonsense"])
async def test_a_list_of_another_form_is_errored_and_no_bug_of_ours(listed):
    routes = {"/version": VERSION}
    async with serving(routed(lambda path, _: routes.get(path, answer(listed)))) as port:
        report = await checked(f"tcp://127.0.0.1:{port}")
    assert report.outcome in (Outcome.ERRORED, Outcome.FAILED)
    assert "the probe itself failed" not in report.model_dump_json()


async def test_patterns_are_counted_in_the_logs_of_the_services_that_are_named():
    with playing(api=1, web=1) as (project, engine):
        project.logged.add("errors")
        assert measured(await logged(engine, services=["api"]), "matches", "errors").value == 40
        assert finding(await logged(engine, services=["web"]), "matches", "errors").outcome is Outcome.PASSED
        project.logged.clear()
        assert finding(await logged(engine, services=["api"]), "matches", "errors").outcome is Outcome.PASSED


async def test_a_service_without_a_container_has_no_log_and_that_is_said():
    with playing(api=1) as (_, engine):
        report = await logged(engine, services=["api", "gone"])
        assert finding(report, "bytes_read", "gone").outcome is Outcome.ERRORED


def frame(stream, text, length=None):
    return bytes((stream, 0, 0, 0)) + (length or len(text)).to_bytes(4, "big") + text


def test_frames_of_both_streams_are_put_together_and_one_that_is_cut_keeps_its_beginning():
    assert _unframed(frame(1, b"one\n") + frame(2, b"two\n") + frame(1, b"thr", 900)) == b"one\ntwo\nthr"
    assert _unframed(b"a terminal has no frames\n") == b"a terminal has no frames\n"
    with pytest.raises(Garbled):
        _unframed(frame(1, b"one\n") + b"nonsense")


async def test_the_stand_in_refuses_as_the_engine_does():
    routes = {
        "GET /v1.1/containers/json": (400, "client version 1.1 is not supported. Supported are 1.24 to 1.47"),
        "GET /containers/nobody/json": (404, "No such container: nobody"),
        "GET /containers/shop-api-1/logs": (400, "Bad parameters: you must choose at least one stream"),
        "POST /containers/shop-api-1/restart": (404, "page not found"),
        "GET /images/json": (404, "page not found"),
    }

    for asked, (status, message) in routes.items():
        method, path = asked.split(" ")
        given = handle(Project("shop", {"api": 1}), Request(method, path, {}, {}, b""))
        assert (given.status, json.loads(given.body)["message"]) == (status, message)
