"""From the specs to what must run: a process for each server, a door for each system, a value for each name."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from glob import has_magic
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deployments.lab import application, archiving, certificates, compliance, log_lines, vaults
from deployments.lab.kubernetes.seeds import SEEDS
from deployments.lab.pieces import EVERYONE, SOCKET, Lab, Piece
from deployments.lab.servers import (
    HOST,
    Server,
    free_ports,
    nats,
    osmem,
    postgres,
    rabbitmq,
    seaweedfs,
    secantus,
    valkey,
    victoria,
)
from deployments.supervisor import Process
from tasks.core.errors import NotOffered
from tasks.core.platform import PlatformSpec
from tasks.core.references import AddressReference, Reference
from tasks.core.system import SystemSpec

MONITOR = "watchkeeper"
BACKUP, BACKUP_SQL = "watchkeeper-backup", "watchkeeper_backup"
"""The users of the `grant-backup` files."""
STORE = "s3"
"""The process that plays every S3."""
_LOGGED = timedelta(hours=6)
_FILES = 20


@dataclass
class Blueprint:
    """What is gathered on the way through the specs."""

    state: Path
    environment: dict[str, str] = field(default_factory=dict)
    unplayed: dict[str, str] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    servers: dict[str, Server] = field(default_factory=dict)
    jobs: list[tuple[str, Callable[[], Server]]] = field(default_factory=list)
    services: dict[str, Any] = field(default_factory=dict)
    endpoints: dict[str, Any] = field(default_factory=dict)
    clusters: dict[str, Any] = field(default_factory=dict)
    engines: dict[str, Any] = field(default_factory=dict)
    buckets: dict[str, list[str]] = field(default_factory=dict)
    keys: dict[str, seaweedfs.Keys] = field(default_factory=dict)
    _doors: dict[str, tuple[int, int]] = field(default_factory=dict)

    def fill(self, reference: object, value: str) -> None:
        """Give a value to the environment variable that a reference names, unless it has one."""
        if isinstance(reference, Reference) and reference.env is not None:
            self.environment.setdefault(reference.env, value)

    def door(self, reference: object, back: int | None = None) -> tuple[int, int]:
        """Return front and back port for an address; systems that share a reference share the door."""
        name = reference.env if isinstance(reference, Reference) and reference.env else secrets.token_hex(8)
        if name not in self._doors:
            front, *more = free_ports(1 if back else 2)
            self._doors[name] = front, back or more[0]
        return self._doors[name]

    @property
    def store_port(self) -> int | None:
        """The port of the one store behind all doors to an S3, once there is a door."""
        return next((piece.back for piece in self.pieces if piece.process == STORE), None)

    def config(self, name: str, value: object) -> Path:
        """Write the configuration of one of the lab's own servers, for this user only."""
        path = self.state / f"{name}.json"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(value), encoding="utf-8")
        return path


def draw(specs: Iterable[PlatformSpec], state: Path) -> tuple[Blueprint, Lab]:
    """Decide what must run for the platforms, and prepare every server's folder.

    Args:
        specs: The platforms' specs.
        state: The lab's state folder; it is empty but for its own logs.
    """
    specs = list(specs)
    plan = Blueprint(state)
    certificates.authority(state)
    for spec in specs:
        for name, system in spec.systems.items():
            target = f"{spec.platform}/{name}"
            _KINDS.get(system.kind, _not_played)(plan, target, system)
        _inner(plan, spec)
        vaults.provide(plan, spec)
        application.provide(plan, spec)
        compliance.mark(plan, spec)
        for link in spec.links.values():
            if isinstance(link, AddressReference) and link.default is None:
                plan.fill(link, f"http://{HOST}:1/")
    _prepare(plan)
    for spec in specs:
        compliance.provide(plan, spec)
    return plan, _stand_ins(plan, specs)


def _http(plan: Blueprint, target: str, system: Any) -> None:
    front, back = plan.door(system.url)
    plan.fill(system.url, f"http://{HOST}:{front}")
    for reference in system.headers.values():
        plan.fill(reference, f"lab-{secrets.token_urlsafe(18)}")
    plan.services[target] = {"port": back}
    plan.pieces.append(Piece(target, "http", front, back, process="stage"))


def _tls(plan: Blueprint, target: str, system: Any) -> None:
    front, back = plan.door(system.address)
    plan.fill(system.address, f"{HOST}:{front}")
    folder = plan.state / "certificates"
    certificate, key = (folder / f"{target.replace('/', '.')}.{end}" for end in ("pem", "key"))
    names = tuple(dict.fromkeys(name for name in (system.server_name, HOST, "localhost") if name))
    certificates.issue(certificates.authority(plan.state), certificate, key, names)
    details = {"certificate": str(certificate), "key": str(key), "names": ",".join(names)}
    plan.endpoints[target] = {"port": back, **details}
    plan.pieces.append(Piece(target, "tls", front, back, process="stage", details=details))


def _postgres(plan: Blueprint, target: str, system: Any) -> None:
    front, back = plan.door(system.dsn)
    platform, folder = target.partition("/")[0], _folder(plan, target)
    password = secrets.token_urlsafe(18)
    plan.fill(system.dsn, f"postgresql://{MONITOR}:{password}@{HOST}:{front}/{platform}")
    archives = archiving.wanted(system)
    make = archiving.server if archives else postgres.server
    plan.jobs.append((target, lambda: make(folder, back, name=_name(target))))
    details = {"password": password, "owner_password": secrets.token_urlsafe(18), "database": platform}
    plan.environment["PG_BIN"] = str(postgres.binaries())
    details["backup_password"] = secrets.token_urlsafe(18)
    details |= {archiving.ARCHIVES: "yes"} if archives else {}
    plan.fill(system.backup_dsn, f"postgresql://{BACKUP_SQL}:{details['backup_password']}@{HOST}:{front}/{platform}")
    plan.pieces.append(Piece(target, "postgres", front, back, process=_name(target), details=details))


def _mongodb(plan: Blueprint, target: str, system: Any) -> None:
    front, back = plan.door(system.uri)
    platform, folder = target.partition("/")[0], _folder(plan, target)
    password = secrets.token_urlsafe(18)
    database = system.database or platform
    options = "authSource=admin&directConnection=true"
    plan.fill(system.uri, f"mongodb://{MONITOR}:{password}@{HOST}:{front}/{database}?{options}")
    plan.jobs.append((target, lambda: secantus.server(folder, back, name=_name(target))))
    details = {"password": password, "database": database, "backup_password": secrets.token_urlsafe(18)}
    plan.fill(system.backup_uri, f"mongodb://{BACKUP}:{details['backup_password']}@{HOST}:{front}/?{options}")
    plan.pieces.append(Piece(target, "mongodb", front, back, process=_name(target), details=details))


def _redis(plan: Blueprint, target: str, system: Any) -> None:
    front, back = plan.door(system.url)
    folder = _folder(plan, target)
    password = secrets.token_urlsafe(18)
    plan.fill(system.url, f"redis://{MONITOR}:{password}@{HOST}:{front}/0")
    # A backlog that is kept takes in what fills the memory, and lets go of it later.
    settings = {"maxmemory": "16mb", "repl-diskless-sync-delay": "0", "repl-backlog-ttl": "1"}
    plan.jobs.append((target, lambda: valkey.server(folder, back, settings=settings, name=_name(target))))
    details = {"folder": str(folder), "password": password, "backup_password": secrets.token_urlsafe(18)}
    plan.fill(system.backup_url, f"redis://{BACKUP}:{details['backup_password']}@{HOST}:{front}/0")
    if system.registry is not None:
        details |= {"registry": system.registry.keys, "services": ",".join(system.registry.services)}
    plan.pieces.append(Piece(target, "redis", front, back, process=_name(target), details=details))


def _s3(plan: Blueprint, target: str, system: Any) -> None:
    platform = target.partition("/")[0]
    front, back = plan.door(system.endpoint, plan.store_port)
    keys = plan.keys.setdefault(platform, seaweedfs.Keys.fresh())
    plan.fill(system.endpoint, f"http://{HOST}:{front}")
    plan.fill(system.access_key, keys.access)
    plan.fill(system.secret_key, keys.secret)
    plan.buckets.setdefault(platform, []).append(system.bucket)
    details = {"bucket": system.bucket, "prefix": system.prefix}
    plan.pieces.append(Piece(target, "s3", front, back, process=STORE, details=details))


def _kubernetes(plan: Blueprint, target: str, system: Any) -> None:
    platform = target.partition("/")[0]
    if platform not in SEEDS:
        plan.pieces.append(Piece(target, "kubernetes", note=f"the lab has no cluster of {platform}"))
        return
    front, back = plan.door(system.kubeconfig)
    written = plan.state / "kubernetes" / f"{platform}.yaml"
    written.parent.mkdir(exist_ok=True)
    plan.fill(system.kubeconfig, str(written.with_suffix(".kubeconfig")))
    (faults,) = free_ports(1)
    token = secrets.token_urlsafe(24)
    plan.clusters[platform] = {"port": back, "control": faults, "token": token, "kubeconfig": str(written)}
    details = {"kubeconfig": str(written), "control": f"http://{HOST}:{faults}"}
    plan.pieces.append(Piece(target, "kubernetes", front, back, process="kubernetes", details=details))


def _prometheus(plan: Blueprint, target: str, system: Any) -> None:
    front, back = plan.door(system.url)
    folder = _folder(plan, target)
    plan.fill(system.url, f"http://{HOST}:{front}")
    plan.fill(system.token, secrets.token_urlsafe(24))
    plan.jobs.append((target, lambda: victoria.server(folder, back, name=_name(target))))
    details = {"began": f"{datetime.now(UTC).timestamp():.0f}"}
    plan.pieces.append(Piece(target, "prometheus", front, back, process=_name(target), details=details))


def _compose(plan: Blueprint, target: str, system: Any) -> None:
    front, back = plan.door(system.engine)
    (faults,) = free_ports(1)
    plan.fill(system.engine, f"tcp://{HOST}:{front}")
    services = {name: service.replicas for name, service in system.services.items()}
    plan.engines[target] = {"port": back, "control": faults, "project": system.project, "services": services}
    details = {"control": f"http://{HOST}:{faults}"}
    plan.pieces.append(Piece(target, "compose", front, back, process="docker", details=details))


def _opensearch(plan: Blueprint, target: str, system: Any) -> None:
    front, back = plan.door(system.url)
    folder = _folder(plan, target)
    plan.fill(system.url, f"http://{HOST}:{front}")
    plan.fill(system.password, secrets.token_urlsafe(18))
    plan.jobs.append((target, lambda: osmem.server(folder, back, name=_name(target))))
    plan.pieces.append(Piece(target, "opensearch", front, back, process=_name(target)))


def _nats(plan: Blueprint, target: str, system: Any) -> None:
    front, back = plan.door(system.url)
    folder = _folder(plan, target)
    plan.fill(system.url, f"http://{HOST}:{front}")
    plan.jobs.append((target, lambda: nats.server(folder, back, name=_name(target))))
    details = {"streams": ",".join(system.streams)}
    plan.pieces.append(Piece(target, "nats", front, back, process=_name(target), details=details))


def _rabbitmq(plan: Blueprint, target: str, system: Any) -> None:
    front, back = plan.door(system.url)
    folder = _folder(plan, target)
    password = secrets.token_urlsafe(18)
    plan.fill(system.url, f"http://{HOST}:{front}")
    plan.fill(system.password, password)
    plan.jobs.insert(0, (target, lambda: rabbitmq.server(folder, back, name=_name(target))))  # the slowest to start
    details = {"user": system.user or MONITOR, "password": password, "queues": ",".join(system.queues)}
    plan.pieces.append(Piece(target, "rabbitmq", front, back, process=_name(target), details=details))


def _files(plan: Blueprint, target: str, system: Any) -> None:
    """Make a folder with what its paths name: a file where it has a dot in its name, else a folder with some."""
    folder = _folder(plan, target)
    plan.fill(system.root, str(folder))
    for path in system.paths:
        place = folder / path.replace("*", "")
        is_file = "." in Path(path).name
        names = (place,) if is_file else tuple(place / f"{number:03}.txt" for number in range(_FILES))
        for name in names:
            name.parent.mkdir(parents=True, exist_ok=True)
            name.write_text(f"{target} {name.relative_to(folder)}\n" * _FILES, encoding="utf-8")
    details = {"folder": str(folder), "path": str(folder / system.paths[0].replace("*", ""))}
    plan.pieces.append(Piece(target, "files", details=details))


def _not_played(plan: Blueprint, target: str, system: SystemSpec) -> None:
    """Fill the names of a kind that has no server here, so that the spec resolves; nobody listens there."""
    if _lives_inside(system) is not None:
        return
    for name in type(system).model_fields:
        value = getattr(system, name)
        if isinstance(value, Reference) and value.env is not None:
            address = isinstance(value, AddressReference)
            plan.unplayed[value.env] = f"http://{HOST}:1" if address else secrets.token_urlsafe(18)
    plan.pieces.append(Piece(target, system.kind, note=f"the lab plays no {system.kind} yet"))


_KINDS: dict[str, Callable[[Blueprint, str, Any], None]] = {
    "http": _http,
    "tls": _tls,
    "postgres": _postgres,
    "mongodb": _mongodb,
    "redis": _redis,
    "s3": _s3,
    "files": _files,
    "kubernetes": _kubernetes,
    "prometheus": _prometheus,
    "compose": _compose,
    "opensearch": _opensearch,
    "nats": _nats,
    "rabbitmq": _rabbitmq,
}


def _lives_inside(system: Any) -> str | None:
    """Return the system inside which another lives, or through which it is seen; `.` for files."""
    if system.kind == "host":
        return str(system.through) if system.through else None
    if system.kind == "logs":
        return str(system.inside or ".")
    return str(system.inside) if system.kind == "queue" else None


def _inner(plan: Blueprint, spec: PlatformSpec) -> None:
    """A queue is a list in a Redis, a machine is seen through a Prometheus: they share the other's door."""
    known = {piece.target: piece for piece in plan.pieces}
    for name, system in spec.systems.items():
        inner: Any = system
        target, inside = f"{spec.platform}/{name}", _lives_inside(system)
        if inside == ".":
            plan.pieces.append(_log_files(plan, target, inner))
        elif inside is not None and (holder := known.get(f"{spec.platform}/{inside}")) is not None:
            details = {"in": holder.target} | {k: v for k, v in holder.details.items() if k == "control"}
            if system.kind == "queue":
                details["list"] = inner.list or inner.celery
            piece = replace(holder, target=target, kind=system.kind, details=details)
            plan.pieces.append(piece)


def _log_files(plan: Blueprint, target: str, system: Any) -> Piece:
    """Write ordinary lines of the last hours into every file that has a name of its own."""
    folder, now = _folder(plan, target), datetime.now(UTC)
    plan.fill(system.folder, str(folder))
    paths = [folder / name for name in system.files if not Path(name).is_absolute() and not has_magic(name)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = log_lines.ordinary(now - _LOGGED, now)
        path.write_text("".join(f"{log_lines.stamped(at, text)}\n" for at, text in lines), encoding="utf-8")
    if not paths:
        return Piece(target, "logs", note="the lab writes only files whose paths are relative")
    return Piece(target, "logs", details={"file": str(paths[0])})


def _prepare(plan: Blueprint) -> None:
    """Prepare all servers side by side and give their addresses to the pieces."""
    if plan.keys:
        plan.jobs.append((STORE, lambda: _store(plan)))
    missing: dict[str, str] = {}

    def prepare(job: tuple[str, Callable[[], Server]]) -> None:
        target, make = job
        try:
            plan.servers[target] = make()
        except NotOffered as error:
            missing[target] = str(error)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(prepare, plan.jobs))
    plan.processes += [_process(plan.servers[target]) for target, _ in plan.jobs if target in plan.servers]
    plan.pieces = [_addressed(piece, plan, missing) for piece in plan.pieces]


def _addressed(piece: Piece, plan: Blueprint, missing: dict[str, str]) -> Piece:
    values = vars(piece)
    key = STORE if piece.process == STORE else piece.details.get("in", piece.target)
    if key in missing:
        gone: dict[str, Any] = {"front": None, "back": None, "process": "", "details": {}}
        return Piece(**values | gone | {"note": missing[key]})
    server = plan.servers.get(key)
    return Piece(**values | {"address": server.address}) if server else piece


def _store(plan: Blueprint) -> Server:
    port = plan.store_port
    assert port is not None  # noqa: S101 - every store's piece has a door
    users = {name: (keys, tuple(plan.buckets[name])) for name, keys in plan.keys.items()}
    return seaweedfs.server(plan.state / STORE, port, users=users, name=STORE)


def _process(server: Server) -> Process:
    return Process(
        name=server.name,
        command=server.command,
        environment=dict(server.environment),
        folder=str(server.folder),
        answers=server.port,
        stop=server.stop.name.removeprefix("SIG"),
        patience=server.patience,
        orphaned=server.orphaned.name.removeprefix("SIG"),
        prefix=server.prefix,
    )


def _stand_ins(plan: Blueprint, specs: list[PlatformSpec]) -> Lab:
    """Add the lab's own servers: the stage, the clusters, Slack, and the agent with its doors."""
    stage, slack = free_ports(2)
    channels = sorted({EVERYONE, *(name for spec in specs for name in _channels(spec))})
    configs: dict[str, tuple[int, dict[str, Any]]] = {
        "slack": (slack, {"port": slack, "state": str(plan.state / "slack"), "channels": channels}),
    }
    if plan.services or plan.endpoints:
        environment = plan.environment | _own_users(plan)
        parts = {"environment": environment, "services": plan.services, "tls": plan.endpoints, "control": stage}
        configs["stage"] = stage, parts
    if plan.engines:
        configs["docker"] = next(iter(plan.engines.values()))["port"], {"engines": plan.engines}
    if plan.clusters:
        first = next(iter(plan.clusters.values()))["port"]
        configs["kubernetes"] = first, {"clusters": plan.clusters}
    for name, (port, config) in configs.items():
        if find_spec(f"deployments.lab.{name}.__main__"):
            plan.processes.append(_own(plan, name, port, config))
    (plan.state / "slack").mkdir(exist_ok=True)
    agent = (sys.executable, "-m", "deployments.lab.agent", str(plan.state))
    plan.processes.append(Process("agent", agent, answers=str(plan.state / SOCKET)))
    return Lab(
        platforms=tuple(spec.platform for spec in specs),
        pieces=tuple(plan.pieces),
        slack=f"http://{HOST}:{slack}",
        stage=f"http://{HOST}:{stage}",
    )


def _own_users(plan: Blueprint) -> dict[str, str]:
    """Return what the platforms' own services connect with: users that may write, through the same doors."""
    found = {}
    for piece in plan.pieces:
        if piece.address and piece.kind in ("postgres", "redis"):
            address = piece.owner if piece.kind == "postgres" else piece.address
            name = "DATABASE_URL" if piece.kind == "postgres" else "REDIS_URL"
            through_the_door = address.replace(f":{piece.back}/", f":{piece.front}/")
            found[f"{piece.platform.upper().replace('-', '_')}_APP_{name}"] = through_the_door
    return found


def _own(plan: Blueprint, name: str, port: int, config: dict[str, Any]) -> Process:
    path = plan.config(name, config)
    command = (sys.executable, "-m", f"deployments.lab.{name}", "--config", str(path))
    return Process(name, command, answers=port)


def _channels(spec: PlatformSpec) -> list[str]:
    named = (spec.slack.channel, spec.slack.incidents, *spec.slack.others)
    return [name for name in named if name and name.startswith("#")]


def _folder(plan: Blueprint, target: str) -> Path:
    return plan.state / _name(target)


def _name(target: str) -> str:
    return target.replace("/", "-")
