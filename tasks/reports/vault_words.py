"""What a check of a platform's vaults says: its bulletin."""

from __future__ import annotations

from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.units import format_bytes
from tasks.core.vault_report import CheckedVault, VaultReport
from tasks.reports import bulletin_words as words
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part


def bulletin(report: VaultReport) -> Bulletin:
    """Say a check of vaults: lost backups first, then what only takes room, then what is sound."""
    lost = [line for vault in report.vaults for line in _flaws(vault, lost=True)]
    room = [line for vault in report.vaults for line in _flaws(vault, lost=False)]
    notes = [Line(text=note, outcome=Outcome.WARNED) for note in report.notes]
    parts = [
        Part(title="Cannot be read", lines=tuple(lost)),
        Part(title="To look at", lines=(*room, *notes)),
        Part(title="Vaults", lines=tuple(_vault(vault) for vault in report.vaults if not vault.error)),
    ]
    return words.bulletin(
        report,
        "vault check",
        word=_word(report),
        sentence=_sentence(report),
        parts=parts,
    )


def _word(report: VaultReport) -> str:
    return {
        Verdict.FAILED: "backups are lost, or could not be looked at",
        Verdict.UNKNOWN: "nothing was looked at",
        Verdict.WARNED: "sound, with something left over",
        Verdict.PASSED: "sound",
    }[report.verdict]


def _sentence(report: VaultReport) -> str:
    if not report.vaults and report.notes:
        return report.notes[0]
    backups, read = sum(vault.backups for vault in report.vaults), sum(vault.bytes_read for vault in report.vaults)
    hashed = f", {format_bytes(read)} read and hashed" if read else ", no data read"
    return f"{wording.plural(backups, 'backup')} in {wording.plural(len(report.vaults), 'vault')}{hashed}"


def _flaws(vault: CheckedVault, *, lost: bool) -> list[Line]:
    outcome = Outcome.FAILED if lost else Outcome.WARNED
    error = (
        [Line(text=f"vault {vault.vault}", outcome=Outcome.ERRORED, note=vault.error)] if vault.error and lost else []
    )
    flaws = [flaw for flaw in vault.flaws if flaw.lost is lost]
    return error + [Line(text=f"{flaw.folder} in {vault.vault}", outcome=outcome, note=flaw.what) for flaw in flaws]


def _vault(vault: CheckedVault) -> Line:
    lost = any(flaw.lost for flaw in vault.flaws)
    facts = (f"{wording.plural(vault.backups, 'backup')}, {format_bytes(vault.stored_bytes)} stored",)
    return Line(text=vault.vault, outcome=None if lost else Outcome.PASSED, facts=facts)
