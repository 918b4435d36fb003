"""What a server may answer to any kind that speaks HTTP: endless, vast, deep, slow or broken. Bounded, told, no bug."""

import asyncio
import itertools
import resource
import zlib

import pytest

from tests.conformance.test_kinds import SECRET, drivers, others, row  # noqa: F401 - `drivers` is a fixture
from tests.hostile import answer, check, serving

SPEAK_HTTP = ("compose", "host", "http", "kubernetes", "logs", "nats", "opensearch", "prometheus", "rabbitmq", "s3")
MEGABYTE = b"1," * (1 << 19)
MOST_MEGABYTES = 400
"""So much more may a check of all kinds at once hold than before: the ten of them are sent 1,280."""


async def asked(reader):
    return await reader.readuntil(b"\r\n\r\n")


async def endless_headers(reader, writer):
    await asked(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in itertools.count():
        writer.write(b"X-%d: %s\r\n" % (number, b"x" * 4000))
        await writer.drain()


async def vast_json(reader, writer):
    await asked(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n[" % (128 << 20))
    for _ in range(128):
        writer.write(MEGABYTE)
        await writer.drain()


async def one_byte_at_a_time(reader, writer):
    await asked(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    for sign in itertools.repeat(b" "):
        writer.write(sign)
        await writer.drain()
        await asyncio.sleep(0.1)


async def one_byte_of_the_head_at_a_time(reader, writer):
    await asked(reader)
    for number in itertools.chain(b"HTTP/1.1 200 OK\r\nX: ", itertools.repeat(ord("x"))):
        writer.write(bytes([number]))
        await writer.drain()
        await asyncio.sleep(0.1)


def saying_again(text):
    """Answer every request of a connection with these bytes."""

    async def handler(reader, writer):
        await asked(reader)
        writer.write(text)
        await writer.drain()

    return handler


def bomb():
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return b"".join([packer.compress(b"["), *(packer.compress(MEGABYTE) for _ in range(128)), packer.flush()])


ANSWERS = {
    "endless headers": endless_headers,
    "128 MB of JSON": vast_json,
    "one byte at a time": one_byte_at_a_time,
    "one byte of the head at a time": one_byte_of_the_head_at_a_time,
    "a gzip bomb": saying_again(answer(bomb(), headers="Content-Type: application/json\r\nContent-Encoding: gzip\r\n")),
    "JSON 200,000 levels deep": saying_again(answer("[" * 200_000, headers="Content-Type: application/json\r\n")),
    "a number of a million digits": saying_again(answer("1" * 1_000_000, headers="Content-Type: application/json\r\n")),
    "JSON that is no UTF-8": saying_again(
        answer(b'{"status": "\xff\xfe"}', headers="Content-Type: application/json\r\n")
    ),
    "a circle of redirects": saying_again(answer("", status="302 Found", headers="Location: /health\r\n")),
    "no HTTP": saying_again(b"\x16\x03\x01\x00\x00 SSH-2.0-OpenSSH\r\n\r\n"),
}


async def told(kind, port, folder):
    """Check a system of a kind and return what is wrong with the way that it was told."""
    system, environment = row(kind, port, folder)
    if kind == "http":
        system |= {"expect": {"/health": {"json": {"status": "ok"}, "requests": 1}}}
    report = await check(system, environment, others=others(kind, port, folder))
    text = report.model_dump_json()
    if "the probe itself failed" in text:
        return text
    if SECRET in text:
        return "a secret is shown"
    return "" if report.outcome.is_problem else f"it is {report.outcome}"


@pytest.mark.parametrize("answers", ANSWERS)
async def test_no_answer_breaks_a_check_or_passes_it_or_fills_the_memory(answers, tmp_path):
    for kind in SPEAK_HTTP:
        (tmp_path / kind).mkdir()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with serving(ANSWERS[answers]) as port, asyncio.timeout(60):
        found = await asyncio.gather(*(told(kind, port, tmp_path / kind) for kind in SPEAK_HTTP))
    assert {kind: what for kind, what in zip(SPEAK_HTTP, found, strict=True) if what} == {}
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MOST_MEGABYTES
