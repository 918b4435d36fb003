"""The commands that PostgreSQL calls for its write-ahead log, and their exit codes, which it takes by its own rules.

It tries archive_command again after any failure. Of restore_command it takes 1 for "there is no such file", where
recovery ends well, and only what is above 125 for "stop": so all that is not surely absent ends with 200.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from deployments.console import Exit, fail, say_json
from deployments.options import example, json_option, lab_option, settings_of, state_option

_STOP = 200


@click.command("wal-push", epilog=example("watchkeeper wal-push apex/database %p"))
@click.argument("system", metavar="PLATFORM/SYSTEM")
@click.argument("path", metavar="%p", type=click.Path(path_type=Path))
@lab_option
@state_option
@json_option
def wal_push(system: str, path: Path, *, lab: bool, state: Path, as_json: bool) -> None:
    """Archive a file of PostgreSQL's write-ahead log in every vault of a system: archive_command calls it.

    It ends with 0 only when every vault has the file. What is there already is not written again, and other bytes under
    the same name are refused.
    """
    from tasks.archiving import Archiving
    from tasks.core.errors import WatchkeeperError
    from tasks.systems.postgres.wal import is_archived_name

    try:
        if not is_archived_name(path.name):
            fail(f"{path.name!r} is no file of the write-ahead log", as_json=as_json)
        vaults = Archiving.open(system, settings_of(lab=lab, state=state)).push(path)
    except WatchkeeperError as error:
        fail(str(error), as_json=as_json)
    if as_json:
        say_json({"file": path.name, "written_to": vaults})


class _Stopping(click.Command):
    """A command that is called wrongly ends with a status that stops PostgreSQL as well."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """Read the command line."""
        try:
            return super().make_context(*arguments, **more)
        except click.UsageError as error:
            error.show()
            raise click.exceptions.Exit(_STOP) from None


@click.command("wal-fetch", cls=_Stopping, epilog=example("watchkeeper wal-fetch apex/database %f %p"))
@click.argument("system", metavar="PLATFORM/SYSTEM")
@click.argument("name", metavar="%f")
@click.argument("target", metavar="%p", type=click.Path(path_type=Path))
@lab_option
@state_option
@json_option
def wal_fetch(system: str, name: str, target: Path, *, lab: bool, state: Path, as_json: bool) -> None:
    """Get a file of PostgreSQL's write-ahead log back from the first vault that has it: restore_command calls it.

    It ends with 0 when the file is there, whole; with 1 when no vault has it; with 200 when that cannot be told, so
    that PostgreSQL stops instead of taking the log for ended. It needs the identity that the spec names.
    """
    try:
        from tasks.archiving import Archiving
        from tasks.systems.postgres.wal import is_archived_name

        archiving = Archiving.open(system, settings_of(lab=lab, state=state))
        found = is_archived_name(name) and archiving.fetch(name, target)
    except Exception as error:  # noqa: BLE001 - status 1 would tell PostgreSQL that there is no more log
        _stop(str(error) or type(error).__name__)
    if as_json:
        say_json({"file": name, "fetched": found})
    if not found:
        raise click.exceptions.Exit(Exit.FINDINGS)


def _stop(message: str) -> NoReturn:
    click.secho(f"error: {message}", fg="red", err=True)
    raise click.exceptions.Exit(_STOP)
