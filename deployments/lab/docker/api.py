"""The Docker Engine API, as far as it reads: paths, parameters and refusals as it documents them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from deployments.lab.docker.project import FAULTS, Container, Project, stamp
from deployments.lab.log_lines import TROUBLES
from deployments.lab.loopback import Answer, Request

_API = "1.47"
_OLDEST = "1.24"
_PREFIX = re.compile(r"/v(\d+\.\d+)(?=/)")
_TRUE = {"1", "true", "True"}
_OUTPUT = 1


def handle(project: Project, request: Request) -> Answer:
    """Answer the engine's own port."""
    versioned = _PREFIX.match(request.path)
    if versioned and not _number(_OLDEST) <= _number(versioned[1]) <= _number(_API):
        return _refused(400, f"client version {versioned[1]} is not supported. Supported are {_OLDEST} to {_API}")
    path = request.path[versioned.end() :] if versioned else request.path
    return _read(project, path, request.query) if request.method == "GET" else _refused(404, "page not found")


def _read(project: Project, path: str, query: Mapping[str, str]) -> Answer:
    match path.strip("/").split("/"):
        case ["_ping"]:
            return Answer.text("OK")
        case ["version"]:
            return Answer.of({"Version": "28.1.0", "ApiVersion": _API, "MinAPIVersion": _OLDEST, "Os": "linux"})
        case ["containers", "json"]:
            return _list(project, query)
        case ["containers", identity, ("json" | "stats" | "logs") as what]:
            return _of_one(project, identity, what, query)
    return _refused(404, "page not found")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _refused(status: int, message: str) -> Answer:
    return Answer.of({"message": message}, status)


def _list(project: Project, query: Mapping[str, str]) -> Answer:
    try:
        filters = json.loads(query.get("filters") or "{}")
        wanted = [pair.partition("=") for pair in filters.pop("label", [])]
        if filters:
            return _refused(400, f"invalid filter '{next(iter(filters))}'")
    except (ValueError, AttributeError, TypeError):
        return _refused(400, "invalid filter")
    listed = [
        one.summary()
        for one in project.containers()
        if (query.get("all") in _TRUE or one.status != "exited") and _matches(one, wanted)
    ]
    return Answer.of(listed)


def _matches(container: Container, wanted: list[tuple[str, str, str]]) -> bool:
    labels = container.labels
    return all(name in labels and (not sign or labels[name] == value) for name, sign, value in wanted)


def _of_one(project: Project, identity: str, what: str, query: Mapping[str, str]) -> Answer:
    known = [one for one in project.containers() if one.id.startswith(identity) or one.name == identity]
    if not known:
        return _refused(404, f"No such container: {identity}")
    if what == "json":
        return Answer.of(known[0].inspection())
    if what == "logs":
        return _logs(known[0], query)
    if query.get("stream", "true") in _TRUE:
        return _refused(501, "this stand-in streams no statistics")
    return Answer.of(known[0].stats())


def _logs(container: Container, query: Mapping[str, str]) -> Answer:
    if query.get("stdout") not in _TRUE and query.get("stderr") not in _TRUE:
        return _refused(400, "Bad parameters: you must choose at least one stream")
    since, tail = query.get("since", "0"), query.get("tail", "all")
    if not re.fullmatch(r"\d+(\.\d+)?", since):
        return _refused(400, f'invalid value for "since": {since}')
    begin = datetime.fromtimestamp(float(since), UTC)
    lines = [(at, text) for at, text in container.log() if at >= begin] if query.get("stdout") in _TRUE else []
    if tail.isdigit():
        lines = lines[len(lines) - min(int(tail), len(lines)) :]
    stamped = query.get("timestamps") in _TRUE
    texts = (f"{stamp(at)} {text}\n" if stamped else f"{text}\n" for at, text in lines)
    return Answer(body=b"".join(map(_frame, texts)), content_type="application/vnd.docker.multiplexed-stream")


def _frame(text: str) -> bytes:
    body = text.encode()
    return bytes((_OUTPUT, 0, 0, 0)) + len(body).to_bytes(4, "big") + body


def control(project: Project, request: Request) -> Answer:
    """Answer the control port: `POST /faults` and `/log-faults` with `{"fault": NAME or null}`."""
    holding, known = {
        "/faults": (project.broken, set(FAULTS)),
        "/log-faults": (project.logged, set(TROUBLES)),
    }.get(request.path, (set(), set[str]()))
    try:
        body: Any = request.json()
        fault = body["fault"]
    except (ValueError, KeyError, TypeError):
        return Answer.of({"error": 'write {"fault": "name"} or null'}, 400)
    if fault is not None and fault not in known:
        return Answer.of({"error": f"no such fault; there are {', '.join(sorted(known))}"}, 400)
    holding.clear()
    holding.update({fault} if fault else ())
    return Answer.of({"fault": fault})
