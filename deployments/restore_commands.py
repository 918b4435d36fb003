"""The commands that restore, verify and drill. Each imports what it needs when it runs, so that help is quick."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from deployments.console import Exit, progress, say_json, told
from deployments.options import example, json_option, lab_option, settings_of, state_option

_SCENARIOS = (
    "complete-platform",
    "lost-database",
    "dropped-table",
    "corrupted-backup",
    "lost-key",
    "lost-region",
)


def _moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """Read a time; one without an offset is refused where the platform's zone can say what may have been meant."""
    try:
        return None if value is None else datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time: write 2026-11-26T08:30:00+00:00") from None


@click.command(
    epilog=example(
        "watchkeeper restore apex/database --latest --into scratch",
        "watchkeeper restore apex/database/20261126T020000Z-9f31c07a --into env:STAGING_DSN --only apex",
        "watchkeeper restore apex/database --at 2026-11-26T08:30:00Z --plan",
    )
)
@click.argument("backup", metavar="PLATFORM/SYSTEM[/ID]")
@click.option("--latest", is_flag=True, help="As new as the newest backup and the log after it reach.")
@click.option("--at", "until", metavar="TIME", callback=_moment, help="To this moment, with its offset from UTC.")
@click.option("--position", metavar="P", help="To this position of the system's own: an LSN, a named point.")
@click.option(
    "--into",
    default="scratch",
    show_default=True,
    metavar="TARGET",
    help="scratch, env:NAME or file:PATH with an address, or an address without a password.",
)
@click.option("--only", multiple=True, metavar="PART", help="Only this database, collection, prefix; repeatable.")
@click.option("--vault", metavar="NAME", help="Only from this vault of the platform.")
@click.option("--method", metavar="NAME", help="Only a backup taken in this way: logical, physical.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Streams at once.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and do nothing.")
@lab_option
@state_option
@json_option
def restore(
    backup: str,
    *,
    latest: bool,
    until: datetime | None,
    position: str | None,
    into: str,
    only: tuple[str, ...],
    vault: str | None,
    method: str | None,
    jobs: int,
    only_plan: bool,
    lab: bool,
    state: Path,
    as_json: bool,
) -> None:
    """Restore a backup into scratch or a named place, and compare it. A live system is refused.

    Without an id the newest backup that fits is taken. Scratch is a server of its own that is started for it and gone
    afterwards: it proves the backup. Exit code 1 where something did not hold.
    """
    from deployments.restores import restore_now
    from tasks.restoring import Wish

    platform, system, identifier = _parts(backup)
    wish = Wish(
        backup=identifier,
        until=until,
        position=position,
        latest=latest,
        method=method,
        vault=vault,
        only=only,
        jobs=jobs,
    )
    with told(as_json=as_json):
        done = restore_now(
            platform,
            system,
            wish,
            into,
            settings_of(state, lab=lab),
            only_plan=only_plan,
            progress=progress(quiet=as_json),
        )
    if as_json:
        say_json(done.as_dict())
    else:
        done.show()
    raise click.exceptions.Exit(Exit.FINE if done.fine else Exit.FINDINGS)


@click.command(
    epilog=example(
        "watchkeeper verify apex",
        "watchkeeper verify apex database --level 2",
        "watchkeeper verify apex/database/20261126T020000Z-9f31c07a --json",
    )
)
@click.argument("platform", metavar="PLATFORM[/SYSTEM/ID]")
@click.argument("systems", nargs=-1, metavar="[SYSTEM]...")
@click.option(
    "--level",
    type=click.IntRange(0, 3),
    default=3,
    show_default=True,
    help="0 it exists, 1 every hash, 2 it parses, 3 restored into scratch and compared.",
)
@click.option("--vault", metavar="NAME", help="Only in this vault.")
@lab_option
@state_option
@json_option
def verify(
    platform: str,
    systems: tuple[str, ...],
    *,
    level: int,
    vault: str | None,
    lab: bool,
    state: Path,
    as_json: bool,
) -> None:
    """Prove backups: the newest of each system and method, and a random older one; or the one that is named.

    What was seen is appended beside the backup, where retention and the health check find it.
    """
    from deployments.restores import verify_now

    name, _, one = platform.partition("/")
    with told(as_json=as_json):
        done = verify_now(
            name, systems, one, level, settings_of(state, lab=lab), vault=vault, progress=progress(quiet=as_json)
        )
    if as_json:
        say_json(done.as_dict())
    else:
        done.show()
    raise click.exceptions.Exit(Exit.FINE if done.fine else Exit.FINDINGS)


@click.command(
    epilog=example(
        "watchkeeper drill apex", "watchkeeper drill apex --scenario dropped-table --at 2026-11-26T08:30:00Z --json"
    )
)
@click.argument("platform")
@click.argument("systems", nargs=-1, metavar="[SYSTEM]...")
@click.option(
    "--scenario",
    type=click.Choice(_SCENARIOS),
    default=_SCENARIOS[0],
    show_default=True,
    help="The disaster that is rehearsed.",
)
@click.option("--restore-point", metavar="ID", help="Only backups that were taken together under this id.")
@click.option("--at", "until", metavar="TIME", callback=_moment, help="Go back to this moment; the newest without.")
@click.option("--vault", metavar="NAME", help="Read from this vault alone, as if the others were lost too.")
@click.option(
    "--identity",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The escrowed key, for the scenario lost-key.",
)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as a page there.")
@lab_option
@state_option
@json_option
def drill(
    platform: str,
    systems: tuple[str, ...],
    *,
    scenario: str,
    restore_point: str | None,
    until: datetime | None,
    vault: str | None,
    identity: Path | None,
    html: Path | None,
    lab: bool,
    state: Path,
    as_json: bool,
) -> None:
    """Rehearse a disaster against the clock: restore every system into scratch, prove it, and tear it down.

    Production is not touched. RTO and RPO are measured and held against the spec's objectives; damaged copies are read
    too, and must be seen to be damaged. Exit code 1 where anything did not hold.
    """
    from deployments.restores import drill_now
    from tasks.core.drill import as_answer
    from tasks.core.drill_plan import Scenario
    from tasks.drilling import Asked

    asked = Asked(Scenario(scenario), systems, restore_point, until, vault)
    with told(as_json=as_json):
        made = drill_now(
            platform, asked, settings_of(state, lab=lab), identity=identity, progress=progress(quiet=as_json)
        )
        if html is not None:
            from tasks.reports import bulletin_html, drills

            html.write_text(bulletin_html.render(drills.bulletin(made)), encoding="utf-8")
    if as_json:
        say_json(as_answer(made))
    else:
        _show(made)
    raise click.exceptions.Exit(Exit.FINE if made.verdict in ("passed", "warned") else Exit.FINDINGS)


@click.group(epilog=example("watchkeeper drills report", "watchkeeper drills report --quarter 2026Q4 --html q4.html"))
def drills() -> None:
    """What the drills of all platforms came to."""


@drills.command(
    epilog=example("watchkeeper drills report", "watchkeeper drills report --quarter 2026Q4 --html q4.html --json")
)
@click.option("--quarter", default="", metavar="YEARQn", help="Which one, such as 2026Q4; that of today without.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the paper as a page there.")
@lab_option
@state_option
@json_option
def report(*, quarter: str, html: Path | None, lab: bool, state: Path, as_json: bool) -> None:
    """Put a quarter's drills of all platforms on one paper: who would be back as promised, and who was not drilled.

    It is made from the reports that drills kept, and is kept beside them. Exit code 1 where a platform is not proven to
    come back.
    """
    from deployments.restores import quarter_now

    with told(as_json=as_json):
        made, page = quarter_now(quarter, settings_of(state, lab=lab))
        if html is not None:
            html.write_text(page, encoding="utf-8")
    if as_json:
        say_json(made.as_dict())
    else:
        made.show()
    raise click.exceptions.Exit(Exit.FINE if made.fine else Exit.FINDINGS)


def _show(made: Any) -> None:
    from rich.console import Console

    from tasks.reports import bulletin_terminal, drills

    Console(highlight=False).print(bulletin_terminal.render(drills.bulletin(made)))


def _parts(text: str) -> tuple[str, str, str | None]:
    pieces = text.split("/")
    if len(pieces) not in (2, 3) or not all(pieces):
        raise click.BadParameter(f"{text!r} is no PLATFORM/SYSTEM or PLATFORM/SYSTEM/ID", param_hint="PLATFORM/SYSTEM")
    return pieces[0], pieces[1], pieces[2] if len(pieces) > 2 else None  # noqa: PLR2004
