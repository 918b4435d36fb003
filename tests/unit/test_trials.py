"""Trials: planted in one run and judged in a later one; an absence proves something only where it was seen before."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from tasks.clients.blobs import FolderStore
from tasks.clients.secrets import SecretResolver
from tasks.clients.trial_store import TrialStore
from tasks.controls import about
from tasks.core.audit import Told
from tasks.core.compliance import Facts
from tasks.core.compliance_plan import CompliancePlan
from tasks.core.control import Result, settle
from tasks.core.errors import ConfigError
from tasks.core.system import Access
from tasks.core.trials import Package, Trial
from tasks.proving import Prover
from tasks.systems import platform_model

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CONTROLS = {control.id: control for control in about("platform")}
LOOK = {"look": {"primary": {"command": ["true"]}}, "within": "1h"}
PLAN = CompliancePlan.model_validate(
    {
        "erasure": {"plant": [{"command": ["true"]}], "erase": [{"command": ["true"]}], "backups": "30d", **LOOK},
        "legal_export": {"ask": {"command": ["true"]}},
    }
)


def trial(**given):
    known = {"id": "t1", "platform": "p", "control": "personal-data-erased", "canary": "wkcanary1", "expects": "gone"}
    known |= {"planted": AT - 2 * HOUR, "acted": AT - 2 * HOUR, "due": AT - HOUR, "looked": AT - HOUR}
    return Trial.model_validate(known | {"seen": {"primary": 1}, "left": {"primary": 0}} | given)


def judged(*trials, entries=(), unread=None, now=AT):
    facts = Facts(now, plan=PLAN, trials=trials, told=Told(entries=entries), unread=unread or {})
    return settle(CONTROLS["personal-data-erased"], facts)


def test_what_was_seen_and_is_gone_is_erased_and_what_is_left_is_not():
    assert judged(trial()).result is Result.PASS
    assert judged(trial(left={"primary": 0, "search": 2}, seen={"primary": 1, "search": 2})).result is Result.FAIL


def test_a_place_in_which_the_canary_was_never_seen_proves_nothing():
    found = judged(trial(seen={"primary": 1, "search": 0}, left={"primary": 0, "search": 0}))
    assert found.result is Result.NOT_CHECKED
    assert "search: it was never seen there" in found.reason


def test_a_trial_that_is_open_that_stumbled_or_that_is_old_says_nothing():
    assert judged().reason == "personal-data-erased: it was never tried"
    waiting = judged(trial(looked=None, left={}, due=AT + HOUR))
    assert (waiting.result, "due at 2026-01-31 13:00" in waiting.reason) == (Result.NOT_CHECKED, True)
    stumbled = judged(trial(looked=None, left={}, troubles={"plant 1": "the connection was refused"}))
    assert (stumbled.result, stumbled.reason) == (Result.NOT_CHECKED, "plant 1: the connection was refused")
    assert judged(trial(), now=AT + 36 * DAY).result is Result.STALE


def test_the_newest_trial_counts():
    bad = trial(id="t0", planted=AT - 3 * DAY, left={"primary": 1})
    assert judged(bad, trial()).result is Result.PASS
    assert judged(trial(), trial(id="t2", planted=AT - HOUR, left={"primary": 1})).result is Result.FAIL


def test_a_backup_from_between_planting_and_erasing_must_be_gone_by_its_date():
    old = trial(id="t0", planted=AT - 40 * DAY, acted=AT - 39 * DAY, backups_until=AT - 9 * DAY)
    during, before = ("local", "b1", AT - 39.5 * DAY), ("local", "b0", AT - 41 * DAY)
    assert judged(old, trial(), entries=(before,)).result is Result.PASS
    found = judged(old, trial(), entries=(before, during))
    assert found.result is Result.FAIL
    assert "b1 in local" in found.breaches[0].what
    assert judged(trial(backups_until=AT + DAY), entries=(("local", "b2", AT - 2 * HOUR),)).result is Result.PASS
    blind = judged(old, trial(), unread={"local": "no answer"})
    assert (blind.result, blind.reason) == (Result.NOT_CHECKED, "vault local: no answer")


@pytest.mark.parametrize(
    ("given", "result"),
    [
        ({"entries": 10, "expected": 10, "expected_most": 10}, Result.PASS),
        ({"entries": 11, "expected": 10, "expected_most": 12}, Result.PASS),
        ({"entries": 9, "expected": 10, "expected_most": 12}, Result.FAIL),
        ({"entries": 0}, Result.FAIL),
        ({"entries": 10, "trouble": "logs.csv is missing"}, Result.FAIL),
    ],
)
def test_a_package_must_be_sound_and_hold_as_many_entries_as_the_source(given, result):
    package = Package(size=1, sha256="0", **given)
    one = trial(control="legal-export", expects="package", package=package)
    assert settle(CONTROLS["legal-export"], Facts(AT, plan=PLAN, trials=(one,))).result is result


SPEC = {
    "platform": "shop",
    "title": "Shop",
    "slack": {"channel": "#shop"},
    "severities": {"P0": {"means": "down", "respond": "15m"}},
    "default_severity": {"warn": "P0", "critical": "P0"},
    "systems": {"api": {"kind": "http", "url": "http://127.0.0.1:1", "expect": {"/": {}}}},
}


class Shop:
    """A shop whose data is a folder: a real program plants, and what was planted is a file."""

    def __init__(self, folder, within="6h"):
        self.folder, self.clock = folder / "data", AT
        self.folder.mkdir()
        look = {"command": ["ls", str(self.folder)]}
        plant = [{"command": ["touch", f"{self.folder}/{{canary}}"]}]
        plan = {"ephemeral": {"uploads": {"plant": plant, "look": {"folder": look}, "within": within}}}
        spec = platform_model().model_validate(SPEC | {"compliance": plan})
        access = Access(SecretResolver({}), lambda: self.clock)
        self.prover = Prover(spec, access, TrialStore(FolderStore(folder / "trials")), "production")

    def run(self):
        return asyncio.run(self.prover.prove())

    def judge(self, trials):
        facts = Facts(self.clock, plan=self.prover.platform.compliance, trials=trials)
        return settle(CONTROLS["ephemeral-deleted"], facts)


def test_what_is_planted_in_one_run_is_judged_in_a_later_one(tmp_path):
    shop = Shop(tmp_path)
    (planted,) = shop.run()
    assert (planted.seen, planted.looked, planted.due) == ({"folder": 1}, None, AT + 6 * HOUR)
    shop.clock += HOUR
    assert shop.run() == [planted]  # it waits; nothing is planted beside it
    assert shop.judge([planted]).result is Result.NOT_CHECKED
    shop.clock += 6 * HOUR
    late, fresh = shop.run()
    assert (late.id, late.left) == (planted.id, {"folder": 1})
    assert fresh.looked is None
    assert shop.judge([late, fresh]).result is Result.FAIL
    for file in shop.folder.iterdir():
        file.unlink()
    shop.clock += 7 * HOUR
    assert shop.judge(shop.run()).result is Result.PASS


def test_a_deadline_that_is_near_is_waited_for(tmp_path):
    shop = Shop(tmp_path, within="1s")
    shop.prover.access = Access(SecretResolver({}), lambda: datetime.now(UTC))
    (found,) = shop.run()
    assert found.left == {"folder": 1}
    assert found.looked >= found.due


def test_a_step_that_fails_is_told_and_plants_nothing_more(tmp_path):
    shop = Shop(tmp_path)
    shop.folder.rmdir()
    (found,) = shop.run()
    assert list(found.troubles) == ["plant 1"]
    assert found.seen == {}
    assert shop.judge([found]).result is Result.NOT_CHECKED


def test_what_a_run_planted_that_was_ended_in_the_middle_is_known_and_proves_nothing(tmp_path, monkeypatch):
    shop = Shop(tmp_path)

    async def killed(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Prover, "_look", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.run()
    (left,) = shop.prover.store.all("shop", "production")
    assert [file.name for file in shop.folder.iterdir()] == [left.canary]
    (shop.folder / left.canary).unlink()
    shop.clock += 7 * HOUR
    late, _ = shop.run()
    assert late.left == {"folder": 0}
    assert shop.judge([late]).result is Result.NOT_CHECKED


def test_a_trial_that_cannot_be_read_is_told_by_its_place(tmp_path):
    store = FolderStore(tmp_path)
    store.put("shop/x.json", json.dumps({"id": 1}).encode())
    with pytest.raises(ConfigError, match="no trial that can be read"):
        TrialStore(store).all("shop", "production")
