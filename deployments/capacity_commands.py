"""The commands that look ahead. Each imports what it needs when it runs, so that help is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deployments.console import Exit, fail, say_json, told
from deployments.options import example, json_option, lab_option, settings_of, state_option

_SHOWN = 24


@click.command(
    epilog=example(
        "watchkeeper forecast --csv disk.csv --horizon 30d --limit 85% --limit 100% --unit ratio",
        "watchkeeper forecast --csv demand.csv --horizon 48h --json",
    )
)
@click.option("--csv", "file", type=click.Path(path_type=Path, dir_okay=False), required=True, help="timestamp,value.")
@click.option("--horizon", default="48h", show_default=True, help="How far ahead: 48h, 30d.")
@click.option("--limit", "limits", multiple=True, metavar="X", help="When is it crossed? May be repeated: 85%, 2TiB.")
@click.option("--floor", "floors", multiple=True, metavar="X", help="A limit that is crossed from above: free space.")
@click.option("--interval", type=click.FloatRange(1, 99.9), default=80, show_default=True, help="Per cent inside it.")
@click.option(
    "--unit",
    type=click.Choice(["any", "ratio", "percent", "amount"]),
    default="any",
    show_default=True,
    help="ratio: 0 to 1; percent: 0 to 100; amount: never below 0.",
)
@json_option
def forecast(
    file: Path,
    *,
    horizon: str,
    limits: tuple[str, ...],
    floors: tuple[str, ...],
    interval: float,
    unit: str,
    as_json: bool,
) -> None:
    """Forecast a series of a CSV file: what comes, how sure that is, and when a limit is crossed.

    A series of which no honest forecast can be made is called unfit, with the reason, and ends with 1.
    """
    from tasks.core.forecast import Question
    from tasks.core.forecast import forecast as make
    from tasks.core.forecasting.csv_text import read_series
    from tasks.core.forecasting.grid import Unfit
    from tasks.core.forecasting.quality import series_of
    from tasks.core.forecasting.telling import document

    lowest, highest = {"any": (None, None), "ratio": (0.0, 1.0), "percent": (0.0, 100.0), "amount": (0.0, None)}[unit]
    upper, lower = (
        _limits(written, option, unit, as_json=as_json) for option, written in (("limit", limits), ("floor", floors))
    )
    question = Question(_seconds(horizon, as_json=as_json), interval / 100, upper, lower, lowest, highest)
    with told(as_json=as_json):
        times, values = read_series(_read(file, as_json=as_json), str(file))
    try:
        made = make(series_of(times, values, lowest=lowest, highest=highest), question)
    except Unfit as reason:
        if as_json:
            say_json({"unfit": str(reason)})
        else:
            click.secho(f"{file} is unfit for a forecast: {reason}", fg="yellow", err=True)
        raise click.exceptions.Exit(Exit.FINDINGS) from None
    said = document(made, interval / 100)
    say_json(said) if as_json else _show(said)


def _show(said: dict[str, Any]) -> None:
    for one in said["crossings"]:
        click.secho(f"{one['limit']:g}: {one['text']}", bold=True)
    worth = said["backtest"]
    click.echo(said["method"])
    covered = "" if worth["coverage"] is None else f"; its intervals held {worth['coverage']:.0%}"
    click.echo(
        f"at {worth['origins']} earlier moments it was off by {worth['mase']:.2f} of a seasonal naive error"
        f" (seasonal naive itself {worth['seasonal_naive_mase']:.2f}){covered}"
    )
    for note in said["history"]["notes"]:
        click.secho(f"  {note}", dim=True)
    points = said["points"]
    every = max(1, -(-len(points) // _SHOWN))
    for point in points[every - 1 :: every]:
        click.echo(f"{point['time']:<22} {point['value']:>14.6g}   {point['low']:.6g} to {point['high']:.6g}")


def _read(file: Path, *, as_json: bool) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", as_json=as_json)


def _seconds(horizon: str, *, as_json: bool) -> float:
    from tasks.core.units import parse_duration

    try:
        seconds = parse_duration(horizon).total_seconds()
    except ValueError as error:
        fail(f"--horizon: {error}", as_json=as_json)
    if seconds <= 0:
        fail("--horizon: it must be longer than nothing", as_json=as_json)
    return seconds


def _limits(limits: tuple[str, ...], option: str, unit: str, *, as_json: bool) -> tuple[float, ...]:
    from tasks.core.units import Unit, parse_quantity

    try:
        read = [parse_quantity(limit) for limit in limits]
    except ValueError as error:
        fail(f"--{option}: {error}", as_json=as_json)
    return tuple(number * 100 if unit == "percent" and of is Unit.RATIO else number for number, of in read)


@click.command(
    epilog=example(
        "watchkeeper capacity synesthesia --lab", "watchkeeper capacity apex --horizon 180d --what-if traffic=2"
    )
)
@click.argument("platform")
@click.option("--horizon", default="90d", show_default=True, help="How far ahead: 30d, 90d.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the plan as one HTML file too.")
@click.option(
    "--what-if",
    "what_if",
    multiple=True,
    metavar="X",
    help="Suppose traffic=2, retention=60d or nodes=-1; may be repeated.",
)
@click.option("--csv", "folder", type=click.Path(path_type=Path, file_okay=False), help="Write tables to this folder.")
@lab_option
@state_option
@json_option
def capacity(
    platform: str,
    *,
    horizon: str,
    html: Path | None,
    what_if: tuple[str, ...],
    folder: Path | None,
    lab: bool,
    state: Path,
    as_json: bool,
) -> None:
    """Say what of a platform runs out first and when, and what to change, without Prefect or any server.

    Nothing is stored and nobody is told. PLATFORM is a name that `watchkeeper platforms` lists, or the path of a spec.
    Exit code 1 where something reaches a bound, or nothing could be judged.
    """
    import asyncio
    from datetime import timedelta

    from tasks.core.advice.what_if import parse
    from tasks.core.report import Verdict
    from tasks.looking_ahead import CapacityPlan
    from tasks.reports import capacity_tables, capacity_words

    ahead = timedelta(seconds=_seconds(horizon, as_json=as_json))
    with told(as_json=as_json):
        supposed = [parse(one) for one in what_if]
        plan = CapacityPlan.open(platform, settings_of(state, lab=lab), horizon=ahead, what_if=supposed)
        asyncio.run(plan.gather())
        plan.look()
        report = plan.report()
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    else:
        from rich.console import Console

        from tasks.reports import bulletin_terminal

        Console(highlight=False).print(bulletin_terminal.render(capacity_words.bulletin(report)))
    if html is not None:
        from tasks.reports.bulletin_html import render

        html.write_text(render(capacity_words.bulletin(report)), encoding="utf-8")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in capacity_tables.tables(report).items():
            (folder / name).write_text(text, encoding="utf-8")
    raise click.exceptions.Exit(Exit.FINE if report.verdict is Verdict.PASSED else Exit.FINDINGS)
