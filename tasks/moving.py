"""The move to another region, as a drill rehearses it. Without Prefect."""

from __future__ import annotations

from tasks.core.drill_plan import Failover
from tasks.core.errors import WatchkeeperError
from tasks.core.platform import PlatformSpec
from tasks.core.restore import Assertion
from tasks.core.results import Outcome
from tasks.core.system import Access
from tasks.systems import kinds


def rehearsed(platform: PlatformSpec, plan: Failover, access: Access) -> list[Assertion]:
    """Try a service's move by a dry run, and tell what holds; what could not be told is errored."""
    name = f"{plan.service} can be moved to the other region"
    spec = platform.systems[plan.cluster]
    rehearse = kinds()[spec.kind].rehearsal()
    if rehearse is None:
        note = f"systems of kind {spec.kind} have no services to move"
        return [Assertion(name=name, level=3, outcome=Outcome.ERRORED, note=note)]
    try:
        return rehearse(spec, access, plan.service, plan.selector)
    except WatchkeeperError as error:
        return [Assertion(name=name, level=3, outcome=Outcome.ERRORED, note=access.resolver.scrub(error.message))]
