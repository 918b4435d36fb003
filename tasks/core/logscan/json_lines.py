"""Logs of one JSON document a line: of applications, proxies, the journal, honeypots."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tasks.core.logscan.access import TOO_MANY, UNAUTHORIZED, Found, Hit, Served, target
from tasks.core.logscan.addresses import UNKNOWN, Proxies, canonical
from tasks.core.logscan.hours import UNTOLD, Hour, Hours
from tasks.core.logscan.injection import injection
from tasks.core.logscan.sshd import Sshd
from tasks.core.logscan.tally import What

_SOURCES = (
    "remote_addr", "client_ip", "clientip", "clientIp", "client_addr", "client.ip", "client.address", "source.ip",
    "source.address", "source_ip", "sourceIPAddress", "src_ip", "srcip", "remote_ip", "remoteIp", "remote_address",
    "remoteAddress", "remoteAddr", "remote_host", "ip", "ip_address", "ipAddress", "request.remote_ip",
    "request.client_ip",
    "httpRequest.remoteIp", "client", "rhost", "peer", "host_ip", "addr", "address", "source", "remote",
)  # fmt: skip
_TIMES = (
    "time_iso8601", "@timestamp", "timestamp", "time", "ts", "time_local", "datetime", "date", "eventTime", "asctime",
    "msec", "created_at", "start_time", "__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP",
)  # fmt: skip
_STATUSES = (
    "status", "status_code", "statusCode", "http_status", "http.response.status_code", "response.status",
    "response.status_code", "response", "httpRequest.status", "code",
)  # fmt: skip
_TARGETS = (
    "request", "request_uri", "uri", "url", "path", "url.original", "url.full", "url.path", "url.query", "http.url",
    "request.uri", "request.url", "request.path", "httpRequest.requestUrl", "args", "query", "query_string", "referer",
    "http_referer", "referrer", "http.request.referrer", "user_agent", "http_user_agent", "user_agent.original",
    "body", "request_body", "payload",
)  # fmt: skip
_EVENTS = (
    "event", "event.action", "event.type", "event_type", "eventType", "eventid", "event_name", "eventName", "action",
    "type", "message", "msg", "error", "error_type", "error.type", "error.message", "errorMessage", "reason",
)  # fmt: skip
_FORWARDED = ("http_x_forwarded_for", "x_forwarded_for", "x-forwarded-for", "xff", "forwarded_for")
_LONGEST_EVENT = 300
_LOGIN = r"(?:log[ _.-]?[io]n|sign[ _.-]?in|auth(?:entication|enticate|n)?|password|credentials?)"
_BAD = r"(?:fail(?:ed|ure|s)?|denied|invalid|incorrect|wrong|bad|reject(?:ed)?|unsuccessful)"
_FAILED = re.compile(
    rf"(?<![a-z]){_BAD}[ _.:-]{{1,3}}(?:user[ _.-])?(?:ssh[ _.-])?{_LOGIN}(?![a-z])"
    rf"|(?<![a-z]){_LOGIN}(?:[ _.-](?:attempt|was|has|event))?[ _.:-]{{1,3}}{_BAD}(?![a-z])"
    r"|^(?:user)?login(?:failed|failure)$"
)
_LIMITED = re.compile(
    r"(?<![a-z])rate[ _.-]?limit(?:ed|ing)?(?:[ _.-](?:exceeded|violation|hit|reached|triggered|rejected))?$"
    r"|(?<![a-z])rate[ _.-]?limit[ _.-](?:was[ _.-])?(?:exceeded|violat\w+|hit|reached)|too[ _.-]many[ _.-]requests"
)


class JsonLines:
    """Reads documents.

    Args:
        found: Told of what is counted: what, source, hour, how often.
        hit: Told of an injection.
        hours: Reads the times of this file.
        proxies: Whose X-Forwarded-For is believed.
        sshd: Judges what the journal has of sshd.
        inner: Reads the line that a container wrote, where an engine wrapped it into JSON.
        served: Told of every request, where traffic is counted.
    """

    def __init__(
        self,
        found: Found,
        hit: Hit,
        hours: Hours,
        proxies: Proxies,
        sshd: Sshd,
        inner: Callable[[bytes], bool],
        served: Served | None = None,
    ) -> None:
        self._found, self._hit, self._hours, self._proxies = found, hit, hours, proxies
        self._sshd, self._inner, self._served = sshd, inner, served

    def line(self, line: bytes) -> bool:
        """Read one whole line; tell whether it is an object of JSON."""
        try:
            document = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return False
        if not isinstance(document, dict):
            return False
        if self._wrapped(document) or self._journal(document):
            return True
        status = _number(_first(document, _STATUSES))
        failed = status == UNAUTHORIZED or _says_failed(document)
        limited = status == TOO_MANY or (not failed and _says(document, _LIMITED))
        hit = next(filter(None, map(injection, _texts(document))), None)
        counted = self._served is not None and status != 0
        if not (failed or limited or hit or counted):
            return True
        hour, source = self._hour(document), self._source(document)
        if counted and self._served is not None:
            self._served(source, hour)
        if failed:
            self._found(What.FAILED_LOGIN, source, hour, 1)
        if limited:
            self._found(What.RATE_LIMIT, source, hour, 1)
        if hit is not None:
            self._hit(source, hour, *hit)
        return True

    def _wrapped(self, document: dict[str, Any]) -> bool:
        """Read a line of a container as Docker's own driver keeps it: `log`, `stream`, `time`."""
        text = document.get("log")
        if not isinstance(text, str) or document.get("stream") not in ("stdout", "stderr"):
            return False
        line = text.rstrip("\r\n").encode("utf-8", "replace")
        if line.startswith(b"{") and b'"stream"' not in line:
            self.line(line)
        else:
            self._inner(line)
        return True

    def _journal(self, document: dict[str, Any]) -> bool:
        """Read what `journalctl -o json` has of sshd, or a shipper of logs that names the program."""
        program = (
            document.get("SYSLOG_IDENTIFIER")
            or document.get("_COMM")
            or _first(document, ("process.name", "program", "syslog.appname"))
        )
        message = document.get("MESSAGE", document.get("message"))
        if not isinstance(program, str) or not isinstance(message, str) or not program.startswith("sshd"):
            return False
        pid = str(document.get("SYSLOG_PID") or document.get("_PID") or _first(document, ("process.pid", "pid")) or "")
        host = str(document.get("_HOSTNAME") or _first(document, ("host.name", "hostname", "host")) or "")
        process = (host.encode(), b"sshd:" + pid.encode())
        self._sshd.message(message.encode(), process, self._hour(document))
        return True

    def _hour(self, document: dict[str, Any]) -> Hour:
        for name in _TIMES:
            value = _at(document, name)
            if value is not None and (hour := self._hours.any(value)) != UNTOLD:
                return hour
        return UNTOLD

    def _source(self, document: dict[str, Any]) -> str:
        for name in _SOURCES:
            value = _at(document, name)
            if isinstance(value, str) and value and (found := canonical(value)) != UNKNOWN:
                forwarded = _first(document, _FORWARDED)
                return self._proxies.client(found, forwarded if isinstance(forwarded, str) else "")
        return UNKNOWN


def _at(document: dict[str, Any], name: str) -> Any:
    """Return a field by its name, whether the dots in it are nested objects or not."""
    if name in document:
        return document[name]
    value: Any = document
    if "." not in name:
        return None
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _first(document: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((value for name in names if isinstance(value := _at(document, name), str | int)), None)


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _texts(document: dict[str, Any]) -> list[bytes]:
    return [
        target(value.encode("utf-8", "replace"))
        for name in _TARGETS
        if isinstance(value := _at(document, name), str) and value
    ]


def _says(document: dict[str, Any], expression: re.Pattern[str]) -> bool:
    for name in _EVENTS:
        value = _at(document, name)
        if isinstance(value, str) and expression.search(_in_words(value[:_LONGEST_EVENT])):
            return True
    return False


def _says_failed(document: dict[str, Any]) -> bool:
    outcome = _first(document, ("event.outcome", "outcome", "result", "success"))
    kind = " ".join(str(_at(document, name)) for name in ("event.category", "event.action", "event", "action"))
    if (outcome is False or str(outcome).lower() in ("failure", "failed", "fail", "denied")) and re.search(
        rf"(?<![a-z]){_LOGIN}(?![a-z])", _in_words(kind[:_LONGEST_EVENT])
    ):
        return True
    return _says(document, _FAILED)


def _in_words(text: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower()
