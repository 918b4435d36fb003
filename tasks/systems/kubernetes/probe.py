"""Measures the workloads of a namespace through the Kubernetes API. Needs the rights of `role.yaml`, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from time import perf_counter

from tasks.clients.cluster import Connection, Place
from tasks.clients.threads import in_thread
from tasks.core.errors import Denied, NotOffered, Unreachable, WatchkeeperError
from tasks.core.results import Gap, Outcome, Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.autoscalers import read_autoscalers
from tasks.systems.kubernetes.certificates import read_certificates
from tasks.systems.kubernetes.claims import read_claims
from tasks.systems.kubernetes.jobs import read_cron_jobs, read_jobs
from tasks.systems.kubernetes.nodes import read_node_usage, read_nodes
from tasks.systems.kubernetes.pods import read_pods
from tasks.systems.kubernetes.services import read_services
from tasks.systems.kubernetes.spec import CATALOG, Spec
from tasks.systems.kubernetes.usage import read_usage
from tasks.systems.kubernetes.warning_events import read_warnings
from tasks.systems.kubernetes.workloads import read_deployments, read_stateful_sets

Part = Callable[[Connection, Spec, Access], list[Reading]]

_PARTS: tuple[tuple[Part, tuple[str, ...]], ...] = (
    (read_deployments, ("available", "rollout_stuck")),
    (read_stateful_sets, ("available",)),
    (read_pods, ("pods_not_ready", "restarts")),
    (read_services, ("services_without_endpoints", "endpoints")),
    (read_nodes, ("nodes_ready",)),
    (read_node_usage, ("node_cpu", "node_memory")),
    (read_warnings, ("warnings",)),
    (read_autoscalers, ("hpa_at_ceiling",)),
    (read_usage, ("cpu", "memory")),
    (read_jobs, ("jobs_failed",)),
    (read_cron_jobs, ("missed_runs",)),
    (read_claims, ("claims_not_bound",)),
    (read_certificates, ("certificate_ready", "certificate_expires_in")),
)
"""What is read, one after the other, and the measurements that are missing when it cannot be."""


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield the state of workloads, pods, nodes, events and autoscalers. Source: the API server, and metrics-server."""
    connection = await in_thread(Connection, Place.of(spec, access, spec.timeout.total_seconds()))
    try:
        began, sent = perf_counter(), access.now()
        await in_thread(connection.get, "/version")
        yield CATALOG.read("latency", perf_counter() - began, at=access.now())
        if (ahead := connection.set_clock(sent, access.now())) is not None:
            side = "ahead of" if ahead > timedelta(0) else "behind"
            note = f"the server's clock is {side} this host's" if ahead else ""
            yield CATALOG.read("clock_skew", abs(ahead).total_seconds(), at=access.now(), note=note)
        for part, missing in _PARTS:
            for reading in await _part(part, missing, connection, spec, access):
                yield reading
    finally:
        connection.close()


async def _part(
    part: Part, missing: tuple[str, ...], connection: Connection, spec: Spec, access: Access
) -> list[Reading]:
    """Read one part; what is refused or not there is a gap, and the others go on."""
    try:
        return await in_thread(part, connection, spec, access)
    except Unreachable:
        raise
    except WatchkeeperError as error:
        return [
            Gap(outcome=_outcome(error, name, spec), name=name, reason=error.message, hint=error.hint or "")
            for name in missing
            if name != "endpoints" or spec.services
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"the answer lacks what the API promises: {type(error).__name__}: {error}"
        return [Gap(outcome=Outcome.ERRORED, name=name, reason=reason) for name in missing]


def _outcome(error: WatchkeeperError, name: str, spec: Spec) -> Outcome:
    """Tell whether a part that was refused was asked for: then it is errored, else only not checked."""
    if isinstance(error, NotOffered) or (isinstance(error, Denied) and name not in _wanted(spec)):
        return Outcome.NOT_CHECKED
    return Outcome.ERRORED


def _wanted(spec: Spec) -> set[str]:
    """Return the measurements that the spec asks for by a limit, or by naming what they are of."""
    of = {
        "available": spec.deployments or spec.stateful_sets,
        "rollout_stuck": spec.deployments,
        "endpoints": spec.services,
        "certificate_ready": spec.certificates,
        "certificate_expires_in": spec.certificates,
    }
    return {*spec.limits, *(name for name, named in of.items() if named)}
