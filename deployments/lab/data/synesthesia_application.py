"""Synesthesia's smoke tests against the store that DATABASE_URL names."""

import json
import os
import urllib.request

from deployments.lab.stage.stage import Stage


def test_the_api_is_healthy_on_this_database() -> None:
    stores = {"SYNESTHESIA_DATABASE_URL": os.environ["DATABASE_URL"]}
    services = {"synesthesia/api": {"port": 0}}
    with Stage({"environment": stores, "services": services, "control": 0}) as stage:
        address = f"http://127.0.0.1:{stage.ports['synesthesia/api']}/v1/health"
        with urllib.request.urlopen(address, timeout=10) as answer:
            told = json.load(answer)
    assert told["status"] == "healthy"
    assert set(told["checks"]) == {"database"}
