"""Moves a service's traffic to another region by its selector, and back: `kubectl patch service`, with its rehearsal.

A move is planned from what is there, tried by a dry run, and carried out only when that is asked for. It is one JSON
patch that first tests the selector which the plan saw, so nobody's change in between is overwritten, and the way back
restores that selector exactly, labels that the move added included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tasks.clients.cluster import Connection, Object, Rejected
from tasks.core.errors import ConfigError, NotOffered, PermanentError
from tasks.core.restore import Assertion
from tasks.core.results import Outcome
from tasks.core.system import Access
from tasks.systems.kubernetes.spec import Spec
from tasks.systems.kubernetes.targets import live

_PATCH = "application/json-patch+json"
_WITHIN = 60.0
_LEVEL = 3


@dataclass(frozen=True)
class Move:
    """A service's selector as it is and as it is to be.

    Attributes:
        before: As the plan saw it.
        after: With the labels of the other region.
        pods_before: Names of the ready pods that `before` selects.
        pods_after: Names of the ready pods that `after` selects.
    """

    namespace: str
    service: str
    before: dict[str, str]
    after: dict[str, str]
    pods_before: tuple[str, ...] = ()
    pods_after: tuple[str, ...] = ()

    @property
    def back(self) -> Move:
        """The way back."""
        return Move(self.namespace, self.service, self.after, self.before, self.pods_after, self.pods_before)

    @property
    def path(self) -> str:
        """Where the service is."""
        return f"/api/v1/namespaces/{self.namespace}/services/{self.service}"


@dataclass
class Failover:
    """What can be done with one cluster's services. Close it, or use `opened`."""

    connection: Connection
    namespace: str
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def plan(self, service: str, labels: Mapping[str, str]) -> Move:
        """Look at a service and at the pods that it would have.

        Args:
            service: Its name.
            labels: What its selector takes on, as `kubectl patch` merges it.

        Raises:
            ConfigError: There is no such service, it selects no pods, or it is there already.
        """
        try:
            found = self.connection.get(f"/api/v1/namespaces/{self.namespace}/services/{service}")
        except NotOffered:
            raise ConfigError(f"namespace {self.namespace} has no service {service}") from None
        before = {str(key): str(value) for key, value in ((found.get("spec") or {}).get("selector") or {}).items()}
        after = before | dict(labels)
        if not before:
            raise ConfigError(f"service {service} has no selector", hint="its traffic cannot be moved by one")
        if after == before:
            raise ConfigError(f"service {service} selects {_shown(labels)} already", hint="plan the way back instead")
        return Move(self.namespace, service, before, after, self._ready(before), self._ready(after))

    def rehearse(self, move: Move) -> Iterator[Assertion]:
        """Try a move by a dry run, and see that pods are ready on both sides. Nothing is written."""
        yield self._pods(move.after, move.pods_after)
        yield self._tried(move)
        yield _told("the selector is as it was: nothing was written", _shown(move.before), _shown(self._selector(move)))
        yield self._pods(move.before, move.pods_before)

    def switch(self, move: Move, *, within: float = _WITHIN) -> Iterator[Assertion]:
        """Carry a move out, and see that the service leads to the pods that it should. `switch(move.back)` undoes it.

        Args:
            move: From `plan`.
            within: Seconds until its endpoints must have followed.

        Raises:
            ConfigError: No pod is ready there: nobody would be served.
            PermanentError: Somebody changed the selector since the plan was made.
        """
        if not self._ready(move.after):
            raise ConfigError(
                f"no pod that is ready has the labels {_shown(move.after)}", hint="start the other region first"
            )
        self._patch(move)
        yield _told("the selector is switched", _shown(move.after), _shown(self._selector(move)))
        end = time.monotonic() + within
        while (serving := self._serving(move)) != set(self._ready(move.after)) or not serving:
            if time.monotonic() > end:
                break
            self.sleep(0.1)
        expected = set(self._ready(move.after))
        yield _told(
            f"service {move.service} leads to the pods of {_shown(move.after)}",
            ", ".join(sorted(expected)) or "no pod",
            ", ".join(sorted(serving)) or "no pod",
        )

    def _tried(self, move: Move) -> Assertion:
        name = f"the server would take the selector {_shown(move.after)} (dry run)"
        try:
            answer = self._patch(move, dryRun="All")
        except PermanentError as error:
            return Assertion(name=name, level=_LEVEL, outcome=Outcome.FAILED, note=error.message)
        return _told(name, _shown(move.after), _shown((answer.get("spec") or {}).get("selector") or {}))

    def _patch(self, move: Move, **query: str) -> Object:
        steps: list[dict[str, Any]] = [
            {"op": "test", "path": "/spec/selector", "value": move.before},
            {"op": "replace", "path": "/spec/selector", "value": move.after},
        ]
        try:
            return self.connection.send("PATCH", move.path, steps, _PATCH, fieldManager="watchkeeper", **query)
        except Rejected as error:
            if self._selector(move) != move.before:
                raise PermanentError(
                    f"the selector of {move.service} was changed since: it is {_shown(self._selector(move))}",
                    hint="plan again",
                ) from error
            raise

    def _selector(self, move: Move) -> dict[str, str]:
        return dict((self.connection.get(move.path).get("spec") or {}).get("selector") or {})

    def _ready(self, selector: Mapping[str, str]) -> tuple[str, ...]:
        wanted = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        pods = self.connection.pages(f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=wanted)
        return tuple(sorted(str(pod["metadata"]["name"]) for pod in pods if _is_ready(pod)))

    def _pods(self, selector: Mapping[str, str], ready: tuple[str, ...]) -> Assertion:
        return Assertion(
            name=f"pods of {_shown(selector)} are ready",
            level=_LEVEL,
            outcome=Outcome.PASSED if ready else Outcome.FAILED,
            expected="at least 1",
            observed=str(len(ready)),
        )

    def _serving(self, move: Move) -> set[str]:
        """Return the pods that the service's endpoints lead to."""
        slices = self.connection.pages(
            f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices",
            labelSelector=f"kubernetes.io/service-name={move.service}",
        )
        return {
            str((endpoint.get("targetRef") or {}).get("name", ""))
            for item in slices
            for endpoint in item.get("endpoints") or []
            if (endpoint.get("conditions") or {}).get("ready", True)
        }


@contextmanager
def opened(spec: Spec, access: Access) -> Iterator[Failover]:
    """Open a system's cluster for moving its services."""
    connection = live(spec, access).connect()
    try:
        yield Failover(connection, spec.namespace)
    finally:
        connection.close()


def rehearse(spec: Spec, access: Access, service: str, labels: Mapping[str, str]) -> list[Assertion]:
    """Rehearse one move by a dry run alone, for a drill.

    Args:
        spec: Of the cluster.
        access: To it.
        service: Whose selector would be patched.
        labels: What its selector takes on: `region: us-west-2`.

    Raises:
        ConfigError: There is no such service, or it is there already.
        WatchkeeperError: As the server says.
    """
    with opened(spec, access) as failover:
        return list(failover.rehearse(failover.plan(service, labels)))


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    is_going = bool(pod["metadata"].get("deletionTimestamp"))
    return not is_going and any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _shown(selector: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items())) or "nothing"


def _told(name: str, expected: str, observed: str) -> Assertion:
    outcome = Outcome.PASSED if expected == observed else Outcome.FAILED
    return Assertion(name=name, level=_LEVEL, outcome=outcome, expected=expected, observed=observed)
