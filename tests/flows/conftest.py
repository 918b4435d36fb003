"""Prefect's API once a session, on a database that was migrated before; a platform on loopback; Slack's stand-in."""

import asyncio
import gc
import json
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.events.worker import EventsWorker
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    PREFECT_SERVER_DATABASE_CONNECTION_URL,
    PREFECT_SERVER_DATABASE_MIGRATE_ON_START,
    temporary_settings,
)

from deployments import database
from deployments.lab.slack import SlackStandIn

PASSWORD = "hunter2-secret"


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory):
    home = tmp_path_factory.mktemp("prefect")
    database.provide(home / "prefect.db")
    settings = {
        PREFECT_HOME: home,
        PREFECT_SERVER_DATABASE_CONNECTION_URL: database.address(home / "prefect.db"),
        PREFECT_SERVER_DATABASE_MIGRATE_ON_START: False,
        PREFECT_SERVER_ANALYTICS_ENABLED: False,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    with temporary_settings(settings):
        server = SubprocessASGIServer()
        server.start(timeout=240)
        try:
            with temporary_settings({PREFECT_API_URL: server.api_url}):
                yield server.api_url
        finally:
            _let_go()
            server.stop()


def pytest_collection_modifyitems(items):
    """Forgive the leftovers in this folder's own tests, as Python collects them whenever it likes."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(autouse=True, scope="module")
def _nothing_left_for_others():
    yield
    _collect()


def _let_go():
    """Have Prefect's leftover connections collected here: it never closes them, and the suite forgives nobody."""
    EventsWorker.drain_all()
    _collect()


def _collect():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


class Service(ThreadingHTTPServer):
    """A service that answers with the status that a test sets."""

    daemon_threads = True
    status = 200


@pytest.fixture
def service():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"status": "ok"}).encode()
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with Service(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


@pytest.fixture
def slack(tmp_path):
    with SlackStandIn(tmp_path / "slack") as stand_in:
        yield stand_in


@pytest.fixture
def place(tmp_path, monkeypatch, slack):
    """Where Watchkeeper's own things are; every setting is the test's."""
    (tmp_path / "platforms").mkdir()
    for name, value in {
        "PLATFORMS": str(tmp_path / "platforms"),
        "STATE": str(tmp_path / "state"),
        "SLACK_URL": slack.api_url,
        "SLACK_TOKEN": "env:TINY_SLACK_TOKEN",
    }.items():
        monkeypatch.setenv(f"WATCHKEEPER_{name}", value)
    monkeypatch.setenv("TINY_SLACK_TOKEN", "xoxb-lab")
    return tmp_path


@pytest.fixture
def spec():
    """The text of a spec as plain data, for a test to change before it is written."""
    return {
        "platform": "tiny",
        "title": "Tiny",
        "slack": {"channel": "#tiny"},
        "severities": {
            "P0": {"means": "down", "respond": "15m"},
            "P1": {"means": "odd", "respond": "1h", "outcome": "warned"},
        },
        "default_severity": {"warn": "P1", "critical": "P0"},
        "confirm": {"looks": 1},
        "systems": {},
    }


@pytest.fixture
def tiny(place, spec, service):
    """A platform with one HTTP service that answers."""
    spec["systems"]["api"] = {
        "kind": "http",
        "url": f"http://127.0.0.1:{service.server_port}",
        "timeout": "5s",
        "expect": {"/health": {"latency": {"critical": "5s"}}},
    }
    return write(place, spec)


def write(place, spec):
    (place / "platforms" / "tiny.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    return spec


def reports(place):
    found = sorted((place / "state" / "reports").glob("*/health-check/*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


async def artifacts(run_id):
    """Return a run's artifacts by key."""
    async with get_client() as client:
        mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        found = await client.read_artifacts(artifact_filter=mine)
    return {artifact.key: artifact.data for artifact in found}


async def checks(run_id):
    """Return the names of a run's tasks that check."""
    mine = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    async with get_client() as client:
        found = await client.read_task_runs(flow_run_filter=mine)
    return {one.name for one in found if one.name.startswith("check ")}


async def logs(run_id, containing):
    """Return all that a run logged, once a text is in it: logs are sent in batches, in the background."""
    mine = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
    async with get_client() as client:
        for _ in range(600):
            text = "\n".join(line.message for line in await client.read_logs(mine, limit=200))
            if containing in text:
                break
            await asyncio.sleep(0.1)
    return text
