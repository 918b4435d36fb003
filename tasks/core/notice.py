"""Notice: of which problems people are told, and of which not, and why. Pure.

A problem that nobody is notified of is *quiet*: it is still looked at, it stays in the report, and it keeps the verdict
from being fine. In this order a problem is quiet as what it depends on does not answer, as maintenance is announced,
as somebody acknowledged it, or as it was put off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from tasks.core.limits import REACHABLE
from tasks.core.platform import PlatformSpec
from tasks.core.report import SystemReport
from tasks.core.results import Finding, Outcome, Quiet
from tasks.core.silences import Silence

Reason = Callable[[Finding], Quiet | None]


def quieted(
    systems: Iterable[SystemReport], platform: PlatformSpec, *, silences: Sequence[Silence] = (), now: datetime
) -> tuple[SystemReport, ...]:
    """Say of every problem why nobody is notified of it, where that is so.

    Args:
        systems: What was found.
        platform: For what depends on what, and for the windows.
        silences: What people said of problems; those that have ended hold nothing back.
        now: Aware time.
    """
    found = tuple(systems)
    reasons: list[Reason] = [_dependencies(found, platform), _windows(platform, now), _silences(silences, now)]

    def quiet(finding: Finding) -> Finding:
        if not finding.is_loud:
            return finding
        return finding.model_copy(update={"quiet": next((why for say in reasons if (why := say(finding))), None)})

    return tuple(
        system.model_copy(update={"findings": tuple(quiet(finding) for finding in system.findings)}) for system in found
    )


def is_dead(system: SystemReport) -> bool:
    """Tell whether a system does not answer at all; one that answers badly, or of which nothing is known, is not."""
    answers = [finding.outcome for finding in system.findings if finding.measurement == REACHABLE.name]
    return bool(answers) and all(outcome is Outcome.FAILED for outcome in answers)


def _dependencies(systems: Sequence[SystemReport], platform: PlatformSpec) -> Reason:
    dead = {system.name for system in systems if is_dead(system)}
    needed = {system.name: sorted(dead & platform.needed(system.name)) for system in systems} if dead else {}

    def reason(finding: Finding) -> Quiet | None:
        parents = needed.get(finding.system)
        if not parents:
            return None
        verb = "does" if len(parents) == 1 else "do"
        return Quiet(why="dependency", text=f"depends on {', '.join(parents)}, which {verb} not answer")

    return reason


def _windows(platform: PlatformSpec, now: datetime) -> Reason:
    holding = [
        (window.systems, window.title or name.replace("-", " "), until)
        for name, window in platform.maintenance.items()
        if (until := window.until(now, platform.timezone)) is not None
    ]

    def reason(finding: Finding) -> Quiet | None:
        for names, title, until in holding:
            if not names or finding.system in names:
                return Quiet(why="maintenance", text=f"maintenance: {title}", until=until)
        return None

    return reason


def _silences(silences: Sequence[Silence], now: datetime) -> Reason:
    def reason(finding: Finding) -> Quiet | None:
        held = [silence for silence in silences if silence.holds(finding, now)]
        if not held:
            return None
        last = max(held, key=lambda silence: silence.until)
        return Quiet(why=last.kind, text=last.text, until=last.until)

    return reason


def gated(systems: Iterable[SystemReport], platform: PlatformSpec, trouble: str) -> tuple[SystemReport, ...]:
    """Take back what was said of systems that could not be reached, as this host's own network is gone.

    Nothing is known of them: their findings become "could not tell", and nobody is notified of each.

    Args:
        systems: What was found.
        platform: For the severity of what could not be told.
        trouble: What is wrong with the network, for a person.
    """
    quiet = Quiet(why="dependency", text=f"this host's own network is gone: {trouble}")

    def take_back(finding: Finding) -> Finding:
        if finding.measurement != REACHABLE.name or finding.outcome is not Outcome.FAILED:
            return finding
        update = {
            "outcome": Outcome.ERRORED,
            "severity": platform.default_severity.warn,
            "observed": "",
            "value": None,
            "quiet": quiet,
        }
        return finding.model_copy(update=update)

    return tuple(
        system.model_copy(update={"findings": tuple(take_back(finding) for finding in system.findings)})
        for system in systems
    )


def is_cut_off(systems: Sequence[SystemReport], platform: PlatformSpec) -> bool:
    """Tell whether no system that is reached over the network answers, where there are several: is it them, or us?"""
    remote = [system for system in systems if system.name in platform.systems]
    remote = [system for system in remote if not platform.systems[system.name].is_local]
    return len(remote) > 1 and all(is_dead(system) for system in remote)
