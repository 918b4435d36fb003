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
@click.option("--platform", default="", help="Whose these are: what was found becomes evidence of it.")
@state_option
@json_option
def run(
    subject: str, *, manifests: Path | None, results: Path | None, platform: str, state: Path, as_json: bool
) -> None:
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
    if platform:
        from deployments.recording import record_facts

        counts = found["summary"]
        said = f"{subject}: {counts['findings']} findings in {counts['resources']} resources"
        with told(as_json=as_json):
            record_facts("controls", platform, settings_of(state), found, said)
    raise click.exceptions.Exit(Exit.FINE if found["verdict"] == "passed" else Exit.FINDINGS)


@click.command(epilog=example("watchkeeper checklist apex", "watchkeeper checklist apex --lab --json"))
@click.argument("platform")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the list as one HTML file too.")
@click.option("--plant", is_flag=True, help="Carry on the spec's proofs: plant synthetic data, and look for it.")
@lab_option
@state_option
@json_option
def checklist(platform: str, *, html: Path | None, plant: bool, lab: bool, state: Path, as_json: bool) -> None:
    """Judge a platform by every control now, without Prefect or any server.

    The list becomes a record of the evidence. It is not kept as a report and nobody is told: the flow
    `compliance-checklist` does that. Nothing is changed in the platform but with --plant; without it, what was planted
    before is judged as it was found then. Exit code 1 where a control is not kept, or something was not checked.
    """
    from tasks.checklists import ChecklistRun
    from tasks.core.report import Verdict
    from tasks.reports import bulletin_html, bulletin_terminal, checklist_words

    with told(as_json=as_json):
        made = ChecklistRun.open(platform, settings_of(state, lab=lab))
        report = made.report(made.look(plant=plant))
    bulletin = checklist_words.bulletin(report)
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    else:
        from rich.console import Console

        Console(highlight=False).print(bulletin_terminal.render(bulletin))
    if html is not None:
        html.write_text(bulletin_html.render(bulletin), encoding="utf-8")
    from deployments.recording import record
    from tasks.faces import OfBulletin

    record(made, OfBulletin(report, bulletin))
    raise click.exceptions.Exit(Exit.FINE if report.verdict is Verdict.PASSED else Exit.FINDINGS)


_UNTIL = "Its end with the time zone: 2027-01-31T18:00+05:00, or a whole day: '2027-01-31 Asia/Tashkent'."


@controls.command(
    epilog=example(
        "watchkeeper controls attest apex incident-contacts --text 'all five answered' "
        "--evidence https://wiki.example/calls --until '2027-01-31 UTC'"
    )
)
@click.argument("platform")
@click.argument("control")
@click.option("--text", required=True, help="What is stated.")
@click.option("--until", required=True, help=_UNTIL)
@click.option("--evidence", required=True, help="What shows it: an address, or what `evidence attach` printed.")
@click.option("--by", default=getpass.getuser, show_default="your login", help="Who states it.")
@lab_option
@state_option
@json_option
def attest(platform: str, control: str, **given: Any) -> None:
    """State that a control holds of which no machine can tell. It becomes a record of the evidence."""
    _state("attestation", platform, control, **given)


@controls.command(
    epilog=example(
        "watchkeeper controls waive apex backups-encrypted --text 'moved in March' --approver 'Ada Byron' "
        "--until '2027-04-01 Europe/Berlin'"
    )
)
@click.argument("platform")
@click.argument("control")
@click.option("--text", required=True, help="Why the breach is accepted.")
@click.option("--until", required=True, help=_UNTIL)
@click.option("--approver", required=True, help="Who accepted it; somebody else than --by.")
@click.option("--evidence", default="", help="Where it was decided: an address.")
@click.option("--by", default=getpass.getuser, show_default="your login", help="Who asks for it.")
@lab_option
@state_option
@json_option
def waive(platform: str, control: str, **given: Any) -> None:
    """Accept that a control is not kept, for a time; it stays in every checklist as waived."""
    _state("waiver", platform, control, **given)


def _state(
    kind: Literal["attestation", "waiver"],
    platform: str,
    control: str,
    *,
    lab: bool,
    state: Path,
    as_json: bool,
    **given: Any,
) -> None:
    from tasks.core.ends import written_end
    from tasks.statements import state as keep

    with told(as_json=as_json):
        made = keep(kind, platform, control, settings_of(state, lab=lab), **given)
    if as_json:
        say_json(made.model_dump(mode="json"))
    else:
        click.echo(f"{made.kind} {made.id} of {made.control}, until {written_end(made.until)}")


@controls.command(
    epilog=example(
        "watchkeeper controls downtime apex --from 2026-11-20T06:00Z --until 2026-11-20T12:00Z "
        "--text 'the data centre was moved'"
    )
)
@click.argument("platform")
@click.option("--from", "begin", required=True, metavar="TIME", help="When it began, with its zone.")
@click.option("--until", required=True, metavar="TIME", help="When it was over, with its zone.")
@click.option("--text", required=True, help="Why nothing ran.")
@click.option("--by", default=getpass.getuser, show_default="your login", help="Who says so.")
@lab_option
@state_option
@json_option
def downtime(platform: str, *, lab: bool, state: Path, as_json: bool, **given: Any) -> None:
    """Say why nothing could run for a while: the gaps stay in the checklist, and are explained."""
    from tasks.statements import note_downtime

    with told(as_json=as_json):
        made = note_downtime(platform, settings_of(state, lab=lab), **given)
    if as_json:
        say_json(made.model_dump(mode="json"))
    else:
        click.echo(
            f"downtime {made.id} of {made.platform}, from {made.begin:%Y-%m-%d %H:%M %Z} until {made.until:%H:%M %Z}"
        )


@controls.command(epilog=example("watchkeeper controls statements apex", "watchkeeper controls statements apex --json"))
@click.argument("platform")
@lab_option
@state_option
@json_option
def statements(platform: str, *, lab: bool, state: Path, as_json: bool) -> None:
    """List what people stated of a platform, in its spec and by form, with when it ends."""
    from datetime import UTC, datetime

    from tasks.core.ends import written_end
    from tasks.platforms import load
    from tasks.statements import Statements

    settings = settings_of(state, lab=lab)
    with told(as_json=as_json):
        spec = load(platform, settings)
        found = [*(one.statement(spec.platform) for one in spec.waivers), *Statements(spec.platform, settings).given()]
    if as_json:
        say_json([one.model_dump(mode="json") for one in found])
        return
    for one in found:
        ended = "" if one.until > datetime.now(UTC) else "   ended"
        who = f"{one.by}, approved by {one.approver}" if one.approver else one.by
        click.echo(f"{one.kind:<12} {one.control:<24} until {written_end(one.until)}{ended}   {who}: {one.text}")
    if not found:
        click.echo(f"nobody has stated anything of {platform}")


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
