"""How quickly many systems are checked: against bare httpx, against the slowest probe, and in how much memory.

Every figure is taken in a child of its own, `python -m tests.bench.sweeping`, so that one does not spoil another's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deployments import lab
from tests.bench.figures import Figure

_TARGETS = 1_000
_MIXED = 200


def run() -> dict[str, Figure]:
    """Sweep a thousand HTTP services, and two hundred systems of the lab."""
    with _targets(_TARGETS) as ports:
        pairs = _measured("pairs", ports)
        alone = _measured("alone", ports)
        flow = _measured("flow", ports)
    with tempfile.TemporaryDirectory() as folder, _lab(Path(folder) / "lab") as state:
        mixed = _measured("mixed", {"lab": str(state), "count": _MIXED})
    print(f"health     Prefect adds {flow['flow'] - flow['bare']:.1f} s to {flow['bare']:.1f} s: {_TARGETS:,} targets")
    bound = 1.3 * mixed["slowest"] + 2
    return {
        "http-sweep": Figure(pairs["ratio"], 1.5, f"a bare httpx.AsyncClient's gather over {_TARGETS:,} targets"),
        "http-memory": Figure(alone["megabytes"], 300, "megabytes at most, resident, of the process that sweeps"),
        "mixed-sweep": Figure(
            mixed["took"] / bound, 1, f"1.3 x the slowest probe ({mixed['slowest']:.1f} s) plus 2 s, {_MIXED} systems"
        ),
        "mixed-memory": Figure(mixed["megabytes"], 300, "megabytes at most, resident, of the process that sweeps"),
        "prefect": Figure(flow["flow"] / flow["bare"], 5, "the same check without Prefect"),
    }


@contextmanager
def _targets(count: int) -> Iterator[list[int]]:
    command = [sys.executable, "-m", "tests.bench.targets", str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdin is not None
        assert serving.stdout is not None
        yield json.loads(serving.stdout.readline())
        serving.stdin.close()


@contextmanager
def _lab(state: Path) -> Iterator[Path]:
    lab.up([], state)
    try:
        yield state
    finally:
        lab.down(state)


def _measured(what: str, given: Any) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.sweeping", what],
        input=json.dumps(given),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures
