"""Random histories and faults, found by hypothesis: whatever happened, what must be there is there and can be read."""

import functools
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.clients.blobs import MemoryStore
from tasks.core.backup import Taken
from tasks.core.errors import WatchkeeperError
from tasks.core.retention import Copy, Policy, plan
from tasks.vault.checking import check, clean
from tasks.vault.pruning import carry_out, foresee
from tasks.vault.vault import Vault
from tests.faulty import ONCE, Fault, Faulty
from tests.unit.test_vault import NOW

QUIET = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
FAULTS = st.none() | st.tuples(
    st.sampled_from([fault for fault in ONCE if fault is not Fault.CORRUPT]), st.integers(1, 40)
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "go on", "prune", "pin", "unpin", "clean", "forget"]), st.integers(0, 9), FAULTS
    ),
    min_size=1,
    max_size=14,
)


@dataclass
class History:
    """A vault, and what must be in it."""

    store: MemoryStore = field(default_factory=MemoryStore)
    clock: count = field(default_factory=lambda: count(1))
    whole: dict = field(default_factory=dict)
    pinned: set = field(default_factory=set)

    def vault(self, fault=None):
        now = NOW + timedelta(hours=next(self.clock))
        store = self.store if fault is None else Faulty(self.store, *fault)
        return Vault("random", store, encrypted=False, now=lambda: now)

    def known(self):
        return [entry.folder for entry in self.vault().entries() if entry.state == "complete"]

    def step(self, what, number, fault):
        vault, known = self.vault(fault), self.known()
        chosen = known[number % len(known)] if known else None
        try:
            match what:
                case "take":
                    self.take(vault, ())
                case "go on" if chosen is not None:
                    parent = self.vault().get(chosen)
                    self.take(vault, (*parent.parents, parent.id))
                case "prune":
                    look = functools.partial(foresee, vault, "shop", Policy(last=1 + number % 3), cap=1.0)
                    carry_out(vault, look(), look)
                case "pin" if chosen is not None:
                    vault.pin(chosen, by="kim", why="a test")
                case "unpin" if chosen is not None:
                    vault.unpin(chosen)
                case "forget" if chosen is not None:
                    vault.forget(chosen, by="kim", why="a test")
                case "clean":
                    clean(vault, timedelta(days=number - 1))
        except WatchkeeperError:
            assert fault is not None or what == "forget"

    def take(self, vault, parents):
        data = f"{vault.now()} {parents}".encode()
        with vault.begin("shop", "database", "postgres") as backup:
            with backup.part("a") as part:
                part.write(data)
            self.whole[backup.folder] = data
            backup.commit(Taken(method="logical", consistent_as_of=vault.now(), parents=parents))

    def hold(self, before):
        """Assert what holds after every step."""
        honest = self.vault()
        complete = self.known()
        for folder in complete:
            manifest = honest.get(folder)
            assert b"".join(honest.read(manifest, "a")) == self.whole[folder], "a manifest without its data"
            for parent in manifest.parents:
                assert f"shop/database/{parent}" in complete, "what a kept one is made from is gone"
        assert not before or complete, "a group was emptied"


@settings(max_examples=200, **QUIET)
@given(STEPS)
def test_after_any_history_of_steps_and_faults_what_is_complete_can_be_read_and_something_is(steps):
    history = History()
    for step in steps:
        before = history.known()
        pinned = {entry.folder for entry in history.vault().entries() if entry.pinned and entry.state == "complete"}
        history.step(*step)
        history.hold([] if step[0] == "forget" else before)
        if step[0] in ("prune", "clean"):
            assert pinned <= set(history.known()), "what was pinned is gone"
        if step[0] != "prune":
            assert step[0] == "forget" or set(before) <= set(history.known()), "only retention removes"
    clean(history.vault(), timedelta(days=-999))
    assert not any(flaw.lost for flaw in check(history.vault(), read_data=100).flaws)


MOMENTS = st.integers(-50_000, 3_000_000).map(lambda minutes: NOW - timedelta(minutes=minutes))
COUNTS = st.integers(0, 6)
RULES = st.fixed_dictionaries(
    {"last": st.integers(1, 4)},
    optional=dict.fromkeys(("hourly", "daily", "weekly", "monthly", "yearly"), COUNTS)
    | {"within": st.sampled_from(["30d", "1y", "2h"]), "within_daily": st.sampled_from(["30d", "1y"])},
)


@st.composite
def copies(draw):
    """Draw copies of two groups, with chains within each, pins, and some that are not complete."""
    made = []
    for place in range(draw(st.integers(1, 20))):
        group = draw(st.sampled_from("ab"))
        of_group = [one for one in made if one.group == group and one.complete]
        parent = draw(st.sampled_from(of_group)) if of_group and draw(st.booleans()) else None
        flags = draw(
            st.fixed_dictionaries({"pinned": st.booleans(), "verified": st.booleans(), "complete": st.booleans()})
        )
        parents = () if parent is None else (*parent.parents, parent.id)
        made.append(Copy(f"{place}", draw(MOMENTS), group, parents=parents, **flags))
    return made


@settings(max_examples=60, **QUIET)
@given(copies(), RULES, st.randoms(use_true_random=False))
def test_retention_is_the_same_in_any_order_and_again_after_it_was_carried_out(found, rules, chance):
    decided = plan(found, Policy(**rules), now=NOW)
    keep = {one.id for one in decided.keep}
    assert {one.id for one in plan(chance.sample(found, len(found)), Policy(**rules), now=NOW).keep} == keep
    assert plan([one for one in found if one.id in keep or not one.complete], Policy(**rules), now=NOW).remove == ()


@settings(max_examples=60, **QUIET)
@given(copies(), RULES, st.sampled_from(["last", "hourly", "daily", "weekly", "monthly", "yearly"]), st.integers(1, 5))
def test_retention_keeps_no_less_where_any_number_is_greater(found, rules, name, more):
    fewer = {one.id for one in plan(found, Policy(**rules), now=NOW).keep}
    greater = {**rules, name: rules.get(name, 0) + more}
    assert fewer <= {one.id for one in plan(found, Policy(**greater), now=NOW).keep}


@settings(max_examples=60, **QUIET)
@given(copies(), RULES)
def test_retention_never_empties_a_group_nor_takes_what_is_needed_pinned_or_proven(found, rules):
    decided = plan(found, Policy(**rules), now=NOW)
    keep, by_id = {one.id for one in decided.keep}, {one.id: one for one in found if one.complete}
    assert {by_id[name].group for name in keep} == {one.group for one in by_id.values()}
    assert all(parent in keep for name in keep for parent in by_id[name].parents if parent in by_id)
    assert keep >= {one.id for one in by_id.values() if one.pinned}
    for group in {one.group for one in by_id.values()}:
        proven = [one for one in by_id.values() if one.group == group and one.verified]
        assert not proven or any(one.id in keep for one in proven)
