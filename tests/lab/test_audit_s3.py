"""How a bucket and its keys are guarded, on a real store, and on IAM's documented answers where the store has none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from deployments.lab.servers import seaweedfs
from tasks.clients.secrets import SecretResolver
from tasks.core.audit import Part
from tasks.core.compliance_plan import CompliancePlan
from tasks.core.system import Access
from tasks.systems.s3.audit import audit
from tasks.systems.s3.spec import Spec

pytestmark = pytest.mark.lab

_KEYS = """<ListAccessKeysResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListAccessKeysResult>
<UserName>watchkeeper</UserName><AccessKeyMetadata>
<member><UserName>w</UserName><AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId><Status>Active</Status>{date}</member>
<member><UserName>w</UserName><AccessKeyId>AKIAI44QH8DHBEXAMPLE</AccessKeyId><Status>Inactive</Status>{date}</member>
</AccessKeyMetadata><IsTruncated>false</IsTruncated></ListAccessKeysResult>
<ResponseMetadata><RequestId>7a62c49f</RequestId></ResponseMetadata></ListAccessKeysResponse>"""


@contextmanager
def iam(date: str) -> Iterator[str]:
    """Answer as IAM's reference shows it; to what is asked of S3, that it is not implemented."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            assert "Action=ListAccessKeys" in asked
            self.answer(200, _KEYS.format(date=date).encode())

        def do_GET(self):
            self.answer(501, b"<Error><Code>NotImplemented</Code></Error>")

        def do_HEAD(self):
            self.do_GET()

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


def told(address: str, bucket: str, keys: tuple[str, str] = ("a", "b"), *, ask_iam: bool = False):
    references = {"access_key": {"env": "A"}, "secret_key": {"env": "B"}}
    spec = Spec.model_validate({"kind": "s3", "bucket": bucket, "endpoint": address, **references})
    plan = CompliancePlan.model_validate({"rotation": {"iam": ["storage"] if ask_iam else []}})
    resolver = SecretResolver({"A": keys[0], "B": keys[1]})
    access = Access(resolver, lambda: datetime.now(UTC), systems={"storage": spec})
    return asyncio.run(audit(spec, plan, access))


def test_the_age_of_an_active_key_is_told_by_the_end_of_its_name():
    with iam("<CreateDate>2026-03-01T10:00:00Z</CreateDate>") as address:
        found = told(address, "uploads", ask_iam=True)
    (key,) = found.secrets
    assert (key.name, key.changed) == ("access key ...MPLE", datetime(2026, 3, 1, 10, tzinfo=UTC))


def test_a_store_that_does_not_tell_when_a_key_was_made_is_a_gap():
    with iam("") as address:
        found = told(address, "uploads", ask_iam=True)
    assert found.secrets == []
    assert found.gaps[Part.SECRETS] == "the store does not tell when an access key was made"


@pytest.fixture
def bucket(s3_server):
    store = seaweedfs.client(s3_server.address)
    store.create_bucket(Bucket="guarded-uploads")
    yield store
    store.delete_bucket(Bucket="guarded-uploads")
    store.close()


def test_a_bucket_says_what_it_is_and_is_seen_open_by_acl_and_by_asking(s3_server, bucket):
    parts = urlsplit(s3_server.address)
    address, keys = f"http://127.0.0.1:{parts.port}", (parts.username, parts.password)
    (one,) = told(address, "guarded-uploads", keys).buckets
    assert (one.public, one.encryption, one.versioned, one.locked, one.expires) == ((), "", False, False, ())
    assert one.oldest is None
    bucket.put_bucket_acl(Bucket="guarded-uploads", ACL="public-read")
    rules = [
        {"ID": "some", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}},
        {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 7}},
    ]
    bucket.put_bucket_lifecycle_configuration(Bucket="guarded-uploads", LifecycleConfiguration={"Rules": rules})
    (one,) = told(address, "guarded-uploads", keys).buckets
    assert one.public == ("its ACL gives READ to AllUsers", "anybody may list it")
    assert one.expires == (7,)


def test_a_bucket_that_is_not_there_is_a_gap_and_no_bucket(s3_server):
    parts = urlsplit(s3_server.address)
    found = told(f"http://127.0.0.1:{parts.port}", "nobody-has-it", (parts.username, parts.password))
    assert found.buckets == []
    assert set(found.gaps) == {Part.BUCKETS, Part.PLACES}
