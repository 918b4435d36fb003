"""Goes over the lines of files, and says what they tell against the limits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from tasks.core.logscan.access import Access
from tasks.core.logscan.addresses import Proxies
from tasks.core.logscan.hours import Hour, Hours
from tasks.core.logscan.json_lines import JsonLines
from tasks.core.logscan.sshd import Sshd
from tasks.core.logscan.tally import Count, What
from tasks.core.logscan.traffic import Traffic

_MOST_SAMPLES = 20
_MOST_SHOWN = 10_000
_CRI = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) (?:stdout|stderr) [FP] ")


class Format(StrEnum):
    """How the lines are written."""

    AUTO = "auto"
    SSHD = "sshd"
    NGINX = "nginx"
    JSON = "json"


@dataclass(frozen=True)
class Limits:
    """What is too much; each is still fine itself.

    Attributes:
        by_source: Failed logins of one source, over all that was scanned.
        an_hour: Failed logins of all sources in one hour.
        limited_an_hour: Rate-limit violations of all sources in one hour.
    """

    by_source: int = 50
    an_hour: int = 100
    limited_an_hour: int = 1000


@dataclass
class Scanned:
    """What was read of one file.

    Attributes:
        name: Its path.
        lines: Lines that are not empty.
        understood: Those by the format in which they are written.
        first_strange: The number of the first line that was not understood.
        too_long: Lines longer than any log writes, which are not looked at.
        problem: Why it was not read to its end; empty where it was.
    """

    name: str
    lines: int = 0
    understood: Counter[str] = field(default_factory=Counter)
    first_strange: int = 0
    too_long: int = 0
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        known = sum(self.understood.values())
        found = {"name": self.name, "lines": self.lines, "understood": dict(self.understood)}
        found |= {"not_understood": self.lines - known, "first_not_understood": self.first_strange or None}
        return found | {"too_long": self.too_long, "problem": self.problem or None}


class Scan:
    """Scans files one after the other.

    Args:
        written: How their lines are written; `auto` tells it of each line, so that files may be mixed.
        proxies: Whose X-Forwarded-For is believed.
        zone: Of times that name none.
        limits: What is too much.
        traffic: Where the requests of each address are counted, where they are.
    """

    def __init__(
        self,
        written: Format = Format.AUTO,
        proxies: Proxies | None = None,
        zone: ZoneInfo | None = None,
        limits: Limits | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        self.traffic = traffic
        self._format, self._proxies = written, proxies or Proxies()
        self._zone, self._limits = zone or ZoneInfo("UTC"), limits or Limits()
        self._counts = {what: Count() for what in What}
        self._patterns: Counter[str] = Counter()
        self._samples: list[dict[str, Any]] = []
        self.files: list[Scanned] = []

    def read(self, name: str, lines: Iterable[bytes | None], reference: datetime, year: int | None = None) -> Scanned:
        """Scan one file.

        Args:
            name: Its path, for the result.
            lines: Its lines, without what ends them; None stands for one that is too long.
            reference: When the file was written last.
            year: The year of its first line, where lines leave it out and it is known.

        Raises:
            OSError: As the lines raise it; what was read until then counts.
        """
        file = Scanned(name)
        self.files.append(file)
        hours = Hours(self._zone, reference, year)
        sshd = Sshd(self._counts[What.FAILED_LOGIN].add, hours)
        served = None if self.traffic is None else self.traffic.add
        access = Access(self._found, self._hit, hours, self._proxies, served)
        documents = JsonLines(
            self._found,
            self._hit,
            hours,
            self._proxies,
            sshd,
            lambda line: sshd.line(line) or access.line(line),
            served,
        )
        try:
            self._go_over(file, lines, _reader(self._format, sshd, access, documents))
        finally:
            sshd.end()
            for count in self._counts.values():
                count.settle(hours)
            if self.traffic is not None:
                self.traffic.settle(hours)
        return file

    @staticmethod
    def _go_over(file: Scanned, lines: Iterable[bytes | None], read: Callable[[bytes], str]) -> None:
        understood = file.understood
        for line in lines:
            if not line:
                if line is None:
                    file.lines += 1
                    file.too_long += 1
                continue
            file.lines += 1
            written = read(_of_container(line) if line[:2] == b"20" else line)
            if written:
                understood[written] += 1
            elif not file.first_strange:
                file.first_strange = file.lines

    def _found(self, what: What, source: str, hour: Hour, count: int) -> None:
        self._counts[what].add(source, hour, count)

    def _hit(self, source: str, hour: Hour, name: str, part: str) -> None:
        self._counts[What.INJECTION].add(source, hour, 1)
        self._patterns[name] += 1
        if len(self._samples) < _MOST_SAMPLES:
            self._samples.append(
                {
                    "source": source,
                    "pattern": name,
                    "part": part,
                    "file": self.files[-1].name,
                    "line": self.files[-1].lines,
                }
            )

    def result(self) -> dict[str, Any]:
        """Return what was found, for JSON: by source, by hour, over a limit, and what was not understood."""
        limits, failed = self._limits, self._counts[What.FAILED_LOGIN]
        logins = _of(failed, limits.an_hour)
        over = [(source, one) for source, one in failed.sources.items() if one.total > limits.by_source]
        logins["sources_over_limit"] = [
            {"source": source, "count": one.total, "most_in_an_hour": one.most}
            for source, one in sorted(over, key=lambda pair: (-pair[1].total, pair[0]))
        ]
        limited = _of(self._counts[What.RATE_LIMIT], limits.limited_an_hour)
        injected = _of(self._counts[What.INJECTION], 0)
        del injected["hours_over_limit"]
        injected |= {"by_pattern": dict(self._patterns.most_common()), "samples": self._samples}
        files = [file.as_dict() for file in self.files]
        return {
            "format": self._format,
            "verdict": self._verdict(logins, limited, injected),
            "lines": sum(file.lines for file in self.files),
            "not_understood": sum(file["not_understood"] for file in files),
            What.FAILED_LOGIN: logins,
            What.RATE_LIMIT: limited,
            What.INJECTION: injected,
            "limits": {
                "failed_logins_by_source": limits.by_source,
                "failed_logins_an_hour": limits.an_hour,
                "rate_limit_violations_an_hour": limits.limited_an_hour,
            },
            "files": files,
        }

    def _verdict(self, logins: dict[str, Any], limited: dict[str, Any], injected: dict[str, Any]) -> str:
        if (
            logins["sources_over_limit"]
            or logins["hours_over_limit"]
            or limited["hours_over_limit"]
            or injected["total"]
        ):
            return "failed"
        blind = not any(file.understood for file in self.files)
        return "unknown" if blind or any(file.problem for file in self.files) else "passed"


def _of_container(line: bytes) -> bytes:
    """Return what a container wrote, without what the kubelet writes before it; any other line is as it is."""
    found = _CRI.match(line)
    return line if found is None else line[found.end() :]


def _of(count: Count, an_hour: int) -> dict[str, Any]:
    by_source = sorted(count.sources.items(), key=lambda pair: (-pair[1].total, pair[0]))
    hours = sorted(count.hours.items())
    return {
        "total": count.total,
        "sources": len(by_source),
        "by_source": {source: one.total for source, one in by_source[:_MOST_SHOWN]},
        "by_hour": {_written(hour): number for hour, number in hours},
        "without_time": count.without_time,
        "hours_over_limit": [{"hour": _written(hour), "count": number} for hour, number in hours if number > an_hour],
    }


def _written(hour: datetime) -> str:
    return f"{hour:%Y-%m-%dT%H:%M}Z"


def _reader(written: Format, sshd: Sshd, access: Access, documents: JsonLines) -> Callable[[bytes], str]:
    """Return what reads a line and names the format in which it is written, or says nothing."""
    if written is Format.SSHD:
        return lambda line: "sshd" if sshd.line(line) else ""
    if written is Format.NGINX:
        return lambda line: "nginx" if access.line(line) else ""
    if written is Format.JSON:
        return lambda line: "json" if documents.line(line) else ""

    readers: list[tuple[str, Callable[[bytes], bool]]] = [("sshd", sshd.line), ("nginx", access.line)]

    def any_of_them(line: bytes) -> str:
        if line[:1] == b"{":
            return "json" if documents.line(line) else ""
        for number, (name, read) in enumerate(readers):
            if read(line):
                if number:
                    readers.reverse()  # the next line is most likely written like this one
                return name
        return ""

    return any_of_them
