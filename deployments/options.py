"""The options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
lab_option = click.option("--lab", is_flag=True, help="Reach the embedded lab instead of the real systems.")
state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="WATCHKEEPER_STATE",
    default=Path(".watchkeeper"),
    show_default=True,
    help="Folder for all that Watchkeeper keeps on this machine.",
)


def example(*lines: str) -> str:
    """Return the end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def settings_of(state: Path, *, lab: bool = False) -> Any:
    """Return where Watchkeeper is: with its own folder, and the embedded lab's where that is meant."""
    from tasks.core.settings import Settings  # noqa: PLC0415 - it is slow to load, and help is quick

    return Settings(state=state, lab=state / "lab") if lab else Settings(state=state)
