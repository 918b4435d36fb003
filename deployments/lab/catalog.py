"""Every fault that the lab can make, by name. Making one returns how it is undone."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deployments.lab import log_lines, metrics, symptoms
from deployments.lab.doors import Mode
from deployments.lab.heartbeats import Heartbeats, services
from deployments.lab.pieces import Piece
from tasks.core.errors import ConfigError, NotOffered

Undo = Callable[[], None]
DOOR, _LEAF, _HEALTH, _REGISTRY = "door", "certificate", "health", "registry"


@dataclass
class Workshop:
    """What faults work with.

    Attributes:
        state: The lab's state folder.
        set_door: Changes how the door with a front port treats who comes.
        feed: Adds series to what is fed to a Prometheus; returns how they are taken out again.
        disconnect: Takes the consumers of a broker away; returns how they come back.
        stage: The address of the stage that takes `POST /faults` for HTTP services.
        heartbeats: Keeps service registries fresh.
    """

    state: Path
    set_door: Callable[[int, Mode], None]
    feed: Callable[[str, list[metrics.Series]], Undo]
    stage: str
    disconnect: Callable[[str], Undo]
    heartbeats: Heartbeats


@dataclass(frozen=True)
class Fault:
    """One way to be broken.

    Attributes:
        name: What `lab break` calls it.
        kinds: The kinds of systems that it is for; empty for all.
        help: What it does, in a line.
        make: Breaks a piece and returns how it is undone.
        instead: Of the faults that share such a word only one can hold: the newest.
    """

    name: str
    kinds: tuple[str, ...]
    help: str
    make: Callable[[Piece, Workshop], Undo]
    instead: str = ""

    def fits(self, kind: str) -> bool:
        """Tell whether a kind of system can have it."""
        return not self.kinds or kind in self.kinds


def find(name: str, piece: Piece) -> Fault:
    """Return a fault by name.

    Raises:
        ConfigError: There is none of that name for the piece's kind; the hint names what is close.
        NotOffered: The lab does not play this kind of system.
    """
    if piece.front is None and not piece.details:
        raise NotOffered(piece.note or f"the lab plays no {piece.kind}")
    has_door = piece.front is not None
    fitting = {fault.name: fault for fault in FAULTS if fault.fits(piece.kind) and (has_door or fault.instead != DOOR)}
    if name not in fitting:
        close = difflib.get_close_matches(name, fitting, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(fitting)}"
        raise ConfigError(f"{name!r} is no fault of a {piece.kind} system", hint=hint)
    return fitting[name]


def faults() -> dict[str, dict[str, str]]:
    """Return the help of every fault by kind of system; `any` holds those that every kind can have."""
    found: dict[str, dict[str, str]] = {"any": {}}
    for fault in FAULTS:
        for kind in fault.kinds or ("any",):
            found.setdefault(kind, {})[fault.name] = fault.help
    return found


def _through_door(mode: Mode) -> Callable[[Piece, Workshop], Undo]:
    def make(piece: Piece, workshop: Workshop) -> Undo:
        front = piece.front
        assert front is not None  # noqa: S101 - `find` has seen to it
        workshop.set_door(front, mode)
        return lambda: workshop.set_door(front, Mode.OPEN)

    return make


def _symptom(name: str) -> Callable[[Piece, Workshop], Undo]:
    """Feed what a bad day tells over what a good one does: into the Prometheus itself, or the one behind a machine."""
    labels = symptoms.SYMPTOMS[name].labels

    def make(piece: Piece, workshop: Workshop) -> Undo:
        worse = symptoms.of(name, piece.platform)
        if not worse:
            raise ConfigError(f"{piece.platform} measures nothing that {name!r} could break")
        added = [series for series in worse if labels.items() <= series.labels.items()]
        replaced = [series.labels for series in worse if series not in added]
        stop = workshop.feed(piece.details.get("in", piece.target), worse)
        now = time.time()
        metrics.push(piece.address, [*metrics.recent(added, now), *metrics.latest(worse, now)])
        metrics.flush(piece.address)

        def undo() -> None:
            stop()
            for gone in (labels, *replaced):
                metrics.forget(piece.address, gone)
            anew = [series for series in metrics.healthy(piece.platform) if series.labels in replaced]
            now = time.time()
            metrics.push(piece.address, metrics.history(anew, now))
            metrics.push(piece.address, metrics.latest(metrics.healthy(piece.platform), now))
            metrics.flush(piece.address)

        return undo

    return make


def _consumers_gone(piece: Piece, workshop: Workshop) -> Undo:
    return workshop.disconnect(piece.target)


def _in_registry(how: Callable[[Heartbeats, str], Undo]) -> Callable[[Piece, Workshop], Undo]:
    def make(piece: Piece, workshop: Workshop) -> Undo:
        if not services(piece):
            raise ConfigError(f"{piece.target} holds no service registry")
        return how(workshop.heartbeats, piece.target)

    return make


def _with_drivers(function: str, **options: Any) -> Callable[[Piece, Workshop], Undo]:
    """Name a function of `breaking`, which is imported when it is needed: the drivers take a second and 40 MB."""

    def make(piece: Piece, workshop: Workshop) -> Undo:
        module = importlib.import_module("deployments.lab.breaking")
        undo: Undo = getattr(module, function)(piece, workshop, **options)
        return undo

    return make


def _by_control(name: str, path: str = "faults") -> Callable[[Piece, Workshop], Undo]:
    def tell(piece: Piece, workshop: Workshop, fault: str | None) -> None:
        body = json.dumps({"target": piece.target, "fault": fault}).encode()
        url = f"{piece.details.get('control', workshop.stage)}/{path}"
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310
        try:
            urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - our own loopback address
        except urllib.error.HTTPError as error:
            with error:
                raise ConfigError(f"{piece.target} refuses the fault: {error.read(300).decode()}") from None

    def make(piece: Piece, workshop: Workshop) -> Undo:
        tell(piece, workshop, name)
        return lambda: tell(piece, workshop, None)

    return make


def _at_control(kind: str, **helps: str) -> list[Fault]:
    names = {name.replace("_", "-"): text for name, text in helps.items()}
    return [Fault(name, (kind,), text, _by_control(name), instead=kind) for name, text in names.items()]


def _write(name: str) -> Callable[[Piece, Workshop], Undo]:
    """Let logs tell of a trouble: those of containers by their stand-in, those in files by writing into the first."""
    by_control = _by_control(name, "log-faults")

    def make(piece: Piece, workshop: Workshop) -> Undo:
        if "file" not in piece.details:
            return by_control(piece, workshop)
        path = Path(piece.details["file"])
        before = path.stat().st_size
        lines = log_lines.written({name}, datetime.now(UTC))
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{log_lines.stamped(at, text)}\n" for at, text in lines)
        return lambda: os.truncate(path, before)

    return make


def _path_gone(piece: Piece, _workshop: Workshop) -> Undo:
    """Move the first of a system's paths away."""
    path = Path(piece.details["path"])
    if path.name == Path(piece.details["folder"]).name:
        raise ConfigError(f"{piece.target} is one folder: nothing of it can be moved away")
    away = path.rename(path.with_name(f"{path.name}.away"))

    def undo() -> None:
        away.rename(path)

    return undo


def _in_logs(**helps: str) -> list[Fault]:
    names = {name.replace("_", "-"): text for name, text in helps.items()}
    return [Fault(name, ("logs",), text, _write(name), instead="logs") for name, text in names.items()]


FAULTS: tuple[Fault, ...] = (
    Fault("stopped", (), "Refuses every connection.", _through_door(Mode.STOPPED), DOOR),
    Fault("hanging", (), "Accepts connections and never answers.", _through_door(Mode.HANGING), DOOR),
    Fault("slow", (), "Answers three seconds late.", _through_door(Mode.SLOW), DOOR),
    Fault("sluggish", (), "Answers, 0.6 seconds late each time.", _through_door(Mode.SLUGGISH), DOOR),
    Fault("cut", (), "Resets the connection in the middle of an answer.", _through_door(Mode.CUT), DOOR),
    Fault(
        "connections",
        ("postgres",),
        "Holds every connection that it leaves to ordinary users, idle.",
        _with_drivers("crowd"),
    ),
    Fault("path-gone", ("files",), "The first of its paths is not there any more.", _path_gone),
    Fault("long-query", ("postgres",), "Runs a query that does not end.", _with_drivers("long_query")),
    Fault("slow-queries", ("postgres",), "Runs a query that takes too long five times.", _with_drivers("slow_queries")),
    Fault("full", ("redis",), "Fills the memory to more than 95 % of maxmemory.", _with_drivers("full")),
    Fault("read-only", ("redis",), "Makes it a replica of a master that is not there.", _with_drivers("read_only")),
    Fault("bgsave-failed", ("redis",), "Lets the last background save fail.", _with_drivers("save_fails")),
    Fault("no-expiry", ("redis",), "Takes the TTLs of all keys away.", _with_drivers("no_expiry")),
    Fault(
        "service-silent",
        ("redis",),
        "The first service renews its entry no more.",
        _in_registry(Heartbeats.silence),
        _REGISTRY,
    ),
    Fault(
        "service-unwell",
        ("redis",),
        "The first service says that it is unhealthy.",
        _in_registry(Heartbeats.unwell),
        _REGISTRY,
    ),
    Fault(
        "service-gone", ("redis",), "The first service has no entry.", _in_registry(Heartbeats.deregister), _REGISTRY
    ),
    Fault("backlog", ("queue",), "Puts 500 jobs into the queue that nobody takes.", _with_drivers("backlog")),
    Fault(
        "backlog",
        ("nats",),
        "Puts 500 messages into each stream that no worker takes.",
        _with_drivers("stream_backlog"),
    ),
    Fault(
        "backlog",
        ("rabbitmq",),
        "Puts 1,200 messages into a queue whose consumers take no more.",
        _with_drivers("message_backlog"),
    ),
    Fault("consumers-gone", ("rabbitmq",), "Every consumer is disconnected and stays away.", _consumers_gone),
    Fault("yellow", ("opensearch",), "A replica finds no node.", _with_drivers("yellow"), _HEALTH),
    Fault("red", ("opensearch",), "An index has lost its primary shard.", _with_drivers("red"), _HEALTH),
    Fault("write-block", ("opensearch",), "An index refuses writes.", _with_drivers("write_block"), _HEALTH),
    Fault("no-lifecycle", ("s3",), "Takes the bucket's lifecycle rules away.", _with_drivers("no_lifecycle")),
    Fault(
        "replication-stopped",
        ("s3",),
        "Objects are written that are copied nowhere.",
        _with_drivers("replication_stopped"),
    ),
    Fault("stale-uploads", ("s3",), "Leaves uploads behind that nobody deletes.", _with_drivers("stale_uploads")),
    *(
        Fault(name, (one.kind,), one.help, _symptom(name), f"symptom {one.labels}")
        for name, one in symptoms.SYMPTOMS.items()
    ),
    *_in_logs(
        errors="Forty errors of two types.",
        failing_endpoint="One endpoint answers 500 thirty times.",
        brute_force="A hundred failed logins from one address.",
        injection="Two attempts at SQL injection.",
        degraded="Open circuits, slow phases, degraded answers.",
        flood="Thirteen hundred requests of one address run into the rate limit.",
        hoarding="A known address asks for sixty times as much as usual.",
    ),
    Fault("expiring", ("tls",), "The certificate expires in 5 days.", _with_drivers("certificate", days=5), _LEAF),
    Fault("expired", ("tls",), "The certificate expired yesterday.", _with_drivers("certificate", days=-1), _LEAF),
    Fault(
        "wrong-name",
        ("tls",),
        "The certificate is for another name.",
        _with_drivers("certificate", name="other.example"),
        _LEAF,
    ),
    Fault(
        "untrusted",
        ("tls",),
        "An authority that nobody trusts signed it.",
        _with_drivers("certificate", trusted=False),
        _LEAF,
    ),
    *_at_control(
        "http",
        unhealthy="Answers 503.",
        error_body="Answers 200 with an error in the body.",
        garbage="Answers 200 with bytes that are neither UTF-8 nor JSON.",
        endless="Answers 200 with a body that never ends.",
        careless="Answers as ever, and leaves undone what nobody sees.",
    ),
    *_at_control(
        "kubernetes",
        crashloop="A deployment's pods crash again and again.",
        no_metrics="There is no metrics API.",
        forbidden="The service account may read nothing.",
        image_pull="A rollout hangs: the image cannot be pulled.",
        node_not_ready="A node is lost.",
        hpa_at_ceiling="An autoscaler has reached its maximum.",
        job_failed="A Job has given up.",
        cronjob_missed="CronJobs have not started for two days.",
        pvc_pending="A claim waits for a volume that never comes.",
        service_without_endpoints="The first service selects no pod any more.",
        node_busy="A node has no CPU and no memory left.",
        node_abroad="A node stands in another region.",
        certificate_fails="cert-manager cannot renew: a Certificate is not Ready and ends in 5 days.",
    ),
    *_at_control(
        "compose",
        exited="The first service was killed for its memory.",
        unhealthy="The first service's health check fails.",
        restarting="The first service ends again and again.",
        missing="The first service has no container.",
    ),
)
