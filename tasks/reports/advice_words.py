"""How a capacity plan's advice is said: what to do this month first, each with its number and what to copy."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.core.advice.model import Advice, Replayed, Saving, When, Wrong, total
from tasks.core.capacity import CapacityReport
from tasks.core.results import Outcome
from tasks.core.units import format_bytes
from tasks.reports import wording
from tasks.reports.bulletin import Line, Part

_SMALL = 0.05
_LITTLE = 64 * 2**20


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
    fine = tuple(Line(text=one.key, outcome=Outcome.PASSED, note=one.note) for one in report.fine)
    yield Part(title="Right as it is", lines=fine, aside=True)


def unjudged(report: CapacityReport) -> Iterator[Line]:
    """Yield what no advice could be given on."""
    for one in report.unjudged:
        yield Line(text=f"{one.key} ({one.kind})", outcome=Outcome.NOT_CHECKED, note=one.reason)


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
        yield f"what can wait would give back {given}"
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
    act = f" Begin by {one.act_by:%Y-%m-%d}." if one.act_by is not None and not one.overdue else " Begin today."
    return f"Early end: {one.early}.{late}{act}"


def _line(one: Advice) -> Line:
    outcome = Outcome.WARNED if one.when is When.NOW else None
    saves = gives(one.saving)
    told = [one.why, *([f"gives back {saves}" if not saves.startswith("takes") else saves] if saves else [])]
    told += [_replayed(it) for it in one.replay if it.before != it.after]
    notes = [*one.evidence, *([f"risk: {one.risk}"] if one.risk else [])]
    notes += [f"not known: {text}" for text in one.unknown]
    return Line(
        text=f"{one.key}: {one.do}",
        outcome=outcome,
        facts=tuple(told),
        note="; ".join(notes),
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
