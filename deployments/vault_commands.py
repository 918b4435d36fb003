"""The commands about backups, vaults and retention. Each imports what it needs when it runs, so that help is quick."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from deployments.console import Exit, fail, progress, say_json, told
from deployments.options import example, json_option
from deployments.vault_place import VaultPlace, vault_options

_SHOWN = 100
_COUNTS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
_SPANS = ("within", "within-hourly", "within-daily", "within-weekly", "within-monthly", "within-yearly")


@click.group(epilog=example("watchkeeper backups list --vault /backups", "watchkeeper backups show shop/database/ID"))
def backups() -> None:
    """What lies in a vault: list it, look at a backup, keep one."""


@backups.command("list", epilog=example("watchkeeper backups list shop database --vault s3://shop-backups/vault"))
@click.argument("platform", required=False, default="")
@click.argument("system", required=False, default="")
@click.option("--last", type=click.IntRange(1), help="Only so many of the newest; 100 by default, all with --json.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@vault_options
@json_option
def backups_list(
    platform: str, system: str, *, last: int | None, everything: bool, place: VaultPlace, as_json: bool
) -> None:
    """List backups, newest first, by their names alone; nothing is read."""
    with told(as_json=as_json):
        opened, older = place.open(), 0
        platform = platform or place.name
        if everything or (as_json and last is None):
            found = opened.entries(platform, system)[::-1]
        else:
            folders = opened.folders(platform, system)[::-1]
            found = opened.entries_of(folders[: last or _SHOWN])
            older = max(0, len(folders) - (last or _SHOWN))
    if as_json:
        say_json([{**entry._asdict(), "folder": entry.folder, "time": entry.time.isoformat()} for entry in found])
        return
    for entry in found:
        notes = " ".join(
            note
            for note in (
                "" if entry.state == "complete" else entry.state,
                "pinned" * entry.pinned,
                f"verified {len(entry.verified)} times" if entry.verified else "",
                "in use" if entry.held else "",
            )
            if note
        )
        click.echo(f"{entry.folder:<60} {entry.time:%Y-%m-%d %H:%M} {entry.stored_bytes:>15,} B  {notes}".rstrip())
    if older:
        click.echo(f"and {older:,} older ones: --all lists them")
    if not found:
        click.echo("there are no backups")


@backups.command("show", epilog=example("watchkeeper backups show shop/database/20261125T020000Z-9f31c07a --json"))
@click.argument("backup")
@vault_options
@json_option
def backups_show(backup: str, *, place: VaultPlace, as_json: bool) -> None:
    """Show a backup's manifest. BACKUP is platform/system/id."""
    from tasks.vault.records import verifications

    with told(as_json=as_json):
        vault = place.open()
        manifest, pin, verified = vault.get(backup), vault.pin_of(backup), verifications(vault, backup)
    if as_json:
        pinned = None if pin is None else {**pin._asdict(), "at": pin.at.isoformat()}
        records = [record.model_dump(mode="json") for record in verified]
        say_json({**manifest.model_dump(mode="json"), "pin": pinned, "verifications": records})
        return
    for label, value in (
        ("shows", f"{manifest.consistent_as_of:%Y-%m-%d %H:%M:%S %Z}"),
        ("taken by", f"{manifest.method} copy of {manifest.kind} {manifest.server_version}".rstrip()),
        ("restore point", manifest.restore_point),
        ("encrypted for", ", ".join(manifest.recipients) or "nobody: it is not encrypted"),
        ("pinned", "" if pin is None else f"by {pin.by}: {pin.why}"),
        *(("verified", f"{one.at:%Y-%m-%d %H:%M} level {one.level}: {one.outcome}") for one in verified),
        *(("not in it", warning) for warning in manifest.warnings),
    ):
        if value:
            click.echo(f"{label:<14} {value}")
    for part in manifest.parts:
        click.echo(f"  {part.name:<50} {part.plain_bytes:>15,} B  stored {part.stored_bytes:>15,} B")


@backups.command("pin", epilog=example("watchkeeper backups pin shop/database/ID --why 'before the migration'"))
@click.argument("backup")
@click.option("--why", default="", help="Why it must be kept.")
@click.option("--by", default=getpass.getuser, show_default="your login", help="Who says so.")
@click.option("--off", is_flag=True, help="Let retention decide again.")
@vault_options
@json_option
def backups_pin(backup: str, *, why: str, by: str, off: bool, place: VaultPlace, as_json: bool) -> None:
    """Keep a backup whatever retention says. BACKUP is platform/system/id."""
    with told(as_json=as_json):
        vault = place.open()
        vault.unpin(backup) if off else vault.pin(backup, by=by, why=why)
    if as_json:
        say_json({"backup": backup, "pinned": not off})
    else:
        click.echo(f"{backup} is {'not pinned any more' if off else 'pinned'}")


@backups.command(
    "copy",
    epilog=example(
        "watchkeeper backups copy apex/database/ID --platform apex --to offsite",
        "watchkeeper backups copy shop/database/ID --vault /backups --to s3://elsewhere/vault --with-log",
    ),
)
@click.argument("backup")
@click.option("--to", required=True, metavar="VAULT", help="Where to: named as the vault itself is.")
@click.option(
    "--with-log", is_flag=True, help="The archive of its system's log too, and the slices that go on from it."
)
@vault_options
@json_option
def backups_copy(backup: str, *, to: str, with_log: bool, place: VaultPlace, as_json: bool) -> None:
    """Copy a backup, and what it is made from, into another vault. BACKUP is platform/system/id.

    Bytes go as they are stored: no key is needed, and they are held against their hashes on the way. What is there
    already is passed over, and a copy that was cut off goes on where it was.
    """
    from dataclasses import replace

    from tasks.vault.copying import copy_with_parents
    from tasks.vault.copying_log import copy_log

    say = progress(quiet=as_json)
    with told(as_json=as_json):
        target = replace(place.open(to), tell=lambda made: say(_how_far(made)))
        source = place.open()
        copied = copy_with_parents(source, backup, target, lambda manifest: say(f"{manifest.folder} is there"))
        if with_log:
            copy_log(source, backup, target, lambda what: say(f"{what} is there"))
    if as_json:
        where = target.store.where
        say_json([{"backup": one.folder, "location": where(one.folder), "bytes": one.stored_bytes} for one in copied])
    else:
        click.echo(f"{backup} is in {target.name}")


def _how_far(made: Any) -> str:
    """Say how far, how quick, and how long yet: `1.2 GiB of 5 GiB, 120 MiB a second, 32 s left`."""
    from tasks.core.units import format_bytes, format_duration

    of = f" of {format_bytes(made.total)}" if made.total is not None else ""
    left = f", {format_duration(round(made.remaining))} left" if made.remaining is not None else ""
    return f"{format_bytes(made.done)}{of}, {format_bytes(made.rate)} a second{left}"


@click.group(epilog=example("watchkeeper vault check --vault /backups --read-data 10", "watchkeeper vault key"))
def vault() -> None:
    """Where backups live: whether it is sound, and the keys to it."""


@vault.command("check", epilog=example("watchkeeper vault check shop --vault /backups --read-data 100"))
@click.argument("platform", required=False, default="")
@click.option("--read-data", type=click.FloatRange(0, 100), default=0.0, help="Per cent of the parts to read and hash.")
@vault_options
@json_option
def vault_check(platform: str, *, read_data: float, place: VaultPlace, as_json: bool) -> None:
    """Hold a vault against its manifests, both ways. No key is needed.

    Exit code 1 where a backup that counts cannot be read; what only takes room is told, and is no failure.
    """
    import secrets

    from tasks.vault.checking import check

    with told(as_json=as_json):
        seen = check(place.open(), platform=platform or place.name, read_data=read_data, choose=secrets.randbelow)
    if as_json:
        flaws = [flaw._asdict() for flaw in seen.flaws]
        say_json({"backups": seen.backups, "bytes_read": seen.bytes_read, "flaws": flaws})
    else:
        for flaw in seen.flaws:
            click.secho(f"{flaw.folder}: {flaw.what}", fg="red" if flaw.lost else "yellow")
        click.echo(f"{seen.backups} backups, {seen.bytes_read:,} B read, {len(seen.flaws)} flaws")
    raise click.exceptions.Exit(Exit.FINDINGS if any(flaw.lost for flaw in seen.flaws) else Exit.FINE)


@vault.command(
    "clean",
    epilog=example(
        "watchkeeper vault clean --vault /backups --older-than 2d",
        "watchkeeper vault clean --platform apex --vault offsite --older-than 2d --dry-run",
    ),
)
@click.option("--older-than", default="2d", show_default=True, metavar="DURATION", help="What is younger is at work.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@vault_options
@json_option
def vault_clean(*, older_than: str, dry_run: bool, place: VaultPlace, as_json: bool) -> None:
    """Remove what was begun and never ended: incomplete backups, uploads, removals that failed.

    No complete backup is touched.
    """
    from tasks.core.units import parse_duration
    from tasks.vault.checking import clean, leftovers

    try:
        age = parse_duration(older_than)
    except ValueError as error:
        fail(f"--older-than: {error}", as_json=as_json)
    with told(as_json=as_json):
        opened = place.open()
        if dry_run:
            entries, uploads = leftovers(opened, age)
            gone = [*(one.key for one in uploads), *(entry.folder for entry in entries)]
        else:
            gone = clean(opened, age)
    if as_json:
        say_json({"dry_run": dry_run, "removed": gone})
        return
    for name in gone:
        click.echo(name)
    click.echo(f"{len(gone)} {'would be' if dry_run else 'were'} removed")


@vault.command(
    "adopt",
    epilog=example(
        "watchkeeper vault adopt /mnt/old-disk --platform apex --vault offsite",
        "watchkeeper vault adopt s3://old/vault --vault /backups --as shop",
        "watchkeeper vault adopt shop/database/20261125T020000Z-9f31c07a --vault /backups",
    ),
)
@click.argument("found")
@click.option("--as", "name", metavar="PLATFORM", default="", help="The platform that they belong to from now on.")
@vault_options
@json_option
def vault_adopt(found: str, *, name: str, place: VaultPlace, as_json: bool) -> None:
    """Make backups count that the vault does not know. FOUND is a folder or s3:// address with backups anywhere below.

    Each is held against all of its hashes and copied in; what does not pass is refused, and told. FOUND may also be a
    backup of this vault, platform/system/id, that was forgotten. Exit code 1 where one was refused.
    """
    from tasks.clients.blobs import open_store
    from tasks.vault.adopting import Adopted, adopt, readopt

    with told(as_json=as_json):
        opened = place.open()
        if any(entry.state == "forgotten" and entry.folder == found for entry in opened.entries()):
            adopted = [Adopted(found, readopt(opened, found).folder)]
        else:
            adopted = adopt(open_store(found, endpoint=place.endpoint), opened, platform=name)
    if as_json:
        say_json([one._asdict() for one in adopted])
    for one in adopted if not as_json else ():
        click.secho(f"{one.found or found}: {one.refused or f'is {one.folder}'}", fg="red" if one.refused else None)
    raise click.exceptions.Exit(Exit.FINDINGS if any(one.refused for one in adopted) else Exit.FINE)


@vault.command(
    "forget", epilog=example("watchkeeper vault forget shop/database/ID --vault /backups --why 'the disk was failing'")
)
@click.argument("backup")
@click.option("--why", required=True, help="Why it is not to be trusted.")
@click.option("--by", default=getpass.getuser, show_default="your login", help="Who says so.")
@vault_options
@json_option
def vault_forget(backup: str, *, why: str, by: str, place: VaultPlace, as_json: bool) -> None:
    """Make a backup count for nothing, and leave its bytes as they are. BACKUP is platform/system/id.

    It is listed as forgotten, no restore takes it, and retention neither counts nor removes it. `vault adopt` makes it
    count again once all of its bytes have their hashes.
    """
    with told(as_json=as_json):
        place.open().forget(backup, by=by, why=why)
    if as_json:
        say_json({"backup": backup, "forgotten": True})
    else:
        click.echo(f"{backup} is forgotten")


@vault.command("key", epilog=example("watchkeeper vault key --output shop.identity"))
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="A new file for the key."
)
@json_option
def vault_key(output: Path, *, as_json: bool) -> None:
    """Make an age key pair: the identity goes into a file that only you can read, the recipient is printed.

    The identity restores every backup made for its recipient, and nothing else can. Keep it in two places, none of
    them a vault or a machine that takes backups: a password manager, and paper in a safe.
    """
    import os

    from tasks.vault.keys import new_key

    pair = new_key()
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        fail(f"{output}: {error.strerror}", as_json=as_json)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"# public key: {pair.recipient}\n{pair.identity}\n")
    if as_json:
        say_json({"recipient": pair.recipient, "identity_file": str(output)})
        return
    click.echo(pair.recipient)
    click.secho(f"the identity is in {output}: keep it in two places that are not the vault, then remove it", err=True)


@click.group(epilog=example("watchkeeper retention plan --keep-daily 7 --backups backups.json"))
def retention() -> None:
    """What is kept and what is removed, and why."""


def _keep_options(command: Callable[..., None]) -> Callable[..., None]:
    for name in reversed(_SPANS):
        what = "All" if name == "within" else f"The newest of each {name.removeprefix('within-')} period"
        command = click.option(f"--keep-{name}", metavar="SPAN", help=f"{what} within 1y5m7d2h of the newest.")(command)
    for name in reversed(_COUNTS):
        what = "So many of the newest" if name == "last" else f"The newest of each of so many {name} periods"
        command = click.option(f"--keep-{name}", metavar="N", help=f"{what}, or unlimited.")(command)
    return command


@retention.command(
    "plan",
    epilog=example(
        "watchkeeper retention plan --keep-last 3 --keep-daily 7 --keep-weekly unlimited --backups backups.json",
        "watchkeeper retention plan --keep-within 1y5m7d2h --keep-tag foo,bar --backups b.json --json",
    ),
)
@_keep_options
@click.option("--keep-tag", "tags", multiple=True, metavar="TAG,...", help="All with every one of these; repeatable.")
@click.option("--timezone", metavar="ZONE", help="In which days and weeks are; each backup's own offset without it.")
@click.option(
    "--backups", "path", type=click.Path(path_type=Path, dir_okay=False), required=True, help="JSON list of backups."
)
@json_option
def retention_plan(
    path: Path, *, tags: tuple[str, ...], timezone: str | None, as_json: bool, **keep: str | None
) -> None:
    """Say what a policy keeps and removes of a list of backups, with the reasons. Nothing is removed.

    The list has `id` and `time` of each, and may have `group`, `tags`, `complete`, `verified`, `pinned`,
    `locked_until`, `held` and `parents`. The options are those of restic.
    """
    from datetime import UTC, datetime

    from deployments import retention as plans
    from tasks.core.retention import plan

    with told(as_json=as_json):
        rules = plans.policy({name.removeprefix("keep_"): value for name, value in keep.items()}, tags)
        zone = plans.zone(timezone)
        made = plan(plans.read_backups(path), rules, now=datetime.now(UTC), zone=zone)
    if as_json:
        say_json(plans.as_dict(made))
        return
    for word, color, decisions in (("keep", "green", made.keep), ("remove", "red", made.remove)):
        for one in decisions:
            click.echo(f"{click.style(f'{word:<7}', fg=color)} {one.id:<40} {'; '.join(one.reasons)}")
    click.echo(f"{len(made.keep)} are kept, {len(made.remove)} removed")
    for group, share in made.beyond.items():
        click.secho(
            f"{share:.0%} of {group or 'all'} would go: more than may go without a person's approval",
            fg="yellow",
            err=True,
        )
