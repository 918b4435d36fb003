"""A database as a shop has one: prose, JSON documents and pictures, made by the server itself in a minute or two."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pymongo

from deployments.lab.servers import seaweedfs

GIGABYTE = 1_000_000_000
_SEED = "SELECT setseed(0.4711)"
_WORDS = """
CREATE TEMPORARY TABLE word AS
SELECT n, translate(substr(md5(n::text), 1, 2 + (n % 9)), '0123456789', 'aeiouynstr') AS text
FROM generate_series(1, 4000) n
"""
# Common words are common, as in any language: the square of a random number prefers the first ones.
_PROSE = """
CREATE TEMPORARY TABLE prose AS
SELECT p.n, string_agg(w.text, CASE WHEN p.pick < 0.08 THEN '. ' WHEN p.pick < 0.14 THEN ', ' ELSE ' ' END) AS text
FROM (SELECT i / 400 AS n, 1 + (power(random(), 2.5) * 3999)::int AS word, random() AS pick
      FROM generate_series(0, 4799999) i) p
JOIN word w ON w.n = p.word GROUP BY p.n
"""
_NOISE = """
CREATE TEMPORARY TABLE noise AS
SELECT i / 1024 AS n, decode(string_agg(replace(gen_random_uuid()::text, '-', ''), ''), 'hex') AS raw
FROM generate_series(0, 2097151) i GROUP BY 1
"""
_POOLS = """
CREATE INDEX ON prose (n);
CREATE INDEX ON noise (n);
ANALYZE prose;
ANALYZE noise;
"""
_TABLES = """
CREATE TABLE customers (id bigint, name text, email text, address text, joined timestamptz, balance numeric(12, 2));
CREATE TABLE reviews (id bigint, customer bigint, stars int, written timestamptz, body text);
CREATE TABLE events (id bigint, at timestamptz, kind text, body jsonb);
CREATE TABLE pictures (id bigint, name text, kind text, raw bytea);
ALTER TABLE pictures ALTER COLUMN raw SET STORAGE EXTERNAL;
"""
_CUSTOMERS = """
INSERT INTO customers
SELECT i, initcap(substr(p.text, (1 + i % 900)::int, 14)), 'c' || i || '@' || substr(md5(i::text), 1, 6) || '.example',
       initcap(substr(p.text, (30 + i % 800)::int, 25)) || ' ' || i % 300 || E'\\n' || (10000 + i % 80000)::int,
       timestamptz '2019-01-01' + random() * interval '7 years', (random() * 9000)::numeric(12, 2)
FROM generate_series(1::bigint, {rows}) i JOIN prose p ON p.n = (i * 7919) % 12000
"""
_REVIEWS = """
INSERT INTO reviews
SELECT i, (random() * 100000)::bigint, 1 + (random() * 4)::int,
       timestamptz '2019-01-01' + i * interval '11 seconds' + random() * interval '1 hour',
       substr(p.text, 1 + (random() * 600)::int, 300 + (random() * 900)::int)
FROM generate_series(1::bigint, {rows}) i JOIN prose p ON p.n = (i * 7919) % 12000
"""
_EVENTS = """
INSERT INTO events
SELECT i, timestamptz '2024-01-01' + i * interval '1.7 seconds',
       (ARRAY['view', 'basket', 'order', 'payment', 'return'])[1 + (random() * 4)::int],
       jsonb_build_object(
         'id', gen_random_uuid(), 'customer', (random() * 100000)::int, 'amount', round((random() * 400)::numeric, 2),
         'currency', (ARRAY['EUR', 'USD', 'GBP'])[1 + (random() * 2)::int], 'ok', random() < 0.97,
         'agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/' || 500 + (random() * 40)::int,
         'from', concat_ws('.', (random() * 255)::int, (random() * 255)::int, (random() * 255)::int, i % 255),
         'tags', jsonb_build_array(substr(p.text, (1 + i % 900)::int, 9), substr(p.text, (60 + i % 900)::int, 12)),
         'note', substr(p.text, 1 + (random() * 800)::int, 60 + (random() * 240)::int))
FROM generate_series(1::bigint, {rows}) i JOIN prose p ON p.n = (i * 7919) % 12000
"""
_PICTURES = """
INSERT INTO pictures
SELECT i, 'picture-' || i || '.jpg', 'image/jpeg',
       substr(one.raw, 1 + (random() * 4000)::int) || substr(two.raw, 1 + (random() * 15000)::int)
FROM generate_series(1::bigint, {rows}) i
JOIN noise one ON one.n = (i * 7919) % 2048 JOIN noise two ON two.n = (i * 6101 + 13) % 2048
"""
_SHARES = ((_CUSTOMERS, 0.05, 155), (_REVIEWS, 0.4, 860), (_EVENTS, 0.35, 550), (_PICTURES, 0.2, 24_500))
"""Each table with its share of the whole, and about how many bytes a row of it takes."""
_KEYS = """
ALTER TABLE customers ADD PRIMARY KEY (id);
ALTER TABLE reviews ADD PRIMARY KEY (id);
ALTER TABLE events ADD PRIMARY KEY (id);
ALTER TABLE pictures ADD PRIMARY KEY (id);
"""


def create(address: str, name: str) -> str:
    """Make an empty database, and return its address.

    Args:
        address: Of any database, as the administrator.
        name: What it is to be called.
    """
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{address.rpartition('/')[0]}/{name}"


def fill(address: str, gigabytes: float) -> int:
    """Make a database of about this size, and return how many bytes it has.

    Args:
        address: An empty database, as its administrator.
        gigabytes: How large it is to be.
    """
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET work_mem = '256MB'; SET maintenance_work_mem = '256MB'; SET synchronous_commit = off")
        connection.execute("SET max_parallel_maintenance_workers = 0; SET max_parallel_workers_per_gather = 0")
        for statement in (_SEED, _WORDS, _PROSE, _NOISE, _POOLS, _TABLES):
            connection.execute(statement)
        for statement, share, row in _SHARES:
            rows = int(gigabytes * GIGABYTE * share / row)
            connection.execute(statement.format(rows=rows))
        connection.execute(_KEYS)
        connection.execute("DROP TABLE word, prose, noise")
        # So that the first reader does not have to write what the later ones find.
        connection.execute("VACUUM (FREEZE, ANALYZE)")
        connection.execute("CHECKPOINT")
    with psycopg.connect(address) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def fill_mongodb(address: str, database: str, count: int) -> None:
    """Write so many orders of about a kilobyte, and half as many events."""
    dice = random.Random(4711)  # noqa: S311 - spread, not secrecy
    words = ["".join(dice.choices("aeioustrnlmd", k=dice.randint(2, 10))) for _ in range(4000)]
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(address) as client:
        for name, number in (("orders", count), ("events", count // 2)):
            for start in range(0, number, 2000):
                documents = [_document(at, dice, words) for at in range(start, min(start + 2000, number))]
                client[database][name].insert_many(documents)


def fill_bucket(address: str, bucket: str, count: int) -> None:
    """Make a bucket of so many objects of one to eight kilobytes."""
    dice = random.Random(4711)  # noqa: S311 - spread, not secrecy
    client = seaweedfs.client(address)
    client.create_bucket(Bucket=bucket)
    bodies = {f"uploads/{n % 100:02}/{n:06}.bin": dice.randbytes(dice.randint(1000, 8000)) for n in range(count)}
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda item: client.put_object(Bucket=bucket, Key=item[0], Body=item[1]), bodies.items()):
            pass
    client.close()


def _document(number: int, dice: random.Random, words: list[str]) -> dict[str, Any]:
    return {
        "_id": number,
        "at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        "customer": {"id": dice.randint(1, 100_000), "email": f"c{number}@{dice.choice(words)}.example"},
        "lines": [
            {"sku": dice.getrandbits(40), "title": " ".join(dice.choices(words, k=4)), "price": dice.random() * 100}
            for _ in range(dice.randint(1, 8))
        ],
        "note": " ".join(dice.choices(words, k=dice.randint(5, 60))),
        "token": dice.randbytes(48),
    }
