"""Many objects of a bucket read quickly: GETs on a pool of connections, signed by botocore.

A call of boto3 takes 1.8 ms of processor time, most of it in its machinery of models and events; one made here takes a
third of that, and a small object takes no longer than its call. Credentials, certificates, proxies and exceptions are
botocore's own, so `tasks.clients.s3.translated` explains them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

from botocore import exceptions
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from tasks.clients.s3 import S3Client, read_answer

_OK = (200, 206)
_META = "x-amz-meta-"
_KEPT = ("Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control", "Expires")
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
        self._base = f"{client.meta.endpoint_url.rstrip('/')}/{bucket}/"
        self._region = client.meta.region_name
        self._credentials = client._request_signer._credentials  # noqa: SLF001 - boto3 lends them no other way
        self._session = URLLib3Session(
            verify=str(ca_bundle) if ca_bundle else True,
            proxies=get_environ_proxies(self._base),
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
        url = self._base + quote(key, safe="/~") + (f"?versionId={quote(version, safe='')}" if version else "")
        request = AWSRequest("GET", url, headers=_conditions(span, tag), stream_output=True)
        if self._credentials is not None:
            S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
        response = self._session.send(request.prepare())
        try:
            if response.status_code not in _OK:
                raise _refusal(response.status_code, read_answer(response, _LONGEST_REFUSAL))
            found = response.headers
            size = _whole_size(found)
            is_too_large = at_most is not None and size > at_most
            length = int(found.get("Content-Length", size))
            body = None if is_too_large else read_answer(response, length)
            if body is not None and len(body) != length:
                raise exceptions.ConnectionClosedError(endpoint_url=self._base)
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

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


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
