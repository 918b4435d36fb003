"""Advice on caches, databases, pools, volumes, buckets, backups and GPUs; what if; the cost of an error."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.advice import backups, gpus, pools, postgres, redis, volumes, what_if
from tasks.core.advice.amounts import GIB, MIB
from tasks.core.advice.backups import Taken
from tasks.core.advice.bundle import Aim, Bucket, Cache, Database, Facts, Namespace, VaultHeld, advise_all
from tasks.core.advice.expected import Expected, expected
from tasks.core.advice.facts import Autoscaler, Claim, Cluster, Node, Target
from tasks.core.advice.model import Advice, Fine, Unjudged, When, by_urgency, total
from tasks.core.advice.pools import Pool
from tasks.core.advice.postgres import Index, Server, Setting, Wanted
from tasks.core.advice.postgres_units import parse
from tasks.core.advice.redis import Redis
from tasks.core.advice.wrong import cost_of_being_wrong
from tasks.core.capacity import History, Threshold
from tasks.core.errors import ConfigError
from tasks.core.foresight import Foresight, Prices
from tasks.core.outlooks import look_ahead
from tasks.core.retention import Policy, Span
from tasks.core.units import Unit
from tests.unit.test_advice_workloads import DAY, NOISE, NOW, TIMES, container, scaler, series, used, workload

MONTHS = timedelta(days=90)
HOURS = NOW.timestamp() - 6 * 3600.0 * np.arange(240)[::-1]
CALM = np.random.default_rng(1).normal(size=240)
quick = settings(max_examples=40, deadline=None)


def growing(first, last, times=HOURS):
    return series(np.linspace(first, last, len(times)) + (last - first) * 0.002 * CALM[: len(times)], times)


# Redis


def cache(**more):
    values = {"used": 500 * MIB, "peak": 700 * MIB, "maximum": GIB, "policy": "allkeys-lru", "machine": 16 * GIB}
    return Redis(**(values | more))


def test_a_cache_whose_peak_is_near_maxmemory_gets_more_and_the_minutes_above_the_bound_are_told():
    seen = series((600 + 300 * (DAY > 0.5)) * MIB)
    advice = redis.advise("cache", cache(peak=900 * MIB), seen)
    assert (advice.when, advice.changes[0].before, advice.changes[0].after) == (When.MONTH, "1 GiB", "1.1 GiB")
    (replay,) = advice.replay
    assert replay.before == float((DAY > 0.5).sum()) * 30
    assert replay.after == 0
    assert advice.patches[0].text.startswith(f"redis-cli CONFIG SET maxmemory {1152 * MIB:.0f}\n")


def test_what_a_cache_evicted_was_wanted_too_and_how_much_is_said_to_be_unknown():
    advice = redis.advise("cache", cache(peak=GIB, evicted=12_345), None)
    assert "threw 12,345 keys away" in advice.why
    assert advice.changes[0].after == "1.5 GiB"
    assert "how much it would hold if nothing were evicted" in advice.unknown


def test_a_cache_without_maxmemory_gets_one_and_one_that_would_refuse_writes_is_urgent():
    assert "has no maxmemory" in redis.advise("cache", cache(maximum=0.0, policy="noeviction"), None).why
    full = cache(used=950 * MIB, peak=950 * MIB, policy="noeviction")
    assert redis.advise("cache", full, None).when is When.NOW


def test_what_surrounds_a_caches_data_counts_against_its_machine():
    small = cache(machine=GIB, saves=True, resident=700 * MIB)
    assert "and there are 1 GiB" in redis.advise("cache", small, None).note
    assert "it is fragmented" in redis.advise("cache", cache(resident=GIB), None).note


def test_a_backlog_lets_a_replica_be_away_for_five_minutes():
    advice = redis.advise("cache", cache(replicas=1, written=100_000.0), None)
    (change,) = advice.changes
    assert (change.what, change.before, change.after) == ("repl-backlog-size", "1 MiB", "32 MiB")
    assert "away for more than 10.5 s" in advice.why
    assert "CONFIG SET repl-backlog-size 33554432" in advice.patches[0].text


@quick
@given(
    peak=st.floats(1, 1e5),
    maximum=st.floats(0, 1e5),
    evicted=st.sampled_from([0.0, 5.0]),
    more=st.floats(1, 4),
    ahead=st.one_of(st.none(), st.floats(1, 1e5)),
)
def test_maxmemory_is_never_below_the_peak_never_less_for_more_use_and_followed_it_stays(
    peak, maximum, evicted, more, ahead
):
    def wanted(by, server_maximum=maximum):
        server = cache(used=peak * by * MIB, peak=peak * by * MIB, maximum=server_maximum * MIB, evicted=evicted)
        advice = redis.advise("cache", server, None, ahead=None if ahead is None else ahead * by * MIB)
        if not isinstance(advice, Advice):
            return server_maximum * MIB
        return float(advice.patches[0].text.split("maxmemory ")[1].split("\n")[0])

    given_now = wanted(1.0)
    assert given_now >= max(peak, ahead or 0) * MIB
    assert wanted(more) >= given_now
    assert wanted(1.0, given_now / MIB) == pytest.approx(given_now)


# PostgreSQL


def server(**more):
    given_settings = {
        "max_connections": Setting("100", context="postmaster", source="configuration file"),
        "shared_buffers": Setting("16384", "8kB", context="postmaster"),
        "work_mem": Setting("4096", "kB", context="user"),
        "random_page_cost": Setting("4", kind="real", context="user"),
        "log_min_duration_statement": Setting("-1", "ms", context="superuser"),
        "enable_seqscan": Setting("on", kind="bool", context="user"),
    }
    return Server(settings=given_settings | more.pop("settings", {}), **more)


RUNBOOK = {
    "max_connections": "200",
    "shared_buffers": "2GB",
    "work_mem": "16MB",
    "random_page_cost": "1.1",
    "log_min_duration_statement": "1000",
}


@pytest.mark.parametrize(
    ("text", "unit", "kind", "value"),
    [
        ("2GB", "8kB", "integer", 2 * GIB),
        ("262144", "8kB", "integer", 2 * GIB),
        ("16MB", "kB", "integer", 16 * MIB),
        ("1.5GB", "MB", "integer", 1.5 * GIB),
        ("1000", "ms", "integer", 1.0),
        ("1min", "s", "integer", 60.0),
        ("-1", "ms", "integer", -1.0),
        ("1.1", "", "real", 1.1),
        ("on", "", "bool", 1.0),
        ("FALSE", "", "bool", 0.0),
        ("replica", "", "enum", "replica"),
    ],
)
def test_a_setting_is_read_in_its_own_unit(text, unit, kind, value):
    assert parse(text, unit, kind) == value


@pytest.mark.parametrize(
    ("text", "unit", "kind", "words"),
    [
        ("2gb", "8kB", "integer", "the unit 'gb', and the setting takes B, kB, MB, GB, TB"),
        ("2GB", "ms", "integer", "takes us, ms, s, min, h, d"),
        ("2GB", "", "integer", "takes no unit"),
        ("much", "8kB", "integer", "'much' is no number"),
        ("perhaps", "", "bool", "neither on nor off"),
        ("1", "8furlongs", "integer", "no unit of PostgreSQL's"),
    ],
)
def test_a_setting_that_cannot_be_read_says_which_units_it_takes(text, unit, kind, words):
    with pytest.raises(ConfigError, match=words):
        parse(text, unit, kind)


def test_settings_that_are_not_the_runbooks_are_named_with_statements_and_the_restart_they_want():
    (advice,) = postgres.advise("database", server(memory=8 * GIB), Wanted(RUNBOOK))
    changes = {one.what: (one.before, one.after) for one in advice.changes}
    assert changes["shared_buffers"] == ("128 MiB", "2GB")
    assert changes["log_min_duration_statement"] == ("-1", "1000")
    assert "max_connections, shared_buffers takes effect with a restart" in advice.risk
    assert "ALTER SYSTEM SET work_mem = '16MB';" in advice.patches[0].text
    assert advice.patches[0].text.rstrip().endswith("restart the server in a maintenance window")


def test_settings_that_are_the_runbooks_in_another_unit_are_fine():
    same = {
        "max_connections": Setting("200"),
        "shared_buffers": Setting("262144", "8kB"),
        "work_mem": Setting("16384", "kB"),
        "random_page_cost": Setting("1.1", kind="real"),
        "log_min_duration_statement": Setting("1000", "ms"),
    }
    (found,) = postgres.advise("database", server(settings=same), Wanted(RUNBOOK))
    assert isinstance(found, Fine)


def test_a_runbook_that_allows_fewer_connections_than_are_in_use_is_not_followed():
    (advice,) = postgres.advise("database", server(connections=80.0), Wanted({"max_connections": "50"}))
    assert advice.why == "the runbook's max_connections of 50 is less than the 80 in use"
    assert advice.changes == ()


def test_what_does_not_fit_together_is_told_without_a_runbook_too():
    (advice,) = postgres.advise("database", server(memory=256 * MIB), Wanted())
    assert "528 MiB of 256 MiB" in advice.why
    off = server(settings={"enable_seqscan": Setting("off", kind="bool")})
    (advice,) = postgres.advise("database", off, Wanted())
    assert "meant for single ones" in advice.why
    pending = server(settings={"work_mem": Setting("4096", "kB", pending=True)})
    (advice,) = postgres.advise("database", pending, Wanted())
    assert "waits for a restart" in advice.why
    fixed = server(settings={"work_mem": Setting("4096", "kB", pending=True, source="command line")})
    assert list(postgres.advise("database", fixed, Wanted())) == []


def test_an_unknown_setting_and_a_value_in_a_wrong_unit_are_named_with_their_field():
    found = list(postgres.advise("database", server(), Wanted({"shared_bufers": "2GB", "work_mem": "16 apples"})))
    assert [one.reason for one in found if isinstance(one, Unjudged)] == [
        "the server has no setting shared_bufers, or does not show it",
        "settings.work_mem of the spec: '16 apples' has the unit 'apples', and the setting takes B, kB, MB, GB, TB",
    ]


def test_missing_and_invalid_indexes_come_with_their_statements():
    wanted = Wanted(indexes={"idx_a": "CREATE INDEX CONCURRENTLY idx_a ON t(a)", "idx_b": "CREATE INDEX idx_b ON t(b)"})
    there = server(indexes=(Index("idx_b", "t"), Index("Odd", "t", valid=False)))
    (advice,) = postgres.advise("database", there, wanted)
    assert advice.patches[0].text == ('CREATE INDEX CONCURRENTLY idx_a ON t(a);\nREINDEX INDEX CONCURRENTLY "Odd";\n')
    both = server(indexes=(Index("idx_a", "t"), Index("idx_b", "t")))
    (found,) = postgres.advise("database", both, wanted)
    assert isinstance(found, Fine)


def test_pools_are_added_up_at_every_ceiling_and_shrink_to_fit():
    api = Pool("api", 20, 10, replicas=3, most=10)
    advice = pools.advise("database", [api], 197, 60)
    assert advice.when is When.MONTH
    assert "the pools may open 300 connections, and the server takes 197" in advice.why
    assert (advice.changes[0].before, advice.changes[0].after) == ("20 + 10", "17")
    fits = pools.advise("database", [Pool("api", 17, replicas=3, most=10)], 197, 60)
    assert isinstance(fits, Fine)
    assert pools.advise("database", [Pool("api", 90, replicas=3)], 197, 60).when is When.MONTH
    assert pools.advise("database", [Pool("api", 90, replicas=3)], 197, 150).when is When.NOW
    many = pools.advise("database", [Pool("api", 1, replicas=300)], 197, 60)
    assert "PgBouncer" in many.do
    assert "max_db_connections = 177" in many.patches[0].text
    blank = pools.advise("database", [Pool("api", 1)], 197, 60)
    assert "how many replicas of api run" in blank.reason
    assert pools.advise("database", [], 197, 60) is None


def test_pools_are_held_against_the_connections_that_the_runbook_wants():
    crowded = Database(server(), pools=(Pool("api", 20, processes=4, replicas=1),), available=34)

    def judged(database):
        return {one.key: one for one in advise_all(Facts(databases={"database": database}), AIM)}["database/pools"]

    assert isinstance(judged(crowded), Advice)
    assert isinstance(judged(replace(crowded, wanted=Wanted({"max_connections": "200"}))), Fine)
    assert isinstance(judged(replace(crowded, wanted=Wanted({"max_connections": "many"}))), Advice)


@quick
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 20), st.integers(1, 4), st.integers(1, 20)), min_size=1),
    st.integers(50, 500),
)
def test_pools_that_were_shrunk_as_advised_fit(given_pools, available):
    some = [
        Pool(f"app-{at}", size, over, each, replicas) for at, (size, over, each, replicas) in enumerate(given_pools)
    ]
    advice = pools.advise("database", some, available, 0)
    if isinstance(advice, Advice) and advice.changes:
        sizes = {one.what.partition(":")[0]: int(one.after) for one in advice.changes}
        then = [replace(one, size=sizes.get(one.name, one.size), overflow=0) for one in some]
        assert isinstance(pools.advise("database", then, available, 0), Fine)


# Volumes, buckets, graphics processors


def claim(size=100 * GIB, **more):
    return Claim("minio-data", "apex", size, "standard", more.get("expandable", True))


def grown(one, usage, **more):
    return volumes.advise_claim("cluster/pvc/minio-data", one, usage, MONTHS, **more)


def test_a_filling_volume_is_grown_for_as_long_as_it_must_hold():
    usage = growing(40 * GIB, 70 * GIB)
    advice = grown(claim(), usage)
    size = float(yaml.safe_load(advice.patches[0].text)["spec"]["resources"]["requests"]["storage"][:-2]) * GIB
    days = 60
    assert 0.8 * size >= 70 * GIB + 0.9 * days * 0.5 * GIB
    assert advice.patches[0].command.startswith("kubectl -n apex patch pvc minio-data --type merge")
    assert advice.saving.storage == claim().size - size
    assert isinstance(grown(claim(size), usage), Fine)


def test_a_volume_whose_class_does_not_let_it_grow_gets_no_patch_and_an_unknown_class_is_said():
    usage = growing(40 * GIB, 90 * GIB)
    fixed = grown(claim(expandable=False), usage)
    assert fixed.when is When.NOW
    assert fixed.patches == ()
    assert "does not let a volume grow" in fixed.risk
    assert grown(claim(expandable=None), usage).unknown == ("whether its StorageClass lets it grow",)


def test_a_volume_that_shrinks_or_is_not_measured_is_left_alone():
    assert isinstance(grown(claim(), growing(70 * GIB, 40 * GIB)), Fine)
    assert grown(claim(), None, reason="no metric").reason == "no metric"
    assert "too short" in grown(claim(), growing(40 * GIB, 70 * GIB)[:3]).reason
    assert isinstance(grown(claim(), series(np.full(240, 5 * GIB), HOURS)), Fine)


def test_a_bucket_that_outgrows_its_quota_is_told_with_the_rule_it_lacks():
    usage = growing(300 * GIB, 420 * GIB)
    advice = volumes.advise_bucket("storage", 500 * GIB, usage, MONTHS, ages="it has no lifecycle rule")
    assert advice.when is When.NOW
    assert "it has no lifecycle rule" in advice.evidence
    assert isinstance(volumes.advise_bucket("storage", None, usage, MONTHS), Fine)
    assert isinstance(volumes.advise_bucket("storage", 5000 * GIB, usage, MONTHS), Fine)


def test_what_is_expected_never_looks_farther_than_the_history_is_long():
    found = expected(growing(1, 2), timedelta(days=365))
    assert found.days == pytest.approx(60, abs=1)
    assert found.high >= found.middle > 2
    assert isinstance(expected(series(np.full(240, 3.0), HOURS), MONTHS), Expected)
    assert expected(series([], np.empty(0)), MONTHS) == "nothing was measured"


def test_a_graphics_processor_that_is_full_or_idle_is_told():
    full = gpus.advise("gpus/gpu_memory_used[0]", series(np.clip(0.7 + 0.4 * DAY, 0, 0.99)))
    assert "the next larger batch" in full.why
    idle = gpus.advise("gpu", series(0.2 + 0.05 * DAY), series(0.1))
    assert "share it" in idle.do
    assert isinstance(gpus.advise("gpu", series(0.7), series(0.9)), Fine)
    assert isinstance(gpus.advise("gpu", series(0.2 + 0.05 * DAY), series(0.9)), Fine)
    assert "a week is the least" in gpus.advise("gpu", series(0.7)[:30]).reason


# Backups


def taken(days=60, size=GIB, growth=0.0, seconds=600.0, longer=0.0, group="database/physical"):
    return [
        Taken(group, NOW - timedelta(days=days - at), size + growth * at, seconds + longer * at, id=f"{group}/{at}")
        for at in range(days)
    ]


def test_a_backup_that_outgrows_its_window_is_told_before_it_does():
    advice = backups.advise_window("database", taken(seconds=3000, longer=40), timedelta(hours=2), MONTHS)
    assert advice.when is When.MONTH
    assert "of a window of 2 h" in advice.why
    assert backups.advise_window("database", taken(seconds=90_000), None, MONTHS).when is When.NOW
    assert isinstance(backups.advise_window("database", taken(), None, MONTHS), Fine)
    few = backups.advise_window("database", taken(days=3), None, MONTHS)
    assert "3 backups is known" in few.reason


def test_a_vault_goes_on_as_it_went_and_is_told_what_fits():
    kept = Policy(within=Span(days=90))
    found = backups.holding(taken(), kept, NOW, MONTHS)
    assert found.freed == 0
    assert found.later == pytest.approx(90 * GIB, rel=0.05)
    shorter = backups.holding(taken(), Policy(within=Span(days=30)), NOW, MONTHS)
    assert shorter.freed == pytest.approx(30 * GIB, rel=0.1)
    advice = backups.advise_room("vault/local", taken(), kept, 80 * GIB, NOW, MONTHS)
    assert "keep {within: 6" in advice.do
    assert isinstance(backups.advise_room("vault/local", taken(), kept, 500 * GIB, NOW, MONTHS), Fine)
    assert "the spec says no `room`" in backups.advise_room("vault/local", taken(), kept, None, NOW, MONTHS).note
    assert "no complete backup" in backups.advise_room("vault/local", [], kept, GIB, NOW, MONTHS).reason


# What if


def facts():
    api = replace(workload(container(cpu=0.25, cpu_limit=None, memory=500 * MIB)), replicas=3)
    nodes = tuple(Node(f"node-{at}", 4.0, 16 * GIB, 1.0, 4 * GIB) for at in range(3))
    cluster = Cluster("shop", (api,), (scaler(),), (claim(),), nodes)
    namespace = Namespace(
        cluster, {api.subject: used(0.9 + 0.2 * DAY)}, volumes={"minio-data": growing(40 * GIB, 55 * GIB)}
    )
    return Facts(
        namespaces={"cluster": namespace},
        caches={"cache": Cache(cache())},
        databases={"database": Database(server(connections=20.0), pools=(Pool("api", 5, replicas=3),), available=97)},
        buckets={"storage": Bucket(500 * GIB, growing(100 * GIB, 130 * GIB))},
        vaults={"local": VaultHeld(taken(), Policy(within=Span(days=90)))},
    )


AIM = Aim(NOW)


def test_all_facts_are_judged_and_each_part_by_its_key():
    found = {one.key: one for one in advise_all(facts(), AIM)}
    assert set(found) == {
        "cluster/hpa/api",
        "cluster/pvc/minio-data",
        "cache",
        "database/pools",
        "storage",
        "vault/local",
        "database/physical[local]",
    }
    assert all(isinstance(one, Fine) for one in found.values())


def test_twice_the_traffic_needs_other_bounds_from_the_same_facts_and_says_what_it_cannot_tell():
    load = series(0.4 + 0.2 * DAY + 0.01 * NOISE)
    times, values = TIMES, load.to_numpy()
    bounds = (Threshold(text="80%", value=0.8),)
    histories = [
        History("machine/cpu", Unit.RATIO, times, values, "", bounds),
        History("api/latency", Unit.SECONDS, times, values, "", bounds),
    ]
    supposed = what_if.suppose(what_if.parse("traffic=2"), facts(), AIM, histories, timedelta(days=30))
    text = "\n".join(supposed.follows)
    assert "autoscaler api: max replicas 10 → " in text
    assert "volume minio-data: size 100Gi → " in text
    assert "machine/cpu reaches 80%" in text
    assert "how these follow traffic: api/latency" in supposed.unknown
    namespace = facts().namespaces["cluster"]
    seen = {name: replace(one, seen=series(1.0), wanted={"rps": series(7)}) for name, one in namespace.usage.items()}
    busy = replace(facts(), namespaces={"cluster": replace(namespace, usage=seen)})
    assert "max replicas 10 → 16" in what_if.suppose(what_if.parse("traffic=2"), busy, AIM).follows[0]
    same = what_if.suppose(what_if.parse("traffic=1"), facts(), AIM, histories, timedelta(days=30))
    assert same.follows == ()


def test_a_shorter_retention_is_told_for_each_vault_in_bytes():
    supposed = what_if.suppose(what_if.parse("retention=30d"), facts(), AIM)
    (text,) = supposed.follows
    assert text.startswith("vault local: 3")
    assert "instead of 9" in text
    assert any("how old its objects are" in one for one in supposed.unknown)


def test_one_node_less_is_held_against_what_is_asked_for_and_used():
    supposed = what_if.suppose(what_if.parse("nodes=-1"), facts(), AIM)
    assert supposed.follows[0] == (
        "cluster: 2 nodes have 8 of cpu: it fits (750m asked for by this namespace, "
        "2500m with every autoscaler at its ceiling, 3 in use by all pods)"
    )
    none = what_if.suppose(what_if.parse("nodes=-3"), facts(), AIM)
    assert none.follows == ("cluster: no node is left of 3",)
    few = what_if.suppose(what_if.parse("nodes=-2"), Facts(), AIM)
    assert few.unknown == ("no cluster could be read",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("traffic", "traffic"),
        ("traffic=0", "between 0 and 1000"),
        ("traffic=nan", "between 0 and 1000"),
        ("traffic=many", "could not convert"),
        ("retention=60", "no duration"),
        ("retention=1h", "between a day and ten years"),
        ("nodes=half", "whole number of nodes"),
        ("nodes=0", "whole number of nodes"),
        ("luck=1", "'luck' is nothing that can be supposed"),
    ],
)
def test_what_cannot_be_supposed_says_what_can(text, words):
    with pytest.raises(ConfigError, match=words) as error:
        what_if.parse(text)
    assert "traffic=2, retention=60d or nodes=-1" in str(error.value)


# The cost of being wrong, urgency, money


def outlook(per_day, now=0.6, bound=0.85):
    hours = np.arange(24 * 60)
    times = NOW.timestamp() - 3600.0 * hours[::-1]
    noise = np.random.default_rng(0).normal(size=len(hours))
    values = now - per_day / 24 * hours[::-1] + noise * 0.002
    bounds = (Threshold(text=f"{bound:.0%}", value=bound),)
    return look_ahead(History("machine/disk", Unit.RATIO, times, values, "", bounds), MONTHS)


def test_the_early_end_says_until_when_to_begin_and_the_late_one_what_was_paid_in_vain():
    found = cost_of_being_wrong(outlook(0.01), timedelta(days=14), NOW)
    early = outlook(0.01).pressing.early
    assert found.act_by == early - timedelta(days=14)
    assert not found.overdue
    assert f"it is enough to begin by {found.act_by.day} {found.act_by:%b} 2026" in found.early
    assert found.late
    late = cost_of_being_wrong(outlook(0.01), timedelta(days=40), NOW)
    assert late.overdue
    assert "too late" in late.early


def test_what_is_beyond_its_bound_or_nowhere_near_one_says_so():
    assert "already" in cost_of_being_wrong(outlook(0.01, now=0.9), timedelta(days=14), NOW).early
    assert cost_of_being_wrong(outlook(0.00001, now=0.2), timedelta(days=14), NOW) is None


def test_the_most_urgent_advice_comes_first_then_what_saves_most_and_prices_make_money_of_it():
    prices = Foresight(prices=Prices(core=20, memory_gib=3, currency="EUR"))
    kinds = [
        Advice(key=key, kind="requests", when=when, do="", why="", saving=redis.Saving(cores=cores, memory=GIB))
        for key, when, cores in (("a", When.LATER, 1), ("b", When.NOW, 0), ("c", When.LATER, 4))
    ]
    priced = [prices.priced(one) for one in kinds]
    assert [one.key for one in by_urgency(priced)] == ["b", "c", "a"]
    assert priced[2].saving.money == 83
    assert total([one.saving for one in priced]).money == 109
    assert total([kinds[0].saving, priced[0].saving]).money is None
    assert Foresight().priced(kinds[0]) == kinds[0]


def test_a_scaler_on_another_metric_is_not_judged_and_says_which():
    one = Cluster("shop", (workload(),), (Autoscaler("api", "deployment/api", 2, 5, (Target("rps"),)),))
    found = {it.key: it for it in advise_all(Facts(namespaces={"cluster": Namespace(one, no_usage="silent")}), AIM)}
    assert "it scales by rps" in found["cluster/hpa/api"].reason
    assert found["cluster/deployment/api"].reason == "silent"
