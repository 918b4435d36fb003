"""The vault over every store; S3 is a real SeaweedFS."""

from tasks.clients.blobs import MemoryStore
from tasks.vault.checking import check
from tests.unit.test_blobs import store
from tests.unit.test_vault import PARTS, contents, take, vault_on

__all__ = ["store"]


def test_a_backup_is_taken_read_checked_pinned_copied_and_removed(store):
    vault = vault_on(store)
    manifest = take(vault, {**PARTS, "files/large": bytes(9 << 20)})
    assert contents(vault, vault.get(manifest.folder)) == {**PARTS, "files/large": bytes(9 << 20)}
    assert check(vault, read_data=100).flaws == ()
    vault.pin(manifest.folder, by="kim", why="a test")
    assert [(entry.state, entry.pinned) for entry in vault.entries("shop", "database")] == [("complete", True)]
    copy = vault_on(MemoryStore())
    assert vault.copy(manifest, copy) == manifest
    assert copy.manifests() == [manifest]
    vault.unpin(manifest.folder)
    vault.remove(manifest.folder)
    assert store.list() == []
    assert store.unfinished() == []
