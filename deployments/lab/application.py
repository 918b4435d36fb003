"""The source of the lab's applications, as far as a drill needs it: their tests, run against restored copies."""

from __future__ import annotations

import shlex
import shutil
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tasks.core.platform import PlatformSpec

if TYPE_CHECKING:
    from deployments.lab.blueprint import Blueprint


def provide(plan: Blueprint, spec: PlatformSpec) -> None:
    """Put the platform's tests where its drill runs them: what its commands name below the source's folder.

    The application's own environment is this one; where it has no pytest there are no tests.
    """
    folder = plan.state / "source" / spec.platform
    if spec.drill.smoke:
        programs = folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name, words in (("python", ""), ("pytest", " -m pytest -p no:cacheprovider")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{words} "$@"\n', encoding="utf-8")
            program.chmod(0o700)
    for smoke in spec.drill.smoke.values():
        plan.fill(smoke.folder, str(folder))
        for word in smoke.command:
            if "/" in word:
                _write(folder / PurePosixPath(word), spec.platform)


def _write(place: Path, platform: str) -> None:
    script: Any = files("deployments.lab") / "data" / f"{platform}_application.py"
    if not script.is_file() or find_spec("pytest") is None:
        return
    if not place.suffix:
        place = place / "test_application.py"
    place.parent.mkdir(parents=True, exist_ok=True)
    with script.open("rb") as source, place.open("wb") as target:
        shutil.copyfileobj(source, target)
