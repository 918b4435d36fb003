"""NVIDIA's graphics processors of this machine, by `nvidia-smi`."""

from __future__ import annotations

import csv
import io
from datetime import datetime

from tasks.clients.process import run
from tasks.core.errors import Garbled, PermanentError
from tasks.core.results import Gap, Outcome, Reading
from tasks.systems.host.spec import CATALOG

_FIELDS = ("index", "name", "memory.used", "memory.total", "utilization.gpu")
_COMMAND = ("nvidia-smi", f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits")
_SHOWN = 200


async def readings(seconds: float, now: datetime) -> list[Reading]:
    """Measure every graphics processor.

    Args:
        seconds: A driver that hangs holds `nvidia-smi` for ever; it is killed after this.
        now: When it is.

    Raises:
        NotOffered: There is no `nvidia-smi`.
        PermanentError: It says that it cannot reach the driver.
        Garbled: It writes what it does not document.
    """
    ran = await run(_COMMAND, seconds=seconds)
    if ran.status:
        said = " ".join((ran.output + ran.errors).split())[:_SHOWN]
        raise PermanentError(f"nvidia-smi ended with {ran.status}: {said}", hint="See whether the driver is loaded.")
    rows = list(csv.reader(io.StringIO(ran.output), skipinitialspace=True))
    if ran.cut or any(len(row) != len(_FIELDS) for row in rows):
        raise Garbled("nvidia-smi writes something else than its documented CSV")
    found: list[Reading] = [CATALOG.read("gpus", len(rows), at=now)]
    for index, name, used, total, busy in rows:
        found.append(_share("gpu_memory_used", index, name, used, total, now))
        found.append(_share("gpu_used", index, name, busy, "100", now))
    return found


def _share(measure: str, index: str, name: str, part: str, whole: str, now: datetime) -> Reading:
    """Make a share of two numbers; `[N/A]` and `[Unknown Error]` are what is written where there is none."""
    try:
        return CATALOG.read(measure, float(part) / float(whole), at=now, subject=index, note=name)
    except (ValueError, ZeroDivisionError):
        outcome = Outcome.NOT_CHECKED if part == "[N/A]" else Outcome.ERRORED
        return Gap(outcome=outcome, name=measure, subject=index, reason=f"{name} answers {part} of {whole}")
