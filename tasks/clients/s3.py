"""S3 and stores that speak it: the one place where boto3 is imported.

Calls block; asynchronous code makes them through `tasks.clients.threads.in_thread`.
"""

from __future__ import annotations

import functools
import re
import threading
from pathlib import Path
from typing import Any

import boto3.session
from boto3.s3.transfer import TransferConfig
from botocore import exceptions
from botocore.config import Config
from botocore.httpsession import ProtocolError, URLLib3ReadTimeoutError, URLLib3SSLError
from botocore.parsers import ResponseParserError

from tasks.core.errors import (
    ConfigError,
    Denied,
    Garbled,
    NotOffered,
    PermanentError,
    TransientError,
    Unreachable,
    WatchkeeperError,
)

S3Client = Any
"""boto3's S3 client; boto3 ships no types."""

# botocore asks a store that redirects without naming a region again and again, until RecursionError.
Failure = (exceptions.BotoCoreError, exceptions.ClientError, ResponseParserError, OSError, RecursionError)
"""What a call on the client may raise; hand it to `translated`."""
BrokenOff = exceptions.IncompleteReadError
"""An answer that ended before its time, as when the connection broke."""

# A session reads megabytes of API models, so it is made once; clients may be shared by threads, their making may not.
_session = functools.cache(boto3.session.Session)
_making = threading.Lock()

_Explanation = tuple[type[WatchkeeperError], str, str | None]

_REFUSALS: dict[str, _Explanation] = {
    "AccessDenied": (Denied, "the store does not allow it", "check the access key's policy"),
    "AccountProblem": (Denied, "the account is locked", None),
    "ExpiredToken": (Denied, "the session has expired", None),
    "InvalidAccessKeyId": (Denied, "the store does not know the access key", None),
    "InvalidToken": (Denied, "the session's token is not valid", None),
    "RequestTimeTooSkewed": (Denied, "this host's clock is wrong", "set the clock"),
    "SignatureDoesNotMatch": (Denied, "the secret key is wrong", None),
    "AuthorizationHeaderMalformed": (ConfigError, "the bucket lives in another region", "set region"),
    "IllegalLocationConstraintException": (ConfigError, "the bucket lives in another region", "set region"),
    "PermanentRedirect": (ConfigError, "the bucket lives in another region", "set region"),
    "TemporaryRedirect": (ConfigError, "the bucket lives in another region", "set region"),
    "MethodNotAllowed": (NotOffered, "the store does not offer it", None),
    "NotImplemented": (NotOffered, "the store does not offer it", None),
    "SlowDown": (TransientError, "the store asks to slow down", None),
    "Throttling": (TransientError, "the store asks to slow down", None),
    "TooManyRequests": (TransientError, "the store asks to slow down", None),
}
_REFUSALS_BY_STATUS: dict[int, _Explanation] = {
    301: _REFUSALS["PermanentRedirect"],
    307: _REFUSALS["TemporaryRedirect"],
    401: _REFUSALS["AccessDenied"],
    403: _REFUSALS["AccessDenied"],
    405: _REFUSALS["MethodNotAllowed"],
    429: _REFUSALS["TooManyRequests"],
    501: _REFUSALS["NotImplemented"],
}
_FAILURES: tuple[tuple[tuple[type[BaseException], ...], _Explanation], ...] = (
    (
        (exceptions.NoCredentialsError, exceptions.PartialCredentialsError),
        (ConfigError, "there are no credentials for it", "set access_key and secret_key"),
    ),
    ((exceptions.ParamValidationError,), (ConfigError, "the bucket's or the key's name is not valid", None)),
    ((exceptions.NoRegionError,), (ConfigError, "there is no region", "set region")),
    (
        (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError, TimeoutError),
        (Unreachable, "it did not answer in time", None),
    ),
    ((RecursionError,), _REFUSALS["PermanentRedirect"]),
    ((exceptions.SSLError,), (Unreachable, "TLS failed: {cause}", None)),
    (
        (exceptions.EndpointConnectionError, exceptions.ProxyConnectionError),
        (Unreachable, "no connection: {cause}", None),
    ),
    (
        (ResponseParserError, exceptions.IncompleteReadError),
        (Garbled, "the answer is not S3's", "see that the endpoint is the S3 port"),
    ),
    ((exceptions.HTTPClientError, OSError), (Unreachable, "the connection broke: {cause}", None)),
)
UPLOAD_WHOLE = 8 << 20
"""Up to how many bytes an object is written, or read, in one call."""

_MOST_PARTS = 9_000
_SERVER_ERROR = 500
_LONGEST_ANSWER = 16 << 20  # a page of a thousand of the longest keys has 4 MiB
_LONGEST_MESSAGE = 200


def connect(
    endpoint: str | None,
    region: str | None,
    access_key: str | None,
    secret_key: str | None,
    timeout: float,
    ca_bundle: Path | None = None,
    service: str = "s3",
) -> S3Client:
    """Make a client that tries each request once. It connects on the first call; `close()` it.

    Args:
        endpoint: The store's address, or None for AWS. With an endpoint, buckets are addressed by path.
        region: None for us-east-1, or for the host's own configuration where there is no endpoint.
        access_key: None for the host's own AWS credentials.
        secret_key: The secret access key.
        timeout: Seconds to connect, and seconds between two packets of an answer.
        ca_bundle: PEM file of certificate authorities to trust instead of the host's.
        service: `s3`, or `iam` for the users and keys of the same store.

    Raises:
        ConfigError: The endpoint is no address, or there is no region for AWS.
    """
    if endpoint is not None and not re.match(r"https?://[^/\s]", endpoint):
        raise ConfigError("the endpoint is no address", hint="write https://host:port")
    config = Config(
        connect_timeout=timeout,
        read_timeout=timeout,
        retries={"total_max_attempts": 1, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
        user_agent_extra="watchkeeper",
    )
    try:
        with _making:
            client = _session().client(
                service,
                endpoint_url=endpoint,
                region_name=region or ("us-east-1" if endpoint else None),
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                verify=str(ca_bundle) if ca_bundle else None,
                config=config,
            )
            client.meta.events.register_first(f"before-send.{service}", functools.partial(_send, client))
            return client
    except (ValueError, exceptions.BotoCoreError) as error:
        raise ConfigError("the endpoint is no address", hint="write https://host:port") from error


def _send(client: S3Client, request: Any, **_: object) -> Any:
    """Send as botocore does, which reads an answer whole however long it is; an object is read by whoever asked for it.

    Raises:
        ResponseParserError: The answer is longer than any of S3's.
        HTTPClientError: It broke off.
    """
    if request.stream_output:
        return None
    request.stream_output = True
    response = client._endpoint.http_session.send(request)  # noqa: SLF001 - there is no other way to the session
    body = read_answer(response, _LONGEST_ANSWER)
    response._content = body  # noqa: SLF001 - where its `content` would keep it
    return response


def read_answer(response: Any, longest: int) -> bytes:
    """Read the body of an answer that is still to come.

    Args:
        response: What botocore's session returned for a request with `stream_output`.
        longest: At most so many bytes.

    Raises:
        ResponseParserError: It is longer.
        HTTPClientError: It broke off.
    """
    body = bytearray()
    try:
        for piece in response.raw.stream():
            body += piece
            if len(body) > longest:
                response.raw.close()
                raise ResponseParserError(f"the answer is longer than {longest} bytes")
    except URLLib3ReadTimeoutError as error:
        raise exceptions.ReadTimeoutError(endpoint_url=response.url, error=error) from error
    except (ProtocolError, URLLib3SSLError) as error:
        raise exceptions.HTTPClientError(error=error) from error
    return bytes(body)


def upload(client: S3Client, bucket: str, key: str, body: Any, size: int, extra: dict[str, Any]) -> None:
    """Write an object of any size from something that can only be read, with some parts of it in memory.

    Args:
        client: What `connect` returned.
        bucket: The bucket's name.
        key: The object's key.
        body: Has `read`.
        size: Of what it will give, in bytes.
        extra: `ContentType`, `Metadata`...

    Raises:
        botocore.exceptions: As `Failure` has them.
    """
    config = TransferConfig(
        multipart_threshold=UPLOAD_WHOLE, multipart_chunksize=max(UPLOAD_WHOLE, size // _MOST_PARTS), max_concurrency=2
    )
    config.max_in_memory_upload_chunks = 3
    client.upload_fileobj(body, bucket, key, ExtraArgs=extra, Config=config)


def error_code(error: BaseException) -> str:
    """Return S3's own code of a refusal (`NoSuchKey`, `PreconditionFailed`, `404`), or nothing for any other error."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, exceptions.ClientError) else ""


def translated(error: BaseException, operation: str) -> WatchkeeperError:
    """Map an exception of boto3 to ours. The text names no key, no signature and no credential in an address.

    Args:
        error: One of `Failure`.
        operation: What was being done, as a verb and a noun ("list objects").
    """
    kind, message, hint = _explained(error)
    return kind(message, operation=operation, hint=hint)


def _explained(error: BaseException) -> _Explanation:
    if isinstance(error, exceptions.ClientError):
        return _refused(error)
    for types, (kind, message, hint) in _FAILURES:
        if isinstance(error, types):
            return kind, message.format(cause=_cause(error)), hint
    return PermanentError, type(error).__name__, None


def _refused(error: Any) -> _Explanation:
    code, status = error_code(error), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    known = _REFUSALS.get(code) or _REFUSALS_BY_STATUS.get(status)
    if known is not None:
        return known
    message = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())[:_LONGEST_MESSAGE]
    told = f"{code}: {message}" if message and message != code else f"it answered {code or status}"
    if status >= _SERVER_ERROR:
        return Unreachable, f"the store failed: {told}", None
    return PermanentError, told, None


def _cause(error: BaseException) -> str:
    """Say in a few words what lies at the bottom of botocore's and urllib3's wrapping; the address is left out."""
    inner = getattr(error, "kwargs", {}).get("error") if isinstance(error, exceptions.BotoCoreError) else error
    text = str(getattr(inner, "reason", None) or inner or "")
    for pattern in (r"\[SSL: \w+\] ([a-z][^(]+)", r"([A-Z][a-z]+(?: [a-z]+)+)"):
        if words := re.findall(pattern, text):
            return str(words[-1]).strip()
    return type(inner or error).__name__
