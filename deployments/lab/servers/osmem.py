"""OpenSearch's API in memory, of the `osmem-server` wheel: health, indices, search; no figures of disk and heap."""

from __future__ import annotations

import functools
import importlib.util
import json
import urllib.request
from pathlib import Path
from typing import Any

from deployments.lab.servers import HOST, Server
from tasks.core.errors import ConfigError


def server(folder: Path, port: int, name: str = "opensearch") -> Server:
    """Prepare an empty cluster of one node; it keeps nothing on disk and asks for no password."""
    found = importlib.util.find_spec("osmem_server")
    if found is None or found.origin is None:
        raise ConfigError("the lab's OpenSearch server is not installed", hint="pip install 'watchkeeper[lab]'")
    folder.mkdir(parents=True, exist_ok=True)
    binary = Path(found.origin).parent / "bin" / "osmem-server"
    return Server(
        name=name,
        command=(str(binary), "-addr", f"{HOST}:{port}", "-no-stdin-watch", "-no-ja"),
        folder=folder,
        port=port,
        address=f"http://{HOST}:{port}",
        ready=functools.partial(ask, f"http://{HOST}:{port}", "GET", "/_cluster/health"),
    )


def ask(address: str, method: str, path: str, body: Any = None) -> Any:
    """Make one request and return its answer.

    Raises:
        OSError: There was no answer, or it is an error.
    """
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        address + path, data=content, method=method, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.loads(response.read() or b"null")
