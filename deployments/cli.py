"""The `watchkeeper` command. Each command imports what it needs when it runs, so that help is quick."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from deployments import (
    backup_commands,
    capacity_commands,
    controls_commands,
    evidence_commands,
    logs_commands,
    restore_commands,
    vault_commands,
    wal_commands,
)
from deployments.console import Exit, fail, progress, say_json, told
from deployments.options import example as _example
from deployments.options import json_option, lab_option, state_option
from deployments.options import settings_of as _settings


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_example("watchkeeper check apex --lab", "watchkeeper up", "watchkeeper run health-check apex --follow"),
)
@click.version_option(package_name="watchkeeper")
def main() -> None:
    """Runbooks that run themselves.

    Exit codes: 0 fine, 1 findings, 2 could not run.
    """


@main.command(
    epilog=_example("watchkeeper validate deployments/platforms/*.yaml", "watchkeeper validate a.yaml --secrets --json")
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--secrets", is_flag=True, help="Resolve every reference too, and name those that cannot be.")
@lab_option
@state_option
@json_option
def validate(files: tuple[Path, ...], *, secrets: bool, lab: bool, state: Path, as_json: bool) -> None:
    """Check platform specs: syntax, keys, units, names, and with --secrets every reference."""
    from deployments.validate import validate as find_problems

    with told(as_json=as_json):
        problems = find_problems(files, secrets=secrets, resolver=_access(state, lab=lab).resolver)
    if as_json:
        say_json({"files": [str(file) for file in files], "problems": [vars(problem) for problem in problems]})
    else:
        for problem in problems:
            click.echo(str(problem))
        good = len(files) - len({problem.file for problem in problems})
        click.secho(f"{good} of {len(files)} specs are fine", fg="red" if problems else "green", err=True)
    raise click.exceptions.Exit(Exit.FINDINGS if problems else Exit.FINE)


@main.command(epilog=_example("watchkeeper schema > platform.schema.json", "watchkeeper schema --write"))
@click.option("--write", is_flag=True, help="Write it beside the specs, with the pages made from it.")
@json_option
def schema(*, write: bool, as_json: bool) -> None:
    """Print the JSON Schema of a platform spec, for editor completion."""
    from deployments.schema import platform_schema, write_all

    if write:
        written = write_all(main)
        if as_json:
            say_json({"written": [str(path) for path in written]})
        else:
            click.echo("\n".join(map(str, written)))
        return
    say_json(platform_schema())


@main.command(epilog=_example("watchkeeper rules stylesync > stylesync.rules.yaml", "watchkeeper rules apex --json"))
@click.argument("platform")
@json_option
def rules(platform: str, *, as_json: bool) -> None:
    """Print a platform's objectives and service levels as alerting rules for Prometheus."""
    from deployments import rules as made
    from tasks.platforms import load

    with told(as_json=as_json):
        spec = load(platform)
    say_json(made.rules(spec)) if as_json else click.echo(made.rule_file(spec), nl=False)


@main.command(epilog=_example("watchkeeper platforms", "watchkeeper platforms --json"))
@json_option
def platforms(*, as_json: bool) -> None:
    """List the platforms that are looked after."""
    from tasks.platforms import load, platform_names

    with told(as_json=as_json):
        specs = [load(name) for name in platform_names()]
    if as_json:
        say_json(
            [
                {"platform": s.platform, "title": s.title, "systems": {n: v.kind for n, v in s.systems.items()}}
                for s in specs
            ]
        )
        return
    for spec in specs:
        click.echo(f"{spec.platform:<14} {spec.title:<28} {len(spec.systems):>3} systems   {spec.slack.channel}")


@main.command(epilog=_example("watchkeeper kinds", "watchkeeper kinds postgres"))
@click.argument("name", required=False)
@json_option
def kinds(name: str | None, *, as_json: bool) -> None:
    """List the kinds of systems, or what one kind measures."""
    from tasks.systems import kinds as all_kinds

    found = all_kinds()
    if name is not None and name not in found:
        fail(f"{name!r} is no kind; there are {', '.join(found)}", as_json=as_json)
    chosen = found if name is None else {name: found[name]}
    if as_json:
        say_json(
            {
                kind.name: [
                    {"name": m.name, "unit": m.unit, "help": m.help, "worse": m.worse}
                    for m in kind.spec.CATALOG.values()
                ]
                for kind in chosen.values()
            }
        )
        return
    for kind in chosen.values():
        measured = "" if kind.can("probe") else "   (not measured yet)"
        click.secho(f"{kind.name}{measured}", bold=True)
        if name is not None:
            for measure in kind.spec.CATALOG.values():
                click.echo(f"  {measure.name:<22} {measure.unit:<12} {measure.help}")


@main.command(epilog=_example("watchkeeper check apex", "watchkeeper check apex --lab --system cache --json"))
@click.argument("platform")
@click.option("--system", "systems", multiple=True, metavar="NAME", help="Only this system; may be repeated.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as one HTML file too.")
@lab_option
@state_option
@json_option
def check(platform: str, systems: tuple[str, ...], *, html: Path | None, lab: bool, state: Path, as_json: bool) -> None:
    """Check a platform now, without Prefect or any server.

    What was found becomes a record of the evidence; nobody is told. PLATFORM is a name that `watchkeeper platforms`
    lists, or the path of a spec.
    """
    from deployments.check import check_now
    from deployments.watching import Watcher

    watcher = Watcher(quiet=as_json)
    with told(as_json=as_json):
        report = check_now(platform, systems, _settings(state, lab=lab), began=watcher.began, told=watcher.told)
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    else:
        watcher.ended(report)
    if html is not None:
        from tasks.reports.html import render

        html.write_text(render(report, watcher.platform), encoding="utf-8")
    if watcher.inspection is not None:
        from deployments.recording import record
        from tasks.faces import OfReport

        record(watcher.inspection, OfReport(report, watcher.inspection.platform))
    raise click.exceptions.Exit(Exit.FINDINGS if report.problems or report.verdict != "passed" else Exit.FINE)


def _silencing(kind: str, platform: str, pattern: str, state: Path, **given: Any) -> None:
    """Keep a silence and say what it is."""
    from tasks.core.units import parse_duration
    from tasks.silences import silence

    lab, as_json = given.pop("lab"), given.pop("as_json")
    with told(as_json=as_json):
        try:
            lasting = parse_duration(given.pop("lasting"))
        except ValueError as error:
            fail(f"--for: {error}", as_json=as_json)
        kept = silence(kind, platform, pattern, lasting=lasting, settings=_settings(state, lab=lab), **given)  # type: ignore[arg-type]
    if as_json:
        say_json(kept.model_dump(mode="json"))
    else:
        click.echo(f"{kept.platform} {kept.pattern} is {kept.text}, until {kept.until.astimezone():%a %d %b %H:%M %Z}")
        for key in kept.outcomes:
            click.echo(f"  {key}")
        click.secho(f"to take it back: watchkeeper silences {kept.platform} --end {kept.id}", dim=True, err=True)


def _silence_options(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the options that an acknowledgement and a snooze share."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            json_option,
            state_option,
            lab_option,
            click.option("--by", default=getpass.getuser, show_default="your login", help="Who says so."),
            click.option("--why", default="", help="What is done about it, or why it can wait."),
            click.option("--for", "lasting", default=default, show_default=True, help="For how long: 30m, 4h, 2d."),
        ):
            command = option(command)
        return command

    return add


@main.command(epilog=_example("watchkeeper ack apex cache/reachable --for 4h --why 'the host is being restarted'"))
@click.argument("platform")
@click.argument("problem")
@_silence_options("4h")
def ack(platform: str, problem: str, **given: Any) -> None:
    """Say that somebody is on a problem: it is not told again, unless it gets worse.

    PROBLEM is the key of a finding as --json has it, a system, or a pattern: cache/reachable, cache, 'api/*'.
    """
    _silencing("acknowledged", platform, problem, **given)


@main.command(epilog=_example("watchkeeper snooze stario gpus --for 2d", "watchkeeper snooze apex '*' --for 30m"))
@click.argument("platform")
@click.argument("pattern")
@_silence_options("1h")
def snooze(platform: str, pattern: str, **given: Any) -> None:
    """Put problems off for a time, those to come too. They are still checked, and stay in the reports.

    PATTERN is the key of a finding, a system, or a pattern: logs/matches[errors], logs, '*'.
    """
    _silencing("snoozed", platform, pattern, **given)


@main.command(epilog=_example("watchkeeper silences apex", "watchkeeper silences apex --end cache/reachable"))
@click.argument("platform")
@click.option("--end", metavar="ID", help="Take back this one, by id or by its pattern.")
@lab_option
@state_option
@json_option
def silences(platform: str, *, end: str | None, lab: bool, state: Path, as_json: bool) -> None:
    """List what is acknowledged or snoozed and has not ended, or take it back."""
    from tasks import silences as verbs

    settings = _settings(state, lab=lab)
    with told(as_json=as_json):
        found = verbs.end(platform, end, settings) if end else verbs.active(platform, settings)
    if as_json:
        say_json([one.model_dump(mode="json") for one in found])
        return
    for one in found:
        until = "ended" if end else f"until {one.until.astimezone():%a %d %b %H:%M %Z}"
        click.echo(f"{one.id}  {one.pattern}  {one.text}, {until}")
    if not found:
        click.echo(f"nothing of {platform} is silenced")


@main.command(epilog=_example("watchkeeper digest eyewear --lab", "watchkeeper digest apex --day 2026-11-24 --json"))
@click.argument("platform")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="A day where the platform is; today by default.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the digest as one HTML file too.")
@lab_option
@state_option
@json_option
def digest(platform: str, *, day: Any, html: Path | None, lab: bool, state: Path, as_json: bool) -> None:
    """Sum up a platform's day from its kept reports, without Prefect or any server.

    Nothing is stored and nobody is told. PLATFORM is a name that `watchkeeper platforms` lists, or the path of a spec.
    """
    from tasks.days import close_day

    with told(as_json=as_json):
        made, spec = close_day(platform, _settings(state, lab=lab), day.date() if day else None)
    if as_json:
        click.echo(made.model_dump_json(indent=2))
    else:
        from rich.console import Console

        from tasks.reports.digest_terminal import render as on_terminal

        Console(highlight=False).print(on_terminal(made, spec))
    if html is not None:
        from tasks.reports.digest_html import render

        html.write_text(render(made, spec), encoding="utf-8")
    raise click.exceptions.Exit(Exit.FINE if made.verdict == "passed" else Exit.FINDINGS)


@main.group("status-page", epilog=_example("watchkeeper status-page build --output public"))
def status_page() -> None:
    """Status pages and badges, made from the kept reports alone."""


@status_page.command("build", epilog=_example("watchkeeper status-page build --output public"))
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder to fill.")
@click.option("--inside", is_flag=True, help="Say what was wrong too: for readers who may see names and addresses.")
@lab_option
@state_option
@json_option
def status_page_build(output: Path, *, inside: bool, lab: bool, state: Path, as_json: bool) -> None:
    """Write a page and a badge for each platform, and an index."""
    from datetime import UTC, datetime

    from tasks.reports.status_words import verdict_word
    from tasks.status import build

    with told(as_json=as_json):
        standings = build(output, _settings(state, lab=lab), datetime.now(UTC), inside=inside)
    if as_json:
        say_json({"output": str(output), "platforms": {one.platform: verdict_word(one) for one in standings}})
        return
    for one in standings:
        click.echo(f"{one.platform:<14} {verdict_word(one)}")
    click.echo(str(output / "index.html"))


@main.command(epilog=_example("watchkeeper metrics", "watchkeeper metrics --listen 127.0.0.1:9464"))
@click.option("--textfile", type=click.Path(path_type=Path, dir_okay=False), help="Write them there, in one piece.")
@click.option("--listen", metavar="ADDRESS:PORT", help="Answer scrapes of /metrics there until interrupted.")
@lab_option
@state_option
@json_option
def metrics(*, textfile: Path | None, listen: str | None, lab: bool, state: Path, as_json: bool) -> None:
    """Tell the newest reports as Prometheus metrics: on standard output, in a file, or to whoever scrapes."""
    from datetime import UTC, datetime

    from tasks.exposition import exposition, write_textfile

    settings = _settings(state, lab=lab)

    def make() -> str:
        return exposition(settings, datetime.now(UTC))

    if textfile is not None and listen is not None:
        fail("choose one of --textfile and --listen", as_json=as_json)
    with told(as_json=as_json):
        if listen is not None:
            _serve(listen, make, as_json=as_json)
            return
        text = make()
        if textfile is not None:
            write_textfile(textfile, text)
    if as_json:
        say_json({"textfile": str(textfile)} if textfile else {"metrics": text})
    else:
        click.echo(str(textfile) if textfile else text, nl=textfile is not None)


def _serve(listen: str, make: Any, *, as_json: bool) -> None:
    from contextlib import suppress

    from deployments.metrics import serving

    with serving(listen, make) as server, suppress(KeyboardInterrupt):
        host, port = server.server_address[:2]
        address = f"http://{host!s}:{port}/metrics"
        say_json({"address": address}) if as_json else click.echo(f"scrape {address}", err=True)
        server.serve_forever()


@main.command(
    epilog=_example(
        "watchkeeper run health-check apex --follow", "watchkeeper run health-check apex --set systems=cache"
    )
)
@click.argument("flow")
@click.argument("platform")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="A parameter; VALUE is JSON or text.")
@click.option("--follow", is_flag=True, help="Show the run's state and logs until it ends; exit as it did.")
@state_option
@json_option
def run(flow: str, platform: str, *, assignments: tuple[str, ...], follow: bool, state: Path, as_json: bool) -> None:
    """Start a deployment through the Prefect API."""
    from deployments.runs import parameters, start

    with told(as_json=as_json):
        outcome = start(
            flow,
            platform,
            parameters(assignments),
            settings=_settings(state),
            follow=follow,
            progress=progress(quiet=as_json),
        )
    if as_json:
        say_json(outcome.as_dict())
    else:
        click.echo(outcome.text)
    raise click.exceptions.Exit(outcome.exit_code)


@main.command(epilog=_example("watchkeeper up", "watchkeeper up --no-lab"))
@click.option(
    "--lab/--no-lab", default=True, show_default=True, help="Whether the worker looks after the embedded lab."
)
@state_option
@json_option
def up(*, lab: bool, state: Path, as_json: bool) -> None:
    """Start the Prefect server, a worker, the deployments and the lab; print the addresses."""
    from deployments import stack

    with told(as_json=as_json):
        status_ = stack.up(state, lab=lab, progress=progress(quiet=as_json))
    _show(status_, as_json=as_json)


@main.command(epilog=_example("watchkeeper down"))
@state_option
@json_option
def down(*, state: Path, as_json: bool) -> None:
    """End all that `watchkeeper up` started."""
    from deployments import stack

    with told(as_json=as_json):
        ended = stack.down(state)
    if as_json:
        say_json({"ended": ended})
    else:
        click.echo("ended" if ended else "nothing was up")


@main.command(epilog=_example("watchkeeper status", "watchkeeper status --json"))
@state_option
@json_option
def status(*, state: Path, as_json: bool) -> None:
    """Show what is up, and where."""
    from deployments import stack

    with told(as_json=as_json):
        _show(stack.status(state), as_json=as_json)


@main.command(epilog=_example("watchkeeper demo", "watchkeeper demo --keep"))
@click.option("--keep", is_flag=True, help="Leave everything up at the end.")
@state_option
@json_option
def demo(*, keep: bool, state: Path, as_json: bool) -> None:
    """Start all of the embedded lab, check five platforms, back one up, bring it back, and show what was found."""
    from deployments.demo import as_expected, demonstrate, show

    with told(as_json=as_json):
        shown = demonstrate(state, keep=keep, progress=progress(quiet=as_json))
    if as_json:
        say_json(shown.as_dict())
    else:
        show(shown, kept=keep)
    raise click.exceptions.Exit(Exit.FINE if as_expected(shown) else Exit.FINDINGS)


@main.group(
    epilog=_example("watchkeeper lab up apex", "watchkeeper lab break apex/cache stopped", "watchkeeper lab down")
)
def lab() -> None:
    """The embedded lab: real servers on loopback, to try everything on."""


@lab.command("up", epilog=_example("watchkeeper lab up", "watchkeeper lab up apex stario"))
@click.argument("platforms", nargs=-1)
@state_option
@json_option
def lab_up(platforms: tuple[str, ...], *, state: Path, as_json: bool) -> None:
    """Start the lab for these platforms; all by default."""
    from deployments import lab as the_lab

    with told(as_json=as_json):
        status_ = the_lab.up(list(platforms), state / "lab", progress=progress(quiet=as_json))
    _show(status_, as_json=as_json)


@lab.command("down", epilog=_example("watchkeeper lab down"))
@state_option
@json_option
def lab_down(*, state: Path, as_json: bool) -> None:
    """End the lab."""
    from deployments import lab as the_lab

    with told(as_json=as_json):
        ended = the_lab.down(state / "lab")
    if as_json:
        say_json({"ended": ended})
    else:
        click.echo("the lab has ended" if ended else "the lab was not up")


@lab.command("status", epilog=_example("watchkeeper lab status --json"))
@state_option
@json_option
def lab_status(*, state: Path, as_json: bool) -> None:
    """Show the lab's servers, addresses and faults."""
    from deployments import lab as the_lab

    with told(as_json=as_json):
        _show(the_lab.status(state / "lab"), as_json=as_json)


@lab.command("faults", epilog=_example("watchkeeper lab faults"))
@json_option
def lab_faults(*, as_json: bool) -> None:
    """List the faults that the lab can make, by kind of system."""
    from deployments import lab as the_lab

    found = the_lab.faults()
    if as_json:
        say_json(found)
        return
    for kind, by_name in found.items():
        click.secho(kind, bold=True)
        for name, help_text in by_name.items():
            click.echo(f"  {name:<18} {help_text}")


@lab.command("break", epilog=_example("watchkeeper lab break apex/cache stopped", "watchkeeper lab faults"))
@click.argument("target", metavar="PLATFORM/SYSTEM")
@click.argument("fault")
@state_option
@json_option
def lab_break(target: str, fault: str, *, state: Path, as_json: bool) -> None:
    """Break a system of the lab for real, until it is mended."""
    from deployments import lab as the_lab

    with told(as_json=as_json):
        the_lab.break_(state / "lab", target, fault)
    say_json({"target": target, "fault": fault}) if as_json else click.echo(f"{target} is now {fault}")


@lab.command("mend", epilog=_example("watchkeeper lab mend apex/cache", "watchkeeper lab mend"))
@click.argument("target", metavar="[PLATFORM/SYSTEM]", required=False)
@state_option
@json_option
def lab_mend(target: str | None, *, state: Path, as_json: bool) -> None:
    """Mend one system of the lab, or all."""
    from deployments import lab as the_lab

    with told(as_json=as_json):
        mended = the_lab.mend(state / "lab", target)
    say_json({"mended": mended}) if as_json else click.echo(f"mended: {', '.join(mended) or 'nothing was broken'}")


for command in (
    backup_commands.backup,
    backup_commands.prune,
    capacity_commands.forecast,
    capacity_commands.capacity,
    restore_commands.restore,
    restore_commands.verify,
    restore_commands.drill,
    restore_commands.drills,
    vault_commands.backups,
    vault_commands.vault,
    vault_commands.retention,
    wal_commands.wal_push,
    wal_commands.wal_fetch,
    logs_commands.logs,
    controls_commands.controls,
    controls_commands.checklist,
    evidence_commands.evidence,
):
    main.add_command(command)


def _show(status_: Any, *, as_json: bool) -> None:
    if as_json:
        say_json(status_.as_dict())
    else:
        click.echo(status_.text)


def _access(state: Path, *, lab: bool) -> Any:
    from tasks.platforms import access

    return access(_settings(state, lab=lab))
