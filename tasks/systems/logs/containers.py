"""Logs of containers: of Compose services through the Docker Engine, of pods through the Kubernetes API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tasks.clients.cluster import Connection, Object, Place
from tasks.clients.docker import SERVICE, Engine, engine
from tasks.clients.threads import in_thread
from tasks.core.errors import Garbled, NotOffered, PermanentError, Unreachable, WatchkeeperError
from tasks.core.results import Gap
from tasks.core.system import Access
from tasks.systems.logs.sources import MOST_LINES, Haul, Taken
from tasks.systems.logs.spec import Spec

_MOST_OF_ONE = 8 << 20
_MOST_CONTAINERS = 100


async def read_compose(spec: Spec, through: Any, access: Access, seconds: float) -> Haul:
    """Read the logs of the services of a Compose project since the time looked back."""
    haul, start = Haul(), access.now() - spec.since
    async with engine(access.resolver.resolve(through.engine), seconds, access.ca_bundle) as docker:
        await docker.version()
        found = await docker.containers(through.project)
        wanted = [one for one in found if not spec.services or one["Labels"][SERVICE] in spec.services]
        there = {one["Labels"][SERVICE] for one in wanted}
        haul.gaps += [_nothing(service) for service in spec.services if service not in there]
        if not wanted:
            raise PermanentError(f"the project {through.project} has no container whose log could be read")
        for container in wanted[:_MOST_CONTAINERS]:
            await _read_container(docker, container, start, haul)
    _say_left_out(haul, len(wanted))
    return haul


def _nothing(service: str) -> Gap:
    error = PermanentError(f"the service {service} has no container", hint="See whether it runs.")
    return Gap.of(error, "bytes_read", service)


async def _read_container(docker: Engine, container: Object, start: datetime, haul: Haul) -> None:
    name = str((container.get("Names") or [container["Id"][:12]])[0]).lstrip("/")
    most = min(haul.room, _MOST_OF_ONE)
    try:
        text, cut = await docker.logs(container["Id"], since=start.timestamp(), most=most, lines=MOST_LINES)
    except Unreachable:
        raise
    except WatchkeeperError as error:
        haul.gaps.append(Gap.of(error, "bytes_read", name))
        return
    lines = (line.partition(b" ")[2] for line in text.split(b"\n"))
    haul.taken.append(_taken(name, b"\n".join(lines), cut=cut))


async def read_pods(spec: Spec, through: Any, access: Access, seconds: float) -> Haul:
    """Read the logs of the pods that a selector chooses since the time looked back."""
    place = Place.of(through, access, seconds)
    return await in_thread(_read_pods, place, through.namespace, spec.selector, spec.since)


def _read_pods(place: Place, namespace: str, selector: str | None, since: timedelta) -> Haul:
    haul, connection = Haul(), Connection(place)
    path = f"/api/v1/namespaces/{namespace}/pods"
    try:
        query = {"labelSelector": selector} if selector else {}
        pods = [(pod["metadata"]["name"], pod["spec"]["containers"]) for pod in connection.pages(path, **query)]
        wanted = [(pod, container["name"]) for pod, containers in pods for container in containers]
        if not wanted:
            raise PermanentError(f"no pod matches {selector}" if selector else "there are no pods")
        for pod, container in wanted[:_MOST_CONTAINERS]:
            _read_pod(connection, f"{path}/{pod}/log", f"{pod}/{container}", since, haul)
    except (KeyError, TypeError, AttributeError) as error:
        raise Garbled(f"the answer lacks what the API promises: {type(error).__name__}") from error
    finally:
        connection.close()
    _say_left_out(haul, len(wanted))
    return haul


def _read_pod(connection: Connection, path: str, name: str, since: timedelta, haul: Haul) -> None:
    most = min(haul.room, _MOST_OF_ONE)
    query = {"sinceSeconds": f"{since.total_seconds():.0f}", "tailLines": str(MOST_LINES)}
    container = name.partition("/")[2]
    try:
        text = connection.text(path, most, container=container, limitBytes=str(max(most, 1)), **query)
    except Unreachable:
        raise
    except NotOffered:
        haul.taken.append(Taken(name, b"", "it has gone"))
    except Garbled as error:
        haul.taken.append(Taken(name, b"", error.message))  # one that has not started yet has no log
    except WatchkeeperError as error:
        haul.gaps.append(Gap.of(error, "bytes_read", name))
    else:
        haul.taken.append(_taken(name, text, cut=len(text) >= most))


def _taken(name: str, text: bytes, *, cut: bool) -> Taken:
    return Taken(name, text, "only the beginning of its log was read" if cut else "")


def _say_left_out(haul: Haul, there: int) -> None:
    if there > _MOST_CONTAINERS:
        haul.taken.append(Taken("the others", b"", f"{there - _MOST_CONTAINERS} containers were left out"))
