"""What a drill has to say, as a bulletin: the verdict in a sentence, objectives, phases, what held and what did not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from tasks.core.drill import LEAST_SPAN, Drill, Projection, SystemRecovery
from tasks.core.report import Verdict
from tasks.core.restore import Assertion, Phase
from tasks.core.results import Outcome
from tasks.core.units import format_bytes, format_duration
from tasks.reports import bulletin_words as words
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part, Picture, Row, Table
from tasks.reports.drawing import Palette, picture, plain_axes, write

_WORDS = {
    Verdict.FAILED: "would not be back as promised",
    Verdict.UNKNOWN: "nothing is proven",
    Verdict.WARNED: "would be back, not all is proven",
    Verdict.PASSED: "would be back in time",
}
_NO_DIGITS = 10.0
_UNITS = ((3600, "hours"), (60, "minutes"), (1, "seconds"))
_MARGIN = 0.95
"""Inches for a chart's axis and legend."""


def bulletin(drill: Drill) -> Bulletin:
    """Return all that a drill has to say."""
    return words.bulletin(
        drill,
        f"drill {drill.scenario}",
        word=_word(drill),
        sentence=sentence(drill),
        facts=tuple(_facts(drill)),
        warnings=(*((f"Interrupted: {drill.interrupted}",) if drill.interrupted else ()), *drill.notes),
        parts=_parts(drill),
    )


def _word(drill: Drill) -> str:
    """Say the verdict; nothing is in time where no time was promised."""
    is_promised = drill.rto.target is not None or drill.rpo.target is not None
    return _WORDS[drill.verdict] if is_promised or drill.verdict is not Verdict.PASSED else "would be back"


def sentence(drill: Drill) -> str:
    """Say the result with its numbers: how soon it is back, having lost how much, and what was promised."""
    name = wording.plain(drill.title, 80)
    broken = [one.system for one in drill.systems if one.outcome in (Outcome.FAILED, Outcome.ERRORED)]
    failed = [one.name for one in drill.assertions if one.outcome in (Outcome.FAILED, Outcome.ERRORED)]
    blind = [f"{one.system} {one.name.partition(':')[0]}" for one in drill.negative_controls if not one.red]
    if drill.interrupted:
        return f"{name}: the drill ended before its time ({drill.interrupted}), and proves nothing"
    if not drill.systems:
        return f"{name}: nothing was restored, so nothing is proven"
    if broken:
        return f"{name} would not be back: {wording.listed(broken)} did not come back well"
    if failed:
        return f"{name} would not be back well: {wording.listed(failed)} did not hold"
    if blind:
        return f"{name}: a damaged copy was taken for a sound one ({wording.listed(blind)}), so nothing is proven"
    rto, rpo = drill.rto, drill.rpo
    lost = "an unknown amount" if rpo.seconds is None else told(rpo.seconds)
    targets = " / ".join("none" if one is None else told(one) for one in (rto.target, rpo.target))
    promised = "no targets are set" if rto.target is rpo.target is None else f"targets {targets}"
    missed = [text for text, one in (("RTO", rto), ("RPO", rpo)) if one.outcome is Outcome.FAILED]
    unkept = f" ({' and '.join(missed)} missed)" if missed else ""
    return f"{name} would be back in {told(rto.seconds)} having lost {lost}; {promised}{unkept}"


def told(seconds: float) -> str:
    """Write a duration for a person: `14 min 20 s`, `3.2 s`."""
    return format_duration(seconds if seconds < _NO_DIGITS else round(seconds))


def _facts(drill: Drill) -> Iterator[str]:
    if drill.restore_point:
        yield f"restore point {drill.restore_point}"
    yield f"{wording.plural(len(drill.systems), 'system')}, {format_bytes(drill.plain_bytes)}"
    held = drill.all_assertions()
    passed = sum(one.outcome is Outcome.PASSED for one in held)
    yield f"{passed:,} of {len(held):,} assertions held"
    if drill.negative_controls:
        red = sum(one.red for one in drill.negative_controls)
        yield f"{red:,} of {len(drill.negative_controls):,} damaged copies were seen to be damaged"


def _parts(drill: Drill) -> Iterator[Part]:
    yield Part(title="Objectives", lines=tuple(_objectives(drill)), pictures=_trend(drill))
    yield Part(title="Phases", pictures=_timeline(drill), table=_phases(drill), aside=True)
    yield Part(title="Before anything was restored", table=_preflight(drill), aside=True)
    yield Part(title="Systems", lines=tuple(_system(one, drill) for one in drill.systems))
    bad = [one for one in _named(drill) if one[1].outcome.is_problem]
    yield Part(title="What did not hold", lines=tuple(_assertion(*one) for one in bad))
    yield Part(title="Assertions", table=_assertions(drill), aside=True)
    yield Part(title="Damaged copies", lines=tuple(_blind(drill)), table=_controls(drill))
    yield Part(title="Not covered", lines=tuple(_uncovered(drill)))
    yield Part(title="Next", lines=tuple(_next(drill)))


def _objectives(drill: Drill) -> Iterator[Line]:
    if not drill.systems:
        return
    rto, rpo = drill.rto, drill.rpo
    target = f"target {told(rto.target)}" if rto.target is not None else "no target"
    slowest = f"{rto.slowest} takes longest" if len(drill.systems) > 1 else ""
    facts = tuple(fact for fact in (told(rto.seconds), target, slowest) if fact)
    yield Line(text="RTO, time until it is back", outcome=_judged(rto.outcome), facts=facts)
    target = f"target {told(rpo.target)}" if rpo.target is not None else "no target"
    if rpo.seconds is None or rpo.newest_record is None:
        note = "No restored system tells its newest record: name one under `verify`, such as {newest: orders.at}."
        yield Line(text="RPO, what is lost", outcome=Outcome.NOT_CHECKED, facts=(target,), note=note)
        return
    newest = rpo.newest_record.astimezone(ZoneInfo(drill.timezone))
    facts = (told(rpo.seconds), target, f"newest record {newest:%Y-%m-%d %H:%M:%S %Z} in {rpo.worst}")
    yield Line(text="RPO, what is lost", outcome=_judged(rpo.outcome), facts=facts)


def _judged(outcome: Outcome) -> Outcome | None:
    return None if outcome is Outcome.SKIPPED else outcome


def _phases(drill: Drill) -> Table:
    everything = {one.phase for system in drill.systems for one in system.phases} | {one.phase for one in drill.phases}
    used = [phase for phase in Phase if phase in everything]
    rows = []
    for system in drill.systems:
        spent = {phase: sum(one.seconds for one in system.phases if one.phase == phase) for phase in used}
        cells = (system.system, *(told(spent[phase]) if spent[phase] else "" for phase in used), told(system.seconds))
        rows.append(Row(cells=cells, outcome=system.outcome))
    if drill.phases:
        spent = {phase: sum(one.seconds for one in drill.phases if one.phase == phase) for phase in used}
        cells = ("once for all", *(told(spent[phase]) if spent[phase] else "" for phase in used))
        rows.append(Row(cells=(*cells, told(sum(spent.values())))))
    return Table(heads=("system", *used, "in all"), rows=tuple(rows))


def _system(one: SystemRecovery, drill: Drill) -> Line:
    held = sum(assertion.outcome is Outcome.PASSED for assertion in one.assertions)
    newest = one.recovered_to.astimezone(ZoneInfo(drill.timezone)) if one.recovered_to else None
    facts = (
        one.kind,
        told(one.seconds) if one.phases else "",
        format_bytes(one.plain_bytes) if one.plain_bytes else "",
        f"newest record {newest:%H:%M:%S %Z}" if newest else "",
        f"{held} of {len(one.assertions)} assertions held" if one.assertions else "",
    )
    return Line(
        text=one.system,
        outcome=one.outcome,
        facts=tuple(fact for fact in facts if fact),
        note=one.error,
        remedy=one.hint,
    )


def _named(drill: Drill) -> Iterator[tuple[str, Assertion]]:
    for system in drill.systems:
        yield from ((system.system, held) for held in system.assertions)
    yield from (("all", held) for held in drill.assertions)


def _assertion(system: str, held: Assertion) -> Line:
    return _assertion_line(held.model_copy(update={"name": f"{system}: {held.name}"}))


def _assertion_line(held: Assertion) -> Line:
    facts = (f"observed {held.observed}" if held.observed else "", f"expected {held.expected}" if held.expected else "")
    return Line(text=held.name, outcome=held.outcome, facts=tuple(fact for fact in facts if fact), note=held.note)


def _assertions(drill: Drill) -> Table:
    named = sorted(_named(drill), key=lambda one: one[1].outcome.rank)
    rows = (
        Row(cells=(held.name, system, f"L{held.level}", held.observed, held.expected), outcome=held.outcome)
        for system, held in named
    )
    return Table(heads=("what must hold", "system", "level", "observed", "expected"), rows=tuple(rows), wraps=True)


def _blind(drill: Drill) -> Iterator[Line]:
    for one in drill.negative_controls:
        if not one.red:
            name, _, how = one.name.partition(": ")
            said = "It was taken for a sound copy: this drill proves nothing."
            yield Line(text=f"{one.system} {name}", outcome=Outcome.FAILED, facts=(how,) if how else (), note=said)


def _controls(drill: Drill) -> Table:
    rows = (
        Row(cells=(one.name, one.system, one.seen), outcome=Outcome.PASSED if one.red else Outcome.FAILED)
        for one in drill.negative_controls
    )
    return Table(heads=("what was done to it", "system", "what was seen"), rows=tuple(rows), wraps=True)


def _preflight(drill: Drill) -> Table:
    rows = (Row(cells=(one.name, one.observed, one.expected), outcome=one.outcome) for one in drill.preflight)
    return Table(heads=("what is needed", "observed", "expected"), rows=tuple(rows), wraps=True)


def _uncovered(drill: Drill) -> Iterator[Line]:
    for text in drill.not_covered:
        what, _, why = text.partition(": ")
        yield Line(text=what, outcome=Outcome.NOT_CHECKED, note=why)


def _next(drill: Drill) -> Iterator[Line]:
    for name in drill.left_running:
        yield Line(text=f"{name} could not be torn down", outcome=Outcome.FAILED, remedy="End it by hand.")
    if drill.verdict is Verdict.UNKNOWN:
        yield Line(text="Repeat the drill", remedy="Mend what could not be told first; until then nothing is proven.")
    if drill.interrupted or not drill.systems:
        return
    if drill.next_quarter is not None:
        yield _projected("A drill next quarter would take", drill.next_quarter, drill)
    else:
        why = f"Drills that lie {format_duration(LEAST_SPAN.total_seconds())} or more apart tell how the data grow."
        yield Line(text="How long a drill next quarter takes cannot be told yet", note=why)
    if drill.at_twice is not None:
        yield _projected("A drill of twice the size would take", drill.at_twice, drill)


def _projected(text: str, projection: Projection, drill: Drill) -> Line:
    target = drill.rto_target
    beyond = target is not None and projection.seconds > target
    facts = (told(projection.seconds), f"at {format_bytes(projection.plain_bytes)}", f"from {projection.basis}")
    outcome = Outcome.WARNED if beyond else None
    remedy = "Restore more side by side, or keep less in one place." if beyond else ""
    return Line(text=text, outcome=outcome, facts=facts, remedy=remedy)


def _timeline(drill: Drill) -> tuple[Picture, ...]:
    systems = [system for system in drill.systems if system.phases]
    if not systems:
        return ()
    height = _MARGIN + 0.42 * len(systems)
    side_by_side = f"{len(systems)} systems side by side" if len(systems) > 1 else systems[0].system
    title = f"Phases of {side_by_side}; {told(drill.rto.seconds)} in all"
    return (picture("timeline.png", title, height, lambda figure, palette: _draw_phases(figure, palette, systems)),)


def _draw_phases(figure: Any, palette: Palette, systems: Sequence[SystemRecovery]) -> None:
    height = _MARGIN + 0.42 * len(systems)
    axes = plain_axes(figure, palette, (0.24, 0.5 / height, 0.72, 1 - _MARGIN / height))
    axes.grid(visible=False)
    began = min(phase.began for system in systems for phase in system.phases)
    used: dict[Phase, str] = {}
    for row, system in enumerate(systems):
        for phase in system.phases:
            colour = used.setdefault(phase.phase, palette.series[list(Phase).index(phase.phase) % len(palette.series)])
            left = (phase.began - began).total_seconds()
            axes.barh(row, max(phase.seconds, 0.01), left=left, height=0.55, color=colour)
        write(axes, -0.02 * axes.get_xlim()[1], row, wording.plain(system.system, 18), palette.ink, align="right")
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.set_xlabel("seconds", color=palette.quiet, fontsize=8)
    handles = [axes.barh(0, 0, color=colour, label=phase.value) for phase, colour in used.items()]
    legend = figure.legend(handles=handles, loc="upper center", ncols=len(used), fontsize=7.5, frameon=False)
    for text in legend.get_texts():
        text.set_color(palette.ink)


def _trend(drill: Drill) -> tuple[Picture, ...]:
    past = [*drill.trend, drill.as_past()]
    if len(past) < 2 or not drill.systems or drill.interrupted:  # noqa: PLR2004 - one drill has no trend
        return ()
    title = f"RTO and RPO of the last {len(past)} drills"

    figures: tuple[tuple[str, list[float | None], float | None], ...] = (
        ("RTO", [one.rto for one in past], drill.rto_target),
        ("RPO", [one.rpo for one in past], drill.rpo_target),
    )

    def draw(figure: Any, palette: Palette) -> None:
        for place, (name, values, target) in enumerate(figures):
            axes = plain_axes(figure, palette, (0.11 + 0.48 * place, 0.14, 0.38, 0.7))
            most = max((one or 0.0) for one in values)
            size, unit = next((size, unit) for size, unit in _UNITS if most >= 2 * size or size == 1)
            shown = [float("nan") if one is None else one / size for one in values]
            axes.plot(range(len(past)), shown, marker="o", color=palette.series[place])
            if target is not None and most > target / 4:
                axes.axhline(target / size, color=palette.bad, linestyle="--", linewidth=1)
            axes.set_ylim(0, 1.15 * axes.get_ylim()[1])
            axes.set_xticks(range(len(past)), [f"{one.at:%b %y}" for one in past], fontsize=7)
            axes.set_title(f"{name}, {unit}", color=palette.ink, fontsize=9, loc="left")

    return (picture("trend.png", title, 2.3, draw),)
