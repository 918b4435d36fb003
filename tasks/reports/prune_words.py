"""What a run of retention says: its bulletin, with the reason for every backup."""

from __future__ import annotations

from tasks.core.prune_report import Decided, PruneReport, VaultPlan
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.units import format_bytes
from tasks.reports import bulletin_words as words
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part, Row, Table

_HEADS = ("Backup", "What becomes of it", "Stored", "Why")


def bulletin(report: PruneReport) -> Bulletin:
    """Say a run of retention: what failed or waits for a person, each vault, every backup with its reasons."""
    problems = tuple(line for plan in report.vaults for line in _problems(plan, report))
    notes = tuple(Line(text=note, outcome=Outcome.WARNED) for note in report.notes)
    parts = [
        Part(title="To look at", lines=(*problems, *notes)),
        Part(title="Vaults", lines=tuple(_vault(plan, report) for plan in report.vaults if not plan.error)),
        *(Part(title=f"Vault {plan.vault}", table=_table(plan), aside=True) for plan in report.vaults),
    ]
    return words.bulletin(
        report,
        "prune" if report.applied else "retention plan",
        word=word(report),
        sentence=sentence(report),
        facts=(f"plan {report.fingerprint}",),
        parts=parts,
    )


def word(report: PruneReport) -> str:
    """Say the verdict in a few words."""
    if report.verdict is Verdict.FAILED:
        return "something failed"
    if report.verdict is Verdict.UNKNOWN:
        return "nothing was planned"
    if any(plan.held_back or (plan.beyond and not report.applied) for plan in report.vaults):
        return "waits for an approval"
    if report.verdict is Verdict.WARNED:
        return "something to look at"
    return "done" if report.applied else "ready"


def sentence(report: PruneReport) -> str:
    """Say how many went, or would go, and how much room that is."""
    if not report.vaults and report.notes:
        return report.notes[0]
    went = {name for plan in report.vaults for name in plan.removed}
    if report.applied:
        freed = sum(one.stored_bytes for plan in report.vaults for one in plan.remove if one.id in plan.removed)
        number = sum(len(plan.removed) for plan in report.vaults)
        said = f"{wording.plural(number, 'backup')} removed, {format_bytes(freed)} free" if went else "nothing removed"
    else:
        freed = sum(one.stored_bytes for plan in report.vaults for one in plan.remove)
        number = sum(len(plan.remove) for plan in report.vaults)
        said = f"{wording.plural(number, 'backup')} would go, {format_bytes(freed)}" if number else "nothing would go"
    return f"{said}; {sum(len(plan.keep) for plan in report.vaults):,} kept"


def _problems(plan: VaultPlan, report: PruneReport) -> list[Line]:
    lines = [Line(text=f"vault {plan.vault}", outcome=Outcome.FAILED, note=plan.error)] if plan.error else []
    lines += [
        Line(text=f"{name} in {plan.vault} was not removed", outcome=Outcome.FAILED, note=why)
        for name, why in plan.failed.items()
    ]
    lines += [
        Line(
            text=f"{share:.0%} of {group} in {plan.vault} would go: more than may go without a person",
            outcome=Outcome.WARNED,
            remedy=f"Look at the plan; where it is right, prune again with approve={report.fingerprint}",
        )
        for group, share in (plan.held_back if report.applied else plan.beyond).items()
    ]
    lines += [
        Line(text=f"nothing is removed in {plan.vault}", outcome=Outcome.WARNED, note=why) for why in plan.troubles
    ]
    return lines


def _vault(plan: VaultPlan, report: PruneReport) -> Line:
    gone = f"{len(plan.removed):,} removed" if report.applied else f"{len(plan.remove):,} would go"
    unfinished = (f"{len(plan.finished):,} earlier removals finished",) if plan.finished else ()
    outcome = Outcome.FAILED if plan.failed else Outcome.PASSED
    log = [f"{number:,} files of the log of {name} removed" for name, number in plan.log_removed.items()]
    facts = (f"{len(plan.keep):,} kept, {gone}", *unfinished, *log)
    return Line(text=plan.vault, outcome=None if outcome is Outcome.FAILED else outcome, facts=facts)


def _table(plan: VaultPlan) -> Table:
    rows = [_row(one, became(one, plan)) for one in plan.remove]
    return Table(heads=_HEADS, rows=(*rows, *(_row(one, "kept") for one in plan.keep)))


def became(one: Decided, plan: VaultPlan) -> str:
    """Say what became of a backup that no rule keeps."""
    if one.id in plan.removed:
        return "removed"
    if one.id in plan.failed:
        return "not removed: it failed"
    return "waits for an approval" if one.group in (plan.held_back or plan.beyond) else "goes"


def _row(one: Decided, what: str) -> Row:
    return Row(cells=(one.id, what, format_bytes(one.stored_bytes), "; ".join(one.reasons)))
