"""The lab's servers answer their own drivers, ask for a password, and listen on loopback only."""

from __future__ import annotations

import psutil
import psycopg
import pymongo
import pymongo.errors
import pytest
import redis

from deployments.lab.servers import HOST, seaweedfs

pytestmark = pytest.mark.lab


def test_postgres_has_statement_statistics_and_refuses_a_wrong_password(postgres_server):
    with psycopg.connect(postgres_server.address, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        assert connection.execute("SELECT count(*) FROM pg_stat_statements").fetchone()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres_server.address, password="wrong")


def test_valkey_refuses_who_has_no_password(redis_server):
    with redis.Redis.from_url(redis_server.address) as client:
        assert client.ping()
    with redis.Redis(HOST, redis_server.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_seaweedfs_keeps_an_object(s3_server):
    store = seaweedfs.client(s3_server.address)
    store.create_bucket(Bucket="kept")
    store.put_object(Bucket="kept", Key="a", Body=b"1")
    assert store.get_object(Bucket="kept", Key="a")["Body"].read() == b"1"
    store.close()


def test_mongodb_is_a_primary_and_refuses_who_has_no_password(mongodb_server):
    with pymongo.MongoClient(mongodb_server.address) as client:
        assert client.admin.command("hello")["isWritablePrimary"]
        client.shop.frames.insert_one({"name": "round"})
    with (
        pymongo.MongoClient(HOST, mongodb_server.port, directConnection=True) as stranger,
        pytest.raises(pymongo.errors.OperationFailure),
    ):
        stranger.shop.frames.find_one()


@pytest.mark.parametrize("fixture", ["postgres_server", "redis_server", "s3_server", "mongodb_server"])
def test_every_server_listens_on_loopback_only_and_its_command_line_has_no_secret(fixture, request):
    server = request.getfixturevalue(fixture)
    listening = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == server.port]
    assert {c.laddr.ip for c in listening} == {HOST}
    process = psutil.Process(listening[0].pid)
    password = server.address.split("@")[0].rsplit(":", 1)[1]
    assert password not in " ".join(process.cmdline())
