"""Faults of played services: what a caller meets on a bad day."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from deployments.lab.loopback import Answer, Handler, Request

KINDS = {
    "unhealthy": "answers 503 on every path, and says so in its body",
    "error-body": "answers 200 with an error as its body",
    "slow": "answers after five seconds",
    "garbage": "answers 200 with bytes that are neither UTF-8 nor JSON",
    "endless": "answers 200 with a body that never ends",
    "careless": "answers as ever, and leaves undone what nobody sees: traces, erasures, clean-ups, whole exports",
}
_SLOW_SECONDS = 5.0
_CARELESS = "x-lab-careless"


def is_careless(request: Request) -> bool:
    """Tell whether a request came to a service that leaves undone what nobody sees."""
    return _CARELESS in request.headers


class Faults:
    """Which service has which fault. Safe to use from many threads."""

    def __init__(self, targets: Iterable[str]) -> None:
        self._targets = frozenset(targets)
        self._on: dict[str, str] = {}
        self._changed = threading.Condition()

    def set(self, target: str, fault: str | None) -> None:
        """Give a service a fault, or take it away with None.

        Raises:
            LookupError: There is no such service or no such fault; the message names those that there are.
        """
        if target not in self._targets:
            raise LookupError(f"{target!r} is not on the stage: {', '.join(sorted(self._targets))}")
        if fault is not None and fault not in KINDS:
            raise LookupError(f"{fault!r} is no fault of a service: {', '.join(KINDS)}")
        with self._changed:
            if fault is None:
                self._on.pop(target, None)
            else:
                self._on[target] = fault
            self._changed.notify_all()

    def describe(self) -> dict[str, Any]:
        """Say what is on."""
        with self._changed:
            return {"faults": dict(self._on), "kinds": KINDS, "targets": sorted(self._targets)}

    def has(self, target: str, fault: str) -> bool:
        """Tell whether a service has a fault."""
        return self._on.get(target) == fault

    def around(self, target: str, handler: Handler) -> Handler:
        """Put a service's fault, whenever it has one, before its answers."""
        bad: dict[str | None, Callable[[str], Answer]] = {
            "unhealthy": _unhealthy,
            "error-body": _error_body,
            "garbage": _garbage,
            "endless": lambda _target: Answer(200, self._drip(target)),
        }

        def handle(request: Request) -> Answer:
            fault = self._on.get(target)
            if fault == "slow":
                self._linger(target)
            if fault == "careless":
                request = replace(request, headers={**request.headers, _CARELESS: "yes"})
            return bad[fault](target) if fault in bad else handler(request)

        return handle

    def _linger(self, target: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._on.get(target) != "slow", timeout=_SLOW_SECONDS)

    def _drip(self, target: str) -> Iterator[bytes]:
        yield b'{"status": "'
        while self._on.get(target) == "endless":
            yield b"." * 4096
            with self._changed:
                self._changed.wait(0.02)


def _unhealthy(target: str) -> Answer:
    service = target.partition("/")[2]
    return Answer.of({"status": "unhealthy", "service": service, "error": "worker pool exhausted"}, 503)


def _error_body(_target: str) -> Answer:
    return Answer.of({"status": "error", "error": {"code": "INTERNAL", "message": "upstream returned no data"}})


def _garbage(_target: str) -> Answer:
    return Answer(200, b'{"status": "\xff\xfe\x80 healthy\x00')
