"""The commands on controls. Each imports what it needs when it runs: help is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deployments.console import Exit, fail, say_json, told
from deployments.options import example, json_option

_COLOURS = {"critical": "red", "high": "red", "medium": "yellow", "low": None}


@click.group(epilog=example("watchkeeper controls run kubernetes --manifests deploy/"))
def controls() -> None:
    """Compliance controls: what they prove, and what they find."""


@controls.command("list", epilog=example("watchkeeper controls list", "watchkeeper controls list --json"))
@json_option
def controls_list(*, as_json: bool) -> None:
    """List every control."""
    from tasks.controls import controls as known

    if as_json:
        say_json([control.as_dict() for control in known().values()])
        return
    for control in known().values():
        click.echo(f"{control.id:<38} {control.severity:<9} {control.title}")


@controls.command(epilog=example("watchkeeper controls show kubernetes-privileged"))
@click.argument("name", metavar="CONTROL")
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show one control: what a pass proves, which requirements it helps to meet, and the remedy."""
    from tasks.controls import controls as known

    control = known().get(name)
    if control is None:
        fail(f"{name!r} is no control; `watchkeeper controls list` names them", as_json=as_json)
    if as_json:
        say_json(control.as_dict())
        return
    click.secho(control.title, bold=True)
    click.echo(f"  proves     {control.proves}\n  severity   {control.severity}\n  owner      {control.owner}")
    click.echo(f"  frequency  {control.frequency}\n  remedy     {control.remedy}")
    for framework, clauses in control.requirements.items():
        if clauses:
            click.echo(f"  {framework}: {', '.join(clauses)}")


@controls.command(
    epilog=example(
        "watchkeeper controls run kubernetes --manifests deploy/",
        "helm template . | watchkeeper controls run kubernetes --manifests /dev/stdin --json",
    )
)
@click.argument("subject", type=click.Choice(["kubernetes"]))
@click.option(
    "--manifests", type=click.Path(path_type=Path), required=True, help="A folder of YAML or JSON, or one file."
)
@json_option
def run(subject: str, *, manifests: Path, as_json: bool) -> None:
    """Judge facts by all the controls about them.

    SUBJECT `kubernetes` judges plain manifests, so that a repository is checked before it is deployed. Templates and
    overlays are told, not judged: hand over what `helm template` or `kubectl kustomize` prints. Exit code 1 where
    something was found, or not all could be judged.
    """
    from tasks.control_runs import judge_manifests

    with told(as_json=as_json):
        found = judge_manifests(manifests)
    say_json(found) if as_json else _show(subject, found)
    raise click.exceptions.Exit(Exit.FINE if found["verdict"] == "passed" else Exit.FINDINGS)


def _show(subject: str, found: dict[str, Any]) -> None:
    for finding in found["findings"]:
        of = finding["resource"]
        where = "/".join(part for part in (of["namespace"], of["kind"], of["name"], finding["container"]) if part)
        click.secho(f"{finding['severity']:<9}", fg=_COLOURS[finding["severity"]], nl=False)
        click.echo(f"{finding['file']}:{finding['line']} {where}: {finding['what']}")
    for one in found["not_judged"]:
        click.secho(f"{one['why']:<12} {one['file']}:{one['line']} {one['what']}", fg="yellow")
    counts, results = found["summary"], found["summary"]["controls"]
    click.secho(f"{found['verdict']}: {counts['findings']} findings in {counts['resources']} resources", bold=True)
    click.echo(f"{subject}: " + ", ".join(f"{number} {result}" for result, number in results.items()))
