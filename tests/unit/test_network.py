"""This host's own network: with witnesses, and in a network namespace where there is none."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys

import pytest

from tasks.clients.network import own_trouble
from tasks.core.errors import ConfigError

SPEC = """
platform: shop
title: Shop
slack: {channel: "#shop"}
confirm: {looks: 1}
severities: {P1: {means: bad, respond: immediately}}
default_severity: {warn: P1, critical: P1}
systems:
  api: {kind: http, url: "http://192.0.2.1", expect: {/health: {}}, timeout: 2s}
  cache: {kind: tls, address: "192.0.2.2:443", timeout: 2s}
  disk: {kind: host}
"""


def namespaces() -> bool:
    """Tell whether this user may make a network of their own."""
    program = shutil.which("unshare")
    return program is not None and subprocess.run([program, "-rn", "true"], capture_output=True).returncode == 0  # noqa: S603, PLW1510


async def test_one_witness_that_answers_is_enough_and_none_is_trouble():
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        fine = await own_trouble(["127.0.0.1:1", f"127.0.0.1:{port}"])
    gone = await own_trouble(["127.0.0.1:1", f"127.0.0.1:{port}"])
    assert fine in ("", "no interface but loopback is up")
    assert gone in (f"none of 127.0.0.1:1, 127.0.0.1:{port} accepts a connection", "no interface but loopback is up")


@pytest.mark.parametrize("witness", ["here", "host:http", ":53", ""])
async def test_a_witness_that_is_no_address_is_refused(witness):
    with pytest.raises(ConfigError, match="is no address"):
        await own_trouble([witness])


def test_on_a_host_without_a_network_nothing_is_said_to_have_failed(tmp_path):
    if not namespaces():
        pytest.skip("this user may not make a network namespace")
    (tmp_path / "shop.yaml").write_text(SPEC)
    program = [sys.executable, "-c", "from deployments.cli import main; main()"]
    command = [*program, "check", str(tmp_path / "shop.yaml"), "--json"]
    cut_off = ["unshare", "-rn", *command, "--state", str(tmp_path / "state")]
    answer = subprocess.run(cut_off, capture_output=True, text=True, timeout=60, check=False, env=os.environ)  # noqa: S603
    report = json.loads(answer.stdout)
    outcomes = {
        one["system"] + "/" + one["measurement"]: one for system in report["systems"] for one in system["findings"]
    }
    assert report["verdict"] == "unknown"
    assert outcomes["watchkeeper/network"]["note"].endswith("no interface but loopback is up")
    for key in ("api/reachable", "cache/reachable"):
        assert outcomes[key]["outcome"] == "errored"
        assert outcomes[key]["quiet"]["text"] == "this host's own network is gone: no interface but loopback is up"
    assert outcomes["disk/reachable"]["outcome"] == "passed"
    assert answer.returncode == 1
