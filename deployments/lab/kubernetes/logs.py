"""The logs of pods: made up from the pod's own life, and cut as the real API cuts them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from deployments.lab import log_lines
from deployments.lab.kubernetes.failures import bad_request
from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import Store, parse_timestamp, timestamp

_EVERY = timedelta(seconds=10)
_MOST = 5000
_PATHS = ("/health", "/ready", "/metrics", "/v1/items", "/v1/search")


def read(store: Store, pod: Object, query: Mapping[str, str], troubles: set[str] | None = None) -> str:
    """Return a container's log.

    Args:
        store: The cluster, for its clock.
        pod: The pod.
        query: `container`, `tailLines`, `sinceSeconds`, `sinceTime`, `timestamps`, `previous`, `limitBytes`.
        troubles: What it writes of, by the names of `log_lines.TROUBLES`.

    Raises:
        Failure: 400, as the real API words it.
    """
    container = _container(pod, query.get("container", ""))
    status = next((s for s in pod["status"].get("containerStatuses") or [] if s["name"] == container), None)
    name = pod["metadata"]["name"]
    previous = query.get("previous") == "true"
    if previous and not (status and (status.get("lastState") or {}).get("terminated")):
        raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    if not previous and (status is None or _never_ran(status)):
        reason = status["state"]["waiting"]["reason"] if status else "PodScheduled"
        what = "is waiting to start" + (": trying and failing to pull image" if "Image" in reason else f": {reason}")
        raise bad_request(f'container "{container}" in pod "{name}" {what}')
    lines = [line for line in _lines(store, pod, status or {}, troubles or set()) if line[0] >= _since(store, query)]
    if "tailLines" in query:
        count = _number(query, "tailLines")
        lines = lines[-count:] if count else []
    stamped = query.get("timestamps") == "true"
    text = "".join(f"{timestamp(at)} {line}\n" if stamped else f"{line}\n" for at, line in lines)
    return text[: _number(query, "limitBytes")] if "limitBytes" in query else text


def _container(pod: Object, wanted: str) -> str:
    names = [container["name"] for container in pod["spec"]["containers"]]
    name = pod["metadata"]["name"]
    if not wanted and len(names) > 1:
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")
    if wanted and wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    return wanted or str(names[0])


def _never_ran(status: Object) -> bool:
    return "waiting" in status["state"] and not status["restartCount"]


def _number(query: Mapping[str, str], name: str) -> int:
    if not query[name].isdigit():
        raise bad_request(f"PodLogOptions is invalid: {name}: Invalid value: must be greater than or equal to 0")
    return int(query[name])


def _since(store: Store, query: Mapping[str, str]) -> datetime:
    if "sinceSeconds" in query and "sinceTime" in query:
        raise bad_request("PodLogOptions is invalid: at most one of sinceTime or sinceSeconds may be specified")
    if "sinceSeconds" in query:
        return store.now() - timedelta(seconds=_number(query, "sinceSeconds"))
    if "sinceTime" in query:
        return parse_timestamp(query["sinceTime"])
    return store.now() - _EVERY * _MOST


def _lines(store: Store, pod: Object, status: Object, troubles: set[str]) -> list[tuple[datetime, str]]:
    began, now = parse_timestamp(pod["metadata"]["creationTimestamp"]), store.now()
    count = int((now - began) / _EVERY)
    lines = [(began, "INFO started")] if count < _MOST else []
    for index in range(max(count - _MOST, 0) + 1, count + 1):
        at, path = began + _EVERY * index, _PATHS[index % len(_PATHS)]
        told = f"INFO method=GET path={path} status=200 duration_ms={20 + index % 40}"
        lines.append((at, told if index % 3 else log_lines.visited(index, at)))
    if status.get("restartCount"):
        lines.append((now, "CRITICAL could not start: configuration is incomplete; exiting with 1"))
    return sorted([*lines, *log_lines.written(troubles, now)]) if troubles else lines
