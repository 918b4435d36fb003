"""HTTP services that answer well, badly, slowly, or not at all."""

import asyncio
import gzip
import json
import re
import socket
import ssl
import threading
from time import perf_counter

import pytest
import trustme
from pydantic import ValidationError

from tasks.clients.http import fetch, session
from tasks.core.limits import Bound
from tasks.core.results import Outcome
from tasks.systems.http import probe
from tasks.systems.http.conditions import holds, look_up, unmet
from tasks.systems.http.spec import Spec
from tests.hostile import answer, check, finding, hanging_up, measured, refused_port, routed, saying, serving, silent


def api(port: int, expect: dict, **fields) -> dict:
    return {"kind": "http", "url": f"http://127.0.0.1:{port}", "expect": expect, **fields}


@pytest.fixture
def hurried(monkeypatch):
    """Let a probe give up after a second, long before the whole check is cut off: which comes first is not luck."""
    monkeypatch.setattr(probe, "_MARGIN", 0.05)


async def the_finding(text: bytes, **expectation):
    """Check one path of a server that says this, and return whether it was as expected."""
    async with serving(saying(text)) as port:
        return finding(await check(api(port, {"/health": expectation})), "as_expected", "/health")


async def test_a_path_that_answers_as_expected_passes_with_its_latency_and_status():
    async with serving(saying(answer('{"status": "ok"}'))) as port:
        expect = {"/health": {"json": {"status": "ok"}, "latency": {"critical": "2s"}}}
        report = await check(api(port, expect))
    assert finding(report, "reachable").outcome is Outcome.PASSED
    assert finding(report, "as_expected", "/health").outcome is Outcome.PASSED
    assert finding(report, "latency", "/health").outcome is Outcome.PASSED
    assert measured(report, "status", "/health").value == 200


async def test_a_wrong_status_fails_with_an_excerpt_of_the_body_and_the_paths_severity():
    async with serving(saying(answer("no\x00 database\n\n  at all", status="503 Service Unavailable"))) as port:
        report = await check(api(port, {"/health": {"severity": "P2"}}))
    found = finding(report, "as_expected", "/health")
    assert (found.outcome, found.severity) == (Outcome.FAILED, "P2")
    assert found.note == "status 503 Service Unavailable, not 200; it says: no database at all"


async def test_a_status_among_several_allowed_ones_passes():
    found = await the_finding(answer("", status="204 No Content"), status=[200, 204])
    assert found.outcome is Outcome.PASSED


async def test_a_200_with_an_error_body_fails_and_says_which_value_is_wrong():
    found = await the_finding(answer('{"status": "error", "checks": {"db": false}}'), json={"status": "ok"})
    assert found.outcome is Outcome.FAILED
    assert found.note == 'status is "error", not "ok"'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>fine</html>", "it is not JSON; it says: <html>fine</html>"),
        (b'{"status": "\xff\xfe"}', "it is not JSON: invalid UTF-8"),
        (b'{"status": NaN}', "it is not JSON; it says"),
        (b"[" * 200_000, "it is not JSON; it says"),
        (b'{"status": ' + b"9" * 5000 + b"}", "it is not JSON; it says"),
        (b"[]", "the JSON has no status"),
        (b"", "it is not JSON"),
    ],
)
async def test_what_is_no_json_is_not_as_expected(body, why):
    found = await the_finding(answer(body), json={"status": "ok"})
    assert found.outcome is Outcome.FAILED
    assert found.note.startswith(why)


async def test_text_that_lacks_the_pattern_fails_even_when_it_is_no_utf8():
    found = await the_finding(answer(b"\xff\xfe broken"), contains="ready|alive")
    assert found.outcome is Outcome.FAILED
    assert "holds no 'ready|alive'" in found.note
    assert (await the_finding(answer(b"\xff alive"), contains="ready|alive")).outcome is Outcome.PASSED


async def test_an_endless_body_is_cut_and_content_beyond_is_not_believed():
    async def endless(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with serving(endless) as port:
        report = await check(api(port, {"/plain": {}, "/content": {"contains": "ok"}}))
    assert finding(report, "as_expected", "/plain").outcome is Outcome.PASSED
    assert finding(report, "as_expected", "/plain").note == "only its beginning was read: it is longer than 1 MiB"
    assert finding(report, "as_expected", "/content").outcome is Outcome.FAILED
    assert "longer than 1 MiB" in finding(report, "as_expected", "/content").note


@pytest.mark.usefixtures("hurried")
async def test_a_body_that_drips_ends_with_the_time_out_and_the_other_paths_go_on():
    async def drip(reader, writer):
        target = await reader.readuntil(b"\r\n\r\n")
        if b"/fast" in target:
            writer.write(answer("ok"))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    began = perf_counter()
    async with serving(drip) as port:
        report = await check(api(port, {"/slow": {}, "/fast": {}}, timeout="40s"))
    assert perf_counter() - began < 30
    assert finding(report, "as_expected", "/fast").outcome is Outcome.PASSED
    assert finding(report, "as_expected", "/slow").note.startswith("its body did not end within ")


async def test_a_body_that_breaks_off_is_not_as_expected():
    found = await the_finding(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    assert found.outcome is Outcome.FAILED
    assert found.note.startswith("its body broke off: peer closed connection")


async def test_a_compression_bomb_is_unpacked_no_further_than_the_bound():
    bomb = gzip.compress(b"0" * (50 << 20))
    found = await the_finding(answer(bomb, headers="Content-Encoding: gzip\r\n"), contains="1")
    assert "longer than 1 MiB" in found.note


@pytest.mark.parametrize(("body", "ok"), [(gzip.compress(b"alive", mtime=0), True), (b"no gzip", False)])
async def test_a_compression_that_was_not_asked_for_is_undone(body, ok):
    found = await the_finding(answer(body, headers="Content-Encoding: gzip\r\n"), contains="alive")
    assert (found.outcome is Outcome.PASSED) is ok


async def test_a_redirect_is_shown_and_not_followed():
    found = await the_finding(answer("", status="302 Found", headers="Location: /login\r\n"))
    assert found.note == "status 302 Found, not 200; it leads to /login"


async def test_a_redirect_is_followed_when_asked_and_carries_no_header_to_another_origin():
    seen = []

    def elsewhere(_, headers):
        seen.append(headers)
        return answer("welcome")

    async with serving(routed(elsewhere)) as other:
        moved = answer("", status="302 Found", headers=f"Location: http://127.0.0.1:{other}/new\r\n")
        async with serving(saying(moved)) as port:
            system = api(port, {"/": {"follow": True, "contains": "welcome"}}, headers={"X-Key": {"env": "KEY"}})
            report = await check(system, {"KEY": "s3cret-key"})
    assert finding(report, "as_expected", "/").outcome is Outcome.PASSED
    assert "s3cret-key" not in str(seen)
    assert len(seen) == 3


async def test_a_circle_of_redirects_ends():
    circle = answer("", status="302 Found", headers="Location: /\r\n")
    found = await the_finding(circle, follow=True)
    assert "status 302" in found.note


async def test_a_refused_connection_is_unreachable():
    report = await check(api(await refused_port(), {"/a": {}, "/b": {}}))
    assert [(f.measurement, f.outcome) for f in report.findings] == [("reachable", Outcome.FAILED)]
    assert report.findings[0].note == "connection refused"


async def test_an_unknown_name_is_unreachable():
    report = await check({"kind": "http", "url": "http://no-such-host.invalid", "expect": {"/": {}}})
    assert finding(report, "reachable").note.startswith("the name no-such-host.invalid cannot be looked up")


@pytest.mark.usefixtures("hurried")
async def test_a_look_up_that_is_stuck_ends_with_the_time_out_and_is_named(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait())
    began = perf_counter()
    report = await check({"kind": "http", "url": "http://stuck.example", "expect": {"/": {}}})
    over.set()
    assert perf_counter() - began < 30
    assert finding(report, "reachable").outcome is Outcome.FAILED
    assert finding(report, "reachable").note == "the name stuck.example was not looked up within 1 s"


@pytest.mark.usefixtures("hurried")
async def test_a_tls_handshake_that_is_stuck_is_named():
    async with serving(silent) as port:
        system = {"kind": "http", "url": f"https://127.0.0.1:{port}", "expect": {"/": {}}}
        report = await check(system)
    assert finding(report, "reachable").note.startswith("the TLS handshake did not end within ")


async def test_the_latency_is_told_by_its_parts_and_each_can_have_a_limit(tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async def slow_to_think(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        writer.write(answer("ok"))
        await writer.drain()

    async with serving(slow_to_think, context=context) as port:
        system = {"kind": "http", "url": f"https://localhost:{port}", "expect": {"/": {"requests": 1}}}
        limits = {"first_byte": {"warn": "90ms"}, "dns_time": {"warn": "3s"}, "tls_time": {"warn": "3s"}}
        report = await check(system | {"limits": limits}, ca_bundle=tmp_path / "ca.pem")
    taken = [measured(report, *part).value for part in (("dns_time",), ("connect_time", "/"), ("tls_time", "/"))]
    assert all(seconds > 0 for seconds in taken)
    assert finding(report, "first_byte", "/").outcome is Outcome.WARNED
    assert finding(report, "tls_time", "/").outcome is Outcome.PASSED
    latency = measured(report, "latency", "/")
    assert latency.value >= sum(taken[1:]) + measured(report, "first_byte", "/").value
    assert re.fullmatch(r"DNS .+, connect .+, TLS .+, first byte .+", latency.note)


async def test_an_open_connection_is_not_connected_again_and_an_address_is_not_looked_up():
    async def patient(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with serving(patient) as port, session(f"http://127.0.0.1:{port}") as client:
        first, second = [await fetch(client, "GET", "/", seconds=3) for _ in range(2)]
    assert client.looked_up is None
    assert first.parts.connect is not None
    assert second.parts.connect is None
    assert second.parts.first_byte is not None


@pytest.mark.usefixtures("hurried")
async def test_a_half_open_connection_ends_with_the_time_out():
    began = perf_counter()
    async with serving(silent) as port:
        report = await check(api(port, {"/": {}}))
    assert perf_counter() - began < 30
    assert finding(report, "reachable").note.startswith("no answer within ")


async def test_a_server_that_hangs_up_is_unreachable():
    async with serving(hanging_up) as port:
        report = await check(api(port, {"/": {}}))
    assert finding(report, "reachable").note == "Server disconnected without sending a response."


async def test_what_is_no_http_is_unreachable():
    async with serving(saying(b"-ERR unknown command\r\n\r\n")) as port:
        report = await check(api(port, {"/": {}}))
    assert finding(report, "reachable").outcome is Outcome.FAILED


async def test_one_path_without_an_answer_is_its_own_finding():
    async def one_is_silent(reader, writer):
        if b"/stuck" in await reader.readuntil(b"\r\n\r\n"):
            await asyncio.Event().wait()
        writer.write(answer("ok"))

    async with serving(one_is_silent) as port:
        report = await check(api(port, {"/stuck": {"timeout": "1s"}, "/fine": {}}))
    assert finding(report, "reachable").outcome is Outcome.PASSED
    assert finding(report, "as_expected", "/fine").outcome is Outcome.PASSED
    assert finding(report, "as_expected", "/stuck").note == "no answer within 1 s"


async def test_an_untrusted_certificate_is_unreachable_with_the_reason_and_trusted_with_the_bundle(tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with serving(saying(answer("ok")), context=context) as port:
        system = {"kind": "http", "url": f"https://127.0.0.1:{port}", "expect": {"/": {}}}
        untrusted = await check(system)
        trusted = await check(system, ca_bundle=tmp_path / "ca.pem")
    assert finding(untrusted, "reachable").note.startswith("the certificate is not trusted: ")
    assert finding(trusted, "as_expected", "/").outcome is Outcome.PASSED


async def test_a_missing_bundle_is_errored_and_named(tmp_path):
    report = await check(api(1, {"/": {}}), ca_bundle=tmp_path / "none.pem")
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "none.pem cannot be read: no such file" in finding(report, "check").note


async def test_tls_spoken_to_a_plain_server_is_unreachable_with_the_reason():
    async def plain(_, writer):
        writer.write(answer("", status="400 Bad Request"))
        await writer.drain()

    async with serving(plain) as port:
        report = await check({"kind": "http", "url": f"https://127.0.0.1:{port}", "expect": {"/": {}}})
    assert finding(report, "reachable").note.startswith("TLS failed: ")


async def test_several_requests_take_the_median_and_any_failure_counts():
    count = iter(range(10))

    def every_third(*_):
        return answer("ok") if next(count) != 2 else answer("", status="500 Oops")

    async with serving(routed(every_third)) as port:
        report = await check(api(port, {"/": {"requests": 5}}))
    assert finding(report, "as_expected", "/").note == "1 of 5 requests: status 500 Oops, not 200"
    assert measured(report, "status", "/").value == 500
    assert next(count) == 5


async def test_a_path_is_asked_three_times_where_the_spec_names_no_number_so_that_one_hiccup_is_not_its_latency():
    count = iter(range(10))

    async def slow_at_first(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1 if next(count) == 0 else 0)
        writer.write(answer("ok"))
        await writer.drain()

    async with serving(slow_at_first) as port:
        report = await check(api(port, {"/": {}}))
    assert next(count) == 3
    assert measured(report, "latency", "/").value < 1
    assert measured(report, "latency", "/").note.startswith("median of 3 requests; connect ")


async def test_a_slow_path_is_not_asked_again_when_the_time_might_run_out():
    count = iter(range(10))

    async def slow(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        next(count)
        await asyncio.sleep(2)
        writer.write(answer("ok"))
        await writer.drain()

    async with serving(slow) as port:
        report = await check(api(port, {"/": {}}, timeout="6s"))
    assert finding(report, "as_expected", "/").outcome is Outcome.PASSED
    assert next(count) == 1


async def test_a_secret_header_is_sent_and_never_shown_however_the_server_echoes_it():
    token, password = "t0p-s3cret-token", "dXNlcjpodW50ZXI0Mg=="

    def echo(_, headers):
        said = json.dumps([headers["authorization"], token.upper().lower(), "hunter42", headers["x-login"], "end"])
        return answer("x" * 185 + said, status="500 Oops", headers=f"Location: /?t={token}\r\n")

    async with serving(routed(echo)) as port:
        headers = {"Authorization": {"env": "TOKEN"}, "Accept": "text/plain"}
        expect = {"/": {"headers": {"X-Login": {"env": "LOGIN"}}}}
        system = api(port, expect, headers=headers)
        report = await check(system, {"TOKEN": f"Bearer {token}", "LOGIN": f"Basic {password}"})
    shown = report.model_dump_json()
    assert "Location" not in shown
    assert "/?t=***" in shown
    for secret in (token, token[:8], password, "hunter42", "hunter"):
        assert secret not in shown


async def test_a_password_in_the_address_is_sent_and_never_shown():
    seen = {}

    def remember(_, headers):
        seen.update(headers)
        return answer(f"you are {headers['authorization']} hunter42", status="500 Oops")

    async with serving(routed(remember)) as port:
        system = {"kind": "http", "url": {"env": "URL"}, "expect": {"/": {}}}
        report = await check(system, {"URL": f"http://user:hunter42@127.0.0.1:{port}"})
    assert seen["authorization"].startswith("Basic ")
    assert "hunter42" not in report.model_dump_json()


@pytest.mark.parametrize("value", ["two\nlines", "h\xe9rs3cret"])
async def test_a_secret_that_no_header_can_hold_is_errored_and_not_shown(value):
    async with serving(saying(answer("ok"))) as port:
        for system in (
            api(port, {"/": {}}, headers={"X-Key": {"env": "KEY"}}),
            api(port, {"/": {"headers": {"X-Key": {"env": "KEY"}}}}),
        ):
            report = await check(system, {"KEY": value})
            assert finding(report, "check").outcome is Outcome.ERRORED
            assert "X-Key holds characters" in finding(report, "check").note
            assert value not in report.model_dump_json()


@pytest.mark.parametrize("address", ["127.0.0.1:80", "ftp://example.com", "http://", "http://a:b:c"])
async def test_an_address_that_is_none_is_errored_with_what_to_write(address):
    report = await check({"kind": "http", "url": {"env": "URL"}, "expect": {"/": {}}}, {"URL": address})
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "https://host" in finding(report, "check").remedy


async def test_a_base_address_with_a_path_keeps_it_and_the_querys_too():
    asked = []

    def remember(target, headers):
        asked.append((target, headers.get("content-type")))
        return answer("ok")

    async with serving(routed(remember)) as port:
        expect = {"/healthz?full=1": {}, "/derive": {"method": "POST", "body": {"width": 3}}}
        await check({"kind": "http", "url": f"http://127.0.0.1:{port}/v1", "expect": expect})
    assert set(asked) == {("/v1/derive", "application/json"), ("/v1/healthz?full=1", None)}
    assert asked.count(("/v1/derive", "application/json")) == 1


def test_a_paths_own_latency_and_severity_hold_over_the_systems():
    spec = Spec.model_validate(
        {
            "kind": "http",
            "url": "http://a",
            "limits": {"latency": {"warn": "1s", "critical": "5s"}},
            "expect": {
                "/a": {"latency": {"critical": "2s"}, "severity": "P1"},
                "/b": {"severity": "P1"},
                "/c": {"latency": {"by_severity": {"P2": "3s"}}},
            },
        }
    )
    names = sorted(name for _, name in spec.severities())
    assert names == ["P1", "P1", "P2"]
    limits = {path: spec.limit(_latency(path)) for path in spec.expect}
    assert (limits["/a"].warn, limits["/a"].critical, limits["/a"].severity) == (None, Bound.parse("2s"), "P1")
    assert (limits["/b"].critical, limits["/b"].severity) == (Bound.parse("5s"), "P1")
    assert list(limits["/c"].by_severity) == ["P2"]


def _latency(path: str):
    from datetime import UTC, datetime  # noqa: PLC0415

    return Spec.CATALOG.read("latency", 1.0, at=datetime.now(UTC), subject=path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"expect": {"health": {}}}, "should match pattern"),
        ({"expect": {}}, "at least 1"),
        ({"expect": {"/": {"latency": {"warn": "5"}}}}, "write 200ms"),
        ({"expect": {"/": {"contains": "("}}}, "not a regular expression"),
        ({"expect": {"/": {"json": {"a": "> many"}}}}, "write '> 5'"),
        ({"expect": {"/": {"status": []}}}, "at least one status code"),
        ({"expect": {"/": {"timeout": "1m"}}}, "longer than the system's"),
        ({"expect": {"/": {}}, "headers": {"Cookie": "id=1"}}, "never written in a spec"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_in_words(fields, message):
    with pytest.raises(ValidationError, match=message):
        Spec.model_validate({"kind": "http", "url": "http://a", **fields})


@pytest.mark.parametrize(
    ("found", "wanted", "right"),
    [
        (3, "> 2", True),
        (3, ">= 3", True),
        (3, "< 3", False),
        (2.5, "<= 2.5", True),
        ("3", "> 2", False),
        (True, "> 0", False),
        (True, True, True),
        (1, True, False),
        (0, False, False),
        (None, None, True),
        ("ok", "!= error", True),
        ("error", "!= error", False),
        (0, "!= 0", False),
        ([], [], True),
        ("> text", ">= 3", False),
    ],
)
def test_a_condition_holds_or_not(found, wanted, right):
    assert holds(found, wanted) is right


def test_a_dotted_path_leads_through_mappings_and_lists_to_a_length():
    document = {"items": [{"name": "a"}, {"name": "b"}], "length": {"x": 1}}
    assert look_up(document, "items.1.name") == "b"
    assert look_up(document, "items.length") == 2
    assert look_up(document, "length.x") == 1
    assert unmet(document, {"items.5.name": "c", "items.0": "x"}) == [
        "the JSON has no items.5.name",
        'items.0 is a mapping of 1, not "x"',
    ]
