"""SIGN X Studio's own tests against the stores that DATABASE_URL and REDIS_URL name."""

import json
import os
import urllib.request
from collections.abc import Iterator

import psycopg
import pytest

from deployments.lab.stage.stage import Stage


@pytest.fixture
def api() -> Iterator[str]:
    stores = {"APEX_DATABASE_URL": os.environ["DATABASE_URL"], "APEX_REDIS_URL": os.environ["REDIS_URL"]}
    with Stage({"environment": stores, "services": {"apex/api": {"port": 0}}, "control": 0}) as stage:
        yield f"http://127.0.0.1:{stage.ports['apex/api']}"


def test_the_api_is_healthy_and_ready_on_these_stores(api: str) -> None:
    for path, word in (("/health", "healthy"), ("/ready", "ready")):
        with urllib.request.urlopen(api + path, timeout=10) as answer:
            assert json.load(answer)["status"] == word


def test_a_sign_is_derived(api: str) -> None:
    wanted = {"overall_height_ft": 30, "cabinets": [{"width_ft": 10, "height_ft": 6, "depth_in": 12}]}
    request = urllib.request.Request(
        f"{api}/signage/common/cabinets/derive", json.dumps(wanted).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["confidence"] > 0.9


def test_every_project_has_its_payloads() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], options="-c default_transaction_read_only=on") as connection:
        query = "SELECT count(*) FROM projects WHERE id NOT IN (SELECT project_id FROM project_payloads)"
        assert connection.execute(query).fetchone() == (0,)
