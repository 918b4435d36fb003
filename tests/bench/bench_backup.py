"""How quickly backups are taken: against pipelines of standard tools, other backup programs, and bare scans.

Rivals take turns in one run, and each figure is the median of its pairs. WATCHKEEPER_BENCH_GB says how large the
PostgreSQL databases are (2), WATCHKEEPER_BENCH_ROUNDS how many pairs are measured (5).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deployments.lab.servers import Server, free_ports, postgres, running, seaweedfs, secantus
from tasks.clients.blobs import FolderStore, open_store
from tasks.vault.keys import new_key
from tests.bench import catalogs, pgbackrest, realistic, rivals
from tests.bench.figures import Figure

_GIGABYTES = float(os.environ.get("WATCHKEEPER_BENCH_GB", "2"))
_ROUNDS = int(os.environ.get("WATCHKEEPER_BENCH_ROUNDS", "5"))
_SETTINGS = {"shared_buffers": "128MB", "max_wal_size": "4GB", "autovacuum": "off"}
_RECIPIENT = new_key().recipient
_BUCKET = "vault"
_OBJECTS = int(os.environ.get("WATCHKEEPER_BENCH_OBJECTS", "10000"))
_Times = dict[str, list[float]]


def run() -> dict[str, Figure]:
    """Back up everything, beside its rivals."""
    rivals.install()
    with tempfile.TemporaryDirectory() as folder, _store(Path(folder)) as store:
        work = Path(folder)
        figures = _postgres(work, store)
        figures |= _pgbackrest(work)
        figures |= _mongodb(work, store)
        figures |= _bucket(store)
        figures |= _catalogs(work, store)
    return figures


@contextmanager
def _store(folder: Path) -> Iterator[Server]:
    """Run the lab's S3 with the memory that uploads need: with less it does little but collect its garbage."""
    server = replace(seaweedfs.server(folder / "s3", free_ports(1)[0]), environment={"GOMEMLIMIT": "800MiB"})
    with running(server):
        client = seaweedfs.client(server.address)
        client.create_bucket(Bucket=_BUCKET)
        client.close()
        yield server


def _postgres(work: Path, store: Server) -> dict[str, Figure]:
    server = postgres.server(work / "postgres", free_ports(1)[0], _SETTINGS)
    os.environ["PG_BIN"] = str(postgres.binaries())
    with running(server):
        small = _fill(server, "shop", _GIGABYTES / 4)
        first = _backup(store, "postgres", "logical", {"DSN": server.address}, {"dsn": {"env": "DSN"}})
        size = small + _fill(server, "archive", _GIGABYTES * 3 / 4)
        print(f"backup     PostgreSQL has {size / 1e9:.2f} GB in two databases", flush=True)
        times, last = _logical(work, server, store)
        figures = _physical(server, store)
    pairs = {name: _median(times["ours"], found) for name, found in times.items() if name != "ours"}
    print(f"backup     {pairs['bare']:.2f} x a bare pg_dump -Fc -Z0 > /dev/null")
    memory = max(first["megabytes"], last["megabytes"])
    return {
        "logical": Figure(pairs["hand"], 1.15, "pg_dump -Fc -Z0 | zstd -T0 | age > file, with neither hash nor upload"),
        "logical-runbook": Figure(pairs["runbook"], 1 / 3, "pg_dump | gzip > file, then the upload"),
        "logical-stored": Figure(last["stored"] / times["stored"][0], 1.05, "the bytes that the first of these stores"),
        "memory": Figure(memory, 150, f"megabytes at most, resident, {small / 1e9:.1f} and {size / 1e9:.1f} GB"),
        "memory-growth": Figure(last["megabytes"] / first["megabytes"], 1.15, "a database of a quarter of the size"),
        **figures,
    }


def _fill(server: Server, database: str, gigabytes: float) -> int:
    return _fill_at(server.address, database, gigabytes)


def _fill_at(address: str, database: str, gigabytes: float) -> int:
    return realistic.fill(realistic.create(address, database), gigabytes)


def _logical(work: Path, server: Server, store: Server) -> tuple[_Times, dict[str, float]]:
    """Dump both databases in turn by every way."""
    databases = ["shop", "archive"]
    times: _Times = {"ours": [], "hand": [], "bare": [], "runbook": []}
    last: dict[str, float] = {}
    stored = 0
    for number in range(_ROUNDS):
        last = _backup(store, "postgres", "logical", {"DSN": server.address}, {"dsn": {"env": "DSN"}})
        times["ours"].append(last["seconds"])
        seconds, stored = rivals.by_hand(server.address, databases, _RECIPIENT, work)
        times["hand"].append(seconds)
        times["bare"].append(rivals.bare(server.address, databases))
        if number < 2:  # it takes longer than all the others together
            times["runbook"].append(rivals.runbook(server.address, databases, work, store.address, _BUCKET))
        _say("logical", times)
    return {**times, "stored": [float(stored)]}, last


def _physical(server: Server, store: Server) -> dict[str, Figure]:
    """Copy the server's files in turn by each program."""
    times: _Times = {"ours": [], "barman": []}
    for number in range(_ROUNDS):
        taken = _backup(store, "postgres", "physical", {"DSN": server.address}, {"dsn": {"env": "DSN"}})
        times["ours"].append(taken["seconds"])
        times["barman"].append(rivals.barman(server.address, store.address, _BUCKET, number))
        _say("physical", times)
    against = "barman-cloud-backup, as it comes: neither compressed nor encrypted"
    return {"physical": Figure(_median(times["ours"], times["barman"]), 1, against)}


def _pgbackrest(work: Path) -> dict[str, Figure]:
    """Copy the files of the distribution's PostgreSQL in turn by each program into a folder of the same disk."""
    if (programs := pgbackrest.installed()) is None:
        print("backup     pgBackRest: not installed (apt-get install postgresql pgbackrest), so not compared")
        return {}
    times: _Times = {"ours": [], "pgbackrest": []}
    with pgbackrest.running_server(programs, work / "debian") as address:
        _fill_at(address, "shop", _GIGABYTES / 2)
        for _ in range(_ROUNDS):
            ours = _backup(work / "vault", "postgres", "physical", {"DSN": address}, {"dsn": {"env": "DSN"}})
            times["ours"].append(ours["seconds"])
            times["pgbackrest"].append(pgbackrest.backup(address, work / "debian"))
            _say("physical, the distribution's PostgreSQL", times)
    against = f"pgBackRest {pgbackrest.version()}: zstd, two processes, a local repository, not encrypted"
    return {"physical-pgbackrest": Figure(_median(times["ours"], times["pgbackrest"]), 1, against)}


def _bucket(store: Server) -> dict[str, Figure]:
    """Copy a bucket of small objects in turn by each program."""
    realistic.fill_bucket(store.address, "source", _OBJECTS)
    parts = urlsplit(store.address)
    spec = {
        "bucket": "source",
        "endpoint": f"http://{parts.hostname}:{parts.port}",
        "access_key": {"env": "ACCESS"},
        "secret_key": {"env": "SECRET"},
        "backup": {"to": ["vault"]},
    }
    secrets = {"ACCESS": str(parts.username), "SECRET": str(parts.password)}
    times: _Times = {"ours": [], "rclone": []}
    for _ in range(_ROUNDS):
        times["ours"].append(_backup(store, "s3", "copy", secrets, spec)["seconds"])
        times["rclone"].append(rivals.rclone(store.address, "source", _BUCKET))
        _say("bucket", times)
    return {"bucket": Figure(_median(times["ours"], times["rclone"]), 1, f"rclone copy of {_OBJECTS:,} small objects")}


def _say(what: str, times: _Times) -> None:
    told = ", ".join(f"{name} {found[-1]:.1f} s" for name, found in times.items() if found)
    print(f"backup     {what}: {told}", flush=True)


def _median(ours: list[float], rival: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, rival, strict=False))


def _backup(
    store: Server | Path, kind: str, method: str, secrets: Mapping[str, str], spec: Mapping[str, Any]
) -> dict[str, float]:
    """Take a backup in a process of its own, into S3 or a folder."""
    given = {
        "kind": kind,
        "method": method,
        "spec": spec,
        "secrets": secrets,
        "recipient": _RECIPIENT,
        "store": _place_in(store),
    }
    return _child("backup", given)


def _place_in(store: Server | Path) -> dict[str, Any]:
    if isinstance(store, Path):
        return {"location": str(store), "keys": {}}
    parts = urlsplit(store.address)
    keys = {
        "endpoint": f"http://{parts.hostname}:{parts.port}",
        "access_key": parts.username,
        "secret_key": parts.password,
    }
    return {"location": f"s3://{_BUCKET}/backups", "keys": keys}


def _child(what: str, given: Mapping[str, Any]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.backing", what],
        input=json.dumps(given),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=3600,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _mongodb(work: Path, store: Server) -> dict[str, Figure]:
    server = secantus.server(work / "mongodb", free_ports(1)[0])
    # It reads all of its oplog whatever is asked of it, where MongoDB goes to the place at once.
    with running(replace(server, command=(*server.command, "--oplog-max-entries", "1000"))):
        realistic.fill_mongodb(server.address, "shop", int(_GIGABYTES * 50_000))
        times: _Times = {"ours": [], "scan": []}
        for _ in range(_ROUNDS):
            taken = _backup(store, "mongodb", "logical", {"URI": server.address}, {"uri": {"env": "URI"}})
            times["ours"].append(taken["seconds"])
            times["scan"].append(_child("scan", {"address": server.address, "database": "shop"})["seconds"])
            _say("mongodb", times)
    return {"mongodb": Figure(_median(times["ours"], times["scan"]), 1 / 0.7, "a bare find_raw_batches of it all")}


def _catalogs(work: Path, store: Server) -> dict[str, Figure]:
    half = min(catalogs.retention_seconds(catalogs.MILLION // 2) for _ in range(3))
    whole = min(catalogs.retention_seconds(catalogs.MILLION) for _ in range(3))
    parts = urlsplit(store.address)
    stores = {
        "folder": FolderStore(work / "catalog"),
        "s3": open_store(
            f"s3://{_BUCKET}/catalog",
            endpoint=f"http://{parts.hostname}:{parts.port}",
            access_key=parts.username,
            secret_key=parts.password,
        ),
    }
    figures = {
        "retention": Figure(whole, 3, f"seconds of a processor at most for {catalogs.MILLION:,} backups"),
        "retention-growth": Figure(whole / half, 2.3, "half as many"),
    }
    for name, place in stores.items():
        catalogs.fill(place)
        took = statistics.median(catalogs.listing_seconds(place) for _ in range(3))
        figures[f"listing-{name}"] = Figure(took, 2, f"seconds at most for {catalogs.LISTED:,} backups")
    return figures
