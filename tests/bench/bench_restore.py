"""How quickly backups come back: against pg_restore of a local archive, a recovery by hand, and the clock.

Rivals take turns in one run, and each ratio is the median of its pairs. WATCHKEEPER_BENCH_GB says how large the
PostgreSQL database is (2), WATCHKEEPER_BENCH_ROUNDS how many pairs are measured (5).
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import psycopg

from deployments import lab
from deployments.lab.servers import Server, free_ports, postgres, running, seaweedfs
from tasks.backing_up import BackupRun, back_up
from tasks.clients.blobs import open_store
from tasks.clients.secrets import SecretResolver
from tasks.core.backup import Order
from tasks.core.manifest import Manifest
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.drilling import Asked, Drilling
from tasks.platforms import platform_names
from tasks.systems.postgres import backup as taking
from tasks.systems.postgres import scratch
from tasks.systems.postgres.spec import Spec
from tasks.vault.archive import Archive
from tasks.vault.keys import new_key, recipients
from tasks.vault.streams import Recipe
from tasks.vault.vault import Vault
from tests.bench import realistic, rivals
from tests.bench.figures import Figure

_GIGABYTES = float(os.environ.get("WATCHKEEPER_BENCH_GB", "2"))
_ROUNDS = int(os.environ.get("WATCHKEEPER_BENCH_ROUNDS", "5"))
_JOBS = 2
_BUCKET = "vault"
_PAIR = new_key()
_SETTINGS = {"shared_buffers": "128MB", "max_wal_size": "4GB", "autovacuum": "off", "archive_mode": "on"}
_FOLDER_OF_WAL = "archive"


def run() -> dict[str, Figure]:
    """Restore everything, beside its rivals."""
    rivals.install()
    os.environ["PG_BIN"] = str(postgres.binaries())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        store = replace(seaweedfs.server(work / "s3", free_ports(1)[0]), environment={"GOMEMLIMIT": "800MiB"})
        with running(store):
            client = seaweedfs.client(store.address)
            client.create_bucket(Bucket=_BUCKET)
            client.close()
            figures = _postgres(work, store)
        return {**figures, "scratch": _scratch(work), "drills": _drills(work)}


def _postgres(work: Path, store: Server) -> dict[str, Figure]:
    archive = work / _FOLDER_OF_WAL
    archive.mkdir()
    settings = {**_SETTINGS, "archive_command": f"cp %p {archive}/%f"}
    server = postgres.server(work / "postgres", free_ports(1)[0], settings)
    with running(server):
        address = realistic.create(server.address, "shop")
        print(f"restore    the database has {realistic.fill(address, _GIGABYTES) / 1e9:.2f} GB", flush=True)
        vault = _vault(store)
        logical, physical = (_taken(vault, server, method) for method in ("logical", "physical"))
        until = _written(address)
        for path in sorted(archive.iterdir()):
            Archive(vault, "bench", "system").put(path.name, iter([path.read_bytes()]))
        by_jobs, memory = _logical(work, server, store, logical)
    by_time, more = _to_a_moment(work, store, vault, physical, until)
    return {
        "logical": Figure(by_jobs, 1.15, f"pg_restore --jobs={_JOBS} of the same archive, local and plain"),
        "moment": Figure(by_time, 1.3, "age | zstd | tar of local files, then PostgreSQL's own recovery"),
        "memory": Figure(max(memory, more), 150, "megabytes at most, resident"),
    }


def _vault(store: Server) -> Vault:
    place = _place(store)
    return Vault("bench", open_store(place["location"], **place["keys"]), Recipe(recipients([_PAIR.recipient])))


def _place(store: Server) -> dict[str, Any]:
    parts = urlsplit(store.address)
    endpoint = f"http://{parts.hostname}:{parts.port}"
    keys = {"endpoint": endpoint, "access_key": parts.username, "secret_key": parts.password}
    return {"location": f"s3://{_BUCKET}/backups", "keys": keys}


def _taken(vault: Vault, server: Server, method: str) -> Manifest:
    plan = {"to": ["vault"], method: {"wal": "continuous"} if method == "physical" else {"databases": ["shop"]}}
    spec = Spec.model_validate({"kind": "postgres", "dsn": {"env": "DSN"}, "backup": plan})
    access = Access(resolver=SecretResolver({"DSN": server.address}), now=lambda: datetime.now(UTC))
    with vault.begin("bench", "system", "postgres") as sink:
        return sink.commit(taking.backup(spec, access, sink, Order(method)), taking.recovery)


def _written(address: str) -> datetime:
    """Write some hundred megabytes of log after the copy, and return the moment to go back to, which is within it."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE later AS SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 500000) n")
        (moment,) = connection.execute("SELECT clock_timestamp()").fetchone() or (None,)
        connection.execute("UPDATE later SET n = n + 1 WHERE n < 1000")
        (name,) = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone() or (None,)
        query = "SELECT pg_sleep(0.1), coalesce(last_archived_wal, '') >= %s FROM pg_stat_archiver"
        while (connection.execute(query, (name,)).fetchone() or ("", False))[1] is not True:
            pass
    assert isinstance(moment, datetime)
    return moment.astimezone(UTC)


def _logical(work: Path, server: Server, store: Server, manifest: Manifest) -> tuple[float, float]:
    """Restore into an empty database of the same server in turn, and return the ratio and the megabytes."""
    archive = work / "shop.dump"
    environment = rivals.environment_of(server.address, "shop")
    programs = postgres.binaries()
    command = [str(programs / "pg_dump"), "-Fc", "-Z0", "-f", str(archive)]
    subprocess.run(command, env=environment, check=True)
    ratios, memory = [], 0.0
    for number in range(_ROUNDS):
        ours = _child(work, store, manifest, into=realistic.create(server.address, f"ours_{number}"))
        memory = max(memory, ours["megabytes"])
        realistic.create(server.address, f"theirs_{number}")
        command = [str(programs / "pg_restore"), f"--jobs={_JOBS}", "-d", f"theirs_{number}", str(archive)]
        began = perf_counter()
        subprocess.run(command, env=environment, check=True)
        theirs = perf_counter() - began
        ratios.append(ours["seconds"] / theirs)
        print(f"restore    logical: ours {ours['seconds']:.1f} s, pg_restore {theirs:.1f} s", flush=True)
        with psycopg.connect(server.address, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE ours_{number}")
            connection.execute(f"DROP DATABASE theirs_{number}")
    return statistics.median(ratios), memory


def _to_a_moment(work: Path, store: Server, vault: Vault, manifest: Manifest, until: datetime) -> tuple[float, float]:
    """Recover to a moment in turn, and return the ratio and the megabytes."""
    kept = work / "by-hand"
    kept.mkdir()
    for part in manifest.parts:
        (kept / part.name).write_bytes(b"".join(vault.store.reading(f"{manifest.folder}/{part.path}")))
    archive = Archive(vault, "bench", "system")
    for name in archive.names():
        (kept / name).write_bytes(b"".join(archive.stored_bytes(name)))
    (kept / "identity").write_text(_PAIR.identity + "\n")
    ratios, memory = [], 0.0
    for _ in range(_ROUNDS):
        ours = _child(work, store, manifest, until=until)
        memory = max(memory, ours["megabytes"])
        theirs = _by_hand(work, kept, until)
        ratios.append(ours["seconds"] / theirs)
        print(f"restore    to a moment: ours {ours['seconds']:.1f} s, by hand {theirs:.1f} s", flush=True)
    return statistics.median(ratios), memory


def _by_hand(work: Path, kept: Path, until: datetime) -> float:
    """Follow the manual: unpack, verify, recover to the moment, and wait until the server lets clients in."""
    data, began = work / "data", perf_counter()
    data.mkdir(mode=0o700)
    opened = f"age -d -i {kept}/identity"
    user, programs = postgres.user_namespace(), postgres.binaries()
    for line in (
        f"{opened} {kept}/base.tar | zstd -dq | tar --no-same-owner -xf - -C {data}",
        f"zstd -dq < {kept}/backup_manifest > {data}/backup_manifest",
    ):
        subprocess.run(["/bin/sh", "-c", line], check=True)
    verify = [str(programs / "pg_verifybackup"), "--no-parse-wal", "--quiet", str(data)]
    subprocess.run([*user, *verify], check=True)
    (data / "recovery.signal").touch()
    (data / "postgresql.auto.conf").write_text("")
    (data / "pg_hba.conf").write_text("local all all trust\n")
    port = free_ports(1)[0]
    settings = {
        "restore_command": f"test -e {kept}/%f && {opened} {kept}/%f | zstd -dq > %p",
        "recovery_target_time": until.isoformat(),
        "recovery_target_action": "promote",
        "listen_addresses": "",
        "unix_socket_directories": str(work),
        "port": str(port),
        "fsync": "off",
        "archive_mode": "off",
        "hot_standby": "off",
        "logging_collector": "off",
        "log_min_messages": "fatal",
    }
    command = [*user, str(programs / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        while True:
            try:
                psycopg.connect(host=str(work), port=port, user="postgres", dbname="shop").close()
                break
            except psycopg.OperationalError:
                assert server.poll() is None
        seconds = perf_counter() - began
        server.terminate()
    shutil.rmtree(data)
    return seconds


def _child(
    work: Path, store: Server, manifest: Manifest, *, into: str | None = None, until: datetime | None = None
) -> dict[str, float]:
    """Restore in a process of its own."""
    given: Mapping[str, Any] = {
        "store": _place(store),
        "folder": manifest.folder,
        "identity": _PAIR.identity,
        "into": into,
        "until": until.isoformat() if until else None,
        "jobs": _JOBS,
        "scratch": str(work),
    }
    command = [sys.executable, "-m", "tests.bench.backing", "restore"]
    done = subprocess.run(command, input=json.dumps(given), stdout=subprocess.PIPE, text=True, check=True, timeout=3600)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _scratch(work: Path) -> Figure:
    """Make a scratch server a few times."""
    spent = []
    for number in range(_ROUNDS):
        folder, began = work / f"scratch-{number}", perf_counter()
        folder.mkdir()
        scratch.make_cluster(postgres.binaries(), folder / "data")
        with scratch.running(postgres.binaries(), folder / "data", folder / "server"):
            spent.append(perf_counter() - began)
        shutil.rmtree(folder)
    return Figure(statistics.median(spent), 3, "seconds until a scratch PostgreSQL lets clients in")


def _drills(work: Path) -> Figure:
    """Rehearse the loss of every platform of the lab, one after the other."""
    settings = Settings(state=work / "state", lab=work / "state" / "lab")
    lab.up([], work / "state" / "lab")
    try:
        for platform in platform_names():
            back_up(BackupRun.open(platform, (), settings), told=lambda *_: None, done=lambda _: None)
        began = perf_counter()
        for platform in platform_names():
            drill = Drilling.open(platform, settings, Asked()).run()
            print(f"restore    drill of {platform}: {drill.verdict}, RTO {drill.rto.seconds:.1f} s", flush=True)
        return Figure(perf_counter() - began, 180, "seconds for drills of all five platforms on the lab")
    finally:
        lab.down(work / "state" / "lab")
