"""What is written beside a manifest: verifications, holds, and that a backup was forgotten."""

import threading
from datetime import timedelta

import pytest

from tasks.clients.blobs import MemoryStore
from tasks.core.errors import ConfigError, Garbled
from tasks.core.restore import Assertion
from tasks.core.results import Outcome
from tasks.core.verification import is_verified
from tasks.vault.checking import check
from tasks.vault.records import held, holds, past_restores, record, verifications
from tasks.vault.source import VaultSource
from tests.unit.test_vault import IDENTITY, NOW, PARTS, take, vault_on


class Clock:
    def __init__(self):
        self.time = NOW

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def vault(clock):
    made = vault_on(MemoryStore())
    return type(made)(**{**made.__dict__, "now": clock})


def test_verifications_are_appended_and_the_manifest_stays_as_it_was(vault, clock):
    manifest = take(vault)
    before = vault.store.get(f"{manifest.folder}/manifest.json")
    rows = Assertion(name="rows", level=3, outcome=Outcome.PASSED, expected="3", observed="3")
    first = record(
        vault, manifest.folder, level=3, outcome=Outcome.PASSED, assertions=[rows], seconds=4.5, into="scratch"
    )
    clock.time += timedelta(days=1)
    second = record(vault, manifest.folder, level=1, outcome=Outcome.FAILED)
    assert verifications(vault, manifest.folder) == [first, second]
    assert len(vault.entries()[0].verified) == 2
    assert vault.store.get(f"{manifest.folder}/manifest.json") == before
    assert check(vault, read_data=100).flaws == ()


def test_verified_is_what_was_restored_and_compared_and_not_seen_broken_since(vault, clock):
    manifest = take(vault)
    steps = [
        (2, Outcome.PASSED, False),
        (3, Outcome.PASSED, True),
        (4, Outcome.ERRORED, True),
        (1, Outcome.PASSED, True),
        (1, Outcome.FAILED, False),
        (4, Outcome.PASSED, True),
    ]
    for level, outcome, verified in steps:
        clock.time += timedelta(hours=1)
        record(vault, manifest.folder, level=level, outcome=outcome)
        assert is_verified(verifications(vault, manifest.folder)) is verified


def test_a_damaged_record_is_refused_and_one_of_another_backup_too(vault):
    manifest, other = take(vault), take(vault)
    record(vault, manifest.folder, level=3, outcome=Outcome.PASSED)
    (key,) = vault.store.list(f"{manifest.folder}/verified/")
    vault.store.put(f"{other.folder}/verified/x.json", vault.store.get(key))
    with pytest.raises(Garbled, match="record of"):
        verifications(vault, other.folder)
    vault.store.put(key, vault.store.get(key)[:-20])
    with pytest.raises(Garbled, match="no record"):
        verifications(vault, manifest.folder)


def test_what_is_held_is_not_removed_and_what_was_held_is(vault):
    manifest = take(vault)
    with held(vault, [manifest.folder], who="restore", why="a test"):
        assert [hold.who for hold in holds(vault, manifest.folder)] == ["restore"]
        with pytest.raises(ConfigError, match="restore reads"):
            vault.remove(manifest.folder)
        assert [entry.state for entry in vault.entries()] == ["complete"]
        assert vault.get(manifest.folder) == manifest
    vault.remove(manifest.folder)
    assert vault.store.list() == []


def test_a_hold_of_one_who_died_ends_by_itself(vault, clock):
    manifest = take(vault)
    holding = held(vault, [manifest.folder], who="a dead one/../x", why="", lasting=timedelta(hours=1))
    holding.__enter__()
    clock.time += timedelta(minutes=59)
    with pytest.raises(ConfigError, match="a dead one"):
        vault.remove(manifest.folder)
    clock.time += timedelta(minutes=2)
    vault.remove(manifest.folder)
    assert vault.entries() == []
    holding.__exit__(None, None, None)


def test_a_hold_is_renewed_as_long_as_it_is_needed(vault, clock):
    manifest = take(vault)
    written = threading.Event()
    put = vault.store.put

    def watched(key, data):
        put(key, data)
        if "/held/" in key and clock.time > NOW:
            written.set()

    vault.store.put = watched
    with held(vault, [manifest.folder], who="drill", why="", lasting=timedelta(seconds=0.3)):
        clock.time += timedelta(days=1)
        assert written.wait(timeout=20)
        assert len(holds(vault, manifest.folder)) == 1


def test_what_is_being_removed_cannot_be_held_any_more(vault):
    manifest = take(vault)
    vault.store.put(f"{manifest.folder}/removing.json", b"{}")
    with pytest.raises(ConfigError, match="being removed"), held(vault, [manifest.folder], who="a", why="b"):
        raise AssertionError
    assert vault.store.list(f"{manifest.folder}/held/") == []


def test_what_is_forgotten_counts_for_nothing_until_it_is_remembered(vault):
    parent = take(vault)
    child = take(vault, parents=(parent.id,))
    with pytest.raises(ConfigError, match="made from it"):
        vault.forget(parent.folder, by="kim", why="no")
    vault.forget(child.folder, by="kim", why="it was taken while the disk was failing")
    assert [entry.state for entry in vault.entries() if entry.id == child.id] == ["forgotten"]
    assert vault.manifests() == [parent]
    with pytest.raises(ConfigError, match="forgotten"):
        vault.get(child.folder)
    assert vault.remember(child.folder) == child
    assert vault.get(child.folder) == child


def test_a_source_reads_itself_its_parents_and_what_goes_on_from_it(vault):
    parent = take(vault)
    child = take(vault, {"a": b"1"}, parents=(parent.id,))
    source = VaultSource.of(vault, child.folder, IDENTITY)
    assert b"".join(source.read("a")) == b"1"
    whole = source.parent(parent.id)
    assert {name: b"".join(whole.read(name)) for name in PARTS} == PARTS
    assert [later.manifest for later in whole.later("logical")] == [child]
    assert list(source.archived()) == []
    vault.remove(parent.folder)
    with pytest.raises(Garbled, match=parent.id):
        source.parent(parent.id)


def test_how_long_a_restore_takes_is_known_from_the_newest_of_the_same_method_whichever_backup_it_was(vault, clock):
    first = take(vault)
    clock.time += timedelta(days=1)
    second = take(vault)
    record(vault, first.folder, level=3, outcome=Outcome.PASSED, seconds=7)
    clock.time += timedelta(days=1)
    record(vault, first.folder, level=3, outcome=Outcome.PASSED, seconds=9)
    record(vault, second.folder, level=2, outcome=Outcome.PASSED, seconds=1)
    found = list(past_restores(vault, second.platform, second.system, second.method))
    assert [(one.seconds, of.id) for one, of in found] == [(9, first.id), (7, first.id)]
    assert list(past_restores(vault, second.platform, second.system, "another")) == []


def test_where_a_parent_is_gone_that_is_said_with_the_newest_moment_that_can_be_had_without_it(vault, clock):
    first = take(vault)
    clock.time += timedelta(days=1)
    second = take(vault)
    clock.time += timedelta(days=1)
    third = take(vault, parents=(second.id,))
    vault.remove(second.folder)
    with pytest.raises(Garbled, match=f"{second.id}, which {third.id} is made from, is not there") as caught:
        VaultSource(vault, third, IDENTITY).parent(second.id)
    assert f"the newest that can be had without it is {first.id}, which shows 2" in caught.value.hint
    vault.remove(first.folder)
    with pytest.raises(Garbled) as caught:
        VaultSource(vault, third, IDENTITY).parent(second.id)
    assert "look in another vault" in caught.value.hint
    assert "can be had" not in caught.value.hint
