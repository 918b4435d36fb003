"""The alerts of the server's own rules: those that fire, worst first, and rules that cannot be evaluated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from tasks.clients.prometheus import Alert, AlertRule, Api
from tasks.core.errors import WatchkeeperError
from tasks.core.results import Gap, Outcome, Reading, Sample
from tasks.systems.prometheus.spec import CATALOG, Alerts, Spec

_NAMES = 10
_TOLD = 20
_QUIET = 200
_EXAMPLES = 3
_SHOWN = 200


async def read_alerts(api: Api, spec: Spec, at: datetime) -> list[Reading]:
    """Measure what fires and what is well, where the spec asks for it."""
    if spec.alerts is None and not {"firing_alerts", "pending_alerts"} & spec.limits.keys():
        return []
    try:
        alerts = await api.alerts()
    except WatchkeeperError as error:
        names = ("firing_alerts", "pending_alerts") if spec.alerts is None else ("alert", "firing_alerts")
        return [Gap.of(error, name) for name in names if name == "alert" or name in spec.limits or spec.alerts]
    told = spec.alerts or Alerts()
    wanted = [alert for alert in alerts if alert.name not in told.ignore]
    counted = [
        CATALOG.read(f"{state}_alerts", len(names), at=at, note=_counted(names))
        for state in ("firing", "pending")
        for names in ([alert.name for alert in wanted if alert.state == state],)
    ]
    if spec.alerts is None:
        return [*counted]
    firing = [alert for alert in wanted if alert.state == "firing"]
    return [*counted, *_firing(firing, told, at), *await _rules(api, told, firing, at)]


def _firing(firing: Iterable[Alert], told: Alerts, at: datetime) -> Iterator[Reading]:
    """Tell of each name once, the worst first; of a storm the worst are told and the rest is counted."""
    groups: dict[str, list[Alert]] = {}
    for alert in firing:
        groups.setdefault(told.subject(alert.name, alert.labels), []).append(alert)
    subjects = sorted(groups, key=lambda subject: (told.rank(subject), subject))
    for subject in subjects[:_TOLD]:
        yield _fires(subject, groups[subject], told, at)
    if rest := subjects[_TOLD:]:
        count = sum(len(groups[subject]) for subject in rest)
        names = f"{', '.join(rest[:_NAMES])}{' ...' if len(rest) > _NAMES else ''}"
        reason = f"{count:,} more alerts fire and are not told one by one: {names}"
        yield Gap(outcome=Outcome.NOT_CHECKED, name="alert", reason=reason)


def _fires(subject: str, alerts: list[Alert], told: Alerts, at: datetime) -> Reading:
    first = min(alerts, key=lambda alert: alert.active_at or at)
    since = min(first.active_at or at, at)
    where = "; ".join(text for alert in alerts[:_EXAMPLES] if (text := _labels(alert, told)))
    said = first.annotations.get("summary") or first.annotations.get("description") or ""
    parts = (f"{len(alerts):,} of them" * (len(alerts) > 1), where, said)
    note = "; ".join(part[:_SHOWN] for part in parts if part)
    return CATALOG.read(
        "alert", value=True, at=at, subject=subject, note=note, series=(Sample(since, 1), Sample(at, 1))
    )


def _labels(alert: Alert, told: Alerts) -> str:
    return ", ".join(f"{k}={v}" for k, v in sorted(alert.labels.items()) if k not in ("alertname", told.label))


async def _rules(api: Api, told: Alerts, firing: Iterable[Alert], at: datetime) -> list[Reading]:
    """Say which rules are quiet, so that an alert is seen to end; a server without rules is never green."""
    try:
        rules = await api.alert_rules()
    except WatchkeeperError as error:
        return [Gap.of(error, "rules_broken")]
    if not rules:
        reason = "this server evaluates no alerting rule: that nothing fires says nothing"
        hint = "ask the server that evaluates the rules, or load some: `watchkeeper rules` writes them"
        return [Gap(outcome=Outcome.NOT_CHECKED, name="alert", reason=reason, hint=hint)]
    busy = {told.subject(alert.name, alert.labels) for alert in firing}
    quiet = sorted({told.subject(rule.name, rule.labels) for rule in rules if _is_quiet(rule, told)} - busy)
    readings: list[Reading] = [CATALOG.read("alert", value=False, at=at, subject=name) for name in quiet[:_QUIET]]
    broken = {rule.name: rule.last_error for rule in rules if rule.health == "err"}
    note = "; ".join(f"{name}: {error}"[:_SHOWN] for name, error in sorted(broken.items())[:_EXAMPLES])
    return [*readings, CATALOG.read("rules_broken", len(broken), at=at, note=note)]


def _is_quiet(rule: AlertRule, told: Alerts) -> bool:
    """Tell whether a rule is known not to fire; one that is written anew for each alert is known by none."""
    templated = "{{" in rule.labels.get(told.label, "")
    return rule.state != "firing" and rule.health == "ok" and rule.name not in told.ignore and not templated


def _counted(names: Iterable[str]) -> str:
    counts = sorted(Counter(names).items())
    listed = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in counts[:_NAMES])
    return f"{listed} and {len(counts) - _NAMES} more" if len(counts) > _NAMES else listed
