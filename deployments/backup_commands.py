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
    from deployments.recording import keep
    from tasks.faces import OfBulletin
    from tasks.reports import backup_words

    keep(run, OfBulletin(report, backup_words.bulletin(report)))
    raise click.exceptions.Exit(Exit.FINDINGS if report.failed or not report.backups else Exit.FINE)


@click.command(
    epilog=example(
        "watchkeeper prune apex",
        "watchkeeper prune apex --apply",
        "watchkeeper prune apex --apply --approve 3f2a90c1d4e5",
    )
)
@click.argument("platform")
@click.option("--apply", "applied", is_flag=True, help="Remove what the plan says; else it is only shown.")
@click.option(
    "--approve",
    is_flag=False,
    flag_value="now",
    default="",
    metavar="[PLAN]",
    help="Let more of a group go than 30 %: of the plan with this fingerprint, or of whatever it is now.",
)
@lab_option
@state_option
@json_option
def prune(platform: str, *, applied: bool, approve: str, lab: bool, state: Path, as_json: bool) -> None:
    """Show what retention keeps and removes in every vault, and why; with --apply, remove it.

    Exit code 1 where something failed or waits for an approval.
    """
    from tasks.core.report import Verdict
    from tasks.pruning import PruneRun

    with told(as_json=as_json):
        run = PruneRun.open(platform, settings_of(state, lab=lab), approve=approve)
        run.foresee()
        if applied:
            run.carry_out()
        report = run.report(applied=applied)
    from tasks.reports import prune_words

    bulletin = prune_words.bulletin(report)
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    else:
        from rich.console import Console

        from tasks.reports import bulletin_terminal

        Console(highlight=False).print(bulletin_terminal.render(bulletin))
    if applied:
        from deployments.recording import keep
        from tasks.faces import OfBulletin

        keep(run, OfBulletin(report, bulletin))
    raise click.exceptions.Exit(Exit.FINE if report.verdict is Verdict.PASSED else Exit.FINDINGS)
