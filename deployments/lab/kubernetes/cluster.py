"""One cluster: its objects, its users, its controllers and its troubles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deployments.lab.kubernetes import kubelet, stateful, upkeep, workloads
from deployments.lab.kubernetes.rbac import ADMIN
from deployments.lab.kubernetes.store import Store

_BETWEEN_LOOKS = 0.05
_AT_REST = 1.0
_MOST_LOOKS = 500


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Cluster:
    """A control plane with the nodes behind it.

    Attributes:
        name: The platform that it plays.
        tokens: Users by their bearer token.
        store: The objects.
        troubles: What is broken at the moment.
    """

    name: str
    tokens: dict[str, str]
    now: Callable[[], datetime] = _utc_now
    troubles: kubelet.Troubles = field(default_factory=kubelet.Troubles)

    def __post_init__(self) -> None:
        self.store = Store(self.now)
        self._stopped = threading.Event()

    def step(self) -> None:
        """Let every controller and every node look once."""
        upkeep.step(self.store, cron=self.troubles.cron)
        workloads.step(self.store)
        stateful.step(self.store)
        kubelet.step(self.store, self.troubles)

    def settle(self) -> None:
        """Look until nothing changes any more."""
        for _ in range(_MOST_LOOKS):
            before = self.store.version
            self.step()
            if self.store.version == before:
                return
        raise RuntimeError(f"the cluster {self.name} does not come to rest")

    def start(self) -> None:
        """Let the controllers look in a thread of their own: at once after a change, else every second."""
        threading.Thread(target=self._run, name=f"controllers-{self.name}", daemon=True).start()

    def stop(self) -> None:
        """Let the controllers and every watch end."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped.is_set()

    def _run(self) -> None:
        while not self._stopped.wait(_BETWEEN_LOOKS):
            before = self.store.version
            self.step()
            with self.store.changed:
                self.store.changed.wait_for(lambda seen=before: self.store.version != seen, _AT_REST)  # type: ignore[misc]

    @classmethod
    def for_admin(cls, name: str, token: str, now: Callable[[], datetime] = _utc_now) -> Cluster:
        """Make an empty cluster whose one token may do everything."""
        return cls(name, {token: ADMIN}, now)
