"""Faults on demand: the next calls are answered as Slack answers on a bad day."""

from __future__ import annotations

import threading

KINDS = {
    "429": "too many calls: 429 with Retry-After",
    "500": "a server error without JSON",
    "invalid_auth": "the token is not accepted any more; webhooks answer invalid_token",
    "down": "the connection is closed without any answer",
}


class Faults:
    """The fault that is on, and for how many more calls. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault: str | None = None
        self._times: int | None = None
        self.retry_after = 1

    def set(self, fault: str | None, times: int | None = None, retry_after: int = 1) -> None:
        """Switch a fault on, or off with None.

        Args:
            fault: One of `KINDS`.
            times: How many calls it lasts; None for until it is switched off.
            retry_after: Seconds that a 429 asks to wait.

        Raises:
            ValueError: There is no such fault; the message names those that there are.
        """
        if fault is not None and fault not in KINDS:
            raise ValueError(f"{fault!r} is no fault of Slack: {', '.join(KINDS)}")
        with self._lock:
            self._fault, self._times, self.retry_after = fault, times, retry_after

    def take(self) -> str | None:
        """Return the fault that meets this call, and count it."""
        with self._lock:
            if self._fault is None or self._times == 0:
                return None
            if self._times is not None:
                self._times -= 1
            return self._fault

    def describe(self) -> dict[str, object]:
        """Say what is on."""
        with self._lock:
            on = self._fault is not None and self._times != 0
            return {"fault": self._fault if on else None, "times": self._times if on else None, "kinds": KINDS}
