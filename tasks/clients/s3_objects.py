"""Many objects of a bucket read or listed quickly: signed GETs on a pool of connections.

A call of boto3 takes 1.8 ms of processor time, most of it in its machinery of models and events; one made here takes a
third of that, and a small object takes no longer than its call. A page of a listing takes boto3 70 ms, and 10 here.
Credentials, connections, certificates, proxies and exceptions are botocore's own, so `tasks.clients.s3.translated`
explains them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as ET

from botocore import exceptions
from botocore.awsrequest import AWSPreparedRequest
from botocore.httpsession import URLLib3Session
from botocore.parsers import ResponseParserError
from botocore.utils import get_environ_proxies

from tasks.clients.s3 import S3Client, read_answer

_OK = (200, 206)
_META = "x-amz-meta-"
_KEPT = ("Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control", "Expires")
_NOTHING = hashlib.sha256(b"").hexdigest()
_LONGEST_REFUSAL = 1 << 16
_LONGEST_PAGE = 16 << 20  # a thousand of the longest keys have 4 MiB
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


@dataclass(frozen=True)
class Page:
    """A part of a bucket's listing, in the order of keys.

    Attributes:
        sizes: Of each object, by key.
        folders: What keys begin with that have the delimiter, up to there and with it.
        tags: The ETag of each object without quotes, by key, where they were asked for.
        more: Whether another page follows.
    """

    sizes: dict[str, int]
    folders: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    more: bool = False


class Objects:
    """Reads and lists objects of one bucket, from many threads at once. `close()` it.

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
        response = self._ask(path, query, _conditions(span, tag))
        with _giving_back(response):
            found = response.headers
            size = _whole_size(found)
            is_too_large = at_most is not None and size > at_most
            length = int(found.get("Content-Length", size))
            body = None if is_too_large else read_answer(response, length)
            if body is not None and len(body) != length:
                raise exceptions.ConnectionClosedError(endpoint_url=self._origin)
        return Fetched(
            body=body,
            size=size,
            tag=found.get("ETag", "").strip('"'),
            at=parsedate_to_datetime(found.get("Last-Modified", _EPOCH_OF_NOBODY)),
            headers={name: found[name] for name in _KEPT if name in found},
            metadata={name[len(_META) :]: value for name, value in found.items() if name.lower().startswith(_META)},
            tags=int(found.get("x-amz-tagging-count", 0)),
        )

    def pages(self, prefix: str = "", delimiter: str = "", *, after: str = "", tagged: bool = False) -> Iterator[Page]:
        """Yield the listing of all keys that begin with a text, page by page; what has the delimiter as folders.

        Args:
            prefix: How the keys begin.
            delimiter: What ends a folder; none where it is empty.
            after: Keys come after this one, which begins as they do; all by default.
            tagged: Whether ETags are wanted too.

        Raises:
            botocore.exceptions: As `tasks.clients.s3.Failure` has them; an answer that is no listing is among them.
        """
        asked = {"encoding-type": "url", "list-type": "2", "prefix": prefix}
        if delimiter:
            asked["delimiter"] = delimiter
        if after:
            asked["start-after"] = after
        while True:
            query = "&".join(f"{name}={quote(value, safe='~')}" for name, value in sorted(asked.items()))
            response = self._ask(self._path, query, {})
            with _giving_back(response):
                body = read_answer(response, _LONGEST_PAGE)
            page, mark = _read_page(body, tagged=tagged)
            yield replace(page, more=True) if mark else page
            if not mark:
                return
            asked.pop("start-after", None)
            asked["continuation-token"] = mark

    def _ask(self, path: str, query: str, conditions: dict[str, str]) -> Any:
        """Send a GET, and return its answer once it is known to be none but what was asked for; its body is to come."""
        headers = conditions | self._signature(path, query)
        url = f"{self._origin}{path}?{query}" if query else f"{self._origin}{path}"
        response = self._session.send(AWSPreparedRequest("GET", url, headers, None, stream_output=True))
        if response.status_code not in _OK:
            with _giving_back(response):
                raise _refusal(response.status_code, read_answer(response, _LONGEST_REFUSAL))
        return response

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


@contextmanager
def _giving_back(response: Any) -> Iterator[None]:
    """Give a connection back once its answer was read to its end, and close it where it was not."""
    try:
        yield
    finally:
        if response.raw.closed or response.raw.isclosed():
            response.raw.release_conn()
        else:
            response.raw.close()


def _read_page(body: bytes, *, tagged: bool = False) -> tuple[Page, str]:
    """Read an answer of ListObjectsV2; return where the next page begins as well, or nothing after the last.

    Raises:
        ResponseParserError: It is none. What is no listing must never pass for an empty one.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - of bounded length; expat itself refuses entities that explode
    except ET.ParseError as error:
        raise ResponseParserError(f"the answer is no XML: {error}") from None
    space, _, name = root.tag.rpartition("}")
    if name != "ListBucketResult":
        raise ResponseParserError("the answer is no listing of a bucket")
    space += "}" * bool(space)
    is_cut, mark = root.findtext(f"{space}IsTruncated"), root.findtext(f"{space}NextContinuationToken", "")
    if is_cut not in ("true", "false") or (is_cut == "true" and not mark):
        raise ResponseParserError("the listing does not say whether and where it goes on")
    read = unquote if root.findtext(f"{space}EncodingType") == "url" else str
    key, size = f"{space}Key", f"{space}Size"
    try:
        sizes = {
            read(entry.findtext(key) or ""): int(entry.findtext(size) or "")
            for entry in root.iterfind(f"{space}Contents")
        }
    except ValueError:
        raise ResponseParserError("the listing has an object without a size") from None
    tags = {}
    if tagged:
        for entry in root.iterfind(f"{space}Contents"):
            tags[read(entry.findtext(key) or "")] = (entry.findtext(f"{space}ETag") or "").strip('"')
    folders = tuple(read(one.text or "") for one in root.iterfind(f"{space}CommonPrefixes/{space}Prefix"))
    return Page(sizes, folders, tags), mark if is_cut == "true" else ""


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
