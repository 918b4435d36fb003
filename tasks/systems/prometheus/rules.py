"""A platform's objectives and service levels as alerting rules of Prometheus, so that nothing is said twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from tasks.core.judging import steps
from tasks.core.limits import Bound, Measure, Worse
from tasks.core.platform import PlatformSpec
from tasks.core.units import Unit, write_quantity
from tasks.systems.prometheus.spec import BURNS, Burn, Objective, ServiceLevel, Spec, promql_duration

Rule = dict[str, Any]
_HUMAN = {Unit.RATIO: " | humanizePercentage", Unit.SECONDS: " | humanizeDuration", Unit.BYTES: " | humanize1024"}


def groups(platform: PlatformSpec) -> list[dict[str, Any]]:
    """Return the groups of a rule file: one for each Prometheus of the platform that has something to alert of.

    The label `severity` is the platform's own. Source: prometheus.io, "Alerting rules".
    """
    found = []
    for name, spec in platform.systems.items():
        if isinstance(spec, Spec):
            rules = [*_objectives(platform, spec), *_service_levels(platform, spec)]
            found += [{"name": f"{platform.platform}-{name}", "rules": rules}] if rules else []
    return found


def _objectives(platform: PlatformSpec, spec: Spec) -> Iterator[Rule]:
    for name, objective in spec.objectives.items():
        measure = Measure(name=name, unit=objective.measured_in, help="", worse=objective.worse)
        for step in steps(objective, spec, platform):
            said = f"{_words(name)} is {step.bound.describe(measure.worse)}"
            value = f"{{{{ $value{_HUMAN.get(objective.measured_in, ' | humanize')} }}}}"
            yield _rule(
                platform,
                name,
                _breach(objective, step.bound, measure.worse),
                step.severity,
                f"{platform.title}: {said}, at {value}",
                objective.remedy or objective.title,
                step.lasting,
            )


def _breach(objective: Objective, bound: Bound, worse: Worse) -> str:
    sign = "==" if bound.unit is Unit.YES_NO else bound.comparison or (">" if worse is Worse.ABOVE else "<")
    return f"({objective.query.strip()}) {sign} {bound.number:.12g}"


def _service_levels(platform: PlatformSpec, spec: Spec) -> Iterator[Rule]:
    default = platform.default_severity
    for name, level in spec.service_levels.items():
        for burn in BURNS.values():
            severity = (level.page or default.critical) if burn.urgent else (level.ticket or default.warn)
            within = (
                f"{write_quantity(burn.budget, Unit.RATIO)} of the budget within {promql_duration(burn.windows[0])}"
            )
            said = f"{platform.title}: {_words(name)} burns {within} ({level.slo} over {promql_duration(level.period)})"
            yield _rule(
                platform,
                f"{name}_burns_{promql_duration(burn.windows[0])}",
                _burns(level, burn),
                severity,
                said,
                level.title,
            )


def _burns(level: ServiceLevel, burn: Burn) -> str:
    most = f"{burn.bound(level.period).number:.12g} * {1 - level.slo.number:.12g}"
    long, short = (f"({level.query(window)}) > {most}" for window in burn.windows)
    return f"{long} and on() {short}"


def _rule(
    platform: PlatformSpec,
    name: str,
    expression: str,
    severity: str,
    summary: str,
    description: str | None,
    lasting: timedelta | None = None,
) -> Rule:
    words = re.split(r"[^a-zA-Z0-9]+", f"{platform.platform}_{name}")
    rule: Rule = {"alert": "".join(word[:1].upper() + word[1:] for word in words), "expr": expression}
    if lasting is not None:
        rule["for"] = promql_duration(lasting)
    annotations = {"summary": summary} | ({"description": description} if description else {})
    return rule | {"labels": {"severity": severity, "platform": platform.platform}, "annotations": annotations}


def _words(name: str) -> str:
    return name.replace("_", " ")
