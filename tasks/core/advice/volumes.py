"""PersistentVolumeClaims and buckets: a size that holds for as long as the spec wants, below the bound that warns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

import pandas as pd

from tasks.core.advice.amounts import GIB, memory_text
from tasks.core.advice.expected import Expected, expected
from tasks.core.advice.facts import Claim
from tasks.core.advice.model import Advice, Change, Fine, Judged, Replayed, Saving, Unjudged, When
from tasks.core.advice.needs import clean, step_of
from tasks.core.advice.requests import kubectl_patch
from tasks.core.units import format_bytes

_STEPS = ((100 * GIB, 5 * GIB), (1000 * GIB, 50 * GIB))
_LAST_STEP = 250 * GIB
_SOON = 14.0


def whole_size(size: float) -> float:
    """Round the size of a volume up: to 1 GiB up to 10 GiB, then to 5, 50 and 250."""
    step = GIB if size <= 10 * GIB else next((step for most, step in _STEPS if size <= most), _LAST_STEP)
    return math.ceil(size / step - 1e-9) * step


def advise_claim(
    key: str, claim: Claim, used: pd.Series[float] | None, hold: timedelta, *, alert: float = 0.8, reason: str = ""
) -> Judged:
    """Say how large a claim should be. It never shrinks: no volume can.

    Args:
        key: `cluster/pvc/minio-data`.
        claim: As it is.
        used: Bytes on it over time.
        hold: For how long the size must be enough.
        alert: The share at which people are warned.
        reason: Why nothing is known of its use.
    """
    ahead = _ahead(used, hold, reason)
    if isinstance(ahead, str) or used is None:
        return Unjudged(key=key, kind="volume", reason=str(ahead))
    wanted = whole_size(max(ahead.high, float(clean(used).max())) / alert)
    if wanted <= claim.size:
        note = f"{format_bytes(ahead.high)} of {memory_text(claim.size)} at most in {ahead.days:.0f} days"
        return Fine(key=key, kind="volume", note=note)
    body = {"spec": {"resources": {"requests": {"storage": memory_text(wanted)}}}}
    return Advice(
        key=key,
        kind="volume",
        when=_when(used, claim.size, alert),
        do=f"grow it: {memory_text(claim.size)} → {memory_text(wanted)}",
        why=_why(used, claim.size, ahead),
        changes=(Change(what="size", before=memory_text(claim.size), after=memory_text(wanted)),),
        evidence=tuple(_evidence(used, ahead, claim.size)),
        replay=_replay(used, claim.size, wanted, alert),
        saving=Saving(storage=claim.size - wanted),
        risk=_claim_risk(claim),
        unknown=() if claim.expandable is not None else ("whether its StorageClass lets it grow",),
        patches=()
        if claim.expandable is False
        else (kubectl_patch("pvc", claim.name, claim.namespace, body, "merge"),),
    )


def advise_bucket(
    key: str,
    quota: float | None,
    used: pd.Series[float] | None,
    hold: timedelta,
    *,
    alert: float = 0.8,
    ages: str = "",
    reason: str = "",
) -> Judged:
    """Say whether a bucket's quota is enough.

    Args:
        key: `storage`.
        quota: Bytes that it may hold; None without one.
        used: Bytes in it over time.
        hold: For how long.
        alert: The share at which people are warned.
        ages: What is known of lifecycle rules, for a person: they give room back without a larger quota.
        reason: Why nothing is known of its use.
    """
    ahead = _ahead(used, hold, reason)
    if isinstance(ahead, str) or used is None:
        return Unjudged(key=key, kind="bucket", reason=str(ahead))
    if quota is None:
        note = f"{format_bytes(ahead.high)} at most in {ahead.days:.0f} days; it has no quota"
        return Fine(key=key, kind="bucket", note=note)
    wanted = whole_size(max(ahead.high, float(clean(used).max())) / alert)
    if wanted <= quota:
        note = f"{format_bytes(ahead.high)} of {format_bytes(quota)} at most in {ahead.days:.0f} days"
        return Fine(key=key, kind="bucket", note=note)
    return Advice(
        key=key,
        kind="bucket",
        when=_when(used, quota, alert),
        do=f"give it room for {format_bytes(wanted)} instead of {format_bytes(quota)}, or remove what is old",
        why=_why(used, quota, ahead),
        changes=(Change(what="quota", before=format_bytes(quota), after=format_bytes(wanted)),),
        evidence=(*_evidence(used, ahead, quota), *((ages,) if ages else ())),
        replay=_replay(used, quota, wanted, alert),
        saving=Saving(storage=quota - wanted),
        risk="where a volume lies beneath, it must grow too; a lifecycle rule removes for ever what it matches",
    )


def _ahead(used: pd.Series[float] | None, hold: timedelta, reason: str) -> Expected | str:
    if used is None or not len(used):
        return reason or "nothing is known of its use"
    return expected(used, hold, every="6h")


def _when(used: pd.Series[float], size: float, alert: float) -> When:
    """Tell how soon: at once where the bound that warns is crossed or will be within two weeks as things go."""
    soon = expected(used, timedelta(days=_SOON), every="6h")
    middle = soon.middle if isinstance(soon, Expected) else 0.0
    return When.NOW if max(middle, float(clean(used).iloc[-1])) >= alert * size else When.MONTH


def _why(used: pd.Series[float], size: float, ahead: Expected) -> str:
    now = float(clean(used).iloc[-1])
    return (
        f"{now / size:.0%} of it is used, and in {ahead.days:.0f} days it is {format_bytes(ahead.middle)}, at most "
        f"{format_bytes(ahead.high)}"
    )


def _evidence(used: pd.Series[float], ahead: Expected, size: float) -> Iterator[str]:
    known = clean(used)
    days = max((known.index[-1] - known.index[0]).total_seconds() / 86400, 1 / 24)
    yield f"now {format_bytes(float(known.iloc[-1]))} of {format_bytes(size)}"
    yield f"it grew by {format_bytes((float(known.iloc[-1]) - float(known.iloc[0])) / days)} a day over {days:.0f} days"
    yield f"forecast {ahead.days:.0f} days ahead, 80% interval"


def _replay(used: pd.Series[float], before: float, after: float, alert: float) -> tuple[Replayed, ...]:
    known, step = clean(used), step_of(clean(used))
    hours = [round(float((known > alert * size).sum()) * step / 3600, 1) for size in (before, after)]
    return (Replayed(what=f"hours above {alert:.0%}", before=hours[0], after=hours[1]),)


def _claim_risk(claim: Claim) -> str:
    if claim.expandable is False:
        return (
            f"the StorageClass {claim.storage_class} does not let a volume grow: it takes a new claim, and the data "
            "copied while nobody writes"
        )
    return "a volume cannot shrink again; some drivers want the pod started anew"
