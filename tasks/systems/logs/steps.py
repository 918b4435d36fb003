"""Takes steps in logs: looks for a canary in their lines."""

from __future__ import annotations

from datetime import timedelta

from tasks.core.errors import ConfigError, PermanentError
from tasks.core.steps import Step, Taken
from tasks.core.system import Access
from tasks.systems.logs.probe import haul_of
from tasks.systems.logs.spec import Spec

_BACK = timedelta(days=2)


async def take(spec: Spec, step: Step, canary: str, access: Access) -> Taken:
    """Count the lines that hold the canary; the call is `look`.

    Raises:
        ConfigError: The call is another.
        PermanentError: Nothing could be read.
        WatchkeeperError: Whatever has the logs gives no answer.
    """
    if step.call != "look":
        raise ConfigError(f"{step.call!r} is no step in logs", hint="write `look`")
    haul = await haul_of(spec.model_copy(update={"since": max(spec.since, _BACK)}), access)
    if not haul.taken:
        raise PermanentError("; ".join(gap.reason for gap in haul.gaps) or "no log could be read")
    return Taken(sum(canary in line for taken in haul.taken for line in taken.lines()))
