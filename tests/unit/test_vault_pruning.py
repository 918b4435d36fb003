"""Retention carried out on a vault."""

import functools
from datetime import timedelta

import pytest

from tasks.clients.blobs import MemoryStore
from tasks.core.backup import Taken
from tasks.core.errors import ConfigError, Denied, WatchkeeperError
from tasks.core.results import Outcome
from tasks.core.retention import Policy
from tasks.vault.pruning import carry_out, children_first, copy_of, foresee
from tasks.vault.records import held, record
from tasks.vault.vault import Vault
from tests.faulty import ONCE, Faulty
from tests.unit.test_vault import NOW


class Clock:
    def __init__(self, time=NOW):
        self.time = time

    def __call__(self):
        return self.time


def vault_on(store, clock=None):
    return Vault("test", store, encrypted=False, now=clock or Clock())


def take(vault, at, system="database", method="logical", parents=(), tags=()):
    vault.now.time = at
    with vault.begin("shop", system, "postgres", tags=tags) as backup:
        with backup.part("a") as part:
            part.write(at.isoformat().encode())
        manifest = backup.commit(Taken(method=method, consistent_as_of=at, parents=parents))
    vault.now.time = NOW
    return manifest


def days(vault, number, **more):
    """Take one a day, the newest last; returns their folders, the newest first."""
    return [take(vault, NOW - timedelta(days=back), **more).folder for back in reversed(range(number))][::-1]


def prune(vault, *, approved=False, **arguments):
    look = functools.partial(
        foresee, vault, "shop", arguments.pop("policy", Policy(last=2)), **{"cap": 1.0, **arguments}
    )
    return carry_out(vault, look(), look, approved=approved)


def left(vault):
    return [entry.folder for entry in vault.entries()][::-1]


def test_what_no_rule_keeps_goes_and_the_rest_can_be_read():
    vault = vault_on(MemoryStore())
    folders = days(vault, 5)
    done = prune(vault)
    assert set(done.removed) == set(folders[2:])
    assert left(vault) == folders[:2]
    assert [b"".join(vault.read(manifest, "a")) for manifest in vault.manifests()]
    assert prune(vault).removed == ()


def test_each_system_and_method_is_a_group_of_its_own():
    vault = vault_on(MemoryStore())
    for system, method in (("database", "logical"), ("database", "physical"), ("cache", "rdb")):
        days(vault, 3, system=system, method=method)
    assert len(prune(vault, policy=Policy(last=1)).removed) == 6
    assert len(left(vault)) == 3


def test_another_platform_is_left_alone():
    vault = vault_on(MemoryStore())
    days(vault, 4)
    look = functools.partial(foresee, vault, "other", Policy(last=1))
    assert carry_out(vault, look(), look).removed == ()


def test_what_is_pinned_held_verified_or_needed_stays_and_says_why():
    vault = vault_on(MemoryStore())
    base = take(vault, NOW - timedelta(days=9), method="physical")
    take(vault, NOW - timedelta(days=8), method="physical", parents=(base.id,))
    plain = days(vault, 8)
    vault.pin(plain[7], by="kim", why="a test")
    record(vault, plain[6], level=3, outcome=Outcome.PASSED)
    with held(vault, [plain[5]], who="drill", why="a test"):
        found = foresee(vault, "shop", Policy(last=1))
    reasons = {one.id: one.reasons for one in found.plan.keep}
    assert reasons[plain[7]] == ("pinned",)
    assert reasons[plain[6]] == ("newest verified backup",)
    assert reasons[plain[5]] == ("in use by drill",)
    assert "is made from it" in reasons[base.folder][0]
    assert {one.id for one in found.plan.remove} == {*plain[1:5]}
    assert found.freed == sum(entry.stored_bytes for entry in vault.entries() if entry.folder in plain[1:5])


@pytest.mark.parametrize("failed", ["database", "database/logical"])
def test_after_a_failed_backup_nothing_of_its_group_goes(failed):
    vault = vault_on(MemoryStore())
    days(vault, 4)
    assert prune(vault, failed=[failed]).removed == ()
    assert len(prune(vault, failed=["cache"]).removed) == 2


def test_while_the_newest_of_a_system_is_not_complete_nothing_of_it_goes():
    vault = vault_on(MemoryStore())
    days(vault, 4)
    vault.store.put("shop/database/20991124T010000Z-00000000/data/a", b"1")
    found = foresee(vault, "shop", Policy(last=1))
    assert found.plan.remove == ()
    assert "being taken, or failed" in found.troubles[0].what


@pytest.mark.parametrize("damaged", ["manifest.json", "verified/x.json", "held/x.json"])
def test_where_anything_of_a_system_cannot_be_read_nothing_of_it_goes(damaged):
    vault = vault_on(MemoryStore())
    folders = days(vault, 4)
    days(vault, 4, system="cache")
    vault.store.put(f"{folders[1]}/{damaged}", b"{}")
    found = foresee(vault, "shop", Policy(last=1))
    assert {one.id.split("/")[1] for one in found.plan.remove} == {"cache"}
    assert found.troubles[0].system == "database"


def test_more_than_the_cap_goes_only_with_approval_and_one_alone_always_may():
    vault = vault_on(MemoryStore())
    days(vault, 10)
    done = prune(vault, cap=0.3)
    assert done.removed == ()
    assert done.held_back == {"database/logical": 0.8}
    assert len(prune(vault, cap=0.3, approved=True).removed) == 8
    assert len(prune(vault, cap=0.3, policy=Policy(last=1)).removed) == 1


def test_a_plan_is_carried_out_only_where_it_still_holds():
    vault = vault_on(MemoryStore())
    folders = days(vault, 4)
    look = functools.partial(foresee, vault, "shop", Policy(last=2), cap=1.0)
    shown = look()
    vault.pin(folders[3], by="kim", why="not this one")
    with pytest.raises(ConfigError, match="has changed"):
        carry_out(vault, shown, look)
    assert len(left(vault)) == 4


def test_a_child_goes_before_its_parents_and_they_stay_where_it_cannot_go():
    vault = vault_on(MemoryStore())
    base = take(vault, NOW - timedelta(days=9))
    middle = take(vault, NOW - timedelta(days=8), parents=(base.id,))
    last = take(vault, NOW - timedelta(days=10), parents=(base.id, middle.id))  # a clock that jumped
    days(vault, 2)
    assert [one.id for one in children_first(map(copy_of, (last, base, middle)))] == [
        last.folder,
        middle.folder,
        base.folder,
    ]
    faulty = _Refusing(vault.store, last.folder)
    done = prune(vault_on(faulty))
    assert list(done.failed) == [last.folder]
    assert done.removed == ()
    assert {base.folder, middle.folder} <= set(left(vault))
    done = prune(vault)
    assert set(done.finished) | set(done.removed) == {last.folder, middle.folder, base.folder}


class _Refusing(Faulty):
    def __init__(self, inner, folder):
        super().__init__(inner)
        self.folder = folder

    def delete(self, key):
        if key.startswith(self.folder):
            raise Denied("not this one", operation="delete")
        super().delete(key)


def test_a_removal_that_failed_is_told_and_finished_the_next_time():
    store = MemoryStore()
    folders = days(vault_on(store), 4)
    done = prune(vault_on(_Refusing(store, folders[2])))
    assert done.removed == (folders[3],)
    assert "not this one" in done.failed[folders[2]]
    done = prune(vault_on(store))
    assert done.finished == (folders[2],)
    assert left(vault_on(store)) == folders[:2]


def test_an_empty_policy_is_refused_before_anything_is_read():
    with pytest.raises(ConfigError, match="would remove every backup"):
        foresee(vault_on(MemoryStore()), "shop", Policy())


@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault.name)
def test_whatever_call_misbehaves_nothing_that_must_stay_goes(fault):
    def made():
        store = MemoryStore()
        vault = vault_on(store)
        base = take(vault, NOW - timedelta(days=9), method="physical")
        child = take(vault, NOW - timedelta(days=8), method="physical", parents=(base.id,))
        folders = days(vault, 4)
        vault.pin(folders[3], by="kim", why="a test")
        return store, {base.folder, child.folder, folders[0], folders[3]}

    store, _ = made()
    measure = Faulty(store)
    prune(vault_on(measure), policy=Policy(last=1))
    assert len(measure.calls) > 20
    for number in range(1, len(measure.calls) + 1):
        store, must_stay = made()
        try:
            done = prune(vault_on(Faulty(store, fault, number)), policy=Policy(last=1))
        except WatchkeeperError:
            done = None
        honest = vault_on(store)
        complete = {entry.folder for entry in honest.entries() if entry.state == "complete"}
        assert must_stay <= complete
        for folder in complete:
            manifest = honest.get(folder)
            assert b"".join(honest.read(manifest, "a")) == manifest.consistent_as_of.isoformat().encode()
        if done is not None:
            assert not set(done.removed) & complete
        prune(honest, policy=Policy(last=1))
        assert {entry.folder for entry in honest.entries()} == must_stay
