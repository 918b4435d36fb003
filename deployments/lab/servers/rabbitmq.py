"""RabbitMQ of Debian with its management API; where it is not installed, apt brings it and nothing is installed."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import secrets
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from deployments.lab.servers import HOST, Server, debian, free_ports, made_once
from tasks.core.errors import Garbled

ADMIN, NODE = "lab", f"rabbit@{HOST}"
_ERLANG = (
    *("asn1", "base", "crypto", "eldap", "ftp", "inets", "mnesia", "os-mon", "parsetools", "public-key"),
    *("runtime-tools", "snmp", "ssl", "syntax-tools", "tftp", "tools", "xmerl"),
)
_PACKAGES = ("rabbitmq-server", *(f"erlang-{part}" for part in _ERLANG))
_UNPACK = functools.partial(
    debian.unpack, packages=_PACKAGES, what="RabbitMQ", program="rabbitmq-server", absent="is not installed"
)
# Erlang's own terms: for rabbitmq.conf it would first read the schema of every plugin, which takes seconds.
# Figures are gathered as often as the finest retention asks, which is every five seconds by default.
_CONFIG = """\
[{{rabbit, [
   {{tcp_listeners, [{{"{host}", {amqp}}}]}},
   {{default_user, <<"{user}">>}}, {{default_pass, <<"{password}">>}},
   {{collect_statistics_interval, 250}},
   {{consumer_timeout, undefined}},
   {{vm_memory_high_watermark, {{absolute, 512000000}}}},
   {{disk_free_limit, {disk_free_limit}}},
   {{log, [{{console, [{{enabled, true}}, {{level, warning}}]}}, {{file, [{{file, false}}]}}]}}]}},
 {{rabbitmq_management, [
   {{tcp_config, [{{ip, "{host}"}}, {{port, {port}}}]}},
   {{management_db_cache_multiplier, 1}}]}},
 {{rabbitmq_management_agent, [
   {{sample_retention_policies, [{{global, [{{60, 1}}]}}, {{basic, [{{60, 1}}]}}, {{detailed, [{{60, 1}}]}}]}}]}},
 {{rabbitmq_stomp, [{{tcp_listeners, [{{"{host}", {stomp}}}]}}]}}].
"""


def server(folder: Path, port: int, name: str = "rabbitmq", disk_free_limit: int = 1_000_000) -> Server:
    """Prepare an empty broker in the folder. Its password and cookie are in files, never on its command line.

    Args:
        folder: Its own folder.
        port: Of the management API; AMQP and STOMP get ports of their own, STOMP's is in the address' query.
        name: What logs call it.
        disk_free_limit: With fewer bytes free it raises its disk alarm and blocks publishers.

    Raises:
        NotOffered: It is not installed and apt cannot bring it.
    """
    root = installed() or fetch()
    folder.mkdir(parents=True, exist_ok=True)
    amqp, stomp, between = free_ports(3)
    password = secrets.token_urlsafe(18)
    values = {"host": HOST, "amqp": amqp, "port": port, "stomp": stomp, "user": ADMIN, "password": password}
    _private(folder / "advanced.config", _CONFIG.format(**values, disk_free_limit=disk_free_limit))
    _private(folder / ".erlang.cookie", secrets.token_hex(16), 0o400)
    _private(folder / "enabled_plugins", "[rabbitmq_management,rabbitmq_stomp].\n")
    _private(folder / "environment", "")
    address = f"http://{ADMIN}:{password}@{HOST}:{port}/?stomp={stomp}"
    return Server(
        name=name,
        command=_command(root, between),
        folder=folder,
        port=port,
        address=address,
        ready=functools.partial(ask, address, "GET", "/api/overview"),
        environment=_environment(root, folder.resolve()),
        patience=1,  # it takes six seconds to end, and nothing that it keeps is needed again
    )


def installed() -> Path | None:
    """Return the root of the file system where the broker and its Erlang lie, if Debian's are installed."""
    root = Path("/")
    return root if list(_brokers(root)) and list(_runtimes(root)) else None


def fetch() -> Path:
    """Bring the packages with apt into the user's cache, once; needs no root.

    Raises:
        NotOffered: There is no apt, or it does not reach its archive.
    """
    return made_once("rabbitmq-server", _UNPACK)


def _brokers(root: Path) -> Iterator[Path]:
    return (root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*")


def _runtimes(root: Path) -> Iterator[Path]:
    return (root / "usr/lib/erlang").glob("erts-*/bin")


def _command(root: Path, between: int) -> tuple[str, ...]:
    """Start Erlang as the package's scripts do, but without its port mapper, which listens for everybody and stays."""
    runtime, broker = next(_runtimes(root)), next(_brokers(root))
    code = next((broker / "plugins").glob("rabbit-[0-9]*"))
    words = f"-noinput -s rabbit boot -boot start_sasl -name {NODE} -start_epmd false -erl_epmd_port {between}"
    quiet = "+W w +S 1:1 +sbwt none -syslog logger [] -syslog syslog_error_logger false"
    apart = ("-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-kernel", "prevent_overlapping_partitions", "false")
    return (str(runtime / "erlexec"), *words.split(), *apart, "-pa", str(code / "ebin"), *quiet.split())


def _environment(root: Path, folder: Path) -> dict[str, str]:
    runtime, broker = next(_runtimes(root)), next(_brokers(root))
    erlang = runtime.parents[1]
    return {
        "HOME": str(folder),
        "ROOTDIR": str(erlang),
        "BINDIR": str(runtime),
        "EMU": "beam",
        "PROGNAME": "erl",
        "ERL_LIBS": str(broker / "plugins"),
        "RABBITMQ_HOME": str(broker),
        "RABBITMQ_PLUGINS_DIR": str(broker / "plugins"),
        "RABBITMQ_NODENAME": NODE,
        "RABBITMQ_USE_LONGNAME": "true",
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(folder / "none.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "environment"),
    }


def _private(path: Path, text: str, mode: int = 0o600) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def ask(address: str, method: str, path: str, body: Any = None) -> Any:
    """Make one request of the management API as its administrator, and return the answer.

    Raises:
        OSError: There was no answer, or it is an error.
    """
    parts = urlsplit(address)
    token = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    content = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    url = f"http://{parts.hostname}:{parts.port}{path}"
    request = urllib.request.Request(url, data=content, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return json.loads(response.read() or b"null")


def played(queues: str) -> list[str]:
    """Return the queues of a broker of the lab: those that a spec names, with commas, or some of an online shop."""
    return [name for name in queues.split(",") if name] or ["try-on", "face-analysis"]


def declare(address: str, queue: str) -> None:
    """Make a queue that outlives the broker's restart."""
    ask(address, "PUT", f"/api/queues/%2F/{quote(queue, safe='')}", {"durable": True})


def publish(address: str, queue: str, count: int) -> None:
    """Send messages to a queue."""
    message = {"properties": {}, "routing_key": queue, "payload": "{}", "payload_encoding": "string"}
    for _ in range(count):
        ask(address, "POST", "/api/exchanges/%2F/amq.default/publish", message)


def has(address: str, queue: str) -> bool:
    """Tell whether a queue is there.

    Raises:
        OSError: The broker does not answer.
    """
    return any(one["name"] == queue for one in ask(address, "GET", "/api/queues/%2F"))


def has_figures(address: str, queues: list[str]) -> bool:
    """Tell whether the management API knows a consumer and the messages of each queue, and how its nodes are.

    Raises:
        OSError: The broker does not answer.
    """
    known = {one["name"]: one for one in ask(address, "GET", "/api/queues/%2F")}
    told = all(known.get(name, {}).get("consumers") and "messages_ready" in known[name] for name in queues)
    return told and all("mem_alarm" in node and "disk_free_alarm" in node for node in ask(address, "GET", "/api/nodes"))


def purge(address: str, queue: str) -> None:
    """Remove the messages that wait; those that a consumer holds stay."""
    ask(address, "DELETE", f"/api/queues/%2F/{quote(queue, safe='')}/contents")


def monitoring_user(address: str, name: str, password: str) -> None:
    """Make a user as `grant.sh` does."""
    ask(address, "PUT", f"/api/users/{name}", {"password": password, "tags": "monitoring"})
    nothing = {"configure": "^$", "write": "^$", "read": "^$"}
    ask(address, "PUT", f"/api/permissions/%2F/{name}", nothing)


@contextlib.contextmanager
def consuming(address: str, *queues: str) -> Iterator[socket.socket]:
    """Consume from queues by STOMP: hold one message of each, and never acknowledge it."""
    parts = urlsplit(address)
    port = int(parts.query.removeprefix("stomp="))
    with socket.create_connection((HOST, port), timeout=10) as connection:
        login = {"accept-version": "1.2", "host": "/", "login": parts.username, "passcode": parts.password}
        connection.sendall(_frame("CONNECT", login))
        if not connection.recv(4096).startswith(b"CONNECTED"):
            raise Garbled("RabbitMQ does not let the lab's consumer in")
        for number, queue in enumerate(queues):
            place = {"id": str(number), "destination": f"/amq/queue/{queue}"}
            connection.sendall(_frame("SUBSCRIBE", place | {"ack": "client-individual", "prefetch-count": "1"}))
        yield connection


def _frame(command: str, headers: Mapping[str, str | None]) -> bytes:
    return "\n".join([command, *(f"{name}:{value}" for name, value in headers.items()), "", "\0"]).encode()
