"""What a drill has come to so far, on disk as long as it is under way: one that dies leaves it behind. Without Prefect.

The folder is held by the drill's own process; where nobody holds it any more, the drill has died, and is told by
whoever finds it: the hook that Prefect calls, or the next drill.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from tasks.clients.alone import held_alone, made_alone
from tasks.core.drill import Drill
from tasks.core.errors import WatchkeeperError
from tasks.core.settings import Settings
from tasks.drilling import Drilling
from tasks.inspections import report_store

_FOLDER = "drills"
_NAME = "drill.json"


@contextmanager
def under_way(drilling: Drilling) -> Iterator[None]:
    """Keep what a drill has come to, from each of its steps on, until the block ends: it is published by then."""
    with made_alone(drilling.settings.state / _FOLDER, drilling.platform.platform) as folder:
        path, coming = folder / _NAME, folder / f"{_NAME}.new"

        def note(drill: Drill) -> None:
            with suppress(OSError):  # a full disk ends no drill
                coming.write_text(drill.model_dump_json(), encoding="utf-8")
                coming.replace(path)

        note(drilling.so_far())
        drilling.note = note
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def left_behind(settings: Settings, platform: str) -> Iterator[Drill]:
    """Yield the drills of a platform that died before they were published, and forget each once it was taken."""
    folder = settings.state / _FOLDER
    for place in sorted(folder.iterdir()) if folder.is_dir() else []:
        with held_alone(place) as has_died:
            drill = _read(place / _NAME) if has_died else None
            if drill is not None and drill.platform != platform:
                continue
            if drill is not None and not _is_kept(settings, drill):
                done = sum(bool(one.assertions) and not one.error for one in drill.systems)
                said = f"its process died after {done} of {len(drill.systems)} systems"
                yield drill.model_copy(update={"interrupted": drill.interrupted or said})
            if has_died:
                shutil.rmtree(place, ignore_errors=True)


def _read(path: Path) -> Drill | None:
    with suppress(OSError, ValidationError, UnicodeDecodeError):
        return Drill.model_validate_json(path.read_text(encoding="utf-8"))
    return None


def _is_kept(settings: Settings, drill: Drill) -> bool:
    """Tell whether it was published after all, and died then."""
    with suppress(WatchkeeperError):
        kept = report_store(settings).kept(drill.platform, drill.flow)
        return any(drill.id in one.key for one in kept)
    return False
