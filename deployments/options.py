"""The options that commands share."""

from __future__ import annotations

from pathlib import Path

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
