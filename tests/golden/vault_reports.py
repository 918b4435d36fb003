"""Plans of retention and checks of vaults, from all well to hostile."""

from __future__ import annotations

from datetime import timedelta

from tasks.core.prune_report import Decided, PruneReport, VaultPlan
from tasks.core.vault_report import CheckedVault, Flawed, VaultReport
from tests.golden.bulletins import _HOSTILE as HOSTILE
from tests.golden.reports import NOW

_COMMON = {
    "platform": "apex",
    "title": "SIGN X Studio",
    "timezone": "Europe/Prague",
    "started": NOW - timedelta(minutes=2),
    "finished": NOW,
    "run_url": "http://127.0.0.1:4200/runs/flow-run/1",
}


def decided(day: int, *reasons: str, group: str = "database/logical") -> Decided:
    """Make the decision on the backup of a day of November."""
    system = group.partition("/")[0]
    ident = f"apex/{system}/202611{day:02}T020000Z-9f31c07a"
    return Decided(id=ident, group=group, reasons=reasons, stored_bytes=314_572_800)


KEEP = tuple(
    decided(day, "daily backup", *(("newest complete backup",) if day == 22 else ())) for day in range(22, 18, -1)
)
REMOVE = (decided(18, "no rule keeps it"), decided(17, "no rule keeps it"))


def prune(*vaults: VaultPlan, applied: bool = True, **more: object) -> PruneReport:
    """Make a run of retention."""
    values = _COMMON | {"id": "apex-prune-20261122T050000Z-1a2b3c", **more}
    return PruneReport(vaults=vaults, applied=applied, **values)  # type: ignore[arg-type]


def pruned() -> PruneReport:
    """Two went, four stay."""
    gone = tuple(one.id for one in REMOVE)
    return prune(VaultPlan(vault="local", fingerprint="aa11", keep=KEEP, remove=REMOVE, removed=gone))


def waiting() -> PruneReport:
    """More than the cap would go; another vault is down; a removal failed."""
    return prune(
        VaultPlan(
            vault="local",
            fingerprint="aa11",
            keep=KEEP[:1],
            remove=(*KEEP[1:], *REMOVE),
            beyond={"database/logical": 0.83},
            held_back={"database/logical": 0.83},
        ),
        VaultPlan(vault="offsite", error="s3: access denied"),
        VaultPlan(vault="cold", fingerprint="bb22", remove=REMOVE[:1], failed={REMOVE[0].id: "it is locked"}),
    )


def planned() -> PruneReport:
    """Only a plan, in which a damaged backup keeps a system from being pruned."""
    troubles = ("cache: its manifest is damaged",)
    plan = VaultPlan(vault="local", fingerprint="aa11", keep=KEEP, remove=REMOVE, troubles=troubles)
    return prune(plan, applied=False, environment="lab")


def vaults(*seen: CheckedVault, **more: object) -> VaultReport:
    """Make a check of vaults."""
    values = _COMMON | {"id": "apex-vault-check-20261122T060000Z-1a2b3c", "read_data": 10.0, **more}
    return VaultReport(vaults=seen, **values)  # type: ignore[arg-type]


SOUND = CheckedVault(vault="local", backups=31, stored_bytes=9_663_676_416, bytes_read=966_367_641)


def sound() -> VaultReport:
    """All is there."""
    return vaults(SOUND, SOUND.model_copy(update={"vault": "offsite"}))


def lost() -> VaultReport:
    """A part is missing, an upload was left, one vault does not answer."""
    flaws = (
        Flawed(folder=KEEP[0].id, what="data/databases/apex.dump.zst.age is missing", lost=True),
        Flawed(folder="apex/cache/x", what="an upload begun 2026-11-20 02:00 was not ended", lost=False),
    )
    down = CheckedVault(vault="offsite", error="no answer within 15 s")
    return vaults(SOUND.model_copy(update={"flaws": flaws}), down)


def unkind() -> VaultReport:
    """Texts that would do harm where they are not escaped."""
    return vaults(CheckedVault(vault=HOSTILE, flaws=(Flawed(folder=HOSTILE, what=HOSTILE, lost=True),)), title=HOSTILE)


PRUNES = {"pruned": pruned, "waiting": waiting, "planned": planned}
CHECKS = {"sound": sound, "lost": lost, "unkind": unkind}
