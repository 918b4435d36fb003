"""The fault suite: every call of the store fails, stalls, returns short, corrupts or lies, whatever is being done.

Each scenario prepares a vault, does one thing through a store that misbehaves at the n-th call, and is then judged
through the honest store: whether anything that must be there was lost, and whether what said that it was done was not.
"""

import errno
import functools
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from tasks.clients.blobs import FolderStore, MemoryStore
from tasks.core.errors import Denied, Garbled, PermanentError, Unreachable, WatchkeeperError
from tasks.core.results import Outcome
from tasks.core.retention import Policy
from tasks.vault.adopting import adopt
from tasks.vault.archive import Archive
from tasks.vault.checking import check, clean
from tasks.vault.pruning import carry_out, foresee
from tasks.vault.records import held, record, verifications
from tests.faulty import ONCE, Fault, Faulty, FaultySource
from tests.unit.test_vault import IDENTITY, NOW, contents, damage, take, vault_on

PARTS = {"a": b"one" * 1000, "files/b": b"two" * 1000}


@dataclass
class Stage:
    """A vault as a scenario finds it.

    Attributes:
        store: The honest store.
        must: Backups that must be readable whatever happens, by folder.
        other: What else the scenario needs.
    """

    store: MemoryStore
    must: dict
    other: object = None

    def lost(self):
        """Say whether anything that must be there cannot be read."""
        honest = vault_on(self.store)
        try:
            return any(contents(honest, honest.get(folder)) != parts for folder, parts in self.must.items())
        except WatchkeeperError:
            return True


def plain_stage(number=1):
    store = MemoryStore()
    made = [take(replace(vault_on(store), now=lambda n=n: NOW - timedelta(days=n)), PARTS) for n in range(number)]
    return Stage(store, {manifest.folder: PARTS for manifest in made})


def complete(store):
    """Return the backups that are said to be complete, and whether each can be read as it was written."""
    honest = vault_on(store)
    found = {}
    for entry in honest.entries():
        if entry.state == "complete":
            try:
                found[entry.folder] = contents(honest, honest.get(entry.folder)) == PARTS
            except WatchkeeperError:
                found[entry.folder] = False
    return found


class Backup:
    prepare = staticmethod(plain_stage)

    def act(self, store, _stage):
        return take(vault_on(store), PARTS)

    def false(self, stage, done):
        return not complete(stage.store).get(done.folder)


class Copying:
    """Into a target that misbehaves."""

    def prepare(self):
        source = vault_on(MemoryStore())
        manifest = take(source, PARTS)
        return Stage(MemoryStore(), {}, (source, manifest))

    def act(self, store, stage):
        source, manifest = stage.other
        return source.copy(manifest, vault_on(store))

    def false(self, stage, done):
        return not complete(stage.store).get(done.folder)


class CopyingAway(Copying):
    """From a source that misbehaves."""

    def prepare(self):
        stage = plain_stage()
        stage.other = MemoryStore()
        return stage

    def act(self, store, stage):
        (folder,) = stage.must
        return vault_on(store).copy(vault_on(stage.store).get(folder), vault_on(stage.other))

    def false(self, stage, done):
        return not complete(stage.other).get(done.folder)


class Adopting(CopyingAway):
    def act(self, store, stage):
        return adopt(store, vault_on(stage.other))

    def false(self, stage, done):
        there = complete(stage.other)
        return any(not there.get(one.folder) for one in done if not one.refused)


class Pruning:
    """Four days and a chain; two of the days go, the pinned and the newest stay, the chain stays whole."""

    def prepare(self):
        stage = plain_stage(4)
        days = list(stage.must)
        vault = vault_on(stage.store)
        before = replace(vault, now=lambda: NOW - timedelta(days=9))
        base = take(before, PARTS, system="files")
        child = take(replace(vault, now=lambda: NOW - timedelta(days=8)), PARTS, system="files", parents=(base.id,))
        vault.pin(days[3], by="kim", why="a test")
        record(vault, days[2], level=3, outcome=Outcome.PASSED)
        stage.must = dict.fromkeys((days[0], days[2], days[3], base.folder, child.folder), PARTS)
        return stage

    def act(self, store, _stage):
        vault = vault_on(store)
        look = functools.partial(foresee, vault, "shop", Policy(last=1), cap=1.0)
        return carry_out(vault, look(), look)

    def false(self, stage, done):
        there = {entry.folder for entry in vault_on(stage.store).entries() if entry.state != "being removed"}
        return bool(set(done.removed) & there)


class Checking:
    """Of a vault in which one backup is cut, one has lost a part, and one is as it must be."""

    def prepare(self):
        stage = plain_stage(3)
        good, cut, torn = list(stage.must)
        stage.must = {good: PARTS}
        honest = vault_on(stage.store)
        damage(stage.store, f"{cut}/{honest.get(cut).parts[0].path}", "truncated")
        damage(stage.store, f"{torn}/{honest.get(torn).parts[1].path}", "flipped")
        stage.other = {cut, torn}
        return stage

    def act(self, store, _stage):
        return check(vault_on(store), read_data=100)

    def false(self, stage, done):
        return not stage.other <= {flaw.folder for flaw in done.flaws if flaw.lost}


class Cleaning:
    def prepare(self):
        stage = plain_stage(2)
        stage.store.put("shop/database/20200101T010000Z-00000000/data/a", b"1")
        return stage

    def act(self, store, _stage):
        return clean(replace(vault_on(store), now=lambda: NOW + timedelta(days=9)), timedelta(days=2))

    def false(self, stage, done):
        there = {entry.folder for entry in vault_on(stage.store).entries() if entry.state != "being removed"}
        return bool(set(done) & there & set(stage.must))


class Reading:
    prepare = staticmethod(plain_stage)

    def act(self, store, stage):
        (folder,) = stage.must
        return contents(vault_on(store), vault_on(store).get(folder))

    def false(self, _stage, done):
        return done != PARTS


class Archiving:
    prepare = staticmethod(plain_stage)

    def act(self, store, _stage):
        return Archive(vault_on(store), "shop", "database").put("00000001", [b"log" * 1000])

    def false(self, stage, _done):
        return b"".join(Archive(vault_on(stage.store), "shop", "database").read("00000001", IDENTITY)) != b"log" * 1000


class Recording:
    prepare = staticmethod(plain_stage)

    def act(self, store, stage):
        (folder,) = stage.must
        return record(vault_on(store), folder, level=3, outcome=Outcome.PASSED)

    def false(self, stage, done):
        return verifications(vault_on(stage.store), *stage.must) != [done]


class Holding:
    """While the block lasts nobody removes it; a block that was entered without a hold would be a false success."""

    prepare = staticmethod(plain_stage)

    def act(self, store, stage):
        (folder,) = stage.must
        with held(vault_on(store), [folder], who="restore", why="a test"):
            with suppress(WatchkeeperError):
                vault_on(stage.store).remove(folder)
            return folder in complete(stage.store)

    def false(self, _stage, done):
        return not done


SCENARIOS = [
    Backup,
    Copying,
    CopyingAway,
    Adopting,
    Pruning,
    Checking,
    Cleaning,
    Reading,
    Archiving,
    Recording,
    Holding,
]


def calls_of(scenario):
    stage = scenario.prepare()
    measure = Faulty(stage.store)
    scenario.act(measure, stage)
    return len(measure.calls)


def only_reading_finds(fault, faulty):
    """Say whether bytes were changed on their way to rest, which nobody sees who does not read them back."""
    return fault is Fault.CORRUPT and faulty.hit == "piece written"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.name)
def test_whatever_call_misbehaves_nothing_is_lost_and_nothing_is_a_success_that_is_none(ledger, scenario, fault):
    scenario = scenario()
    for number in range(1, calls_of(scenario) + 1):
        stage = scenario.prepare()
        faulty = Faulty(stage.store, fault, number)
        what = f"{type(scenario).__name__} {fault.name} at call {number}"
        false = False
        try:
            done = scenario.act(faulty, stage)
        except WatchkeeperError:
            pass
        else:
            try:
                false = scenario.false(stage, done)
            except WatchkeeperError:
                false = True
            if false and only_reading_finds(fault, faulty):
                false = not any(flaw.lost for flaw in check(vault_on(stage.store), read_data=100).flaws)
        no_manifest_without_data = all(complete(stage.store).values())
        lost = stage.lost() or not (no_manifest_without_data or only_reading_finds(fault, faulty) or stage.other)
        ledger.saw(f"{what} ({faulty.hit})", lost=lost, false=false)


@pytest.mark.parametrize(
    "error", [Unreachable("gone"), PermanentError("no"), MemoryError(), KeyboardInterrupt(), Garbled("odd")], ids=repr
)
def test_whichever_piece_a_source_fails_at_there_is_no_backup_of_it(ledger, error):
    pieces = [bytes([number]) * 70_000 for number in range(9)]
    for at in range(1, len(pieces) + 1):
        stage = plain_stage()
        vault = vault_on(stage.store)
        false = False
        with suppress(type(error)):
            with vault.begin("shop", "database", "postgres") as backup, backup.part("a") as part:
                for piece in FaultySource(pieces, error, at):
                    part.write(piece)
            false = True
        left = [entry for entry in vault.entries() if entry.folder not in stage.must]
        ledger.saw(f"{error!r} at piece {at}", lost=stage.lost(), false=false or bool(left))


def test_a_disk_that_is_really_full_leaves_nothing(tmp_path, monkeypatch, ledger):
    vault = vault_on(FolderStore(tmp_path))
    manifest = take(vault, PARTS)
    real = tempfile.mkstemp

    def full(**place):
        handle, name = real(**place)
        os.dup2(os.open("/dev/full", os.O_WRONLY), handle)
        return handle, name

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.raises(PermanentError, match=os.strerror(errno.ENOSPC)):
        take(vault, {"files/a": os.urandom(3 << 20)})
    monkeypatch.undo()
    assert [entry.folder for entry in vault.entries()] == [manifest.folder]
    assert vault.store.unfinished() == []
    ledger.saw("disk full", lost=contents(vault, manifest) != PARTS)


def test_under_a_clock_that_jumps_backups_are_whole_and_the_newest_is_never_removed(ledger):
    jumps = [timedelta(0), timedelta(days=400), timedelta(days=-400), timedelta(hours=-1), timedelta(days=3650)]
    for first in jumps:
        for second in jumps:
            stage = plain_stage(3)
            ticks = iter([NOW, NOW + first, NOW + second])
            jumping = replace(vault_on(stage.store), now=lambda ticks=ticks, second=second: next(ticks, NOW + second))
            made = take(jumping, PARTS)
            honest = vault_on(stage.store)
            for now in (NOW, NOW + first, NOW + second):
                pruner = replace(honest, now=lambda now=now: now)
                look = functools.partial(foresee, pruner, "shop", Policy(last=1), cap=1.0)
                carry_out(pruner, look(), look)
            newest = max(stage.must)
            there = complete(stage.store)
            ledger.saw(f"jump by {first} then {second}", lost=not there.get(newest) and not there.get(made.folder))
            assert all(there.values())


def test_credentials_that_only_write_leave_what_failed_for_those_that_may_remove():
    class WriteOnly(Faulty):
        def delete(self, key):
            raise Denied("may not", operation=f"delete {key}")

    inner = MemoryStore()
    writer = replace(vault_on(WriteOnly(inner)), eraser=lambda: inner)

    def fail_after_a_part():
        with writer.begin("shop", "database", "postgres") as backup:
            with backup.part("a") as part:
                part.write(b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_a_part()
    assert [entry.state for entry in writer.entries()] == ["incomplete"]
    kept = take(writer, PARTS)
    clean(replace(writer, now=lambda: NOW + timedelta(days=9)), timedelta(days=2))
    assert [entry.folder for entry in writer.entries()] == [kept.folder]
    writer.remove(kept.folder)
    assert inner.list() == []
