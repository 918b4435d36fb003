"""Requests, limits and autoscalers: never below what was used, the same advice again, and more for more load."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.advice import autoscaling, queue_scaling, requests
from tasks.core.advice.amounts import GIB, MIB, cpu_text, memory_text, whole_cpu, whole_memory
from tasks.core.advice.facts import Autoscaler, Container, Kill, Target, Trigger, Usage, Workload
from tasks.core.advice.model import Advice, Fine, Unjudged, When
from tasks.core.advice.needs import series_at
from tasks.core.advice.queue_scaling import Queue

NOW = datetime(2026, 11, 20, tzinfo=UTC)
STEP = 1800.0
COUNT = 14 * 48
TIMES = NOW.timestamp() - STEP * np.arange(COUNT)[::-1]
DAY = np.sin(2 * np.pi * TIMES / 86400)
NOISE = np.random.default_rng(0).normal(size=COUNT)


def series(values, times=TIMES):
    return series_at(times, np.broadcast_to(np.asarray(values, dtype=float), times.shape).copy())


def frame(cpu, memory, pods=2, **more):
    columns = {"cpu": series(cpu), "busiest": series(np.asarray(cpu) / pods), "memory": series(memory)}
    return pd.DataFrame(columns | {name: series(values) for name, values in more.items()})


def container(name="api", cpu=0.25, memory=512 * MIB, cpu_limit=1.0, memory_limit=GIB, **more):
    return Container(name, cpu, cpu_limit, memory, memory_limit, **more)


def workload(*containers, replicas=2, created=NOW - timedelta(days=60), kills=()):
    return Workload("Deployment", "api", "shop", replicas, created, containers or (container(),), kills)


def used(cpu=0.4, memory=400 * MIB, **more):
    return Usage({"api": frame(cpu, memory, **more)}, source="test")


def advise(one, usage, **more):
    return requests.advise("cluster/deployment/api", one, usage, NOW, **more)


def followed(one, advice):
    """Return the workload as the advice's own patch leaves it."""
    (patch,) = [patch for patch in advice.patches if patch.title.startswith("deployment")]
    spec = yaml.safe_load(patch.text)["spec"]["template"]["spec"]
    sizes = {item["name"]: item["resources"] for items in spec.values() for item in items}
    return replace(
        one,
        containers=tuple(_followed(it, sizes[it.name]) if it.name in sizes else it for it in one.containers),
    )


def _followed(one, sizes):
    limits = {"cpu": cpu_text(one.cpu_limit) if one.cpu_limit else None} | sizes["limits"]
    return Container(
        one.name,
        cores(sizes["requests"]["cpu"]),
        cores(limits["cpu"]),
        size(sizes["requests"]["memory"]),
        size(limits["memory"]),
        one.starts,
        one.sidecar,
    )


def cores(text):
    if text is None:
        return None
    return int(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)


def size(text):
    return float(text[:-2]) * {"Mi": MIB, "Gi": GIB}[text[-2:]]


def test_a_request_is_a_high_percentile_of_the_busiest_pod_and_memory_its_peak_with_headroom():
    cpu = 0.4 + 0.2 * DAY + 0.01 * NOISE
    advice = advise(workload(container(cpu=1.0, memory=2 * GIB, memory_limit=2 * GIB)), used(cpu))
    percentile = np.quantile(cpu / 2, 0.95)
    changes = {one.what: (one.before, one.after) for one in advice.changes}
    assert changes["api: CPU request"] == ("1", cpu_text(whole_cpu(percentile * 1.15)))
    assert changes["api: memory request"] == ("2Gi", memory_text(whole_memory(400 * MIB * 1.2)))
    assert "api: memory limit" not in changes
    assert advice.when is When.LATER
    assert advice.saving.cores == pytest.approx(2 * (1.0 - whole_cpu(percentile * 1.15)))
    assert advice.saving.memory == 2 * (2 * GIB - 480 * MIB)


def test_what_ran_out_of_memory_never_gets_less_than_it_had_and_half_as_much_again():
    kills = tuple(Kill("api", NOW - timedelta(days=day), 512 * MIB) for day in (1, 2))
    one = workload(container(memory=512 * MIB, memory_limit=512 * MIB), kills=kills)
    advice = advise(one, used(memory=505 * MIB))
    assert advice.when is When.NOW
    assert "ran out of memory 2 times with 512Mi" in advice.why
    assert yaml.safe_load(advice.patches[0].text)["spec"]["template"]["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "250m", "memory": "768Mi"},
        "limits": {"memory": "768Mi", "cpu": "1"},
    }
    replay = {one.what: (one.before, one.after) for one in advice.replay}
    assert replay["api: kills for memory"] == (2, 0)
    assert replay["api: kills caused by the new limit"] == (0, 0)


def test_the_same_kill_told_by_pod_and_history_counts_once_and_an_unknown_limit_is_said():
    at = NOW - timedelta(days=1)
    usage = replace(used(memory=505 * MIB), kills=(Kill("api", at + timedelta(minutes=4), None),))
    one = workload(container(memory_limit=512 * MIB), kills=(Kill("api", at, 512 * MIB),))
    assert {it.what: it.before for it in advise(one, usage).replay}["api: kills for memory"] == 1
    blank = advise(workload(container(memory_limit=512 * MIB)), usage)
    assert any("what api was allowed" in text for text in blank.unknown)


def test_a_limit_of_cpu_that_holds_it_back_goes_with_the_minutes_it_cost():
    cpu = np.where(DAY > 0.9, 2.0, 0.5)
    advice = advise(workload(), used(cpu, throttled=np.where(DAY > 0.9, 0.5, 0.0)))
    changes = {one.what: one.after for one in advice.changes}
    assert changes["api: CPU limit"] == "none"
    assert (
        yaml.safe_load(advice.patches[0].text)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"][
            "cpu"
        ]
        is None
    )
    minutes = float((DAY > 0.9).sum()) * 30 * 0.5
    held = next(one for one in advice.replay if one.what == "api: minutes held back")
    assert (held.before, held.after) == (pytest.approx(minutes), 0)


def test_what_is_hardly_held_back_and_a_request_that_is_a_little_short_are_left_alone():
    healthy = workload(container(memory=460 * MIB))
    assert isinstance(advise(healthy, used(throttled=0.01)), Fine)


def test_without_a_measure_of_throttling_time_at_the_limit_counts():
    advice = advise(workload(container(cpu_limit=0.5)), used(np.where(DAY > 0.9, 1.0, 0.3)))
    held = next(one for one in advice.replay if one.what == "api: minutes held back")
    assert held.before == pytest.approx(float((DAY > 0.9).sum()) * 30)


def test_a_workload_without_requests_gets_some_this_month():
    bare = container(cpu=None, memory=None, cpu_limit=None, memory_limit=None)
    advice = advise(workload(bare), used())
    assert advice.when is When.MONTH
    assert "asks for no memory" in advice.why
    assert {one.before for one in advice.changes} == {"none"}
    assert advice.saving.cores < 0


def test_init_containers_are_left_alone_and_bound_what_can_be_saved():
    starting = container("migrate", cpu=2.0, memory=2 * GIB, starts=True)
    one = workload(container(cpu=1.0, memory=2 * GIB), starting)
    advice = advise(one, used())
    assert not any("migrate" in change.what for change in advice.changes)
    assert "migrate" not in advice.patches[0].text
    assert (advice.saving.cores, advice.saving.memory) == (0, 0)


def test_a_sidecar_among_the_init_containers_is_patched_there():
    proxy = container("proxy", cpu=1.0, memory=GIB, sidecar=True)
    usage = Usage({"api": frame(0.4, 400 * MIB), "proxy": frame(0.02, 40 * MIB)})
    advice = advise(workload(proxy, container()), usage)
    spec = yaml.safe_load(advice.patches[0].text)["spec"]["template"]["spec"]
    assert [item["name"] for item in spec["initContainers"]] == ["proxy"]
    assert followed(workload(proxy, container()), advice).containers[0].cpu_request < 1.0


@pytest.mark.parametrize(
    ("one", "usage", "reason"),
    [
        (workload(created=NOW - timedelta(hours=5)), used(), "5 h old: a day is the least"),
        (workload(), Usage(reason="this cluster has no metrics API"), "no metrics API"),
        (workload(), Usage({}), "nothing is known of what its container api used"),
        (workload(), Usage({"api": frame(0.4, GIB)[-10:]}), "10 values over 4 h 30 min"),
        (workload(), Usage({"api": frame(np.nan, GIB)}), "0 values over 0 s"),
        (workload(), Usage({"api": frame(0.4, -GIB)}), "0 values over 0 s"),
        (workload(), Usage({"api": frame(0.4, np.inf)}), "0 values over 0 s"),
        (workload(), Usage({"api": frame(0.4, GIB).drop(columns="memory")}), "nothing is known of the memory"),
    ],
)
def test_what_cannot_be_judged_says_why(one, usage, reason):
    found = advise(one, usage)
    assert isinstance(found, Unjudged)
    assert reason in found.reason


def test_doubles_disorder_and_gaps_in_the_history_change_nothing():
    plain = used(0.4 + 0.2 * DAY)
    shuffled = plain.containers["api"].sample(frac=1, random_state=1)
    spoilt = pd.concat([shuffled, shuffled[:50]])
    spoilt.iloc[3, 0] = np.nan
    one = workload(container(cpu=2.0))
    assert advise(one, Usage({"api": spoilt}, source="test")).changes == advise(one, plain).changes


def test_what_grows_day_after_day_is_called_a_leak_and_when_it_ends():
    memory = (300 + 20 * (TIMES - TIMES[0]) / 86400) * MIB
    found = advise(workload(), used(memory=memory))
    assert isinstance(found, Advice)
    assert "grows by 20 MiB a day" in found.risk
    assert "find the leak" in found.risk
    restarted = np.where(np.arange(COUNT) < COUNT - 48, memory, 300 * MIB)
    assert "find the leak" not in getattr(advise(workload(), used(memory=restarted)), "risk", "")
    swinging = (300 + 60 * DAY) * MIB
    assert isinstance(advise(workload(container(memory=448 * MIB)), used(memory=swinging)), Fine)


def test_a_leak_that_is_killed_within_two_weeks_is_urgent_and_one_without_a_limit_is_to_be_found():
    memory = (300 + 20 * (TIMES - TIMES[0]) / 86400) * MIB
    soon = advise(workload(container(memory=768 * MIB, memory_limit=768 * MIB)), used(memory=memory))
    assert soon.when is When.NOW
    assert "at its limit in 9 days" in soon.why
    roomy = container(memory=720 * MIB, memory_limit=8 * GIB)
    found = advise(workload(roomy), used(memory=memory))
    assert (found.do, found.when, found.patches) == ("find what api leaks", When.MONTH, ())


def test_what_fits_is_left_as_it_is():
    assert isinstance(advise(workload(container(memory=500 * MIB)), used()), Fine)


loads = st.floats(0.001, 40)
bytes_used = st.floats(1, 20_000).map(lambda mib: mib * MIB)
requests_now = st.one_of(st.none(), st.integers(1, 800).map(lambda tens: tens / 100))
sizes_now = st.one_of(st.none(), st.integers(1, 600).map(lambda many: many * 32 * MIB))
quick = settings(max_examples=60, deadline=None)


@quick
@given(cpu=loads, swing=st.floats(0, 0.9), memory=bytes_used, request=requests_now, asked=sizes_now, allowed=sizes_now)
def test_advice_is_never_below_what_was_used_and_followed_it_is_not_given_again(
    cpu, swing, memory, request, asked, allowed
):
    one = workload(container(cpu=request, memory=asked, cpu_limit=None, memory_limit=allowed))
    usage = used(cpu * (1 + swing * DAY), memory * (1 + 0.3 * swing * DAY))
    advice = advise(one, usage)
    then = followed(one, advice).containers[0] if isinstance(advice, Advice) else one.containers[0]
    frames = usage.containers["api"]
    assert then.memory_limit >= frames["memory"].max()
    assert then.memory_request >= frames["memory"].max()
    assert then.cpu_request >= frames["busiest"].quantile(0.95)
    assert then.memory_limit >= then.memory_request
    if isinstance(advice, Advice):
        assert isinstance(advise(followed(one, advice), usage), Fine)


@quick
@given(cpu=loads, memory=bytes_used, more=st.floats(1, 5), request=requests_now, asked=sizes_now)
def test_more_use_never_means_a_smaller_request(cpu, memory, more, request, asked):
    one = workload(container(cpu=request, memory=asked, cpu_limit=None, memory_limit=None))

    def given_for(factor):
        advice = advise(one, used(cpu * factor * (1 + 0.2 * DAY), memory * factor))
        return followed(one, advice).containers[0]

    little, much = given_for(1.0), given_for(more)
    assert much.memory_request >= little.memory_request or math.isclose(much.memory_request, little.memory_request)
    assert much.cpu_request >= little.cpu_request or math.isclose(much.cpu_request, little.cpu_request)


def scaler(minimum=3, maximum=10, **targets):
    aims = tuple(Target(name, value) for name, value in (targets or {"cpu": 0.7}).items())
    return Autoscaler("api", "deployment/api", minimum, maximum, aims)


def together(one, scaled, usage, **more):
    return autoscaling.advise("cluster/hpa/api", one, scaled, usage, NOW, **more)


def both_followed(one, scaled, advice):
    bounds = [yaml.safe_load(patch.text)["spec"] for patch in advice.patches if patch.title.startswith("hpa")]
    for spec in bounds:
        scaled = replace(scaled, minimum=spec["minReplicas"], maximum=spec["maxReplicas"])
    if any(patch.title.startswith("deployment") for patch in advice.patches):
        one = followed(one, advice)
    return one, scaled


def test_an_autoscaler_that_is_too_small_is_found_with_the_minutes_it_lacked_pods():
    cpu = 1.5 + 0.9 * DAY
    one = workload(container(cpu=0.25, cpu_limit=None, memory=500 * MIB))
    advice = together(one, scaler(maximum=10), used(cpu, pods=8))
    assert advice.when is When.NOW
    needed = math.ceil(2.4 * 1.1 / (0.7 * 0.25))
    assert [(c.what, c.before, c.after) for c in advice.changes] == [("max replicas", "10", str(needed))]
    short = next(it for it in advice.replay if it.what == "minutes short of pods")
    assert short.before == pytest.approx(float((cpu > 10 * 0.7 * 0.25 * 1.1).sum()) * 30)
    assert short.after == 0
    assert yaml.safe_load(advice.patches[0].text) == {"spec": {"minReplicas": 3, "maxReplicas": needed}}
    assert advice.patches[0].command == "kubectl -n shop patch hpa api --type merge --patch-file api-hpa.yaml"


def test_requests_and_bounds_settle_where_advice_by_single_pods_would_go_on_for_ever():
    cpu = 0.7 + 0.2 * DAY
    one, scaled, usage = workload(container(cpu=1.0, cpu_limit=None, memory=500 * MIB)), scaler(), used(cpu, pods=3)
    advice = together(one, scaled, usage)
    assert advice.saving.cores > 1
    requests_seen = []
    for _ in range(5):
        requests_seen.append(one.containers[0].cpu_request)
        if not isinstance(advice, Advice):
            break
        one, scaled = both_followed(one, scaled, advice)
        replicas = max(scaled.minimum, float((cpu / (0.7 * one.containers[0].cpu_request)).mean()))
        advice = together(one, scaled, used(cpu, pods=replicas))
    assert isinstance(advice, Fine)
    assert len(requests_seen) == 2
    assert requests_seen[1] * 3 * 0.7 >= np.median(cpu)


def test_memory_is_asked_for_so_that_an_autoscaler_on_memory_does_not_run_to_its_ceiling():
    advice = together(
        workload(container(cpu=0.25, cpu_limit=None, memory=500 * MIB)),
        scaler(cpu=0.7, memory=0.8),
        used(0.5, memory=400 * MIB),
    )
    (change,) = advice.changes
    assert change.what == "api: memory request"
    assert 400 * MIB / size(change.after) <= 0.8 / 1.09


def test_an_autoscaler_without_cpu_requests_is_blind_and_gets_some_at_once():
    bare = container(cpu=None, cpu_limit=None, memory=500 * MIB)
    advice = together(workload(bare), scaler(minimum=1), used(0.8))
    assert advice.when is When.NOW
    assert "cannot compute a share of nothing" in advice.why
    after = {one.what: one.after for one in advice.changes}
    assert after["min replicas"] == "2"
    assert cores(after["api: CPU request"]) > 0


def test_what_is_forecast_raises_the_ceiling_before_it_is_reached():
    one = workload(container(cpu=0.25, cpu_limit=None, memory=500 * MIB))
    usage = used(1.0 + 0.2 * DAY, pods=6)
    assert isinstance(together(one, scaler(), usage), Fine)
    advice = together(one, scaler(), usage, ahead=3.5)
    assert (advice.when, advice.changes[0].after) == (When.MONTH, "20")
    assert any("late end of what is forecast" in text for text in advice.evidence)


def test_what_the_autoscaler_itself_saw_counts_where_it_is_kept_and_its_other_metrics_too():
    one = workload(container(cpu=0.25, cpu_limit=None, memory=500 * MIB))
    seen = replace(used(0.2), seen=series(2.0 + 0.2 * DAY))
    advice = together(one, scaler(), seen)
    assert advice.changes[0].after == str(math.ceil(2.2 * 1.1 / (0.7 * 0.25)))
    asked = replace(used(0.4), wanted={"rps": series(12 + 2 * DAY)})
    scaled = replace(scaler(), targets=(Target("cpu", 0.7), Target("rps")))
    advice = together(one, scaled, asked)
    assert advice.why == "rps asks for up to 16 replicas of 10"
    assert advice.unknown == ()
    assert together(one, scaled, used(0.4), pods={"rps": 30.0}).changes[0].after == "30"


def test_other_metrics_of_an_autoscaler_are_said_to_be_unknown():
    scaled = replace(scaler(maximum=4), targets=(Target("cpu", 0.7), Target("http_requests_per_second")))
    advice = together(workload(container(cpu=0.25, memory=500 * MIB)), scaled, used(1.5))
    assert any("http_requests_per_second" in text for text in advice.unknown)


@quick
@given(
    cpu=loads,
    swing=st.floats(0, 0.9),
    request=st.integers(1, 400).map(lambda tens: tens / 100),
    minimum=st.integers(1, 6),
    room=st.integers(0, 20),
    target=st.sampled_from([0.5, 0.7, 0.9]),
    ahead=st.one_of(st.none(), st.floats(0.1, 100)),
)
def test_requests_and_bounds_hold_the_peak_and_are_a_fixed_point(cpu, swing, request, minimum, room, target, ahead):
    one = workload(container(cpu=request, cpu_limit=None, memory=500 * MIB))
    scaled, usage = scaler(minimum, minimum + room, cpu=target), used(cpu * (1 + swing * DAY), pods=3)
    advice = together(one, scaled, usage, ahead=ahead)
    if isinstance(advice, Advice):
        one, scaled = both_followed(one, scaled, advice)
    held = scaled.maximum * target * one.containers[0].cpu_request
    assert held * 1.0001 >= max(cpu * (1 + swing * DAY.max()), ahead or 0)
    assert scaled.minimum >= 2
    assert isinstance(together(one, scaled, usage, ahead=ahead), Fine)


@quick
@given(usual=loads, over=st.floats(1, 3), request=st.floats(0.01, 4), minimum=st.integers(2, 6), more=st.floats(1, 4))
def test_more_load_never_means_a_smaller_request_or_a_lower_ceiling(usual, over, request, minimum, more):
    today = autoscaling.Scale(request, minimum, 10)
    little, much = (autoscaling.settled(today, usual * by, usual * over * by, 0.7) for by in (1.0, more))
    assert much.request >= little.request
    assert much.maximum * much.request >= (little.maximum * little.request) * 0.999 or much.maximum >= little.maximum


def test_the_autoscaler_of_the_replay_goes_up_at_once_and_down_after_it_was_calm():
    times = NOW.timestamp() + 60.0 * np.arange(20)
    load = series(np.where(np.arange(20) < 5, 2.0, 0.2), times)
    pods = autoscaling.simulated(load, autoscaling.Scale(0.5, 1, 10), 0.5)
    assert list(pods[:5]) == [8] * 5
    assert list(pods[5:9]) == [8] * 4
    assert pods.iloc[-1] == 1
    near = autoscaling.simulated(series(0.26, times), autoscaling.Scale(0.5, 1, 10), 0.5)
    assert set(near) == {1}


def keda(minimum=2, maximum=10, threshold=100.0):
    return Autoscaler(
        "worker", "deployment/worker", minimum, maximum, triggers=(Trigger("redis", "listLength", threshold, 0),)
    )


def of_queue(scaled, queue):
    return queue_scaling.advise("cluster/scaledobject/worker", scaled, "shop", queue)


def test_a_scaled_object_that_cannot_follow_its_queue_gets_a_higher_ceiling():
    length = np.clip(2000 * DAY, 0, None)
    advice = of_queue(keda(), Queue(series(length)))
    assert advice.when is When.MONTH
    assert advice.changes[0].after == str(math.ceil(length.max() * 1.1 / 100))
    assert yaml.safe_load(advice.patches[0].text)["spec"] == {"minReplicaCount": 2, "maxReplicaCount": 22}
    assert any("was not judged" in text for text in advice.unknown)
    assert isinstance(of_queue(keda(maximum=22), Queue(series(length))), Fine)


def test_a_threshold_that_lets_jobs_wait_too_long_is_lowered_by_the_pace_of_the_workers():
    length = 500 + 400 * DAY
    queue = Queue(series(length), series(4.0), oldest=series(length / (4 * 0.5)), wait=600.0)
    advice = of_queue(keda(threshold=400.0, maximum=50), queue)
    threshold = float(advice.changes[0].after)
    assert threshold == 300
    assert "up to 13 min" in advice.why
    patch = yaml.safe_load(advice.patches[-1].text)
    assert patch == [{"op": "replace", "path": "/spec/triggers/0/metadata/listLength", "value": f"{threshold:g}"}]
    assert isinstance(of_queue(keda(threshold=threshold, maximum=advice_maximum(advice, 50)), queue), Fine)


def advice_maximum(advice, otherwise):
    return next((int(one.after) for one in advice.changes if one.what == "max replicas"), otherwise)


@pytest.mark.parametrize(
    ("scaled", "queue", "reason"),
    [
        (keda(threshold=None), Queue(series(5.0)), "none of its triggers"),
        (keda(), Queue(None, reason="the query answers no data"), "answers no data"),
        (keda(), Queue(series(5.0)[-3:]), "less than a day"),
    ],
)
def test_a_scaled_object_that_cannot_be_judged_says_why(scaled, queue, reason):
    found = of_queue(scaled, queue)
    assert isinstance(found, Unjudged)
    assert reason in found.reason


@given(st.floats(0.0001, 64), st.floats(0.0001, 64), st.floats(1, 1e12), st.floats(1, 1e12))
@settings(max_examples=200, deadline=None)
def test_amounts_are_rounded_up_never_past_each_other_and_what_is_whole_stays(cpu, other, memory, another):
    assert whole_cpu(cpu) >= cpu - 1e-9
    assert whole_memory(memory) >= memory
    assert whole_cpu(whole_cpu(cpu)) == whole_cpu(cpu)
    assert whole_memory(whole_memory(memory)) == whole_memory(memory)
    assert (whole_cpu(cpu) <= whole_cpu(other)) or cpu > other
    assert (whole_memory(memory) <= whole_memory(another)) or memory > another
    assert cores(cpu_text(whole_cpu(cpu))) == pytest.approx(whole_cpu(cpu))
    assert size(memory_text(whole_memory(memory))) == pytest.approx(whole_memory(memory))
