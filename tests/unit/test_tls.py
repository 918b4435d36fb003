"""TLS endpoints: certificates that last, expire, lie, or come from nowhere."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest
import trustme
from cryptography import x509

from tasks.core.errors import ConfigError
from tasks.core.results import Outcome
from tasks.systems.tls import probe
from tasks.systems.tls.names import matches, names
from tasks.systems.tls.probe import _host_and_port
from tests.hostile import check, finding, measured, refused_port, saying, serving, silent

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@asynccontextmanager
async def endpoint(certificate: trustme.LeafCert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    async with serving(silent, context=context) as port:
        yield {"kind": "tls", "address": f"127.0.0.1:{port}"}


async def test_a_good_certificate_passes_and_says_until_when(authority, bundle):
    last = datetime.now(UTC).replace(microsecond=0) + 90 * DAY
    async with endpoint(authority.issue_cert("127.0.0.1", not_after=last)) as system:
        report = await check(system, ca_bundle=bundle)
    assert {f.outcome for f in report.findings} == {Outcome.PASSED}
    assert {f.measurement for f in report.findings} == {"reachable", "expires_in", "name_matches", "trusted"}
    assert measured(report, "expires_in").value == pytest.approx(90 * 86400, abs=30)
    assert f"valid until {last:%Y-%m-%d %H:%M} UTC" in measured(report, "expires_in").note
    assert measured(report, "protocol").value == "TLSv1.3"


@pytest.mark.parametrize(("days", "outcome"), [(20, Outcome.WARNED), (3, Outcome.FAILED)])
async def test_a_certificate_that_ends_soon_warns_below_thirty_days_and_fails_below_seven(
    authority, bundle, days, outcome
):
    leaf = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + days * DAY)
    async with endpoint(leaf) as system:
        report = await check(system, ca_bundle=bundle)
    assert finding(report, "expires_in").outcome is outcome
    assert finding(report, "trusted").outcome is Outcome.PASSED


async def test_an_expired_certificate_fails_with_its_dates_and_the_reason(authority, bundle):
    now = datetime.now(UTC)
    leaf = authority.issue_cert("127.0.0.1", not_before=now - 30 * DAY, not_after=now - DAY)
    async with endpoint(leaf) as system:
        report = await check(system, ca_bundle=bundle)
    assert finding(report, "expires_in").value == pytest.approx(-86400, abs=30)
    assert finding(report, "trusted").note == "certificate has expired"
    assert finding(report, "name_matches").outcome is Outcome.PASSED


async def test_an_authority_that_nobody_trusts_is_told_apart_from_the_dates(bundle):
    async with endpoint(trustme.CA().issue_cert("127.0.0.1", not_after=datetime.now(UTC) + 90 * DAY)) as system:
        report = await check(system, ca_bundle=bundle)
    assert finding(report, "trusted").outcome is Outcome.FAILED
    assert finding(report, "trusted").note == "unable to get local issuer certificate"
    assert finding(report, "expires_in").outcome is Outcome.PASSED


async def test_a_certificate_for_another_name_fails_and_lists_its_names(authority, bundle):
    async with endpoint(authority.issue_cert("other.example.com")) as system:
        report = await check(system | {"server_name": "api.example.com"}, ca_bundle=bundle)
    assert finding(report, "name_matches").outcome is Outcome.FAILED
    assert finding(report, "name_matches").note == "asked for api.example.com, made out to other.example.com"
    assert finding(report, "trusted").outcome is Outcome.PASSED


async def test_a_chain_with_an_intermediate_authority_is_trusted(authority, bundle):
    async with endpoint(authority.create_child_ca().issue_cert("127.0.0.1")) as system:
        report = await check(system, ca_bundle=bundle)
    assert finding(report, "trusted").outcome is Outcome.PASSED


async def test_a_server_that_accepts_and_says_nothing_ends_with_the_time_out(monkeypatch):
    monkeypatch.setattr(probe, "_MARGIN", 0.02)  # the time-out of the whole check must not come first by chance
    began = perf_counter()
    async with serving(silent) as port:
        report = await check({"kind": "tls", "address": f"127.0.0.1:{port}", "timeout": "20s"})
    assert perf_counter() - began < 30
    assert finding(report, "reachable").note.startswith("no TLS handshake within ")


async def test_a_second_handshake_that_gets_stuck_leaves_the_first_ones_readings(authority, bundle, monkeypatch):
    monkeypatch.setattr(probe, "_MARGIN", 0.1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    connections = iter(range(9))

    async def only_the_first(_, writer):
        if next(connections) == 0:
            await writer.start_tls(context)
        await asyncio.Event().wait()

    async with serving(only_the_first) as port:
        system = {"kind": "tls", "address": f"127.0.0.1:{port}", "timeout": "20s"}
        report = await check(system, ca_bundle=bundle)
    assert finding(report, "reachable").outcome is Outcome.PASSED
    assert finding(report, "name_matches").outcome is Outcome.PASSED
    assert finding(report, "trusted").outcome is Outcome.ERRORED


async def test_a_server_that_speaks_no_tls_is_unreachable_with_the_reason():
    async def plain(_, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await asyncio.Event().wait()

    async with serving(plain) as port:
        report = await check({"kind": "tls", "address": f"127.0.0.1:{port}"})
    assert finding(report, "reachable").note == "TLS failed: wrong version number"


async def test_a_server_that_hangs_up_is_unreachable():
    async def hang_up(_reader, _writer):
        pass

    async with serving(hang_up) as port:
        report = await check({"kind": "tls", "address": f"127.0.0.1:{port}"})
    assert finding(report, "reachable").outcome is Outcome.FAILED
    assert finding(report, "reachable").note


async def test_a_refused_connection_is_unreachable():
    report = await check({"kind": "tls", "address": f"127.0.0.1:{await refused_port()}"})
    assert finding(report, "reachable").note == "connection refused"


async def test_a_missing_bundle_is_errored_and_named(authority, tmp_path):
    async with endpoint(authority.issue_cert("127.0.0.1")) as system:
        report = await check(system, ca_bundle=tmp_path / "none.pem")
    assert "none.pem cannot be read" in finding(report, "check").note


async def test_a_server_name_that_cannot_be_asked_for_is_errored():
    async with serving(saying(b"")) as port:
        report = await check({"kind": "tls", "address": f"127.0.0.1:{port}", "server_name": ".bad"})
    assert finding(report, "check").outcome is Outcome.ERRORED


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("api.example.com", ("api.example.com", 443)),
        ("api.example.com:8443", ("api.example.com", 8443)),
        ("https://api.example.com/v1", ("api.example.com", 443)),
        ("[::1]:6443", ("::1", 6443)),
    ],
)
def test_an_address_is_a_host_with_a_port_or_an_https_address(address, parts):
    assert _host_and_port(address) == parts


@pytest.mark.parametrize("address", ["", ":443", "http://a", "host:port", "host:99999", "[::1"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ConfigError):
        _host_and_port(address)


@pytest.mark.parametrize(
    "wanted", ["a.example.com", "A.Example.Com", "x.wild.example.com", "wild.example.com", "a.x.wild.example.com"]
)
def test_names_are_matched_as_openssl_matches_them(authority, wanted):
    leaf = authority.issue_cert("a.example.com", "*.wild.example.com", "127.0.0.1")
    offered = names(x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()))
    assert matches(wanted, offered) is _openssl_agrees(authority, leaf, wanted)


@pytest.mark.parametrize(("wanted", "right"), [("127.0.0.1", True), ("127.0.0.2", False), ("::1", True)])
def test_an_address_matches_only_itself(authority, wanted, right):
    leaf = authority.issue_cert("127.0.0.1", "::1")
    assert matches(wanted, names(x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()))) is right


def _openssl_agrees(authority, leaf, wanted) -> bool:
    """Shake hands in memory, with the name checked by OpenSSL itself."""
    client_context, server_context = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(client_context)
    leaf.configure_cert(server_context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=wanted)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return True
