"""What if: other facts, the same advice.

Each supposition changes the facts, everything is judged anew, and what comes out differently is told; what cannot be
told is said too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from tasks.core.advice.backups import holding
from tasks.core.advice.bundle import Aim, Facts, advise_all
from tasks.core.advice.busier import busier
from tasks.core.advice.fewer_nodes import of_nodes, unknown_of_nodes
from tasks.core.advice.model import Advice, Fine, Judged, Supposed
from tasks.core.advice.sooner import earlier, unknown_of_histories
from tasks.core.capacity import History
from tasks.core.errors import ConfigError
from tasks.core.model import Model
from tasks.core.retention import Policy, Span
from tasks.core.units import format_bytes, parse_duration

_EXAMPLES = "write traffic=2, retention=60d or nodes=-1"
_DAY = timedelta(days=1)
_MOST = 1000
_LONGEST = 3653


class WhatIf(Model):
    """A supposition.

    Attributes:
        kind: What is supposed.
        number: The factor of the traffic, the days of retention, or how many nodes fewer (negative) or more.
        text: As it was written.
    """

    kind: str
    number: float
    text: str


def parse(text: str) -> WhatIf:
    """Read a supposition such as `traffic=2`, `retention=60d` or `nodes=-1`.

    Raises:
        ConfigError: It is none; the hint shows what is.
    """
    kind, _, value = text.replace(" ", "").partition("=")
    if kind not in _READ:
        raise ConfigError(f"what-if {text!r}: {kind!r} is nothing that can be supposed", hint=_EXAMPLES)
    try:
        return WhatIf(kind=kind, number=_READ[kind](value), text=text)
    except ValueError as error:
        raise ConfigError(f"what-if {text!r}: {error}", hint=_EXAMPLES) from None


def _factor(value: str) -> float:
    number = float(value.removesuffix("x").removeprefix("x"))
    if not 0 < number <= _MOST:
        raise ValueError(f"a factor lies between 0 and {_MOST}")
    return number


def _days(value: str) -> float:
    days = parse_duration(value) / _DAY
    if not 1 <= days <= _LONGEST:
        raise ValueError("between a day and ten years are kept")
    return days


def _nodes(value: str) -> float:
    if not re.fullmatch(r"[+-]?[1-9][0-9]{0,3}", value):
        raise ValueError("it is a whole number of nodes, such as -1")
    return int(value)


_READ: Mapping[str, Callable[[str], float]] = {"traffic": _factor, "retention": _days, "nodes": _nodes}


def suppose(
    what: WhatIf, facts: Facts, aim: Aim, histories: Sequence[History] = (), horizon: timedelta = timedelta(days=90)
) -> Supposed:
    """Judge everything anew under a supposition, and tell what comes out differently.

    Args:
        what: The supposition.
        facts: As they are.
        aim: For how long advice must hold.
        histories: Of what has bounds: more traffic reaches them earlier.
        horizon: How far they are looked ahead.
    """
    if what.kind == "traffic":
        follows = [*_of_traffic(facts, what.number, aim), *earlier(histories, what.number, horizon)]
        unknown = [*_unknown_of_traffic(facts), *unknown_of_histories(histories)]
    elif what.kind == "retention":
        follows, unknown = list(_of_retention(facts, what.number, aim)), list(_unknown_of_retention(facts))
    else:
        follows, unknown = list(of_nodes(facts, int(what.number))), list(unknown_of_nodes(facts))
    return Supposed(what=what.text, follows=tuple(follows), unknown=tuple(unknown))


def _of_traffic(facts: Facts, factor: float, aim: Aim) -> Iterator[str]:
    before = {one.key: one for one in advise_all(facts, aim)}
    for one in advise_all(busier(facts, factor), aim):
        was = before.get(one.key)
        told, before_told = _said(one, was), _said(was, one)
        if told != before_told:
            yield f"{one.called}: {told}" + (f" (as it is: {before_told})" if before_told else "")


def _said(one: Judged | None, other: Judged | None) -> str:
    """Say what is advised, without what the other says too."""
    if isinstance(one, Advice):
        same = other.changes if isinstance(other, Advice) else ()
        differs = [change for change in one.changes if change not in same]
        told = ", ".join(f"{change.what} {change.before} → {change.after}" for change in differs)
        return told or ("" if one.changes else one.do)
    return (one.note or "enough as it is") if isinstance(one, Fine) else one.reason if one else ""


def _unknown_of_traffic(facts: Facts) -> Iterator[str]:
    if facts.namespaces:
        yield "how memory of pods follows traffic: it is taken as it was"
        yield "a queue's length is taken to grow with traffic, and a queue that workers cannot follow grows without end"
    if facts.caches:
        yield "how many more keys caches would hold"
    if facts.vaults:
        yield "how much larger backups would become"
    for name, one in facts.namespaces.items():
        if one.no_usage:
            yield f"{name}: {one.no_usage}"


def _of_retention(facts: Facts, days: float, aim: Aim) -> Iterator[str]:
    policy = Policy(within=Span(days=int(days)))
    for name, vault in facts.vaults.items():
        if not vault.taken:
            continue
        was, then = (holding(vault.taken, rules, aim.now, aim.hold, aim.zone) for rules in (vault.policy, policy))
        at_once = f"{format_bytes(then.freed)} would go at once" if then.freed else "nothing would go at once"
        yield (
            f"vault {name}: {then.kept} of {len(vault.taken)} backups kept, {at_once}; {format_bytes(then.later)} in "
            f"{aim.hold.days} days instead of {format_bytes(was.later)}"
        )


def _unknown_of_retention(facts: Facts) -> Iterator[str]:
    for name, vault in facts.vaults.items():
        if not vault.taken:
            yield f"vault {name}: it holds no complete backup"
    for name in facts.buckets:
        yield f"{name}: how old its objects are is not kept, so what a rule of this length would remove"
    if not facts.vaults:
        yield "no vault could be read"
