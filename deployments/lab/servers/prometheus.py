"""Prometheus of Debian, for what only it does: it evaluates rules and tells of its alerts."""

from __future__ import annotations

import functools
import shutil
import urllib.request
from pathlib import Path

from deployments.lab.servers import HOST, Server, debian, made_once

_PACKAGE = "prometheus"
_UNPACK = functools.partial(debian.unpack, packages=[_PACKAGE], what="Prometheus", program="it")
_CONFIG = """\
global: {{evaluation_interval: 1s}}
rule_files: ["{folder}/*.rules.yaml"]
"""


def server(folder: Path, port: int, name: str = "prometheus") -> Server:
    """Prepare a server that evaluates each `*.rules.yaml` of the folder once a second and scrapes nothing.

    Raises:
        NotOffered: The program is not on PATH and apt cannot bring it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "prometheus.yml"
    config.write_text(_CONFIG.format(folder=folder.resolve()), encoding="utf-8")
    address = f"http://{HOST}:{port}"
    storage, listen = f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={HOST}:{port}"
    return Server(
        name=name,
        command=(str(program("prometheus")), f"--config.file={config}", storage, listen, "--log.level=warn"),
        folder=folder,
        port=port,
        address=address,
        ready=functools.partial(_ready, address),
    )


def program(name: str) -> Path:
    """Return `prometheus` or `promtool`, from PATH or with apt into the user's cache, once; installs nothing.

    Raises:
        NotOffered: It is not on PATH, and there is no apt or it does not reach its archive.
    """
    found = shutil.which(name)
    return Path(found) if found else made_once(_PACKAGE, _UNPACK) / "usr" / "bin" / name


def _ready(address: str) -> None:
    urllib.request.urlopen(f"{address}/-/ready", timeout=2).close()  # noqa: S310 - our own loopback address
