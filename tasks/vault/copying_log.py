"""What goes on from a backup, from vault to vault: the archive of its system's log, and later slices."""

from __future__ import annotations

from collections.abc import Callable

from tasks.vault.archive import Archive
from tasks.vault.copying import copy_with_parents
from tasks.vault.vault import Vault


def copy_log(source: Vault, folder: str, target: Vault, tell: Callable[[str], None] = lambda _what: None) -> int:
    """Copy all by which a backup leads to later moments; what is in the target already is passed over.

    Args:
        source: Where it is.
        folder: Of the backup, `platform/system/id`; it is in the target already.
        target: Where it goes.
        tell: Told each file and backup that is in the target.

    Returns:
        How many files of the archive and later backups were looked at.

    Raises:
        ConfigError: There is no such backup; or something is not encrypted, and the target takes only what is.
        PermanentError: The target has other bytes under a name; they are left as they are.
        Garbled: Something is damaged in the source.
    """
    backup = source.get(folder)
    ours, theirs = (Archive(vault, backup.platform, backup.system) for vault in (source, target))
    names = ours.names()
    for name in names:
        ours.copy(name, theirs)
        tell(f"{ours.folder}/{name}")
    slices = [one for one in source.manifests(backup.platform, backup.system) if backup.id in one.parents]
    for one in slices:
        copy_with_parents(source, one.folder, target)
        tell(one.folder)
    return len(names) + len(slices)
