"""What can go wrong, in the words that decide what happens next.

A sick system is a result, not an error: a client raises `Unreachable` and the check turns it into a failed finding.
Every other exception means "could not tell" and becomes the outcome `errored` (or `not checked`) for that target alone.
"""

from __future__ import annotations


class WatchkeeperError(Exception):
    """Any error that Watchkeeper raises on purpose.

    Args:
        message: What happened, without any secret.
        system: The system's name in the platform's spec, where one is concerned.
        operation: What was being done, as a verb and a noun ("list buckets").
        hint: The cure, in the imperative.
    """

    def __init__(
        self, message: str, *, system: str | None = None, operation: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.system = system
        self.operation = operation
        self.hint = hint

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.system, self.operation) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(WatchkeeperError):
    """What a person wrote is wrong; trying again does not help."""


class TransientError(WatchkeeperError):
    """Trying again may help."""


class Unreachable(TransientError):
    """The system gave no usable answer: refused, reset, timed out, no such host, no TLS. A check calls it sick."""


class PermanentError(WatchkeeperError):
    """Trying again does not help."""


class Denied(PermanentError):
    """The system answered and did not let us look: password, role, RBAC."""


class NotOffered(PermanentError):
    """The system has no such ability here: an API or an extension that is not installed."""


class Garbled(PermanentError):
    """The system answered something that its protocol does not allow."""
