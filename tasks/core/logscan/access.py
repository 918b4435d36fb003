"""Access and error logs of nginx, and access logs of Apache, which are written alike."""

from __future__ import annotations

import re
from collections.abc import Callable

from tasks.core.logscan.addresses import UNKNOWN, Proxies, canonical, is_address
from tasks.core.logscan.hours import Hour, Hours
from tasks.core.logscan.injection import injection
from tasks.core.logscan.tally import What

_HEAD = re.compile(
    rb'(\S+) (?:(\S+) )?(?:\S+) [^"]*\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\](?: |$)', re.DOTALL
)
_REST = re.compile(
    rb'"([^"\\]*(?:\\.[^"\\]*)*)" (\d{3}) (?:\d+|-)'
    rb'(?: "([^"\\]*(?:\\.[^"\\]*)*)" "([^"\\]*(?:\\.[^"\\]*)*)")?(.*)$',
    re.DOTALL,
)
_LOOSE = re.compile(rb'"(.*)" (\d{3}) (?:\d+|-)()()()$', re.DOTALL)
_FORWARDED = re.compile(rb'"([0-9a-fA-F:., \[\]%-]+)"')
_ERROR = re.compile(rb"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(\w+)\] \d+#\d+: (?:\*\d+ )?")
_LIMITING = re.compile(rb'limiting (?:requests|connections)(?:, excess: [\d.]+)? by zone "[^"]*", client: ([^,\s]+),')
_NO_PASSWORD = re.compile(
    rb'(?:user ".*"(?:: password mismatch| was not found in "[^"]*")|no user/password was provided[^,]*), '
)
_CLIENT = re.compile(rb", client: ([^,\s]+), server: ")

UNAUTHORIZED, TOO_MANY = 401, 429

Found = Callable[[What, str, Hour, int], None]
Hit = Callable[[str, Hour, str, str], None]
Served = Callable[[str, Hour], None]


class Access:
    """Reads the lines of access and error logs.

    Args:
        found: Told of what is counted: what, source, hour, how often.
        hit: Told of an injection: source, hour, pattern, the part that matched.
        hours: Reads the times of this file.
        proxies: Whose X-Forwarded-For is believed.
        served: Told of every request, where traffic is counted.
    """

    def __init__(self, found: Found, hit: Hit, hours: Hours, proxies: Proxies, served: Served | None = None) -> None:
        self._found, self._hit, self._hours, self._proxies = found, hit, hours, proxies
        self._served = served

    def line(self, line: bytes) -> bool:
        """Read one whole line; tell whether it is one of an access or error log."""
        begin = line.find(b'"')
        head = _HEAD.match(line, 0, begin if begin >= 0 else len(line))
        if head is None:
            return self._error(line)
        rest = _REST.match(line, head.end()) or _LOOSE.match(line, head.end())
        if rest is None:
            return False
        request, status, referrer, agent, after = rest.groups()
        hour = self._hours.common(head[3])
        code = int(status)
        hit_by = injection(target(request)) or injection(referrer or b"") or injection(agent or b"")
        if code not in (UNAUTHORIZED, TOO_MANY) and not hit_by and self._served is None:
            return True
        source = self._source(head[1], head[2], after)
        if self._served is not None:
            self._served(source, hour)
        if code == UNAUTHORIZED:
            self._found(What.FAILED_LOGIN, source, hour, 1)
        elif code == TOO_MANY:
            self._found(What.RATE_LIMIT, source, hour, 1)
        if hit_by:
            self._hit(source, hour, *hit_by)
        return True

    def _source(self, first: bytes, second: bytes | None, after: bytes) -> str:
        peer, other = first.decode("utf-8", "replace"), (second or b"-").decode("utf-8", "replace")
        if not is_address(peer) and is_address(other):
            peer = other  # Apache writes the virtual host before the address
        forwarded = _FORWARDED.findall(after)
        return self._proxies.client(peer, forwarded[-1].decode() if forwarded else "")

    def _error(self, line: bytes) -> bool:
        head = _ERROR.match(line)
        if head is None:
            return False
        hour = self._hours.iso(head[1])
        if limited := _LIMITING.match(line, head.end()):
            self._found(What.RATE_LIMIT, canonical(limited[1].decode("utf-8", "replace")), hour, 1)
        elif _NO_PASSWORD.match(line, head.end()):
            clients = _CLIENT.findall(line)
            # The name of the user and the request may hold such words of their own.
            source = canonical(clients[0].decode("utf-8", "replace")) if len(clients) == 1 else UNKNOWN
            self._found(What.FAILED_LOGIN, source, hour, 1)
        return True


def target(request: bytes) -> bytes:
    """Return the target of a request line, or all of what is none."""
    method, space, rest = request.partition(b" ")
    if not space or not method.isalpha():
        return request
    target, protocol, _ = rest.rpartition(b" HTTP/")
    return target if protocol else rest
