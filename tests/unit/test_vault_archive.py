"""The continuous archive: each file once, the same or refused, complete or not there."""

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tasks.clients.blobs import FolderStore, MemoryStore
from tasks.core.errors import ConfigError, Garbled, PermanentError, WatchkeeperError
from tasks.vault.archive import Archive
from tasks.vault.keys import Identity, new_key
from tasks.vault.streams import Recipe
from tests.faulty import ONCE, Fault, Faulty
from tests.unit.test_vault import IDENTITY, vault_on

NAME = "000000010000000000000007"
DATA = bytes(range(256)) * 4000


def archive_on(store, **more):
    return Archive(vault_on(store, **more), "shop", "database")


def content(archive, name=NAME, identity=IDENTITY):
    return b"".join(archive.read(name, identity))


def test_what_was_archived_is_read_again_and_its_sidecar_tells_of_it(tmp_path):
    archive = archive_on(FolderStore(tmp_path))
    assert archive.put(NAME, [DATA[:1000], DATA[1000:]])
    assert content(archive) == DATA
    assert archive.names() == [NAME]
    assert archive.describe(NAME).file.plain_bytes == len(DATA)
    assert archive.stored()[0].stored_bytes == archive.describe(NAME).file.stored_bytes
    assert (tmp_path / f"shop/database/wal/{NAME}.json").exists()
    assert DATA[:64] not in b"".join(path.read_bytes() for path in tmp_path.rglob("*.age"))


def test_the_same_bytes_again_are_fine_and_other_bytes_are_refused_and_change_nothing():
    archive = archive_on(MemoryStore())
    assert archive.put(NAME, [DATA])
    before = archive.vault.store.sizes()
    assert not archive.put(NAME, [DATA])
    with pytest.raises(PermanentError, match="other bytes"):
        archive.put(NAME, [DATA[:-1]])
    assert archive.vault.store.sizes() == before
    assert content(archive) == DATA


def test_a_sidecar_whose_bytes_are_gone_is_never_taken_for_an_archived_file():
    archive = archive_on(MemoryStore())
    archive.put(NAME, [DATA])
    archive.vault.store.delete(f"shop/database/wal/{archive.describe(NAME).file.path}")
    with pytest.raises(PermanentError, match="the store has 0"):
        archive.put(NAME, [DATA])


def test_of_many_who_archive_one_file_at_once_all_are_well_and_it_is_there_once():
    archive = archive_on(MemoryStore())
    start, answers = threading.Barrier(4), []

    def put():
        start.wait(timeout=20)
        answers.append(archive.put(NAME, [DATA]))

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, False, False, True]
    assert content(archive) == DATA
    assert len(archive.vault.store.list()) == 2


def test_what_lies_below_a_name_is_removed_and_the_rest_stays():
    archive = archive_on(MemoryStore())
    names = [f"00000001000000000000000{n}" for n in range(5)]
    for name in (*names, "00000002.history"):
        archive.put(name, [name.encode()])
    assert archive.remove_below(names[3], only="[0-9A-F]{24}") == names[:3]
    assert archive.names() == [*names[3:], "00000002.history"]
    assert archive.leftovers() == []
    assert content(archive, names[3]) == names[3].encode()


class Locking(MemoryStore):
    """Keeps what has one of these names in it for another year."""

    kept = ()

    def locked_until(self, key):
        return datetime(2026, 11, 25, tzinfo=UTC) if any(name in key for name in self.kept) else None


def test_what_the_store_still_keeps_locked_stays_with_all_that_follows_until_the_lock_has_ended():
    archive = archive_on(store := Locking())
    names = [f"00000001000000000000000{n}" for n in range(4)]
    for name in names:
        archive.put(name, [name.encode()])
    store.kept = names[1:]
    assert archive.remove_below(names[3]) == names[:1]
    assert archive.remove_below(names[3]) == []
    assert archive.names() == names[1:]
    store.kept = ()
    assert archive.remove_below(names[3]) == names[1:3]
    assert archive.leftovers() == []


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 200, "a.json", "ü"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ConfigError, match="no name"):
        archive_on(MemoryStore()).put(name, [b"1"])


def test_reading_needs_the_file_and_the_key():
    archive = archive_on(MemoryStore())
    with pytest.raises(ConfigError, match="not in the archive"):
        content(archive)
    archive.put(NAME, [DATA])
    with pytest.raises(ConfigError, match="other keys"):
        content(archive, identity=Identity(new_key().identity))


def test_a_damaged_sidecar_is_refused():
    archive = archive_on(MemoryStore())
    archive.put(NAME, [DATA])
    key = f"shop/database/wal/{NAME}.json"
    archive.vault.store.put(key, archive.vault.store.get(key).replace(b'"plain_bytes": 1', b'"plain_bytes": 2'))
    with pytest.raises(Garbled):
        archive.describe(NAME)
    with pytest.raises(Garbled):
        archive.put(NAME, [DATA])


@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.name)
def test_whatever_call_misbehaves_a_file_said_to_be_archived_is_there(fault):
    measure = Faulty(MemoryStore())
    archive_on(measure).put(NAME, [DATA])
    for number in range(1, len(measure.calls) + 1):
        inner = MemoryStore()
        faulty = Faulty(inner, fault, number)
        honest = archive_on(inner)
        try:
            archive_on(faulty).put(NAME, [DATA])
        except WatchkeeperError:
            pass
        else:
            try:
                assert content(honest) == DATA
            except Garbled:  # bytes changed at rest cannot be seen while writing
                assert (fault, faulty.hit) == (Fault.CORRUPT, "piece written")
                continue
        if honest.describe(NAME) is None:
            assert honest.put(NAME, [DATA])
            assert content(honest) == DATA


def test_the_archive_is_copied_as_it_is_stored_once_and_needs_no_key():
    ours, theirs = archive_on(MemoryStore()), archive_on(MemoryStore())
    ours.put(NAME, [DATA])
    assert ours.copy(NAME, theirs)
    assert theirs.vault.store.sizes() == ours.vault.store.sizes()
    assert content(theirs) == DATA
    assert not ours.copy(NAME, theirs)
    assert not ours.copy("000000010000000000000008", theirs)
    other = archive_on(MemoryStore())
    other.put(NAME, [DATA[:-1]])
    with pytest.raises(PermanentError, match="other bytes"):
        ours.copy(NAME, other)
    assert content(other) == DATA[:-1]


def test_a_damaged_file_of_the_archive_is_not_copied_and_nothing_unencrypted_where_that_is_not_wanted():
    ours, theirs = archive_on(MemoryStore()), archive_on(MemoryStore())
    ours.put(NAME, [DATA])
    key = f"{ours.folder}/{ours.describe(NAME).file.path}"
    ours.vault.store.put(key, ours.vault.store.get(key)[:-1])
    with pytest.raises(Garbled):
        ours.copy(NAME, theirs)
    assert theirs.vault.store.list() == []
    plain = Archive(replace(vault_on(MemoryStore()), recipe=Recipe(), encrypted=False), "shop", "database")
    plain.put(NAME, [DATA])
    with pytest.raises(ConfigError, match="takes only what is encrypted"):
        plain.copy(NAME, theirs)


@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.name)
def test_whatever_fails_while_it_is_copied_no_file_is_there_that_cannot_be_read(fault):
    for number in range(1, 12):
        ours, store = archive_on(MemoryStore()), MemoryStore()
        ours.put(NAME, [DATA])
        with suppress(WatchkeeperError):
            ours.copy(NAME, archive_on(Faulty(store, fault, number)))
        honest = archive_on(store)
        if honest.names() and fault is not Fault.CORRUPT:
            assert content(honest) == DATA
