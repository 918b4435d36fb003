"""Behind a fence a program reaches the ports that it is given, and nothing else."""

import asyncio
import functools
import socket
import threading

import pytest

from tasks.clients.fence import fenced, own_network
from tasks.clients.process import run
from tasks.core.errors import NotOffered

ASK = """
import socket, sys
for port in map(int, sys.argv[1:]):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
            one.sendall(b"x" * 300_000)
            one.shutdown(socket.SHUT_WR)
            print(port, sum(len(part) for part in iter(lambda: one.recv(1 << 16), b"")))
    except OSError as error:
        print(port, type(error).__name__)
"""
needs_network = pytest.mark.skipif(own_network() is None, reason="this host lets nobody make a network of its own")


@pytest.fixture
def ports():
    """Two servers on the loopback that give back what they are given."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]

    def serve(server):
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.sendall(b"".join(iter(functools.partial(client.recv, 1 << 16), b"")))

    threads = [threading.Thread(target=serve, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    yield [server.getsockname()[1] for server in servers]
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join(20)


def behind(command, given):
    async def all_of_it():
        async with fenced(command, given) as fence:
            return await run(fence, seconds=60)

    return asyncio.run(all_of_it())


@needs_network
def test_the_ports_that_are_given_are_reached_and_all_others_are_not(ports):
    ran = behind(["python3", "-c", ASK, *map(str, ports)], ports[:1])
    assert ran.status == 0, ran.errors
    assert ran.output.split() == [str(ports[0]), "300000", str(ports[1]), "ConnectionRefusedError"]


@needs_network
def test_no_name_and_no_other_host_is_reached():
    script = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=20)"
    ran = behind(["python3", "-c", script], ())
    assert ran.status == 1
    assert "Network is unreachable" in ran.errors


@needs_network
@pytest.mark.parametrize(("command", "status"), [(["false"], 1), (["no-such-program"], 127)])
def test_the_exit_status_is_the_programs_own(command, status):
    assert behind(command, ()).status == status


def test_where_no_network_can_be_made_that_is_said(monkeypatch):
    monkeypatch.setattr("tasks.clients.fence.own_network", lambda: None)
    with pytest.raises(NotOffered, match="network of its own"):
        behind(["true"], ())
