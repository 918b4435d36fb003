"""Many objects of a bucket read quickly: signed GETs on a pool of connections.

A call of boto3 takes 1.8 ms of processor time, most of it in its machinery of models and events; one made here takes a
third of that, and a small object takes no longer than its call. Credentials, connections, certificates, proxies and
exceptions are botocore's own, so `tasks.clients.s3.translated` explains them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, urlsplit

from botocore import exceptions
from botocore.awsrequest import AWSPreparedRequest
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from tasks.clients.s3 import S3Client, read_answer

_OK = (200, 206)
_META = "x-amz-meta-"
_KEPT = ("Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control", "Expires")
_NOTHING = hashlib.sha256(b"").hexdigest()
_LONGEST_REFUSAL = 1 << 16
_EPOCH_OF_NOBODY = "Thu, 01 Jan 1970 00:00:00 GMT"


@dataclass(frozen=True)
class Fetched:
    """An object, or a range of it, with what the store says of the whole.

    Attributes:
        body: Its bytes; None where it is larger than was allowed for.
        size: Bytes of the whole object.
        tag: Its ETag, without quotes.
        at: When it was last modified, to the second.
        headers: Those that tell how it is to be served: `Content-Type`...
        metadata: What its owner wrote about it.
        tags: How many tags it has.
    """

    body: bytes | None = field(repr=False)
    size: int
    tag: str
    at: datetime
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    tags: int


class Objects:
    """Reads objects of one bucket, from many threads at once. `close()` it.

    Args:
        client: Of boto3, whose endpoint, region and credentials are used; buckets are addressed by path.
        bucket: The bucket's name.
        connections: How many are kept open.
        timeout: Seconds to connect, and between two packets.
        ca_bundle: PEM file of certificate authorities to trust instead of the host's.
    """

    def __init__(
        self, client: S3Client, bucket: str, connections: int, timeout: float, ca_bundle: Path | None = None
    ) -> None:
        parts = urlsplit(client.meta.endpoint_url)
        self._origin, self._host = f"{parts.scheme}://{parts.netloc}", parts.netloc
        self._path = f"{parts.path.rstrip('/')}/{bucket}/"
        self._region = client.meta.region_name
        self._credentials = client._request_signer._credentials  # noqa: SLF001 - boto3 lends them no other way
        self._session = URLLib3Session(
            verify=str(ca_bundle) if ca_bundle else True,
            proxies=get_environ_proxies(self._origin),
            timeout=(timeout, timeout),
            max_pool_connections=connections,
        )

    def get(
        self,
        key: str,
        *,
        version: str | None = None,
        span: tuple[int, int] | None = None,
        tag: str | None = None,
        at_most: int | None = None,
    ) -> Fetched:
        """Read an object, once.

        Args:
            key: The object's key.
            version: One of its versions; the current one by default.
            span: The first and the last byte that are wanted; all by default.
            tag: It must still have this ETag.
            at_most: With more bytes than this it is not read, and `body` is None.

        Raises:
            botocore.exceptions: As `tasks.clients.s3.Failure` has them.
        """
        path = f"{self._path}{quote(key, safe='/~')}"
        query = f"versionId={quote(version, safe='')}" if version else ""
        headers = _conditions(span, tag) | self._signature(path, query)
        url = f"{self._origin}{path}?{query}" if query else f"{self._origin}{path}"
        response = self._session.send(AWSPreparedRequest("GET", url, headers, None, stream_output=True))
        try:
            if response.status_code not in _OK:
                raise _refusal(response.status_code, read_answer(response, _LONGEST_REFUSAL))
            found = response.headers
            size = _whole_size(found)
            is_too_large = at_most is not None and size > at_most
            length = int(found.get("Content-Length", size))
            body = None if is_too_large else read_answer(response, length)
            if body is not None and len(body) != length:
                raise exceptions.ConnectionClosedError(endpoint_url=self._origin)
        finally:
            if response.raw.closed or response.raw.isclosed():
                response.raw.release_conn()
            else:
                response.raw.close()
        return Fetched(
            body=body,
            size=size,
            tag=found.get("ETag", "").strip('"'),
            at=parsedate_to_datetime(found.get("Last-Modified", _EPOCH_OF_NOBODY)),
            headers={name: found[name] for name in _KEPT if name in found},
            metadata={name[len(_META) :]: value for name, value in found.items() if name.lower().startswith(_META)},
            tags=int(found.get("x-amz-tagging-count", 0)),
        )

    def _signature(self, path: str, query: str) -> dict[str, str]:
        """Return the headers that sign a GET of an escaped path, by version 4 of AWS's signatures."""
        if self._credentials is None:
            return {}
        lent, now = self._credentials.get_frozen_credentials(), datetime.now(UTC)
        signed = {"host": self._host, "x-amz-content-sha256": _NOTHING, "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}"}
        if lent.token:
            signed["x-amz-security-token"] = lent.token
        lines, names = "".join(f"{name}:{value}\n" for name, value in signed.items()), ";".join(signed)
        request = f"GET\n{path}\n{query}\n{lines}\n{names}\n{_NOTHING}"
        scope = f"{now:%Y%m%d}/{self._region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{signed['x-amz-date']}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.new(_signing_key(lent.secret_key, scope), text.encode(), "sha256").hexdigest()
        credential = f"Credential={lent.access_key}/{scope}"
        signed["Authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        return signed

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


@lru_cache(maxsize=8)
def _signing_key(secret: str, scope: str) -> bytes:
    """Return the key that signs all of a day's requests to a region."""
    key = f"AWS4{secret}".encode()
    for piece in scope.split("/"):
        key = hmac.new(key, piece.encode(), "sha256").digest()
    return key


def _conditions(span: tuple[int, int] | None, tag: str | None) -> dict[str, str]:
    found = {} if span is None else {"Range": f"bytes={span[0]}-{span[1]}"}
    return found if tag is None else {**found, "If-Match": f'"{tag}"'}


def _whole_size(headers: Mapping[str, str]) -> int:
    text = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    if not text.isdigit():
        raise exceptions.ResponseStreamingError(error="an object without its length")
    return int(text)


def _refusal(status: int, body: bytes) -> exceptions.ClientError:
    """Return what boto3 raises for such an answer."""

    def said(name: str) -> str:
        match = re.search(rf"<{name}>([^<]*)</{name}>".encode(), body[:10_000])
        return match[1].decode("utf-8", "replace") if match else ""

    error = {"Code": said("Code") or str(status), "Message": said("Message")}
    return exceptions.ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")
