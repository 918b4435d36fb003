"""Failed logins in the log of sshd, each attempt once, whichever of its lines were written.

One attempt leaves up to five lines: `Invalid user`, PAM's `authentication failure`, `Failed password`,
`maximum authentication attempts exceeded`, `Connection closed by authenticating user`. They are put together by the
process that served the connection; what counts is the greatest number that one sort of line tells. A name of a user
may hold anything, a whole line of a log too: so the address is read from the right, and only of whole lines.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.core.logscan.addresses import UNKNOWN, canonical, is_address
from tasks.core.logscan.hours import Hour, Hours

_MOST_SESSIONS = 20_000
_MOST_REPEATS = 1_000_000

_STAMP = (
    rb"(?:([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)(?:\.\d+)?(?: [A-Z]{2,5})?"
    rb"|(?:[A-Z][a-z]{2} )?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?))"
)
_TAG = rb"(?:([\w./@-]{1,60}?)(?:\([\w:.-]{1,40}\))?(?:\[(\d+)\])?: |([\w./@-]{1,60}) (\d+|-) \S+ (?:-|\[[^\]]*\]) )"
_HEAD = re.compile(rb"(?:<\d{1,3}>)?(?:1 )?" + _STAMP + rb" (?:([^\s:\[]+|[0-9a-fA-F:.]+) )??" + _TAG)
_COMMON_HEAD = re.compile(rb"([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) ([^\s:\[]+) sshd\[(\d+)\]: ")
_LAST_REPEATED = re.compile(
    rb"(?:<\d{1,3}>)?" + _STAMP + rb" (?:([^\s:\[]+) )?(?:[\w-]+(?:\[\d+\])?: )?last message repeated (\d{1,9}) times?$"
)
_REPEATED = re.compile(rb"message repeated (\d{1,9}) times?: \[ ?(.*?) ?\]$", re.DOTALL)
_FAILED = re.compile(
    rb"(?:error: )?Failed (\S+) for (?:(?:invalid|illegal) user )?(.*) from (\S+) port (\d+)(?: ssh\d?)?"
    rb"(?:: [\w.@-]+ \S+)?(?: \[preauth\])?$",
    re.DOTALL,
)
_INVALID = re.compile(rb"(?:Invalid|Illegal) user (.*) from (\S+?)(?: port (\d+))?$", re.DOTALL)
_PAM = re.compile(
    rb"(?:(pam_\w+)\([\w:.-]+\): )?authentication failure; "
    rb"logname=\S* uid=\d* euid=\d* tty=\S* ruser=(\S*) rhost=(\S*)"
)
_PAM_MORE = re.compile(
    rb"(?:error: )?PAM (\d{1,9}) more authentication failures?; "
    rb"logname=\S* uid=\d* euid=\d* tty=\S* ruser=(\S*) rhost=(\S*)"
)
_PAM_ERROR = re.compile(
    rb"error: PAM: (?:Authentication failure|User not known to the underlying authentication module|"
    rb"Permission denied|User account has expired|Authentication token is no longer valid.*?)"
    rb" for (?:(?:invalid|illegal) user )?(.*) from (\S+?)(?: via \S+)?$",
    re.DOTALL,
)
_MAXIMUM = re.compile(
    rb"(?:error: )?maximum authentication attempts exceeded for (?:(?:invalid|illegal) user )?(.*) from (\S+) "
    rb"port (\d+)(?: ssh\d?)?(?: \[preauth\])?$",
    re.DOTALL,
)
_LEFT = re.compile(
    rb"(?:Connection (?:closed|reset) by|Disconnected from|Disconnecting) (?:authenticating|invalid) user "
    rb"(.*) (\S+) port (\d+)(?:: Too many authentication failures)?(?: \[preauth\])?$",
    re.DOTALL,
)
_REFUSED = re.compile(rb"User (.*) from (\S+) not allowed because ", re.DOTALL)
_ROOT_REFUSED = re.compile(rb"ROOT LOGIN REFUSED FROM (\S+?)(?: port (\d+))?(?: \[preauth\])?$")
_ACCEPTED = re.compile(rb"Accepted (\S+) for (.*) from (\S+) port (\d+)(?: ssh\d?)?", re.DOTALL)
_TELLING = (
    b"Failed ", b"pam_", b"message repeated ", b"Invalid user", b"Illegal user", b"authentication failure", b"PAM ",
    b"error: ", b"maximum ", b"Connection ", b"Disconnect", b"Received ", b"User ", b"ROOT ", b"Accepted ",
)  # fmt: skip
"""What a message begins with that may tell of an attempt."""

_UNIX = b"pam_unix"
_NO_GUESS = frozenset({b"none", b"publickey", b"hostbased", b"gssapi-with-mic", b"gssapi-keyex"})
"""Methods that clients try by themselves before they guess: together they are one attempt of a connection at most."""

_PEER = re.compile(
    rb"(?:Connection closed by|Received disconnect from|Connection reset by) ([0-9a-fA-F:.]+)(?: port \d+)?[: ]"
)

Found = Callable[[str, Hour, int], None]


@dataclass(slots=True)
class _Session:
    """One connection, as far as its lines were seen."""

    hour: Hour
    source: str = ""
    name: str = ""
    port: bytes | None = None
    failed: int = 0
    pam: dict[bytes, int] = field(default_factory=dict)
    errors: int = 0
    weak: bool = False
    accepted: bool = False


class Sshd:
    """Reads the lines of sshd.

    Args:
        found: Told of every failed attempt: source, hour, how many.
        hours: Reads the times of this file.
    """

    def __init__(self, found: Found, hours: Hours) -> None:
        self._found, self._hours = found, hours
        # A plain dict is slow to find its first entry once many before it were taken out.
        self._sessions: OrderedDict[tuple[bytes, bytes], _Session] = OrderedDict()
        self._previous: tuple[bytes, bytes, bytes] | None = None

    def line(self, line: bytes) -> bool:
        """Read one whole line; tell whether it is one of syslog or the journal."""
        common = _COMMON_HEAD.match(line)
        if common is not None:
            stamp, host, pid = common.groups()
            message = line[common.end() :]
            process = (host, b"sshd:" + pid)
            self._previous = (host, process[1], message)
            if message.startswith(_TELLING):
                self.message(message, process, self._hours.syslog(stamp))
            return True
        head = _HEAD.match(line)
        if head is None:
            return self._last_repeated(line)
        self._uncommon(line, head)
        return True

    def _uncommon(self, line: bytes, head: re.Match[bytes]) -> None:
        stamp, iso, host, tag, pid, tag5424, pid5424 = head.groups()
        message = line[head.end() :]
        tag = tag or tag5424
        if b"sshd" not in tag and b"rhost=" not in message:
            self._previous = None
            return
        hour = self._hours.syslog(stamp) if stamp else self._hours.iso(iso)
        process = (host or b"", b"%b:%b" % (tag.split(b"/")[-1][:4], pid or pid5424 or b""))
        self._previous = (*process, message)
        self.message(message, process, hour)

    def message(self, message: bytes, process: tuple[bytes, bytes], hour: Hour) -> None:
        """Read a message of sshd.

        Args:
            message: Without time, host and tag.
            process: The host, and the name and number of the process, that served the connection.
            hour: When it was written.
        """
        times = 1
        if message.startswith(b"message repeated "):
            repeated = _REPEATED.match(message)
            if repeated is None:
                return
            times, message = min(int(repeated[1]), _MOST_REPEATS), repeated[2]
        self._judge(message, process, hour, times)

    def end(self) -> None:
        """Count what is still open at the end of a file."""
        for session in self._sessions.values():
            self._close(session)
        self._sessions.clear()
        self._previous = None

    def _last_repeated(self, line: bytes) -> bool:
        found = _LAST_REPEATED.match(line) if b"last message repeated" in line else None
        if found is None:
            return False
        stamp, iso, host, times = found.groups()
        if self._previous is not None and self._previous[0] == (host or b""):
            hour = self._hours.syslog(stamp) if stamp else self._hours.iso(iso)
            *process, message = self._previous
            self._judge(message, (process[0], process[1]), hour, min(int(times), _MOST_REPEATS))
        self._previous = None
        return True

    def _judge(self, text: bytes, process: tuple[bytes, bytes], hour: Hour, times: int) -> None:  # noqa: C901, PLR0912 - one case for each sort of line
        text = text.rstrip()
        if b"authentication failure" in text:
            if found := _PAM.match(text):
                self._pam(text, process, hour, (found[1] or _UNIX, found[2], found[3]), times)
                return
            if found := _PAM_MORE.match(text):
                more = min(int(found[1]), _MOST_REPEATS)
                self._pam(text, process, hour, (_UNIX, found[2], found[3]), times * more)
                return
        elif text.startswith(b"pam_"):
            return
        if text.startswith((b"Failed ", b"error: Failed ")):
            self._failed(text, process, hour, times)
        elif text.startswith((b"Invalid user", b"Illegal user")):
            if found := _INVALID.match(text):
                self._of(process, hour, found[2], found[3]).weak = True
        elif text.startswith(b"error: PAM: "):
            if found := _PAM_ERROR.match(text):
                self._of(process, hour, name=found[2]).errors += times
        elif b"maximum authentication attempts exceeded" in text:
            if found := _MAXIMUM.match(text):
                self._of(process, hour, found[2], found[3]).weak = True
        elif text.startswith((b"Connection ", b"Disconnect", b"Received ")):
            if found := _LEFT.match(text):
                self._of(process, hour, found[2], found[3]).weak = True
            elif (found := _PEER.match(text)) and process in self._sessions:
                self._of(process, hour, found[1])
        elif text.startswith(b"User "):
            if found := _REFUSED.match(text):
                self._of(process, hour, name=found[2]).weak = True
        elif text.startswith(b"ROOT LOGIN REFUSED"):
            if found := _ROOT_REFUSED.match(text):
                self._of(process, hour, found[1], found[2]).weak = True
        elif text.startswith(b"Accepted ") and (found := _ACCEPTED.match(text)) and process in self._sessions:
            self._sessions[process].accepted = True

    def _pam(
        self, text: bytes, process: tuple[bytes, bytes], hour: Hour, said: tuple[bytes, bytes, bytes], times: int
    ) -> None:
        """Count by module: two modules may tell of one attempt."""
        module, asking, rhost = said
        if asking and text.count(b" rhost=") > 1:
            rhost = b""  # the name of who asks may hold an address of its own
        told = self._of(process, hour, name=rhost).pam
        told[module] = told.get(module, 0) + times

    def _failed(self, text: bytes, process: tuple[bytes, bytes], hour: Hour, times: int) -> None:
        found = _FAILED.match(text)
        if found is None:
            self._of(process, hour).weak = True
            return
        session = self._of(process, hour, found[3], found[4])
        if found[1].partition(b"/")[0] in _NO_GUESS:
            session.weak = True
            return
        session.failed += times
        self._found(session.source, hour, times)

    def _of(
        self,
        process: tuple[bytes, bytes],
        hour: Hour,
        source: bytes | None = None,
        port: bytes | None = None,
        *,
        name: bytes | None = None,
    ) -> _Session:
        """Return the connection that a line is of; a number of a process is used again after some time."""
        key = process if not process[1].endswith(b":") else (process[0], source or name or b"")
        session = self._sessions.get(key)
        at = canonical(source.decode("utf-8", "replace")) if source else ""
        if session is not None and (
            abs(hour - session.hour) > 1
            or (at and session.source and at != session.source)
            or (port and session.port and port != session.port)
        ):
            self._close(self._sessions.pop(key))
            session = None
        if session is None:
            if len(self._sessions) >= _MOST_SESSIONS:
                self._close(self._sessions.popitem(last=False)[1])
            session = self._sessions[key] = _Session(hour)
        session.hour, session.source, session.port = hour, at or session.source, port or session.port
        if name and not session.name:
            self._name(session, name)
        return session

    @staticmethod
    def _name(session: _Session, name: bytes) -> None:
        session.name = canonical(name.decode("utf-8", "replace"))
        if not session.source and is_address(session.name):
            session.source = session.name

    def _close(self, session: _Session) -> None:
        if session.accepted:
            return  # keys that did not fit, or a module of PAM that passed the question on
        told = max(session.errors, int(session.weak), *session.pam.values(), 0)
        if told > session.failed:
            self._found(session.source or session.name or UNKNOWN, session.hour, told - session.failed)
