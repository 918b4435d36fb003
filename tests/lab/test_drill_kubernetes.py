"""A namespace goes through a real vault, encrypted, and comes back in a drill; the other region is rehearsed."""

import contextlib

import pytest
import yaml

from tasks.backing_up import BackupRun, back_up
from tasks.core.drill_plan import Scenario
from tasks.core.errors import ConfigError
from tasks.core.report import Verdict
from tasks.core.restore import Phase
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.drilling import Asked, Drilling
from tasks.restoring import Restoring
from tasks.timers import Timer
from tasks.vault.keys import new_key
from tests.lab import clusters
from tests.lab.test_failover_kubernetes import LABELS, SERVICE, selector, stand_by


@pytest.fixture
def made(tmp_path):
    with clusters.lab(tmp_path / "live", "stylesync", runs=True) as made:
        yield made


@pytest.fixture
def shop(made, tmp_path, monkeypatch):
    """A platform that is one cluster."""
    pair = new_key()
    spec = {
        "platform": "shop",
        "title": "Shop",
        "slack": {"channel": "#shop"},
        "severities": {"P1": {"means": "down", "respond": "15m"}},
        "default_severity": {"warn": "P1", "critical": "P1"},
        "recovery": {"rto": "1h", "rpo": "1h"},
        "vaults": {"local": {"kind": "folder", "path": str(tmp_path / "vault"), "keep": {"last": 3}}},
        "encryption": {"recipients": [pair.recipient], "identity": {"env": "SHOP_IDENTITY"}},
        "drill": {"failover": {"cluster": "cluster", "service": SERVICE, "selector": LABELS}},
        "systems": {
            "cluster": {"kind": "kubernetes", "kubeconfig": str(made.config), "backup": {"to": ["local"]}},
        },
    }
    monkeypatch.setenv("SHOP_IDENTITY", pair.identity)
    monkeypatch.setenv("WATCHKEEPER_PLATFORMS", str(tmp_path / "platforms"))
    monkeypatch.setenv("WATCHKEEPER_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "platforms").mkdir()

    def write():
        (tmp_path / "platforms" / "shop.yaml").write_text(yaml.safe_dump(spec))

    write()
    return spec, write


def take():
    report = back_up(BackupRun.open("shop", (), Settings()), told=lambda *_: None, done=lambda _made: None)
    assert not report.failed


def drill(**asked):
    return Drilling.open("shop", Settings(), Asked(**asked)).run()


@pytest.mark.usefixtures("shop")
def test_without_a_cluster_for_drills_the_live_one_is_asked_by_a_dry_run_and_keeps_its_state(made):
    take()
    clusters.until(lambda: made.get("deployments", "stylesync-api", "default")["status"].get("readyReplicas") == 3)
    asked = len(made.asked)
    told = drill()
    assert told.verdict is Verdict.PASSED, told
    (system,) = told.systems
    assert system.details["way"].startswith("tried by a dry run")
    assert [r for r in made.asked[asked:] if r.method != "GET" and r.query.get("dryRun") != "All"] == []


def test_a_drill_in_a_cluster_of_its_own_sees_every_damaged_copy_and_leaves_nothing(shop, made, tmp_path):
    spec, write = shop
    take()
    with clusters.lab(tmp_path / "drills", "stario", runs=True) as target:
        spec["systems"]["cluster"]["backup"]["scratch"] = {"kubeconfig": str(target.config)}
        write()
        before = target.names("namespaces")
        told = drill()
        assert told.verdict is Verdict.PASSED, told
        assert target.names("namespaces") == before
    names = {control.name.split(":")[0] for control in told.negative_controls}
    assert names == {"truncated", "bit-flipped", "missing", "wrong key", "older schema"}
    assert all(control.red for control in told.negative_controls)
    assert "deleted configmaps/" in next(c.name for c in told.negative_controls if c.name.startswith("older schema"))
    assert made.writes() == []


@pytest.mark.usefixtures("shop")
def test_a_lost_region_is_rehearsed_and_red_until_the_other_one_stands_by(made):
    take()
    stand_by(made, 0)
    told = drill(scenario=Scenario.LOST_REGION)
    assert told.verdict is Verdict.FAILED
    failed = [one.name for one in told.assertions if one.outcome is Outcome.FAILED]
    assert failed == ["pods of app=stylesync-api,region=us-west-2 are ready"]
    stand_by(made)
    told = drill(scenario=Scenario.LOST_REGION)
    assert [one.outcome for one in told.assertions] == [Outcome.PASSED] * 4
    assert "switch" in told.rto.phases
    assert selector(made) == {"app": "stylesync-api"}


@pytest.mark.usefixtures("shop")
def test_a_drill_that_is_cancelled_in_the_switch_says_how_far_it_came_and_moves_nothing(made, monkeypatch):
    take()
    stand_by(made)
    drilling = Drilling.open("shop", Settings(), Asked(scenario=Scenario.LOST_REGION))
    real = Timer.phase

    @contextlib.contextmanager
    def entered(self, phase):
        with real(self, phase):
            if phase is Phase.SWITCH:
                drilling.cancel()
                self.check()
            yield

    monkeypatch.setattr(Timer, "phase", entered)
    told = drilling.run()
    assert told.interrupted == "cancelled after 1 of 1 systems"
    assert (told.verdict, told.assertions) == (Verdict.UNKNOWN, ())
    assert selector(made) == {"app": "stylesync-api"}


def test_a_service_that_is_not_there_is_errored_and_a_platform_without_another_region_is_refused(shop):
    spec, write = shop
    take()
    spec["drill"]["failover"]["service"] = "nowhere"
    write()
    (told,) = drill(scenario=Scenario.LOST_REGION).assertions
    assert (told.outcome, "no service nowhere" in told.note) == (Outcome.ERRORED, True)
    del spec["drill"]
    write()
    with pytest.raises(ConfigError, match="names no other region"):
        drill(scenario=Scenario.LOST_REGION)


@pytest.mark.usefixtures("shop")
def test_the_live_namespace_is_known_among_all_live_systems(made):
    live = Restoring.open("shop", Settings()).live()
    assert live["shop/cluster"] == {f"127.0.0.1:{made.port}/default"}
