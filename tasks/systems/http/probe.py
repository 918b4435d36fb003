"""Measures an HTTP service with httpx, by the requests that the spec names. Needs no more rights than they do."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import httpx

from tasks.clients.http import Answer, fetch, session, too_long
from tasks.core.errors import Unreachable
from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.core.units import format_duration
from tasks.systems.http.conditions import unmet
from tasks.systems.http.scrubbing import Scrubber
from tasks.systems.http.spec import CATALOG, Expectation, Headers, Spec

_MARGIN = 0.9  # of the system's time: what is slow must be told before the whole check is cut off

_REQUESTS = 3  # one answer says little of how fast a service is, the more so when it includes connecting
_HARMLESS = frozenset({"GET", "HEAD"})
_PARTS = {"dns_time": "DNS", "connect_time": "connect", "tls_time": "TLS", "first_byte": "first byte"}


@dataclass
class _Look:
    """What the requests of one path brought."""

    path: str
    answers: list[Answer] = field(default_factory=list)
    failure: str = ""


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield for each path whether it answered as expected, how fast and by which parts, and with which status."""
    seconds = spec.timeout.total_seconds() * _MARGIN
    end = asyncio.get_running_loop().time() + seconds
    secrets: list[str] = []
    common = _resolved(spec.headers, access, secrets)
    own = {path: _resolved(expectation.headers, access, secrets) for path, expectation in spec.expect.items()}
    scrubber = Scrubber(access.resolver, secrets)
    address = access.resolver.resolve(spec.url)
    async with session(address, ca_bundle=access.ca_bundle, headers=common, seconds=seconds) as client:
        looks = await asyncio.gather(
            *(_look(client, path, expectation, own[path], end) for path, expectation in spec.expect.items())
        )
    if not any(look.answers for look in looks):
        raise Unreachable(looks[0].failure)
    if client.looked_up is not None:
        yield CATALOG.read("dns_time", client.looked_up, at=access.now())
    for look in looks:
        for reading in _readings(look, spec.expect[look.path], access, scrubber):
            yield reading
        for reading in _times(look, client.looked_up, access):
            yield reading


def _resolved(headers: Headers, access: Access, secrets: list[str]) -> dict[str, str]:
    """Return the headers as they are sent; what was a reference is added to the secrets."""
    resolved = {name: access.resolver.resolve(value) for name, value in headers.items()}
    secrets += [resolved[name] for name, value in headers.items() if not isinstance(value, str)]
    return resolved


async def _look(
    client: httpx.AsyncClient, path: str, expectation: Expectation, headers: dict[str, str], end: float
) -> _Look:
    """Make a path's requests, one after the other, until one gets no answer."""
    clock = asyncio.get_running_loop().time
    if expectation.timeout is not None:
        end = min(end, clock() + expectation.timeout.total_seconds())
    content = _content(expectation)
    if isinstance(expectation.body, dict | list) and "content-type" not in {name.lower() for name in headers}:
        headers = headers | {"Content-Type": "application/json"}
    look = _Look(path)
    while _wants_another(look, expectation, left=end - clock()):
        try:
            answer = await fetch(
                client,
                expectation.method,
                path,
                seconds=max(end - clock(), 0),
                headers=headers,
                content=content,
                follow=expectation.follow,
            )
        except Unreachable as error:
            look.failure = error.message
            break
        look.answers.append(answer)
    return look


def _wants_another(look: _Look, expectation: Expectation, *, left: float) -> bool:
    """Tell whether to ask again; where the spec names no number, never so that the time might run out."""
    done = len(look.answers)
    if expectation.requests is not None or not done:
        return done < (expectation.requests or 1)
    usual = _REQUESTS if expectation.method in _HARMLESS else 1
    return done < usual and left > 2 * max(answer.seconds for answer in look.answers)


def _content(expectation: Expectation) -> bytes | None:
    if expectation.body is None:
        return None
    text = expectation.body if isinstance(expectation.body, str) else json.dumps(expectation.body)
    return text.encode()


def _readings(look: _Look, expectation: Expectation, access: Access, scrubber: Scrubber) -> Iterator[Reading]:
    at = access.now()
    wrong = [(answer, flaw) for answer in look.answers if (flaw := _flaw(answer, expectation, scrubber))]
    note = look.failure or (wrong[0][1] if wrong else "")
    failures, made = len(wrong) + bool(look.failure), len(look.answers) + bool(look.failure)
    if 0 < failures < made:
        note = f"{failures} of {made} requests: {note}"
    yield CATALOG.read("as_expected", not failures, at=at, subject=look.path, note=note or _remark(look, scrubber))
    if look.answers:
        shown = wrong[0][0] if wrong else look.answers[-1]
        yield CATALOG.read("status", shown.status, at=at, subject=look.path, note=shown.reason)


def _times(look: _Look, looked_up: float | None, access: Access) -> Iterator[Reading]:
    """Tell the latency of a path and its parts, in the order in which they follow each other."""
    if not look.answers:
        return
    at = access.now()
    first = look.answers[0].parts
    waits = [answer.parts.first_byte for answer in look.answers if answer.parts.first_byte is not None]
    parts = {"connect_time": first.connect, "tls_time": first.tls}
    parts["first_byte"] = statistics.median(waits) if waits else None
    taken = {name: seconds for name, seconds in parts.items() if seconds is not None}
    latency = statistics.median(answer.seconds for answer in look.answers)
    yield CATALOG.read("latency", latency, at=at, subject=look.path, note=_told(look, looked_up, taken))
    for name, seconds in taken.items():
        yield CATALOG.read(name, seconds, at=at, subject=look.path)


def _told(look: _Look, looked_up: float | None, taken: dict[str, float]) -> str:
    counted = [f"median of {len(look.answers)} requests"] if len(look.answers) > 1 else []
    parts = ({} if looked_up is None else {"dns_time": looked_up}) | taken
    spent = [f"{_PARTS[name]} {format_duration(seconds)}" for name, seconds in parts.items()]
    return "; ".join([*counted, ", ".join(spent)])


def _flaw(answer: Answer, expectation: Expectation, scrubber: Scrubber) -> str:
    """Say in what an answer is not as expected; nothing when it is."""
    if answer.status not in expectation.status:
        return _wrong_status(answer, expectation, scrubber)
    if answer.broken:
        return answer.broken
    needs_content = expectation.contains is not None or expectation.json_values
    if needs_content and answer.cut:
        return f"its content cannot be checked: {too_long()}"
    sentences = list(_wrong_content(answer, expectation))
    return "; ".join(scrubber.short(sentence) for sentence in sentences)


def _wrong_status(answer: Answer, expectation: Expectation, scrubber: Scrubber) -> str:
    wanted = " or ".join(map(str, expectation.status))
    sentence = f"status {answer.status} {answer.reason}".rstrip() + f", not {wanted}"
    if answer.location:
        sentence += f"; it leads to {scrubber.short(answer.location)}"
    excerpt = scrubber.short(_text(answer))
    return f"{sentence}; it says: {excerpt}" if excerpt else sentence


def _wrong_content(answer: Answer, expectation: Expectation) -> Iterator[str]:
    pattern = expectation.contains
    if pattern is not None and not re.search(pattern, _text(answer)):
        yield f"its text holds no {pattern!r}; it says: {_text(answer)}"
    if expectation.json_values:
        try:
            document = json.loads(answer.body.decode("utf-8"), parse_constant=_no_json)
        except UnicodeDecodeError:
            yield "it is not JSON: invalid UTF-8"
        except (ValueError, RecursionError):
            yield f"it is not JSON; it says: {_text(answer)}"
        else:
            yield from unmet(document, expectation.json_values)


def _text(answer: Answer) -> str:
    return answer.body.decode("utf-8", errors="replace")


def _no_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _remark(look: _Look, scrubber: Scrubber) -> str:
    """Say of an answer that is as expected what a person may wonder about."""
    answer = look.answers[-1]
    if answer.cut:
        return f"only its beginning was read: {too_long()}"
    if answer.location:
        return f"it leads to {scrubber.short(answer.location)}"
    return ""
