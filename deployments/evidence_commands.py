"""The commands on the ledger of evidence. Each imports what it needs when it runs: help is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deployments.console import Exit, fail, say_json, told
from deployments.options import example, json_option, lab_option, settings_of, state_option


@click.group(epilog=example("watchkeeper evidence verify", "watchkeeper evidence pack --month 2026-11"))
def evidence() -> None:
    """The ledger of all that was published: nothing in it can be changed, removed or reordered unseen."""


@evidence.command(epilog=example("watchkeeper evidence verify", "watchkeeper evidence verify --head 42:9f8a1c0d2b3e"))
@click.option("--head", metavar="NUMBER:HASH", help="Where the ledger ended, as it was told outside (in Slack).")
@lab_option
@state_option
@json_option
def verify(*, head: str | None, lab: bool, state: Path, as_json: bool) -> None:
    """Check the whole ledger and name the first bad record.

    Without --head, an end that was cut off shows only where the ledger's own note of its end was left. Exit code 1
    where a record is bad.
    """
    from tasks.evidence import verify as check

    expected = _head(head, as_json=as_json)
    with told(as_json=as_json):
        found = check(settings_of(state, lab=lab), expected)
    fault, end = found.fault, found.head
    if as_json:
        bad = {"record": fault.sequence, "what": fault.what} if fault else None
        say_json({"good": fault is None, "records": found.records, "head": str(end) if end else None, "first_bad": bad})
    elif fault is not None:
        click.secho(f"record {fault.sequence} is bad: {fault.what}; {found.records:,} before it are good", fg="red")
    else:
        click.echo(f"{found.records:,} records are good" + (f", the last is {end}" if end else ""))
    raise click.exceptions.Exit(Exit.FINDINGS if fault else Exit.FINE)


@evidence.command(epilog=example("watchkeeper evidence pack --month 2026-11 --output evidence-2026-11.zip"))
@click.option("--month", metavar="YYYY-MM", required=True, help="Whose records; in UTC.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write, which must be new.")
@lab_option
@state_option
@json_option
def pack(*, month: str, output: Path | None, lab: bool, state: Path, as_json: bool) -> None:
    """Pack a month for an auditor: records, page, tables, and a program that verifies them offline."""
    from tasks.evidence import pack as make

    with told(as_json=as_json):
        made = make(settings_of(state, lab=lab), month, output or Path(f"evidence-{month}.zip"))
    if as_json:
        end = str(made.head) if made.head else None
        say_json({"file": str(made.path), "records": made.records, "head": end, "sha256": made.sha256})
        return
    click.echo(f"{made.path}: {made.records:,} records" + (f", the last is {made.head}" if made.head else ""))
    click.echo(f"sha256 {made.sha256}")


def _head(text: str | None, *, as_json: bool) -> Any:
    from tasks.core.evidence import parse_head

    try:
        return None if text is None else parse_head(text)
    except ValueError as error:
        fail(f"--head: {error}", as_json=as_json)
