"""An autoscaled workload: its requests and its bounds together.

An autoscaler on CPU keeps load = replicas x target x request. To size the request by what one pod used is a ratchet:
a smaller request makes more pods, of which each uses less, and the next advice is smaller again. So it is sized by the
load of all pods together, which does not depend on how many there are. With the fewest replicas `min`, the most `max`,
the target share `t`, the usual load `u` and the peak `p` that is to be held:

- a request above u / (t x min) reserves more than the usual load needs, however few pods there are;
- a request below p / (t x max) does not hold the peak, however many there are.

The request is lowered to the larger of the two where it is above it, and stays otherwise; then `max` is raised to
p / (t x request) where it is less. Advised again on the same history, nothing changes: that is the fixed point.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from tasks.core.advice import requests
from tasks.core.advice.amounts import load_text, whole_cpu
from tasks.core.advice.facts import Autoscaler, Usage, Workload
from tasks.core.advice.model import Advice, Change, Fine, Judged, Patch, Replayed, Saving, Unjudged, When
from tasks.core.advice.needs import FEWEST, RULES, Need, Rules, clean, needs_of, step_of
from tasks.core.units import format_duration

_FEWEST = 2
_HOLD = 1.1
"""What is added to the highest load that was seen."""
_TOLERANCE = 0.1
"""An autoscaler does nothing while it is off its target by less."""
_STABLE = 300.0
"""Seconds for which it waits before it takes pods away."""
_SMALL = 1e-9
_LATELY = pd.Timedelta(days=14)


@dataclass(frozen=True)
class Scale:
    """What an autoscaled workload is given: cores that one pod asks for, and its bounds."""

    request: float
    minimum: int
    maximum: int

    def wanted(self, load: float, target: float) -> int:
        """Return how many pods keep a load at the target, whatever the bounds."""
        return math.ceil(load / (target * self.request) - _SMALL)


def advise(
    key: str,
    workload: Workload,
    scaler: Autoscaler,
    usage: Usage,
    now: datetime,
    *,
    ahead: float | None = None,
    pods: Mapping[str, float] | None = None,
    rules: Rules = RULES,
) -> Judged:
    """Say what a workload that is scaled by CPU should ask for, and between how many replicas.

    Args:
        key: `cluster/hpa/api`.
        workload: As it is set today.
        scaler: Its autoscaler.
        usage: What its pods used.
        now: The time.
        ahead: The most cores that are expected of all pods together, at the late end of the interval; None where
            there is no forecast.
        pods: The most pods that are expected to be asked for by its other metrics.
        rules: By what measure.
    """
    target = scaler.utilization("cpu")
    if target is None:
        return Unjudged(key=key, kind="autoscaler", reason="it does not scale by the use of CPU")
    needs = needs_of(workload, usage, now, memory_target=scaler.utilization("memory"), rules=rules)
    if isinstance(needs, str):
        return Unjudged(key=key, kind="autoscaler", reason=needs)
    load = load_of(usage)
    if load is None:
        return Unjudged(key=key, kind="autoscaler", reason="nothing is known of the CPU of all its pods together")
    today = Scale(sum(one.container.cpu_request or 0.0 for one in needs), scaler.minimum, scaler.maximum)
    bare = [one.container.name for one in needs if not one.container.cpu_request]
    peak = max(float(load.max()) * _HOLD, ahead or 0.0)
    then = settled(replace(today, request=0.0) if bare else today, usual_of(load), peak, target, rules)
    others = {name: float(clean(one).max()) * _HOLD for name, one in usage.wanted.items() if len(clean(one))}
    others |= {name: max(most, others.get(name, 0.0)) for name, most in (pods or {}).items()}
    then = replace(then, maximum=max(then.maximum, *(math.ceil(most - _SMALL) for most in (*others.values(), 0))))
    sizes = _sizes(needs, today.request, then.request, rules)
    then = replace(then, request=sum(size.cpu_request for size in sizes.values()))
    changes = (*requests.changed(workload.running, sizes), *_bounds(scaler, then))
    if not changes:
        note = f"its peak of {load_text(peak)} needs {then.wanted(peak, target)} of {then.maximum} replicas"
        return Fine(key=key, kind="autoscaler", note=note)
    story = _Story(workload, scaler, usage, load, target, peak, today, then, bare, others)
    return Advice(
        key=key,
        kind="autoscaler",
        when=_when(story, needs, sizes, now),
        do=requests.do(changes, [one for one in needs if one.growth]),
        why=next(_reasons(story, needs)),
        changes=changes,
        evidence=(*_evidence(story, ahead), *requests.evidence(needs, usage)),
        replay=(*_replay(story), *requests.replay(needs, sizes, usage)),
        saving=_saving(story, sizes),
        risk=_risk(story, needs, sizes),
        unknown=tuple(_unknown(story, needs)),
        patches=tuple(_patches(story, sizes)),
    )


def load_of(usage: Usage) -> pd.Series[float] | None:
    """Return the cores of all pods together, over time: as the autoscaler saw them, where that is kept."""
    if usage.seen is not None and len(seen := clean(usage.seen)) >= FEWEST:
        return seen
    columns = [clean(frame["cpu"]) for frame in usage.containers.values() if "cpu" in frame]
    if not columns or len(columns) < len(usage.containers):
        return None
    load = pd.concat(columns, axis=1).sum(axis=1, min_count=len(columns)).dropna()
    return load if len(load) else None


def usual_of(load: pd.Series[float]) -> float:
    """Return the load in the middle of the last two weeks: what was usual months ago says little of now."""
    return float(load[load.index > load.index[-1] - _LATELY].median())


def settled(today: Scale, usual: float, peak: float, target: float, rules: Rules = RULES) -> Scale:
    """Return the request and the bounds that fit each other and the load.

    Args:
        today: As it is; a request of 0 where there is none.
        usual: The load on half of the days' hours, in cores.
        peak: The load that must be held.
        target: Share of the request that the autoscaler aims at.
        rules: By what measure.
    """
    minimum = max(today.minimum, _FEWEST)
    maximum = max(today.maximum, minimum)
    enough = whole_cpu(max(usual / (target * minimum), peak / (target * maximum), rules.least_cpu))
    request = enough if not today.request or today.request > enough * rules.slack else today.request
    wanted = Scale(request, minimum, maximum).wanted(peak, target)
    return Scale(request, minimum, max(maximum, wanted))


def _sizes(needs: list[Need], before: float, after: float, rules: Rules) -> dict[str, requests.Sizes]:
    """Share a pod's request among its containers as they share its use; as it is where it stays."""
    if before and abs(after - before) < _SMALL * before:
        return {one.container.name: requests.sized(one, rules, cpu=one.container.cpu_request) for one in needs}
    used = sum(one.usual for one in needs) or 1.0
    shares = {one.container.name: (one.usual / used if used else 1 / len(needs)) for one in needs}
    return {
        one.container.name: requests.sized(
            one, rules, cpu=whole_cpu(max(after * shares[one.container.name], rules.least_cpu))
        )
        for one in needs
    }


@dataclass(frozen=True)
class _Story:
    workload: Workload
    scaler: Autoscaler
    usage: Usage
    load: pd.Series[float]
    target: float
    peak: float
    today: Scale
    then: Scale
    bare: list[str]
    others: Mapping[str, float]

    def pods(self, scale: Scale) -> pd.Series[float]:
        return simulated(self.load, scale, self.target)

    @property
    def step(self) -> float:
        return step_of(self.load)


def simulated(load: pd.Series[float], scale: Scale, target: float) -> pd.Series[float]:
    """Return how many pods the autoscaler would have kept: up at once, down after it was calm, still near its target.

    Source: the algorithm of the HorizontalPodAutoscaler, with its defaults for tolerance and stabilization.
    """
    if not scale.request:
        return pd.Series(float(scale.minimum), index=load.index)
    wait = max(1, round(_STABLE / max(step_of(load), 1.0)))
    counts = np.empty(len(load))
    current, asked = scale.minimum, [scale.minimum] * wait
    for at, value in enumerate(load.to_numpy()):
        ratio = value / (current * target * scale.request)
        wanted = current if abs(ratio - 1) <= _TOLERANCE else scale.wanted(float(value), target)
        wanted = min(max(wanted, scale.minimum), scale.maximum)
        asked = [*asked[1:], wanted]
        current = wanted if wanted >= current else max(asked)
        counts[at] = current
    return pd.Series(counts, index=load.index)


def _bounds(scaler: Autoscaler, then: Scale) -> Iterator[Change]:
    for what, before, after in (
        ("min replicas", scaler.minimum, then.minimum),
        ("max replicas", scaler.maximum, then.maximum),
    ):
        if before != after:
            yield Change(what=what, before=str(before), after=str(after))


def _short(story: _Story, scale: Scale) -> pd.Series[bool]:
    """Whether it had fewer pods than the load asks for."""
    if not scale.request:
        return pd.Series(data=False, index=story.load.index)
    return story.load > scale.maximum * story.target * scale.request * (1 + _TOLERANCE)


def _when(story: _Story, needs: list[Need], sizes: Mapping[str, requests.Sizes], now: datetime) -> When:
    when = requests.when_of([one for one in needs if one.kills or one.throttled or one.growth], sizes, story.usage, now)
    recent = story.load.index[-1] - pd.Timedelta(days=7)
    if story.bare or bool(_short(story, story.today)[story.load.index > recent].any()):
        when = When.NOW
    elif story.then.maximum > story.scaler.maximum or story.then.minimum > story.scaler.minimum:
        when = min(when, When.MONTH, key=lambda one: one.rank)
    return when


def _reasons(story: _Story, needs: list[Need]) -> Iterator[str]:
    """Yield the reasons, the one that weighs most first."""
    if story.bare:
        yield f"{', '.join(story.bare)} asks for no CPU: the autoscaler cannot compute a share of nothing"
    short = float(_short(story, story.today).sum()) * story.step
    yield from () if short else requests.leaking(needs)
    if short:
        yield (
            f"at its ceiling of {story.scaler.maximum} it lacked pods for {format_duration(short)}; its peak of "
            f"{load_text(story.peak)} needs {story.then.wanted(story.peak, story.target)}"
        )
    most = max(story.others, key=lambda name: story.others[name], default="")
    if most and story.others[most] > max(story.scaler.maximum, story.then.wanted(story.peak, story.target)):
        yield f"{most} asks for up to {math.ceil(story.others[most])} replicas of {story.scaler.maximum}"
    if story.then.maximum > story.scaler.maximum:
        wanted = story.today.wanted(story.peak, story.target)
        yield f"a peak of {load_text(story.peak)} needs {wanted} replicas, and it may make {story.scaler.maximum}"
    if story.then.request < story.today.request:
        yield (
            f"{story.scaler.minimum} pods reserve {load_text(story.scaler.minimum * story.today.request)} for a "
            f"usual load of {load_text(usual_of(story.load))}"
        )
    if story.then.minimum > story.scaler.minimum:
        yield "with one replica, one lost pod is an outage"
    yield "what its containers ask for does not fit what they use"


def _evidence(story: _Story, ahead: float | None) -> Iterator[str]:
    most, usual = float(story.load.max()), usual_of(story.load)
    yield f"all pods together: usually {load_text(usual)}, at most {load_text(most)}"
    held = f"a peak of {load_text(story.peak)} is held: "
    expected = ahead is not None and ahead > most * _HOLD
    yield held + ("the late end of what is forecast" if expected else f"{_HOLD - 1:.0%} above the highest seen")
    if story.usage.pods is not None and len(pods := clean(story.usage.pods)):
        at_ceiling = float((pods >= story.scaler.maximum).sum()) * step_of(pods)
        low, high = f"{pods.min():.0f}", f"{pods.max():.0f}"
        full = f", {format_duration(at_ceiling)} of it at the ceiling" if at_ceiling else ", never at its ceiling"
        yield (f"it always had {low} pods" if low == high else f"it had {low} to {high} pods") + full


def _replay(story: _Story) -> Iterator[Replayed]:
    minutes = [round(float(_short(story, scale).sum()) * story.step / 60, 1) for scale in (story.today, story.then)]
    yield Replayed(what="minutes short of pods", before=minutes[0], after=minutes[1])
    before, after = story.pods(story.today), story.pods(story.then)
    yield Replayed(what="pods on average", before=round(float(before.mean()), 2), after=round(float(after.mean()), 2))
    yield Replayed(
        what="cores reserved on average",
        before=round(float(before.mean()) * story.today.request, 2),
        after=round(float(after.mean()) * story.then.request, 2),
        note="the autoscaler's own algorithm over the load that was measured",
    )


def _saving(story: _Story, sizes: Mapping[str, requests.Sizes]) -> Saving:
    before, after = float(story.pods(story.today).mean()), float(story.pods(story.then).mean())
    each = requests.saving(story.workload, sizes, 1.0)
    memory = story.workload.reserved("memory")
    return Saving(
        cores=round(before * story.today.request - after * story.then.request, 4),
        memory=before * memory - after * (memory - each.memory),
    )


def _risk(story: _Story, needs: list[Need], sizes: Mapping[str, requests.Sizes]) -> str:
    most, leaks = story.then.maximum * story.then.request, requests.leak_words([one for one in needs if one.growth])
    return (
        f"at its ceiling it asks for {load_text(most)}: see that the nodes have them, and that what it talks to "
        f"takes the connections of {story.then.maximum} pods; {'; '.join((*leaks, requests.risk(needs, sizes)))}"
    )


def _unknown(story: _Story, needs: list[Need]) -> Iterator[str]:
    others = [one.metric for one in story.scaler.targets if one.metric not in ("cpu", "memory", *story.others)]
    if others:
        yield f"how many replicas {', '.join(others)} asks for"
    if any(one.throttled for one in needs):
        yield "how high the load would have been without the CPU limit that held it back"
    yield from requests.unknown(needs)


def _patches(story: _Story, sizes: Mapping[str, requests.Sizes]) -> Iterator[Patch]:
    if any(True for _ in requests.changed(story.workload.running, sizes)):
        yield requests.patch(story.workload, sizes)
    if any(True for _ in _bounds(story.scaler, story.then)):
        yield bounds_patch(story.scaler, story.workload.namespace, story.then.minimum, story.then.maximum)


def bounds_patch(scaler: Autoscaler, namespace: str, minimum: int, maximum: int) -> Patch:
    """Return the patch of an autoscaler's bounds; a ScaledObject's where KEDA owns the autoscaler."""
    if scaler.triggers:
        body = {"spec": {"minReplicaCount": minimum, "maxReplicaCount": maximum}}
        return requests.kubectl_patch("scaledobject.keda.sh", scaler.name, namespace, body, "merge")
    body = {"spec": {"minReplicas": minimum, "maxReplicas": maximum}}
    return requests.kubectl_patch("hpa", scaler.name, namespace, body, "merge")
