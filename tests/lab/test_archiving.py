"""The settings of APEX's WAL archive, held against a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import sql

from tasks.platforms import load

pytestmark = pytest.mark.lab

MANIFEST = Path(__file__).resolve().parents[2] / "deployments" / "kubernetes" / "apex" / "postgresql-archiving.yaml"


def settings() -> dict[str, str]:
    text = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["data"]["archiving.conf"]
    lines = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'") for name, _, value in lines}


@pytest.fixture
def connection(postgres_server):
    with psycopg.connect(postgres_server.address, autocommit=True) as connection:
        yield connection
        for name in settings():
            connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))


def test_postgresql_accepts_every_setting(connection):
    assert settings().keys() >= {"wal_level", "archive_mode", "archive_command"}
    for name, value in settings().items():
        connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))


def test_the_archive_is_never_further_behind_than_the_recovery_point():
    assert int(settings()["archive_timeout"]) <= 15 * 60


def test_the_log_goes_where_the_platforms_own_spec_keeps_its_backups():
    command = settings()["archive_command"].split()
    assert command[:2] == ["watchkeeper", "wal-push"]
    platform, system = command[2].split("/")
    assert command[3:] == ["%p"]
    spec = load(platform)
    assert spec.systems[system].kind == "postgres"
    assert spec.protected[system].backup.to
