"""Real servers for every test, started once a session, and the options of the suite."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployments import lab as the_lab
from deployments.lab import servers
from deployments.lab.servers import Server, free_ports, postgres, running, seaweedfs, secantus, valkey, victoria
from tasks.clients.secrets import SecretResolver
from tasks.core.errors import NotOffered
from tasks.core.system import Access
from tests import workers
from tests.faulty import Ledger


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Write the golden files anew instead of comparing.")


def pytest_configure(config: pytest.Config) -> None:
    """Give every worker of pytest-xdist ports of its own: two that look at once would find the same ones free."""
    if hasattr(config, "workerinput"):
        number = int(config.workerinput["workerid"].removeprefix("gw"))
        servers.PORTS = servers.PORTS[number :: config.workerinput["workercount"]]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> workers.Together:
    """Keep together in one worker what shares a server that takes long to start."""
    return workers.Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, where there are workers."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: workers.longest_first(item.nodeid))


def pytest_collection_finish() -> None:
    """Keep the collector from walking through all tests and modules whenever a test has it look for leaks."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def ledger(record_property: Callable[[str, object], None]) -> Iterator[Ledger]:
    """Count the faults of a suite; it fails where one lost anything, or was taken for a success."""
    kept = Ledger()
    yield kept
    record_property("faults", (kept.faults, len(kept.losses), len(kept.false_successes)))
    assert kept.faults
    assert not kept.losses
    assert not kept.false_successes


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what the faults of all suites came to."""
    counts = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown" or getattr(report, "failed", False)
        for name, value in getattr(report, "user_properties", ())
        if name == "faults"
    ]
    if counts:
        faults, losses, false = (sum(column) for column in zip(*counts, strict=True))
        terminalreporter.write_line(f"{faults} faults, {losses} losses, {false} false successes")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL 18 of its own; `address` is the administrator's DSN."""
    server = postgres.server(tmp_path_factory.mktemp("postgres"), free_ports(1)[0])
    with running(server):
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Valkey of its own; `address` is `redis://:password@host:port/0`."""
    with running(valkey.server(tmp_path_factory.mktemp("valkey"), free_ports(1)[0])) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A SeaweedFS of its own; `address` is `http://access:secret@host:port`, and `seaweedfs.client` takes it."""
    with running(seaweedfs.server(tmp_path_factory.mktemp("seaweedfs"), free_ports(1)[0])) as server:
        yield server


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the MongoDB protocol with passwords; `address` is the administrator's URI."""
    with running(secantus.server(tmp_path_factory.mktemp("mongodb"), free_ports(1)[0])) as server:
        yield server


@pytest.fixture(scope="session")
def prometheus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An empty VictoriaMetrics; skips, and says so, where the program cannot be had."""
    try:
        server = victoria.server(tmp_path_factory.mktemp("prometheus"), free_ports(1)[0])
    except NotOffered as error:
        pytest.skip(str(error))
    with running(server):
        yield server


@dataclass(frozen=True)
class RunningLab:
    """The whole lab; every test that breaks something mends it."""

    state: Path

    @property
    def environment(self) -> dict[str, str]:
        return the_lab.environment(self.state)

    @property
    def resolver(self) -> SecretResolver:
        return the_lab.resolver(self.state)

    @property
    def access(self) -> Access:
        """What a probe needs to reach the lab."""
        ca_bundle = self.state / "ca.pem"
        return Access(resolver=self.resolver, now=lambda: datetime.now(UTC), ca_bundle=ca_bundle, pause=None)

    def break_(self, target: str, fault: str) -> None:
        the_lab.break_(self.state, target, fault)

    def mend(self, target: str | None = None) -> list[str]:
        return the_lab.mend(self.state, target)


@pytest.fixture(scope="session")
def running_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """All platforms on real servers, started once a session; ask for `lab` instead."""
    state = tmp_path_factory.mktemp("lab") / "state"
    the_lab.up([], state)
    yield RunningLab(state)
    the_lab.down(state)


@pytest.fixture
def lab(running_lab: RunningLab) -> Iterator[RunningLab]:
    """The whole lab, mended after the test whatever it did."""
    yield running_lab
    running_lab.mend()
