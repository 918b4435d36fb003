"""What a quarter's drills have to say, as one bulletin over all platforms: one paper for whoever answers for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from tasks.core.quarter import Drilled, PlatformQuarter, QuarterReport
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.units import format_bytes
from tasks.reports import bulletin_words as words
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part, Picture, Row, Table
from tasks.reports.drawing import Palette, picture, plain_axes, write
from tasks.reports.drills import told
from tasks.reports.quarter_trend import trend

_WORDS = {
    Verdict.FAILED: "not every platform is proven to come back",
    Verdict.UNKNOWN: "could not be told of every platform",
    Verdict.WARNED: "every platform would be back, not all is proven",
    Verdict.PASSED: "every platform would be back in time",
}
_STEADY = 0.1
_WHOLE = 100.0


def bulletin(report: QuarterReport) -> Bulletin:
    """Return all that a quarter's report has to say."""
    return words.bulletin(
        report,
        f"disaster recovery in {report.quarter}",
        word=_WORDS[report.verdict],
        sentence=sentence(report),
        facts=tuple(_facts(report)),
        warnings=report.notes,
        parts=_parts(report),
    )


def sentence(report: QuarterReport) -> str:
    """Say the quarter in a sentence: how many were drilled, who would be back, who was not drilled."""
    drilled = [one for one in report.platforms if one.newest is not None]
    back = sum(one.newest is not None and one.newest.verdict in _BACK for one in drilled)
    were = "was" if len(drilled) == 1 else "were"
    said = f"{len(drilled)} of {wording.plural(len(report.platforms), 'platform')} {were} drilled, {back} would be back"
    undrilled = [one.title for one in report.platforms if one.newest is None]
    return f"{said}; not drilled: {', '.join(undrilled)}" if undrilled else said


_BACK = (Verdict.PASSED, Verdict.WARNED)


def _facts(report: QuarterReport) -> Iterator[str]:
    drills = [one for platform in report.platforms for one in platform.drills]
    red, controls = sum(one.red for one in drills), sum(one.controls for one in drills)
    held, assertions = sum(one.held for one in drills), sum(one.assertions for one in drills)
    if drills:
        yield f"{wording.plural(len(drills), 'drill')}; {held:,} of {assertions:,} assertions held"
    if controls:
        yield f"{red:,} of {controls:,} damaged copies were seen to be damaged"
    if not report.is_over:
        yield "The quarter is not over yet"


def _parts(report: QuarterReport) -> Iterator[Part]:
    worst_first = sorted(report.platforms, key=lambda one: one.outcome.rank)
    yield Part(title="Platforms", lines=tuple(_platform(one, report) for one in worst_first))
    yield Part(title="Time and data against what was promised", table=_objectives(report), pictures=_charts(report))
    yield Part(title="Drills of the quarter", table=_drills(report), aside=True)
    yield Part(title="Not covered", lines=tuple(_uncovered(report)))
    yield Part(title="Next", lines=tuple(_next(report)))
    yield Part(title="Evidence", table=_evidence(report), aside=True)


def _platform(one: PlatformQuarter, report: QuarterReport) -> Line:
    newest = one.newest
    if one.trouble:
        return Line(text=f"{one.title}: nothing can be told", outcome=Outcome.ERRORED, note=one.trouble)
    if not one.protected:
        note = "No system of it is backed up, so there is nothing to come back from."
        return Line(text=f"{one.title}: nothing is backed up", outcome=Outcome.NOT_CHECKED, note=note)
    if newest is None:
        return _undrilled(one, report)
    at = newest.at.astimezone(ZoneInfo(one.timezone))
    facts = (f"drilled {at:%a %d %b %Y, %H:%M %Z}", *_changes(one), _seen(newest))
    worse = [f"{other.scenario}: {other.said}" for other in one.newest_of_each if other.outcome.is_problem]
    missed = f"Not rehearsed this quarter: {wording.listed(list(one.missed))}." if one.missed else ""
    note = " ".join(text for text in (*worse, missed) if text)
    return Line(text=newest.said, outcome=one.outcome, facts=tuple(fact for fact in facts if fact), note=note)


def _undrilled(one: PlatformQuarter, report: QuarterReport) -> Line:
    interrupted = [drill for drill in one.drills if drill.interrupted]
    partly = [drill for drill in one.drills if not drill.interrupted]
    when = f"in {report.quarter}" if report.is_over else f"in {report.quarter} so far"
    note = "Nobody knows whether it would come back."
    if partly:
        names = wording.listed(sorted({str(drill.scenario) for drill in partly}))
        note = f"Parts of it alone were rehearsed: {names}. {partly[-1].said}."
    elif interrupted:
        note = f"A drill ended before its time: {interrupted[-1].interrupted}. It proves nothing."
    return Line(
        text=f"{one.title} was not drilled {when}",
        outcome=Outcome.FAILED,
        facts=(f"{wording.plural(one.protected, 'system')} backed up",),
        note=note,
        remedy=f"watchkeeper drill {one.platform}",
    )


def _changes(one: PlatformQuarter) -> Iterator[str]:
    """Say how time and data compare with the drill before."""
    newest, before = one.newest, one.before
    if newest is None or before is None:
        yield "the first drill of its kind"
        return
    since = f"{before.at.astimezone(ZoneInfo(one.timezone)):%d %b %Y}"
    yield f"RTO {_change(newest.rto.seconds, before.rto)} since {since}"
    if newest.rpo.seconds is not None and before.rpo is not None:
        yield f"RPO {_change(newest.rpo.seconds, before.rpo)}"


def _change(now: float, before: float) -> str:
    """Say how far a time moved: within a tenth it is as it was."""
    if abs(now - before) <= _STEADY * max(before, 1.0):
        return "as before"
    return f"{'up' if now > before else 'down'} from {told(before)}"


def _seen(one: Drilled) -> str:
    return f"{one.red} of {one.controls} damaged copies seen" if one.controls else ""


def _objectives(report: QuarterReport) -> Table:
    heads = ("platform", "RTO", "of", "RPO", "of", "size", "before: RTO / RPO")
    return Table(heads=heads, rows=tuple(_objective(one) for one in report.platforms if not one.trouble))


def _objective(one: PlatformQuarter) -> Row:
    newest, before = one.newest, one.before
    targets = ["none" if target is None else told(target) for target in (one.rto_target, one.rpo_target)]
    if newest is None:
        cells = (one.title, "not drilled", targets[0], "not drilled", targets[1], "", "")
        return Row(cells=cells, outcome=one.outcome)
    lost = "not told" if newest.rpo.seconds is None else told(newest.rpo.seconds)
    earlier = f"{told(before.rto)} / {'not told' if before.rpo is None else told(before.rpo)}" if before else ""
    size = format_bytes(newest.plain_bytes)
    cells = (one.title, told(newest.rto.seconds), targets[0], lost, targets[1], size, earlier)
    kept = [_within(newest.rto.seconds, one.rto_target), _within(newest.rpo.seconds, one.rpo_target)]
    return Row(cells=cells, outcome=min(kept, key=lambda outcome: outcome.rank))


def _within(seconds: float | None, target: float | None) -> Outcome:
    if seconds is None or target is None:
        return Outcome.NOT_CHECKED
    return Outcome.PASSED if seconds <= target else Outcome.FAILED


def _drills(report: QuarterReport) -> Table:
    rows = (_drill(platform, one) for platform in report.platforms for one in platform.drills)
    heads = ("platform", "when", "disaster", "RTO", "RPO", "checks held", "damage seen")
    return Table(heads=heads, rows=tuple(rows))


def _drill(platform: PlatformQuarter, one: Drilled) -> Row:
    lost = "" if one.rpo.seconds is None else told(one.rpo.seconds)
    at = f"{one.at.astimezone(ZoneInfo(platform.timezone)):%d %b, %H:%M %Z}"
    counts = (f"{one.held:,} of {one.assertions:,}", f"{one.red} of {one.controls}")
    note = f"ended before its time: {one.interrupted}" if one.interrupted else ""
    cells = (platform.title, at, str(one.scenario), told(one.rto.seconds), lost, *counts)
    return Row(cells=cells, outcome=one.outcome, note=note)


def _uncovered(report: QuarterReport) -> Iterator[Line]:
    for one in report.platforms:
        if one.newest is not None and one.newest.not_covered:
            what = "; ".join(one.newest.not_covered)
            yield Line(text=one.title, outcome=Outcome.NOT_CHECKED, note=what)


def _next(report: QuarterReport) -> Iterator[Line]:
    for one in report.platforms:
        yield from _steps(one)


def _steps(one: PlatformQuarter) -> Iterator[Line]:
    """Say what is to be done for one platform, in the order in which it should be."""
    newest = one.newest
    if one.trouble:
        yield Line(text=f"{one.title}: mend its spec", remedy=f"watchkeeper validate {one.platform}")
        return
    if newest is None:
        if one.protected:
            yield Line(text=f"{one.title}: drill it", remedy=f"watchkeeper drill {one.platform}")
        else:
            yield Line(text=f"{one.title}: back its systems up", remedy="docs/backup.md shows how")
        return
    yield from _mended(one, newest)
    for scenario in one.missed:
        yield Line(
            text=f"{one.title}: rehearse {scenario}", remedy=f"watchkeeper drill {one.platform} --scenario {scenario}"
        )
    if newest.rpo.seconds is None:
        cure = "name a record's time under a system's verify: {newest: orders.at}"
        yield Line(text=f"{one.title}: have the data that are lost measured", remedy=cure)
    if one.rto_target is None or one.rpo_target is None:
        yield Line(text=f"{one.title}: say what is promised", remedy="recovery: {rto: 4h, rpo: 15m} in its spec")
    yield from _ahead(one, newest)


def _mended(one: PlatformQuarter, newest: Drilled) -> Iterator[Line]:
    """Say what must be better when it is drilled again."""
    if _within(newest.rto.seconds, one.rto_target) is Outcome.FAILED:
        facts = (told(newest.rto.seconds), f"promised {told(one.rto_target or 0)}")
        yield Line(text=f"{one.title}: be back sooner", facts=facts, remedy=_SOONER)
    if _within(newest.rpo.seconds, one.rpo_target) is Outcome.FAILED:
        lost = (told(newest.rpo.seconds or 0), f"promised {told(one.rpo_target or 0)}", f"worst is {newest.rpo.worst}")
        yield Line(text=f"{one.title}: lose less", facts=lost, remedy=_LESS)
    if newest.outcome in (Outcome.FAILED, Outcome.ERRORED):
        yield Line(
            text=f"{one.title}: mend what did not hold, and drill it again",
            note=" ".join(f"{cure.rstrip('.')}." for cure in newest.cures),
            remedy=f"watchkeeper drill {one.platform}",
        )


_SOONER = "Restore more side by side, or keep less in one place."
_LESS = "Archive the log without a break, or take backups and slices more often."


def _ahead(one: PlatformQuarter, newest: Drilled) -> Iterator[Line]:
    coming = newest.next_quarter
    if coming is not None and one.rto_target is not None and coming.seconds > one.rto_target:
        facts = (f"{told(coming.seconds)} at {format_bytes(coming.plain_bytes)}", f"target {told(one.rto_target)}")
        yield Line(
            text=f"{one.title}: next quarter it would not be back in time",
            outcome=Outcome.WARNED,
            facts=facts,
            remedy=_SOONER,
        )


def _evidence(report: QuarterReport) -> Table:
    rows = (
        Row(
            cells=(
                f"{platform.title}, {one.at.astimezone(ZoneInfo(platform.timezone)):%d %b %H:%M}",
                one.page,
                one.evidence or "none is kept",
                one.evidence_sha256,
            )
        )
        for platform in report.platforms
        for one in platform.drills
    )
    return Table(heads=("drill", "report", "evidence", "its SHA-256"), rows=tuple(rows), wraps=True)


def _charts(report: QuarterReport) -> tuple[Picture, ...]:
    drilled = [one for one in report.platforms if one.newest is not None]
    return (*_shares(drilled), *trend(drilled))


def _shares(drilled: list[PlatformQuarter]) -> tuple[Picture, ...]:
    """Draw how much of what was promised each platform's newest drill took; a full bar is all of it."""
    if not drilled:
        return ()
    height = 0.75 + 0.62 * len(drilled)
    title = "What each platform's newest drill took of the time and the data that were promised"
    return (picture("promises.png", title, height, lambda figure, palette: _draw_shares(figure, palette, drilled)),)


def _draw_shares(figure: Any, palette: Palette, drilled: list[PlatformQuarter]) -> None:
    height = figure.get_size_inches()[1]
    axes = plain_axes(figure, palette, (0.27, 0.42 / height, 0.46, 1 - 0.72 / height))
    axes.grid(visible=False)
    most = _WHOLE
    for row, one in enumerate(drilled):
        for place, (name, seconds, target) in enumerate(_measured(one)):
            y = row + (place - 0.5) * 0.36
            share = 0.0 if seconds is None or not target else _WHOLE * seconds / target
            most = max(most, share)
            colour = palette.bad if share > _WHOLE else palette.series[place]
            axes.barh(y, share, height=0.3, color=colour, hatch="//" if share > _WHOLE else None)
            write(axes, 0, y, f" {name} {_against(seconds, target)}", palette.ink, size=7.5)
            axes.texts[-1].set_transform(axes.get_yaxis_transform())
            axes.texts[-1].set_x(1.02)
        write(axes, 0, row, wording.plain(one.title, 22), palette.ink, align="right")
        axes.texts[-1].set_transform(axes.get_yaxis_transform())
        axes.texts[-1].set_x(-0.03)
    axes.axvline(_WHOLE, color=palette.bad, linestyle="--", linewidth=1)
    axes.set_xlim(0, 1.05 * most)
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.set_xlabel("% of what was promised", color=palette.quiet, fontsize=8)


def _measured(one: PlatformQuarter) -> Iterator[tuple[str, float | None, float | None]]:
    if one.newest is not None:
        yield "RTO", one.newest.rto.seconds, one.rto_target
        yield "RPO", one.newest.rpo.seconds, one.rpo_target


def _against(seconds: float | None, target: float | None) -> str:
    if seconds is None:
        return "not told"
    return f"{told(seconds)}, no target" if target is None else f"{told(seconds)} of {told(target)}"
