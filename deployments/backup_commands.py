"""The commands that take backups and remove old ones. Each imports what it needs when it runs: help is quick."""

from __future__ import annotations

from pathlib import Path

import click

from deployments.console import Exit, told
from deployments.options import example, json_option, lab_option, settings_of, state_option


@click.command(
    epilog=example(
        "watchkeeper backup apex", "watchkeeper backup apex database --lab --json", "watchkeeper backup eyewear"
    )
)
@click.argument("platform")
@click.argument("systems", nargs=-1, metavar="[SYSTEM]...")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Only in this way; may be repeated.")
@lab_option
@state_option
@json_option
def backup(
    platform: str, systems: tuple[str, ...], *, methods: tuple[str, ...], lab: bool, state: Path, as_json: bool
) -> None:
    """Back a platform up now, under one restore point, without Prefect or any server.

    PLATFORM is a name that `watchkeeper platforms` lists, or the path of a spec; SYSTEM one that has a `backup:`, all
    by default. Exit code 1 where one failed; the others are there.
    """
    from deployments.watching import BackupWatcher
    from tasks.backing_up import BackupRun, back_up

    with told(as_json=as_json):
        run = BackupRun.open(platform, systems, settings_of(state, lab=lab), methods=methods)
        watcher = BackupWatcher(run, quiet=as_json)
        report = back_up(run, told=watcher.told, done=watcher.done)
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    else:
        watcher.ended(report)
    raise click.exceptions.Exit(Exit.FINDINGS if report.failed or not report.backups else Exit.FINE)
