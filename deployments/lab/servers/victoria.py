"""VictoriaMetrics of Debian: the Prometheus query API, and weeks of history imported at once."""

from __future__ import annotations

import functools
import shutil
import urllib.request
from pathlib import Path

from deployments.lab.servers import HOST, Server, debian, made_once

_NAMES = ("victoria-metrics", "victoria-metrics-prod")
_PACKAGE = "victoria-metrics"
_UNPACK = functools.partial(debian.unpack, packages=[_PACKAGE], what="Prometheus", program=_PACKAGE)


def server(folder: Path, port: int, name: str = "prometheus") -> Server:
    """Prepare an empty server in the folder.

    Raises:
        NotOffered: The program is not on PATH and apt cannot bring it.
    """
    program = find() or fetch()
    folder.mkdir(parents=True, exist_ok=True)
    address = f"http://{HOST}:{port}"
    command = (str(program), f"-storageDataPath={folder / 'data'}", f"-httpListenAddr={HOST}:{port}")
    flags = (
        "-retentionPeriod=6",
        "-memory.allowedBytes=64MiB",
        "-search.latencyOffset=0s",
        "-search.disableCache",
        "-loggerLevel=WARN",
    )
    return Server(
        name=name,
        command=(*command, *flags),
        folder=folder,
        port=port,
        address=address,
        ready=functools.partial(_healthy, address),
    )


def find() -> Path | None:
    """Return the program where it is on PATH."""
    found = (shutil.which(name) for name in _NAMES)
    return next((Path(path) for path in found if path), None)


def fetch() -> Path:
    """Bring the program with apt into the user's cache, once; needs no root and installs nothing.

    Raises:
        NotOffered: There is no apt, or it does not reach its archive.
    """
    return made_once(_PACKAGE, _UNPACK) / "usr" / "bin" / _PACKAGE


def _healthy(address: str) -> None:
    urllib.request.urlopen(f"{address}/health", timeout=2).close()  # noqa: S310 - our own loopback address
