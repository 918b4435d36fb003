"""The vault: a backup is complete and readable, or it is not there."""

import hashlib
import os
import subprocess
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from tasks.clients.blobs import FolderStore, MemoryStore
from tasks.core.backup import Taken
from tasks.core.errors import ConfigError, Garbled, NotOffered, PermanentError, TransientError, WatchkeeperError
from tasks.core.manifest import read_manifest, stored_path
from tasks.vault.checking import check, clean
from tasks.vault.keys import Identity, new_key, recipients
from tasks.vault.layout import put_first
from tasks.vault.pipe import Pace
from tasks.vault.streams import Recipe
from tasks.vault.vault import Vault
from tests.faulty import ONCE, Fault, Faulty

NOW = datetime(2026, 11, 25, 2, tzinfo=UTC)
PAIR = new_key()
IDENTITY = Identity(PAIR.identity)
TEXT = b"CREATE TABLE orders (id bigint);\n" * 9000
NOISE = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(22_000))
PARTS = {"globals.sql": b"", "databases/Shop & Söhne.dump": TEXT, "files/noise.tar": NOISE}


def vault_on(store, **more):
    recipe = more.pop("recipe", Recipe(recipients(more.pop("recipients", [PAIR.recipient])), threads=0, patience=60))
    return Vault("test", store, recipe, now=lambda: NOW, **more)


def take(vault, parts=PARTS, system="database", **taken):
    with vault.begin("shop", system, "postgres") as backup:
        for name, data in parts.items():
            with backup.part(name, compress=not name.startswith("files/")) as part:
                for start in range(0, len(data), 100_000):
                    part.write(data[start : start + 100_000])
        return backup.commit(Taken(method="logical", consistent_as_of=NOW, **taken))


def contents(vault, manifest, identity=IDENTITY):
    return {part.name: b"".join(vault.read(manifest, part.name, identity)) for part in manifest.parts}


def test_what_was_written_is_read():
    vault = vault_on(MemoryStore())
    manifest = take(vault, counts={"orders": 3})
    assert vault.manifests() == [manifest] == [vault.get(manifest.folder)]
    assert contents(vault, manifest) == PARTS
    assert manifest.part("globals.sql").plain_bytes == 0
    assert manifest.part("databases/Shop & Söhne.dump").stored_bytes < len(TEXT) / 10
    assert check(vault, read_data=100).flaws == ()


def test_unencrypted_is_only_what_was_said_to_be():
    with pytest.raises(ConfigError, match="no recipients"):
        take(vault_on(MemoryStore(), recipients=[]))
    vault = vault_on(MemoryStore(), recipients=[], encrypted=False)
    assert contents(vault, take(vault), None) == PARTS


def test_what_is_stored_shows_nothing_of_what_it_holds(tmp_path):
    take(vault_on(FolderStore(tmp_path)))
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert NOISE[:64] not in stored
    assert b"orders" not in stored
    assert PAIR.identity.encode() not in stored


def test_reading_needs_the_right_key():
    vault = vault_on(MemoryStore())
    manifest = take(vault)
    with pytest.raises(ConfigError, match="give the identity"):
        contents(vault, manifest, None)
    with pytest.raises(ConfigError, match="other keys"):
        contents(vault, manifest, Identity(new_key().identity))


def test_each_of_several_recipients_can_read():
    other = new_key()
    vault = vault_on(MemoryStore(), recipients=[PAIR.recipient, other.recipient])
    manifest = take(vault)
    assert contents(vault, manifest) == contents(vault, manifest, Identity(other.identity)) == PARTS


def test_a_secret_key_never_shows():
    assert PAIR.identity not in repr(PAIR)
    assert PAIR.identity not in repr(IDENTITY)
    with pytest.raises(ConfigError) as error:
        recipients([PAIR.identity])
    assert PAIR.identity not in str(error.value)
    with pytest.raises(ConfigError) as error:
        Identity(PAIR.identity[:-1])
    assert PAIR.identity[:-1] not in str(error.value)


def run(vault, *source, commit=True):
    """Back up by a source: pairs of a name and bytes, or None where the source fails."""
    with vault.begin("shop", "cache", "redis") as backup:
        for name, data in source:
            write(backup, name, data)
        if commit:
            backup.commit(Taken(method="rdb", consistent_as_of=NOW))


def write(backup, name, data):
    with backup.part(name) as part:
        part.write(b"the beginning" if data is None else data)
        if data is None:
            raise ZeroDivisionError


def test_a_failed_source_leaves_nothing(tmp_path):
    vault = vault_on(FolderStore(tmp_path))
    with pytest.raises(ZeroDivisionError):
        run(vault, ("a", TEXT), ("b", None))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_backup_without_commit_is_none():
    store = MemoryStore()
    with pytest.raises(PermanentError, match="not committed"):
        run(vault_on(store), ("a", b"1"), commit=False)
    assert store.list() == []


def test_a_part_that_failed_cannot_be_committed_around():
    vault = vault_on(MemoryStore())

    def careless():
        with vault.begin("shop", "cache", "redis") as backup:
            with suppress(ZeroDivisionError):
                write(backup, "a", None)
            backup.commit(Taken(method="rdb", consistent_as_of=NOW))

    with pytest.raises(PermanentError, match="not ended well"):
        careless()
    assert vault.entries() == []


def test_a_part_that_was_given_up_may_be_written_anew():
    vault = vault_on(MemoryStore())
    with vault.begin("shop", "database", "postgres") as backup:
        with suppress(ValueError), backup.part("a") as part:
            part.write(b"the first half")
            raise ValueError
        with backup.part("a") as part:
            part.write(b"all of it")
        manifest = backup.commit(Taken(method="logical", consistent_as_of=NOW))
    assert contents(vault, manifest) == {"a": b"all of it"}


def test_whoever_writes_is_told_whether_there_is_somebody_to_encrypt_for():
    with pytest.raises(PermanentError), vault_on(MemoryStore()).begin("shop", "cluster", "kubernetes") as backup:
        assert backup.encrypts
    store = MemoryStore()
    plain = Vault("plain", store, encrypted=False)
    with pytest.raises(PermanentError), plain.begin("shop", "cluster", "kubernetes") as backup:
        assert not backup.encrypts
    assert store.sizes() == {}


@pytest.mark.parametrize("name", ["", "/etc/passwd", "a/../b", "..", "a//b", "a/", "."])
def test_a_name_that_leads_elsewhere_is_refused(name):
    vault = vault_on(MemoryStore())
    with pytest.raises(ConfigError, match="no name"):
        run(vault, (name, b"1"))


@pytest.mark.parametrize(
    "name", ["x" * 1000, "ü" * 400, "a/" * 499 + "a", "a\nb\0c", "-rf *", ".hidden", "%2e%2e", "a\\b"]
)
def test_an_odd_name_is_stored_under_a_harmless_one_and_kept_in_the_manifest(name, tmp_path):
    vault = vault_on(FolderStore(tmp_path))
    manifest = take(vault, {name: b"data"})
    (part,) = manifest.parts
    assert set(part.path) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-=/")
    assert contents(vault, vault.get(manifest.folder)) == {name: b"data"}


def test_two_names_never_share_a_place():
    names = ["x" * 999, "x" * 1000, "a b", "a=20b", "a/b", "a=2Fb", "\u00e9", "e\u0301"]
    assert len({stored_path(name, compressed=True, encrypted=True) for name in names}) == len(names)


@pytest.mark.parametrize("second", ["Part", "part"])
def test_two_parts_of_one_name_are_refused_also_where_only_the_case_differs(second):
    vault = vault_on(MemoryStore())
    with pytest.raises(ConfigError, match="two parts"):
        run(vault, ("Part", b"1"), (second, b"2"))


def test_parts_are_written_side_by_side():
    vault = vault_on(MemoryStore())
    with vault.begin("shop", "database", "postgres") as backup:
        start = threading.Barrier(3)

        def write(name):
            with backup.part(name) as part:
                start.wait(timeout=60)
                part.write(PARTS[name])

        threads = [threading.Thread(target=write, args=(name,)) for name in PARTS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        manifest = backup.commit(Taken(method="logical", consistent_as_of=NOW))
    assert contents(vault, manifest) == PARTS


def _calls():
    faulty = Faulty(MemoryStore())
    take(vault_on(faulty), {"a": TEXT, "files/b": NOISE})
    return len(faulty.calls)


@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.name)
def test_whatever_call_of_the_store_misbehaves_there_is_no_manifest_without_all_data(fault):
    parts = {"a": TEXT, "files/b": NOISE}
    silent = 0
    for number in range(1, _calls() + 1):
        inner = MemoryStore()
        faulty = Faulty(inner, fault, number)
        try:
            take(vault_on(faulty), parts)
        except WatchkeeperError:
            for manifest in vault_on(inner).manifests():  # what failed after the commit is there, and is whole
                assert contents(vault_on(inner), manifest) == parts
        else:
            honest = vault_on(inner)
            (manifest,) = honest.manifests()
            try:
                assert contents(honest, manifest) == parts
                assert check(honest, read_data=100).flaws == ()
            except Garbled:  # only bytes changed at rest go unseen while writing; a check finds them
                assert fault is Fault.CORRUPT
                assert faulty.hit == "piece written"
                assert any(flaw.lost for flaw in check(honest, read_data=100).flaws)
                silent += 1
        assert faulty.hit is not None
        again = vault_on(inner)
        assert contents(again, take(again, parts)) == parts
    assert silent == 0 or fault is Fault.CORRUPT


@pytest.mark.parametrize("call", ["writing", "piece written", "end of writing"])
def test_a_store_that_stalls_is_given_up(call):
    measure = Faulty(MemoryStore())
    take(vault_on(measure), {"files/a": bytes(9 << 20)})
    faulty = Faulty(MemoryStore(), Fault.STALL, measure.calls.index(call) + 1)
    vault = vault_on(faulty, recipe=Recipe(recipients([PAIR.recipient]), threads=0, patience=0.05))
    with pytest.raises((TransientError, PermanentError)):
        take(vault, {"files/a": bytes(9 << 20)})
    faulty.released.set()
    assert all(entry.state != "complete" for entry in vault.entries())


def damage(store, path, how):
    data = bytearray(b"".join(store.reading(path)))
    match how:
        case "flipped":
            data[len(data) // 2] ^= 4
            store.put(path, bytes(data))
        case "truncated":
            store.put(path, bytes(data[: -len(data) // 3]))
        case "longer":
            store.put(path, bytes(data) + b"x")
        case "emptied":
            store.put(path, b"")
        case "missing":
            store.delete(path)


@pytest.mark.parametrize("how", ["flipped", "truncated", "longer", "emptied", "missing"])
@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "plain"])
def test_damage_is_found_by_check_and_by_reading(how, name, encrypted):
    store = MemoryStore()
    vault = vault_on(store, encrypted=encrypted, **({} if encrypted else {"recipients": []}))
    manifest = take(vault)
    damage(store, f"{manifest.folder}/{manifest.part(name).path}", how)
    flaws = check(vault, read_data=100).flaws
    assert {flaw.folder for flaw in flaws if flaw.lost} == {manifest.folder}
    with pytest.raises(PermanentError):
        contents(vault, manifest)


def test_a_damaged_header_is_damage_whichever_byte_of_it_was_changed_and_no_wrong_key():
    store = MemoryStore()
    vault = vault_on(store)
    manifest = take(vault)
    path = f"{manifest.folder}/{manifest.part('globals.sql').path}"
    whole = b"".join(store.reading(path))
    for at in range(len(whole)):
        store.put(path, whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(Garbled):
            b"".join(vault.read(manifest, "globals.sql", IDENTITY))
    store.put(path, whole)
    with pytest.raises(ConfigError, match="encrypted for other keys"):
        b"".join(vault.read(manifest, "globals.sql", Identity(new_key().identity)))


@pytest.mark.parametrize("how", ["flipped", "truncated", "emptied"])
def test_a_damaged_manifest_is_refused(how):
    store = MemoryStore()
    vault = vault_on(store)
    manifest = take(vault)
    damage(store, f"{manifest.folder}/manifest.json", how)
    with pytest.raises(Garbled):
        vault.get(manifest.folder)
    assert [flaw.lost for flaw in check(vault).flaws] == [True]


def test_a_manifest_of_a_newer_format_is_refused_with_what_to_do():
    data = take(vault_on(MemoryStore())).to_bytes().replace(b'"format": 1', b'"format": 2')
    with pytest.raises(ConfigError, match="newer watchkeeper"):
        read_manifest(data, "there")


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b'"format"', b'{"format": 1}', b"[" * 100_000])
def test_what_is_no_manifest_is_refused(data):
    with pytest.raises(Garbled):
        read_manifest(data, "there")


def test_what_is_in_no_manifest_is_found_but_loses_nothing():
    store = MemoryStore()
    vault = vault_on(store)
    manifest = take(vault)
    store.put(f"{manifest.folder}/data/stranger", b"1")
    (flaw,) = check(vault).flaws
    assert "stranger" in flaw.what
    assert not flaw.lost


def test_a_backup_at_work_or_killed_is_no_backup_and_is_cleaned_when_old():
    store = MemoryStore()
    take(vault_on(store))
    store.put("shop/database/20261124T010000Z-00000000/data/a", b"1")
    vault = vault_on(store)
    assert len(vault.manifests()) == 1
    assert [flaw.what for flaw in check(vault).flaws] == ["it is incomplete"]
    assert clean(vault, timedelta(days=2)) == []
    assert clean(vault, timedelta(days=1)) == ["shop/database/20261124T010000Z-00000000"]
    assert check(vault, read_data=100).flaws == ()


def test_removing_takes_the_manifest_first():
    store = MemoryStore()
    faulty = Faulty(store)
    manifest = take(vault_on(faulty))
    faulty.calls.clear()
    vault_on(faulty).remove(manifest.folder)
    assert store.list() == []


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.FAIL, Fault.FAIL_AFTER])
def test_a_removal_that_fails_anywhere_is_finished_later(fault):
    measure = Faulty(MemoryStore())
    manifest = take(vault_on(measure))
    measure.calls.clear()
    vault_on(measure).remove(manifest.folder)
    for number in range(1, len(measure.calls) + 1):
        store = MemoryStore()
        manifest = take(vault_on(store))
        vault = vault_on(Faulty(store, fault, number))
        try:
            vault.remove(manifest.folder)
        except WatchkeeperError:
            states = {entry.state for entry in vault_on(store).entries()}
            assert states <= {"complete", "being removed"}
            if states == {"complete"}:
                assert contents(vault_on(store), manifest) == PARTS
                continue
        vault_on(store).finish_removals()
        assert store.list() == []


def test_what_is_pinned_is_not_removed():
    vault = vault_on(MemoryStore())
    manifest = take(vault)
    vault.pin(manifest.folder, by="kim", why="before the migration")
    assert vault.pin_of(manifest.folder).why == "before the migration"
    assert [entry.pinned for entry in vault.entries()] == [True]
    with pytest.raises(ConfigError, match="pinned"):
        vault.remove(manifest.folder)
    vault.unpin(manifest.folder)
    assert vault.pin_of(manifest.folder) is None
    vault.remove(manifest.folder)
    assert vault.entries() == []


def test_a_copy_is_the_same_and_needs_no_key(tmp_path):
    source, target = vault_on(MemoryStore()), vault_on(FolderStore(tmp_path))
    manifest = take(source)
    assert source.copy(manifest, target) == manifest == source.copy(manifest, target)
    assert contents(target, target.get(manifest.folder)) == PARTS


def test_damage_is_not_copied():
    source, target = vault_on(MemoryStore()), vault_on(MemoryStore())
    manifest = take(source)
    damage(source.store, f"{manifest.folder}/{manifest.part('files/noise.tar').path}", "flipped")
    with pytest.raises(Garbled):
        source.copy(manifest, target)
    assert target.store.list() == []


def test_recovery_names_the_commands_for_this_very_backup_and_they_work(tmp_path):
    vault = vault_on(FolderStore(tmp_path), encrypted=False, recipients=[])
    with vault.begin("shop", "database", "postgres") as backup:
        with backup.part("databases/it's one.sql") as part:
            part.write(TEXT)
        manifest = backup.commit(
            Taken(method="logical", consistent_as_of=NOW, warnings=("no blobs",)),
            lambda _taken, names: "\n".join(f"```sh\n{{read:{name}}} > restored.sql\n```" for name in names),
        )
    folder = tmp_path / manifest.folder
    page = (folder / "RECOVERY.md").read_text()
    assert hashlib.sha256(page.encode()).hexdigest() == manifest.recovery_sha256
    blocks = [block.split("\n```")[0] for block in page.split("```sh\n")[1:]]
    for block in (blocks[0], blocks[-1]):
        subprocess.run(["/bin/sh", "-ec", block], cwd=folder, check=True, capture_output=True)  # noqa: S603
    assert (folder / "restored.sql").read_bytes() == TEXT
    assert "no blobs" in page


def test_what_age_writes_standard_age_can_read():
    store = MemoryStore()
    manifest = take(vault_on(store))
    for part in manifest.parts:
        header = store.get(f"{manifest.folder}/{part.path}")
        assert header.startswith(b"age-encryption.org/v1\n-> X25519 ")


def test_a_pace_holds_back_what_is_too_fast():
    slept = []
    clock = [0.0]

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += seconds

    pace = Pace(1000, lambda: clock[0], sleep)
    for _ in range(5):
        pace.take(500)
    assert clock[0] == pytest.approx(2.5)


def test_progress_tells_rate_and_what_remains():
    told = []
    times = iter(range(0, 1000, 2))
    vault = vault_on(MemoryStore(), tell=told.append)
    with vault.begin("shop", "database", "postgres") as backup:
        backup._meter._clock = lambda: float(next(times))
        backup._meter._began = backup._meter._told = -2.0
        backup.progress(100, 400)
        backup.progress(300)
        with backup.part("a") as part:
            part.write(b"1")
        backup.commit(Taken(method="logical", consistent_as_of=NOW))
    assert (told[0].done, told[0].total, told[0].rate, told[0].remaining) == (100, 400, 50.0, 6.0)
    assert (told[1].done, told[1].remaining) == (300, pytest.approx(100 / 75))


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "shop").write_text("in the way")
    with pytest.raises(WatchkeeperError):
        take(vault_on(FolderStore(tmp_path)))


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    store = FolderStore(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda _file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(PermanentError, match="No space left"):
        take(vault_on(store))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", PARTS)
def test_a_backup_whose_plain_bytes_were_hashed_by_blake2b_is_read_and_held_against_it(name):
    vault = vault_on(MemoryStore())
    manifest = take(vault)
    old = f"blake2b:{hashlib.blake2b(PARTS[name], digest_size=32).hexdigest()}"
    assert contents(vault, with_hash(manifest, name, old))[name] == PARTS[name]
    with pytest.raises(Garbled, match="not what was written"):
        contents(vault, with_hash(manifest, name, f"{old[:-1]}{'0' if old[-1] != '0' else '1'}"))


def test_a_hash_of_another_sort_is_refused_with_what_to_do():
    vault = vault_on(MemoryStore())
    manifest = take(vault)
    with pytest.raises(ConfigError, match="'sha9' is not known here"):
        contents(vault, with_hash(manifest, "globals.sql", "sha9:00"))


def with_hash(manifest, name, plain_hash):
    parts = [
        part.model_copy(update={"plain_hash": plain_hash}) if part.name == name else part for part in manifest.parts
    ]
    return manifest.model_copy(update={"parts": tuple(parts)})


def test_after_the_recipients_changed_each_backup_is_read_with_the_key_that_it_was_made_for():
    store, other = MemoryStore(), new_key()
    before = take(vault_on(store))
    after = take(vault_on(store, recipients=[other.recipient]), parents=(before.id,))
    vault = vault_on(store)
    assert contents(vault, before) == contents(vault, after, Identity(other.identity)) == PARTS
    with pytest.raises(ConfigError, match="other keys"):
        contents(vault, before, Identity(other.identity))
    assert [manifest.recipients for manifest in vault.manifests()] in (
        [before.recipients, after.recipients],
        [after.recipients, before.recipients],
    )


def test_a_part_without_a_recipient_is_refused_where_somebody_took_them_away():
    store = MemoryStore()
    take(vault_on(store))
    with pytest.raises(ConfigError, match="no recipients"):
        take(vault_on(store, recipients=[]))
    assert len(vault_on(store).entries()) == 1


def test_a_store_without_conditional_writes_keeps_backups_as_well():
    class Plain(Faulty):
        def put_if_absent(self, key, _data):
            raise NotOffered("the store does not offer it", operation=f"write {key}")

    store = MemoryStore()
    manifest = take(vault_on(Plain(store)))
    assert contents(vault_on(store), manifest) == PARTS
    assert not put_first(Plain(store), f"{manifest.folder}/manifest.json", b"another")
    assert vault_on(store).get(manifest.folder) == manifest
