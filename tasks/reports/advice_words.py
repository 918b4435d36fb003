"""How a capacity plan's advice is said: what to do this month first, each with its number and what to copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tasks.core.advice.model import Advice, Replayed, Saving, When, Wrong, total
from tasks.core.capacity import CapacityReport
from tasks.core.results import Outcome
from tasks.core.units import format_bytes
from tasks.reports import wording
from tasks.reports.bulletin import Line, Part

_SMALL = 0.05
_LITTLE = 64 * 2**20


class Named(Protocol):
    """What has a name that a person gave it, or a key."""

    @property
    def name(self) -> str:
        """What a person calls it; empty where it has only a key."""
        ...

    @property
    def called(self) -> str:
        """The name, or else the key."""
        ...


def heading(one: Named) -> str:
    """Write what it is called at the beginning of a line; a key stays as it is."""
    return one.called[:1].upper() + one.called[1:] if one.name else one.called


def month(report: CapacityReport) -> Part:
    """Say what cannot wait for the next plan: what is urgent as a warning, the rest as it is."""
    lines = tuple(_line(one) for one in report.advice if one.when is not When.LATER)
    return Part(title="Do this month", lines=lines)


def parts(report: CapacityReport) -> Iterator[Part]:
    """Yield what can wait, what was supposed, and what is right as it is."""
    later = tuple(_line(one) for one in report.advice if one.when is When.LATER)
    yield Part(title="When convenient", lines=later, aside=True)
    for one in report.supposed:
        follows = tuple(Line(text=text) for text in one.follows or ("nothing comes out differently",))
        blank = tuple(Line(text=text, note="cannot be told") for text in one.unknown)
        yield Part(title=f"What if {one.what}", lines=(*follows, *blank), aside=True)
    told = (
        Line(text=one.called, outcome=Outcome.PASSED, badge="fine", note=one.note) for one in report.fine if one.note
    )
    silent = ", ".join(one.called for one in report.fine if not one.note)
    rest = (Line(text=silent, outcome=Outcome.PASSED, badge="fine"),) if silent else ()
    yield Part(title="Right as it is", lines=(*told, *rest), aside=True)


def in_short(report: CapacityReport) -> str:
    """Say in a clause how much is to be done; nothing where there is nothing."""
    soon = [one for one in report.advice if one.when is not When.LATER]
    if not soon:
        return ""
    urgent = sum(one.when is When.NOW for one in soon)
    now = f", {urgent} at once" if urgent else ""
    return f"; {wording.plural(len(soon), 'thing')} to do this month{now}"


def facts(report: CapacityReport) -> Iterator[str]:
    """Yield what all of it would give back, and how much is right as it is."""
    given = gives(total([one.saving for one in report.advice if one.when is When.LATER]))
    if given:
        yield f"what can wait {given}" if given.startswith("takes") else f"what can wait would give back {given}"
    if report.fine:
        yield f"{wording.plural(len(report.fine), 'thing')} looked at and left as found"


def gives(saving: Saving | None) -> str:
    """Say what is given back, or what it costs, leaving out what is next to nothing."""
    if saving is None:
        return ""
    amounts = (
        (saving.cores, f"{abs(saving.cores):.1f} cores", _SMALL),
        (saving.memory, f"{format_bytes(abs(saving.memory))} of memory", _LITTLE),
        (saving.storage, f"{format_bytes(abs(saving.storage))} of storage", _LITTLE),
    )
    back = [text for amount, text, least in amounts if amount > least]
    costs = [text for amount, text, least in amounts if amount < -least]
    parts = [" and ".join(back)] if back else []
    if costs:
        parts.append(f"takes {' and '.join(costs)}")
    if saving.money is not None and abs(saving.money) >= 1:
        word = "saves" if saving.money > 0 else "costs"
        parts.append(f"{word} {abs(saving.money):,.0f} {saving.currency} a month")
    return "; ".join(parts)


def if_wrong(one: Wrong) -> str:
    """Say what follows if the date is another than the likely one."""
    late = f" Late end: {one.late}." if one.late else ""
    return f"Early end: {one.early}.{late}"


def _line(one: Advice) -> Line:
    outcome = Outcome.WARNED if one.when is When.NOW else None
    saves = gives(one.saving)
    told = [one.why, *([f"gives back {saves}" if not saves.startswith("takes") else saves] if saves else [])]
    told += [_replayed(it) for it in one.replay if it.before != it.after]
    notes = ["; ".join(one.evidence)] if one.evidence else []
    notes += [f"Risk: {one.risk}"] if one.risk else []
    notes += [f"Not known: {'; '.join(one.unknown)}"] if one.unknown else []
    return Line(
        text=f"{heading(one)}: {one.do}",
        outcome=outcome,
        badge="at once" if outcome else "",
        facts=tuple(told),
        note=". ".join(notes),
        code="\n".join(_code(one)),
    )


def _replayed(one: Replayed) -> str:
    return f"{one.what} {one.before:,.10g} → {one.after:,.10g}"


def _code(one: Advice) -> Iterator[str]:
    for patch in one.patches:
        mark = "--" if patch.language == "sql" else "#"
        yield f"{mark} {patch.title}"
        if patch.command:
            yield f"cat > {patch.file} <<'END'"
            yield patch.text.rstrip("\n")
            yield "END"
            yield patch.command
        else:
            yield patch.text.rstrip("\n")
