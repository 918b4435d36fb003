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
@click.option(
    "--head",
    "heads",
    metavar="NUMBER:HASH",
    multiple=True,
    help="Where the ledger ended, as it was told outside (in Slack); may be repeated.",
)
@lab_option
@state_option
@json_option
def verify(*, heads: tuple[str, ...], lab: bool, state: Path, as_json: bool) -> None:
    """Check the whole ledger with its time stamps, and name the first bad record.

    Without --head, an end that was cut off shows only where the ledger's own note of its end was left. Exit code 1
    where a record or a time stamp is bad.
    """
    from tasks.evidence import prove
    from tasks.evidence import verify as check

    expected = [_head(head, as_json=as_json) for head in heads]
    sealed: dict[int, str] = {}
    settings = settings_of(state, lab=lab)
    with told(as_json=as_json):
        found = check(settings, expected, lambda record: sealed.update({record["sequence"]: record["sha256"]}))
        proof = prove(settings, sealed)
    if as_json:
        say_json(_as_json(found, proof))
    else:
        _say(found, proof)
    raise click.exceptions.Exit(Exit.FINDINGS if found.fault or proof.wrong else Exit.FINE)


def _as_json(found: Any, proof: Any) -> dict[str, Any]:
    bad = {"record": found.fault.sequence, "what": found.fault.what} if found.fault else None
    told_at = {"stamps": proof.stamps, "wrong": list(proof.wrong), "newest": None}
    if proof.newest:
        number, stamp = proof.newest
        told_at["newest"] = {"record": number, "at": stamp.at.isoformat(), "signature_checked": stamp.proven}
    return {
        "good": found.fault is None and not proof.wrong,
        "records": found.records,
        "head": str(found.head) if found.head else None,
        "first_bad": bad,
        "notes": list(found.notes),
        "timestamps": told_at,
    }


def _say(found: Any, proof: Any) -> None:
    fault, end = found.fault, found.head
    if fault is not None:
        click.secho(f"record {fault.sequence} is bad: {fault.what}; {found.records:,} before it are good", fg="red")
    else:
        click.echo(f"{found.records:,} records are good" + (f", the last is {end}" if end else ""))
    for note in found.notes:
        click.secho(f"note: {note}", fg="yellow")
    for wrong in proof.wrong:
        click.secho(wrong, fg="red")
    if proof.newest:
        number, stamp = proof.newest
        signed = "its signature is good" if stamp.proven else "its signature was not checked: set timestamps_trusted"
        click.echo(f"record {number} and all before it were there on {stamp.at:%Y-%m-%d %H:%M:%S} UTC; {signed}")


@evidence.command(epilog=example("watchkeeper evidence attach restore-test.pdf"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@lab_option
@state_option
@json_option
def attach(file: Path, *, lab: bool, state: Path, as_json: bool) -> None:
    """Keep a file as evidence, and print the name by which an attestation gives it. Packs hold it too."""
    from tasks.evidence import attach as keep

    with told(as_json=as_json):
        name = keep(file, settings_of(state, lab=lab))
    say_json({"evidence": name}) if as_json else click.echo(name)


@evidence.command(
    epilog=example(
        "watchkeeper evidence pack --month 2026-11 --output evidence-2026-11.zip",
        "watchkeeper evidence pack --month 2026-11 --platform stario",
    )
)
@click.option("--month", metavar="YYYY-MM", required=True, help="Whose records; in UTC.")
@click.option("--platform", default="", help="Leave out what the records of other platforms say.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write, which must be new.")
@lab_option
@state_option
@json_option
def pack(*, month: str, platform: str, output: Path | None, lab: bool, state: Path, as_json: bool) -> None:
    """Pack a month for an auditor: records, page, tables, and a program that verifies them offline."""
    from tasks.evidence_packs import pack as make

    name = "-".join(part for part in ("evidence", platform, month) if part)
    with told(as_json=as_json):
        made = make(settings_of(state, lab=lab), month, output or Path(f"{name}.zip"), platform)
    if as_json:
        end = str(made.head) if made.head else None
        counts = {"records": made.records, "withheld": made.withheld}
        say_json({"file": str(made.path), **counts, "head": end, "sha256": made.sha256})
        return
    others = f", {made.withheld:,} of other platforms without their content" if made.withheld else ""
    click.echo(f"{made.path}: {made.records:,} records{others}" + (f", the last is {made.head}" if made.head else ""))
    click.echo(f"sha256 {made.sha256}")


def _head(text: str, *, as_json: bool) -> Any:
    from tasks.core.evidence import parse_head

    try:
        return parse_head(text)
    except ValueError as error:
        fail(f"--head: {error}", as_json=as_json)
