"""Time stamps of the ledger's head, by an authority that is OpenSSL's own behind HTTP on loopback."""

import json
import shutil
import subprocess
import threading
import zipfile
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from deployments.cli import main
from tasks import evidence
from tasks.clients import timestamps
from tasks.clients.blobs import FolderStore
from tasks.core.errors import Garbled, Unreachable
from tasks.core.evidence import check_pack
from tasks.core.settings import Settings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL plays the authority")
CONFIGURATION = """
[tsa]
default_tsa = it
[it]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(folder, *words):
    return subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607 - ours


class Authority(ThreadingHTTPServer):
    """Answers a query by `openssl ts`, or by what a test sets."""

    daemon_threads = True
    instead = None

    def answer(self, query):
        if self.instead is not None:
            return self.instead
        (self.folder / "query").write_bytes(query)
        openssl(self.folder, "ts", "-reply", "-config", "ts.cnf", "-queryfile", "query", "-out", "reply")
        return 200, (self.folder / "reply").read_bytes()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tsa")
    (folder / "ts.cnf").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "use").write_text("extendedKeyUsage=critical,timeStamping\n", encoding="utf-8")
    openssl(folder, "req", "-x509", *KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Lab CA", "-days", "30")
    openssl(folder, "req", *KEY, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Lab TSA")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "use", "-days", "30")
    openssl(folder, "x509", "-req", "-in", "tsa.csr", *signed, "-out", "tsa.pem")
    openssl(folder, "req", "-x509", *KEY, "-keyout", "x.key", "-out", "stranger.pem", "-subj", "/CN=X", "-days", "30")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            status, body = self.server.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with Authority(("127.0.0.1", 0), Handler) as server:
        server.folder = folder
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


@pytest.fixture
def authority(served):
    yield served
    served.instead = None


@pytest.fixture
def settings(tmp_path, authority):
    return Settings(
        state=tmp_path,
        timestamps=f"http://127.0.0.1:{authority.server_port}/",
        timestamps_trusted=authority.folder / "ca.pem",
    )


def body(number):
    return {"collected_at": "2026-11-20T09:00:00Z", "platform": "shop", "flow": "check", "facts": {"n": number}}


@pytest.fixture
def stamped(settings):
    """Return a ledger of three records, of which the second was stamped, and the hashes of all."""
    ledger = evidence.open_ledger(settings)
    heads = [ledger.append(body(number)) for number in range(2)]
    evidence.stamp(heads[-1], settings)
    heads.append(ledger.append(body(2)))
    return ledger, dict(heads)


def test_a_stamp_says_when_the_head_was_there_and_its_signature_is_checked(settings, stamped):
    _, sealed = stamped
    proof = evidence.prove(settings, sealed)
    number, stamp = proof.newest
    assert (proof.stamps, proof.wrong, number, stamp.proven) == (1, (), 2, True)
    assert abs(stamp.at - datetime.now(UTC)) < timedelta(hours=1)
    unchecked = settings.model_copy(update={"timestamps_trusted": None})
    assert evidence.prove(unchecked, sealed).newest[1].proven is False


def test_a_stamp_of_another_record_and_one_that_a_stranger_signed_are_told(settings, stamped, authority):
    ledger, sealed = stamped
    swapped = sealed | {2: sealed[1]}
    assert "another hash" in evidence.prove(settings, swapped).wrong[0]
    stranger = settings.model_copy(update={"timestamps_trusted": authority.folder / "stranger.pem"})
    assert "nobody who is trusted" in evidence.prove(stranger, sealed).wrong[0]
    assert "not there" in evidence.prove(settings, {1: sealed[1]}).wrong[0]
    nothing = settings.model_copy(update={"timestamps_trusted": authority.folder / "ts.cnf"})
    assert "holds no certificates" in evidence.prove(nothing, sealed).wrong[0]
    data = bytearray(ledger.get("stamps/0000000002.tsr"))
    data[-10] ^= 1
    with pytest.raises(Garbled):
        timestamps.read(bytes(data), sealed[2], settings.timestamps_trusted)


@pytest.mark.parametrize(
    ("instead", "error"),
    [
        ((503, b""), Unreachable),
        ((200, b"<html>"), Garbled),
        ((200, b""), Garbled),
        ((200, b"\0" * 2_000_000), Unreachable),
    ],
)
def test_an_authority_that_answers_no_stamp_is_told_and_the_record_stays(settings, authority, instead, error):
    authority.instead = instead
    ledger = evidence.open_ledger(settings)
    head = ledger.append(body(1))
    with pytest.raises(error):
        evidence.stamp(head, settings)
    assert ledger.stamps() == {}
    assert ledger.verify(head).fault is None


def test_an_answer_to_another_query_is_no_stamp(settings, authority, stamped):
    ledger, _ = stamped
    authority.instead = (200, ledger.get("stamps/0000000002.tsr"))
    with pytest.raises(Garbled, match="something else"):
        timestamps.ask(settings.timestamps, b"other")


def test_an_authority_that_is_not_there_is_told(settings):
    nobody = settings.model_copy(update={"timestamps": "http://127.0.0.1:9/"})
    head = evidence.open_ledger(settings).append(body(1))
    with pytest.raises(Unreachable, match="no answer"):
        evidence.stamp(head, nobody)
    evidence.stamp(head, settings.model_copy(update={"timestamps": None}))
    assert evidence.open_ledger(settings).stamps() == {}


def test_a_pack_holds_the_stamps_and_openssl_alone_checks_them(settings, stamped, authority, tmp_path, monkeypatch):
    _, sealed = stamped
    monkeypatch.setenv("WATCHKEEPER_TIMESTAMPS_TRUSTED", str(settings.timestamps_trusted))
    arguments = ["evidence", "verify", "--state", str(tmp_path), "--json"]
    told = json.loads(CliRunner().invoke(main, arguments).output)
    assert told["timestamps"]["newest"]["record"] == 2
    assert told["timestamps"]["newest"]["signature_checked"] is True
    pack = tmp_path / "pack.zip"
    arguments = ["evidence", "pack", "--state", str(tmp_path), "--month", "2026-11", "--output", str(pack)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    with zipfile.ZipFile(pack) as archive:
        (tmp_path / "stamp").write_bytes(archive.read("stamps/0000000002.tsr"))
    words = ("ts", "-verify", "-digest", sealed[2], "-in", "stamp", "-CAfile", str(authority.folder / "ca.pem"))
    assert b"Verification: OK" in openssl(tmp_path, *words).stdout
    assert check_pack(pack.read_bytes())[0] == []


def test_a_forged_stamp_makes_verify_end_with_one(settings, stamped, tmp_path):
    ledger, _ = stamped
    FolderStore(tmp_path / "evidence").put("stamps/0000000003.tsr", ledger.get("stamps/0000000002.tsr"))
    outcome = CliRunner().invoke(main, ["evidence", "verify", "--state", str(settings.state)])
    assert (outcome.exit_code, "time stamp of record 3: it is of another hash" in outcome.output) == (1, True)
