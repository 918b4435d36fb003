"""What holds for every kind of system. Kinds are found by looking, so a new one is held against it from the first day.

A kind that measures needs one row in `ROWS`: its minimal spec for a server on a port, with every secret it can take.
A kind that lives inside another system names that one in `INSIDE`, whose row says where it is.
"""

import asyncio
import gc
import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest
import yaml
from pydantic import TypeAdapter

from tasks.core.report import SystemReport
from tasks.core.results import Outcome
from tasks.core.system import SystemSpec
from tasks.systems import kinds
from tests.hostile import Handler, check, finding, hanging_up, refused_port, serving, silent

SECRET = "c0nf0rm4nce-s3cret"
TIMEOUT = 1.0

# PyMongo forgets the socket of a monitor that is cancelled while it connects; the collector closes it.
LEAVES_SOCKETS = {"mongodb"}

Row = Callable[[int, Path], tuple[dict, dict[str, str]]]


def compose(port, _):
    fields = {"engine": {"env": "IT_ENGINE"}, "project": "it", "services": {"api": {}}}
    return fields, {"IT_ENGINE": f"tcp://user:{SECRET}@127.0.0.1:{port}"}


def files(port, folder):
    return {"root": {"env": "IT_ROOT"}}, {"IT_ROOT": str(folder / f"there is no port {port} in a folder that is gone")}


def host(port, folder):
    _, environment = prometheus(port, folder)
    return {"through": "other"}, environment


def http(port, _):
    fields = {"url": {"env": "IT_URL"}, "headers": {"Authorization": {"env": "IT_TOKEN"}}, "expect": {"/health": {}}}
    return fields, {"IT_URL": f"http://user:{SECRET}@127.0.0.1:{port}", "IT_TOKEN": f"Bearer {SECRET}"}


def kubernetes(port, folder):
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "it", "user": {"token": SECRET}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    path = folder / "kubeconfig.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    fields = {"kubeconfig": {"env": "IT_KUBECONFIG"}, "namespace": "it", "deployments": {"api": {}}}
    return fields, {"IT_KUBECONFIG": str(path)}


def logs(port, folder):
    _, environment = compose(port, folder)
    return {"in": "other", "patterns": {"errors": {"match": "ERROR"}}}, environment


def mongodb(port, _):
    return {"uri": {"env": "IT_URI"}}, {"IT_URI": f"mongodb://user:{SECRET}@127.0.0.1:{port}/"}


def nats(port, _):
    return {"url": {"env": "IT_URL"}}, {"IT_URL": f"http://user:{SECRET}@127.0.0.1:{port}"}


def opensearch(port, _):
    fields = {"url": {"env": "IT_URL"}, "user": "it", "password": {"env": "IT_PASSWORD"}}
    return fields, {"IT_URL": f"http://127.0.0.1:{port}", "IT_PASSWORD": SECRET}


def postgres(port, _):
    return {"dsn": {"env": "IT_DSN"}}, {"IT_DSN": f"postgresql://user:{SECRET}@127.0.0.1:{port}/it"}


def prometheus(port, _):
    fields = {
        "url": {"env": "IT_URL"},
        "token": {"env": "IT_TOKEN"},
        "objectives": {"errors": {"query": "up", "critical": "5%"}},
    }
    return fields, {"IT_URL": f"http://127.0.0.1:{port}", "IT_TOKEN": SECRET}


def queue(port, folder):
    _, environment = redis(port, folder)
    return {"in": "other", "celery": "celery"}, environment


def rabbitmq(port, folder):
    return opensearch(port, folder)


def redis(port, _):
    return {"url": {"env": "IT_URL"}}, {"IT_URL": f"redis://user:{SECRET}@127.0.0.1:{port}/0"}


def s3(port, _):
    fields = {
        "bucket": "bucket",
        "endpoint": {"env": "IT_ENDPOINT"},
        "access_key": {"env": "IT_KEY"},
        "secret_key": {"env": "IT_SECRET"},
    }
    return fields, {"IT_ENDPOINT": f"http://127.0.0.1:{port}", "IT_KEY": "key-of-it", "IT_SECRET": SECRET}


def tls(port, _):
    return {"address": {"env": "IT_ADDRESS"}}, {"IT_ADDRESS": f"https://user:{SECRET}@127.0.0.1:{port}"}


ROWS: dict[str, Row] = {
    row.__name__: row
    for row in (
        compose,
        files,
        host,
        http,
        kubernetes,
        logs,
        mongodb,
        nats,
        opensearch,
        postgres,
        prometheus,
        queue,
        rabbitmq,
        redis,
        s3,
        tls,
    )
}
INSIDE = {"host": "prometheus", "logs": "compose", "queue": "redis"}

EVERY = pytest.mark.parametrize("kind", sorted(kinds()))
MEASURING = pytest.mark.parametrize("kind", sorted(name for name, kind in kinds().items() if kind.probe() is not None))


@pytest.fixture(scope="module", autouse=True)
def drivers():
    """Import what takes seconds, before anything is timed."""
    for name in ("boto3", "kubernetes.client", *(f"tasks.systems.{kind}.probe" for kind in ROWS)):
        importlib.import_module(name)


def others(kind: str, port: int, folder: Path) -> dict[str, dict]:
    """Return the system that a kind lives inside, by the name by which its row calls it."""
    return {"other": row(INSIDE[kind], port, folder)[0]} if kind in INSIDE else {}


def row(kind: str, port: int, folder: Path) -> tuple[dict, dict[str, str]]:
    if kind not in ROWS:
        pytest.fail(f"the kind {kind} measures and has no row in tests/conformance/test_kinds.py: give it one")
    fields, environment = ROWS[kind](port, folder)
    return {"kind": kind, "timeout": f"{TIMEOUT:g}s"} | fields, environment


async def timed(kind: str, port: int, folder: Path) -> SystemReport:
    """Check a system and see that the check kept its time, hid its secret, and left no task behind."""
    system, environment = row(kind, port, folder)
    began = perf_counter()
    report = await check(system, environment, others=others(kind, port, folder))
    assert perf_counter() - began < TIMEOUT + 30
    _collect_what_was_left_open(kind)
    assert SECRET not in report.model_dump_json()
    assert report.findings
    return report


def _collect_what_was_left_open(kind: str) -> None:
    """Let a connection that was left open be told in the test of the kind that left it."""
    with warnings.catch_warnings():
        if kind in LEAVES_SOCKETS:
            warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def report_on(kind: str, handler: Handler, folder: Path) -> SystemReport:
    before = asyncio.all_tasks()
    async with serving(handler) as port:
        report = await timed(kind, port, folder)
    for _ in range(100):
        if asyncio.all_tasks() <= before:
            return report
        await asyncio.sleep(0.01)
    pytest.fail(f"the probe of {kind} left tasks behind: {asyncio.all_tasks() - before}")


def described(spec: type[SystemSpec]) -> list[str]:
    return [name for name, field in spec.model_fields.items() if not field.description and name != "kind"]


@EVERY
def test_a_kind_is_named_like_its_folder_and_describes_every_field(kind):
    spec = kinds()[kind].spec
    assert TypeAdapter(spec.model_fields["kind"].annotation).json_schema() == {"const": kind, "type": "string"}
    assert described(spec) == [], "fields without a description: editors show it on completion"
    assert spec.__doc__


@EVERY
def test_every_measurement_says_what_it_is_and_what_to_do_when_it_fails_by_default(kind):
    catalog = kinds()[kind].spec.CATALOG.values()
    assert [m.name for m in catalog if not m.help.strip().endswith((".", "?"))] == [], "help is a sentence"
    limited = [(m, m.limit) for m in catalog if m.limit is not None]
    assert [m.name for m, limit in limited if not (m.remedy or limit.remedy)] == [], "limited by default, no remedy"
    assert [m.name for m, limit in limited for _, bound in limit.bounds() if bound.unit is not m.unit] == []


@MEASURING
async def test_a_port_that_refuses_is_a_failed_system_and_no_error_of_ours(kind, tmp_path):
    report = await timed(kind, await refused_port(), tmp_path)
    assert finding(report, "reachable").outcome is Outcome.FAILED
    assert finding(report, "reachable").note, "the note says why"


@MEASURING
async def test_a_port_that_accepts_and_says_nothing_is_a_failed_system_within_its_time(kind, tmp_path):
    report = await report_on(kind, silent, tmp_path)
    assert finding(report, "reachable").outcome is Outcome.FAILED


@MEASURING
async def test_a_port_that_hangs_up_is_a_problem_and_no_bug_of_ours(kind, tmp_path):
    report = await report_on(kind, hanging_up, tmp_path)
    assert report.outcome.is_problem
    assert "the probe itself failed" not in report.model_dump_json()


@MEASURING
async def test_a_port_that_sends_back_what_it_gets_is_a_problem_and_shows_no_secret(kind, tmp_path):
    async def echo(reader, writer):
        while chunk := await reader.read(4096):
            writer.write(chunk)
            await writer.drain()

    report = await report_on(kind, echo, tmp_path)
    assert report.outcome.is_problem
    assert "the probe itself failed" not in report.model_dump_json()


@MEASURING
async def test_a_port_that_speaks_nonsense_is_a_problem_and_no_bug_of_ours(kind, tmp_path):
    async def nonsense(_, writer):
        writer.write(b"\x00\xff" * 2000 + b"\r\n\r\n")
        await writer.drain()

    report = await report_on(kind, nonsense, tmp_path)
    assert report.outcome.is_problem
    assert "the probe itself failed" not in report.model_dump_json()


@MEASURING
async def test_a_reference_to_nothing_is_errored_and_names_the_variable(kind, tmp_path):
    system, environment = row(kind, 1, tmp_path)
    for missing in environment:
        partial = {name: value for name, value in environment.items() if name != missing}
        report = await check(system, partial, others=others(kind, 1, tmp_path))
        assert finding(report, "check").outcome is Outcome.ERRORED
        assert missing in finding(report, "check").note
        assert SECRET not in report.model_dump_json()
