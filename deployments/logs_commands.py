"""The commands on log files. Each imports what it needs when it runs: help is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deployments.console import Exit, fail, say_json, told
from deployments.options import example, json_option, settings_of, state_option

_SHOWN = 10
_COUNTED = ("failed_logins", "rate_limit_violations", "sql_injection")


@click.group(epilog=example("watchkeeper logs scan /var/log/auth.log"))
def logs() -> None:
    """What logs tell of attacks: of any file, without a platform or a server."""


@logs.command(
    epilog=example(
        "watchkeeper logs scan /var/log/auth.log*",
        "watchkeeper logs scan --format nginx access.log access.log.1.gz --trusted-proxy 10.0.0.0/8 --json",
    )
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "written",
    type=click.Choice(["auto", "sshd", "nginx", "json"]),
    default="auto",
    show_default=True,
    help="How lines are written; auto tells it of each line, so that files may be mixed.",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="CIDR",
    help="Believe the X-Forwarded-For of this proxy; may be repeated. Nobody is believed by default.",
)
@click.option("--timezone", default="UTC", show_default=True, help="IANA time zone of times that name none.")
@click.option("--year", type=int, help="Year of the first line, where lines have none; told by the file's age else.")
@click.option("--by-source", type=int, default=50, show_default=True, help="Failed logins of one source that are fine.")
@click.option("--an-hour", type=int, default=100, show_default=True, help="Failed logins an hour that are fine.")
@click.option("--limited-an-hour", type=int, default=1000, show_default=True, help="Rate-limit violations that are.")
@click.option("--platform", default="", help="Whose logs these are: what was found becomes evidence of it.")
@state_option
@json_option
def scan(
    files: tuple[Path, ...],
    written: str,
    proxies: tuple[str, ...],
    *,
    platform: str,
    state: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Count failed logins, rate-limit violations and SQL injections, by source and by hour.

    FILES are plain or packed (gzip, bzip2, xz, zstd), rotated or not; `-` is standard input. Exit code 1 where
    something is over a limit, an injection was tried, or a file could not be read or understood.
    """
    with told(as_json=as_json):
        found = _scan(files, written, proxies, as_json=as_json, **given)
    say_json(found) if as_json else _show(found)
    if platform:
        from deployments.recording import record_facts

        counts = ", ".join(f"{found[key]['total']:,} {key.replace('_', ' ')}" for key in _COUNTED)
        with told(as_json=as_json):
            record_facts("logs", platform, settings_of(state), found, f"{found['lines']:,} lines: {counts}")
    if all(file["problem"] and not file["lines"] for file in found["files"]):
        raise click.exceptions.Exit(Exit.COULD_NOT_RUN)
    raise click.exceptions.Exit(Exit.FINE if found["verdict"] == "passed" else Exit.FINDINGS)


def _scan(files: tuple[Path, ...], written: str, proxies: tuple[str, ...], *, as_json: bool, **given: Any) -> Any:
    from zoneinfo import ZoneInfo

    from tasks.core.logscan.addresses import Proxies
    from tasks.core.logscan.scan import Format, Limits, Scan
    from tasks.log_scans import scan_files

    try:
        trusted = Proxies(proxies)
    except ValueError as error:
        fail(f"--trusted-proxy: {error}", as_json=as_json)
    try:
        zone = ZoneInfo(given["timezone"])
    except (ValueError, OSError, LookupError):
        fail(f"--timezone: {given['timezone']!r} is no IANA time zone", as_json=as_json)
    limits = Limits(given["by_source"], given["an_hour"], given["limited_an_hour"])
    return scan_files(Scan(Format(written), trusted, zone, limits), files, year=given["year"])


def _show(found: dict[str, Any]) -> None:
    click.secho(f"{found['verdict']}: {found['lines']:,} lines", bold=True)
    for key, title in (
        ("failed_logins", "failed logins"),
        ("rate_limit_violations", "rate-limit violations"),
        ("sql_injection", "SQL injections tried"),
    ):
        part = found[key]
        click.echo(f"{part['total']:>9,} {title} from {part['sources']:,} sources")
        for source, count in list(part["by_source"].items())[:_SHOWN]:
            over = any(one["source"] == source for one in part.get("sources_over_limit", ()))
            click.secho(f"{count:>9,}   {source}{'   over the limit' if over else ''}", fg="red" if over else None)
        for one in part.get("hours_over_limit", ())[:_SHOWN]:
            click.secho(f"{one['count']:>9,}   in the hour of {one['hour']}   over the limit", fg="red")
    for sample in found["sql_injection"]["samples"][:_SHOWN]:
        click.echo(f"  {sample['file']}:{sample['line']} {sample['pattern']}: {sample['part']}")
    for file in found["files"]:
        if file["problem"]:
            click.secho(f"  {file['name']}: {file['problem']}", fg="red")
        if file["not_understood"]:
            first = file["first_not_understood"]
            where = f", the first is line {first}" if first else ""
            click.secho(f"  {file['name']}: {file['not_understood']:,} lines were not understood{where}", fg="yellow")
