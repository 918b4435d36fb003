"""Data stays where it may be."""

from __future__ import annotations

from fnmatch import fnmatch

from tasks.controls.platform.cases import place, unasked, unseen
from tasks.controls.platform.common import control
from tasks.core.audit import Part, Place, each
from tasks.core.compliance import Facts
from tasks.core.compliance_plan import Residency
from tasks.core.control import Breach, Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge nodes, buckets, replicas, standbys and vaults: as they tell themselves, else as the spec says."""
    if (allowed := facts.plan.residency) is None:
        return unasked("where data may be")
    judged = unseen(facts, Part.PLACES, Judgement())
    judged.gaps += [
        f"{name}: {told.gaps[Part.PLACES]}" for name, told in facts.told.vaults.items() if Part.PLACES in told.gaps
    ]
    told_of = set()
    for audits in (facts.told.audits, facts.told.vaults):
        for system, one in each(audits, Part.PLACES):
            told_of |= {system, system.removeprefix("vault "), one.name}
            _judge(system.removeprefix("vault "), one, allowed, judged)
    for name in allowed.places:
        if name not in told_of:
            _judge(name, Place(name, name=name), allowed, judged)
    return judged


def _judge(system: str, one: Place, allowed: Residency, judged: Judgement) -> None:
    stated = allowed.places.get(one.name) or allowed.places.get(system, "")
    region = one.region or stated
    if not region:
        judged.gaps.append(f"{system}, {one.what}: it does not tell where it is, and neither does the spec")
        return
    judged.looked += 1
    if not any(fnmatch(region, pattern) for pattern in allowed.regions):
        by = "" if one.region else ", as the spec says"
        judged.breaches.append(Breach(f"{one.what} is in {region}{by}", {"system": system, "name": one.what}))


CONTROL = control(
    "data-residency",
    "Data stays in the regions that are allowed",
    proves="Every node, bucket, replica, standby and vault is in a region that the spec allows: as its labels, "
    "its store or the tags of its member tell, and where none does, as the spec says itself.",
    severity=Severity.CRITICAL,
    remedy="Move what is named, and see what brought it there.",
    judge=judge,
    bad=lambda: place("eu-central-1"),
    good=lambda: place("uz-tashkent"),
    soc2=("CC6.1",),
    iso=("A.5.31", "A.5.34"),
    gdpr=("Art. 44",),
    attestable=True,
)
