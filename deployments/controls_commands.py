"""The commands on controls. Each imports what it needs when it runs: help is quick."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any, Literal

import click

from deployments.console import Exit, fail, say_json, told
from deployments.options import example, json_option, lab_option, settings_of, state_option

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
        "watchkeeper controls run scanners --results build/scans --json",
        "helm template . | watchkeeper controls run kubernetes --manifests /dev/stdin --json",
    )
)
@click.argument("subject", type=click.Choice(["kubernetes", "scanners"]))
@click.option("--manifests", type=click.Path(path_type=Path), help="A folder of YAML or JSON, or one file.")
@click.option(
    "--results", type=click.Path(path_type=Path), help="A folder of JSON or SARIF that scanners wrote, or a file."
)
@json_option
def run(subject: str, *, manifests: Path | None, results: Path | None, as_json: bool) -> None:
    """Judge facts by all the controls about them.

    SUBJECT `kubernetes` judges plain manifests, so that a repository is checked before it is deployed. Templates and
    overlays are told, not judged: hand over what `helm template` or `kubectl kustomize` prints. `scanners` judges what
    pip-audit, npm audit, trivy and grype wrote as JSON, and any scanner as SARIF. Exit code 1 where something was
    found, or not all could be judged.
    """
    from tasks.control_runs import judge_manifests, judge_results

    needed, judge, place = {
        "kubernetes": ("--manifests", judge_manifests, manifests),
        "scanners": ("--results", judge_results, results),
    }[subject]
    if place is None:
        fail(f"{subject} is judged by {needed}", as_json=as_json)
    with told(as_json=as_json):
        found = judge(place)
    say_json(found) if as_json else _show(subject, found)
    raise click.exceptions.Exit(Exit.FINE if found["verdict"] == "passed" else Exit.FINDINGS)


@click.command(epilog=example("watchkeeper checklist apex", "watchkeeper checklist apex --lab --json"))
@click.argument("platform")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the list as one HTML file too.")
@lab_option
@state_option
@json_option
def checklist(platform: str, *, html: Path | None, lab: bool, state: Path, as_json: bool) -> None:
    """Judge a platform by every control now, without Prefect or any server.

    Nothing is stored and nobody is told: the flow `compliance-checklist` does that. Exit code 1 where a control is not
    kept, or something was not checked.
    """
    from tasks.checklists import ChecklistRun
    from tasks.core.report import Verdict
    from tasks.reports import bulletin_html, bulletin_terminal, checklist_words

    with told(as_json=as_json):
        made = ChecklistRun.open(platform, settings_of(state, lab=lab))
        report = made.report(made.look())
    bulletin = checklist_words.bulletin(report)
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    else:
        from rich.console import Console

        Console(highlight=False).print(bulletin_terminal.render(bulletin))
    if html is not None:
        html.write_text(bulletin_html.render(bulletin), encoding="utf-8")
    raise click.exceptions.Exit(Exit.FINE if report.verdict is Verdict.PASSED else Exit.FINDINGS)


@controls.command(
    epilog=example(
        "watchkeeper controls attest apex incident-contacts --text 'all five answered' --until 2027-01-31T00:00+00:00"
    )
)
@click.argument("platform")
@click.argument("control")
@click.option("--text", required=True, help="What is stated.")
@click.option("--until", required=True, help="Until when it holds, with its zone: 2027-01-31T00:00+01:00.")
@click.option("--evidence", default="", help="Where an auditor finds what shows it.")
@click.option("--by", default=getpass.getuser, show_default="your login", help="Who states it.")
@state_option
@json_option
def attest(platform: str, control: str, **given: Any) -> None:
    """State that a control holds of which no machine can tell."""
    _state("attestation", platform, control, **given)


@controls.command(
    epilog=example(
        "watchkeeper controls waive apex backups-encrypted --text 'moved in March' --approver 'Ada Byron' "
        "--until 2027-04-01T00:00+00:00"
    )
)
@click.argument("platform")
@click.argument("control")
@click.option("--text", required=True, help="Why the breach is accepted.")
@click.option("--until", required=True, help="Until when, with its zone: 2027-01-31T00:00+01:00.")
@click.option("--approver", required=True, help="Who accepted it; somebody else than --by.")
@click.option("--evidence", default="", help="Where it was decided: an address, a ticket.")
@click.option("--by", default=getpass.getuser, show_default="your login", help="Who asks for it.")
@state_option
@json_option
def waive(platform: str, control: str, **given: Any) -> None:
    """Accept that a control is not kept, for a time; it stays in every checklist as waived."""
    _state("waiver", platform, control, **given)


def _state(
    kind: Literal["attestation", "waiver"], platform: str, control: str, *, state: Path, as_json: bool, **given: Any
) -> None:
    import secrets
    from datetime import UTC, datetime

    from pydantic import ValidationError

    from tasks.checklists import state as keep
    from tasks.core.compliance import Statement
    from tasks.core.manifest import new_id
    from tasks.platforms import load

    now = datetime.now(UTC)
    with told(as_json=as_json):
        name = load(platform).platform
        try:
            made = Statement(
                id=new_id(now, secrets.token_hex(4)), kind=kind, platform=name, control=control, at=now, **given
            )
        except ValidationError as error:
            first = error.errors()[0]
            fail(f"{'.'.join(map(str, first['loc'])) or kind}: {first['msg']}", as_json=as_json)
        keep(made, settings_of(state))
    if as_json:
        say_json(made.model_dump(mode="json"))
    else:
        click.echo(f"{made.kind} {made.id} of {made.control}, until {made.until:%Y-%m-%d %H:%M %Z}")


def _show(subject: str, found: dict[str, Any]) -> None:
    for finding in found["findings"]:
        of = finding["resource"]
        parts = (of.get("namespace"), of.get("kind", of.get("tool")), of["name"], finding["container"])
        where = "/".join(part for part in parts if part)
        click.secho(f"{finding['severity']:<9}", fg=_COLOURS[finding["severity"]], nl=False)
        at = f"{finding['file']}:{finding['line']} " if finding["file"] else ""
        click.echo(f"{at}{where}: {finding['what']}")
    for one in found["not_judged"]:
        click.secho(f"{one['why']:<12} {one['file']}:{one['line']} {one['what']}", fg="yellow")
    counts, results = found["summary"], found["summary"]["controls"]
    click.secho(f"{found['verdict']}: {counts['findings']} findings in {counts['resources']} resources", bold=True)
    click.echo(f"{subject}: " + ", ".join(f"{number} {result}" for result, number in results.items()))
