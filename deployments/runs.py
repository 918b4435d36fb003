"""Starting a deployment through Prefect's API and following it. Plain HTTP, as loading Prefect takes seconds."""

from __future__ import annotations

import difflib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

import httpx

from deployments import stack
from tasks.core.errors import ConfigError, Denied, PermanentError, Unreachable
from tasks.core.settings import Settings

Progress = Callable[[str], None]

_TIMEOUT = 15.0
_POLL_SECONDS = 1.0
_WAITING_SECONDS = 60.0
_LOGS_AT_ONCE = 200
_NO_TRACEBACK = "\nNoneType: None"  # what Prefect adds where a task returns a failed state and raised nothing
_REFUSED = 400
_BUSY = (429, 503)
_PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
_NOT_ALLOWED = (401, 403)
_UNFIT = (409, 422)


@dataclass(frozen=True)
class Outcome:
    """What became of a run; without `follow`, that it was started."""

    id: str
    name: str
    state: str
    message: str
    url: str
    exit_code: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @property
    def text(self) -> str:
        """The same for a person."""
        return f"{self.name}: {self.state}" + (f": {self.message}" if self.message else "") + f"\n{self.url}"


def parameters(assignments: Iterable[str]) -> dict[str, Any]:
    """Read `NAME=VALUE`, where VALUE is JSON or text; a name that is given again makes a list.

    Raises:
        ConfigError: There is no `=`.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign or not name:
            raise ConfigError(f"{assignment!r} sets nothing", hint="write NAME=VALUE")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if name in values:
            earlier = values[name]
            value = [*(earlier if isinstance(earlier, list) else [earlier]), value]
        values[name] = value
    return values


def start(
    flow: str,
    platform: str,
    values: dict[str, Any],
    *,
    settings: Settings,
    follow: bool,
    progress: Progress | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Start the deployment `flow/platform`.

    Args:
        flow: The flow's name: `health-check`.
        platform: The deployment's name, which is the platform's.
        values: Parameters over the deployment's own.
        settings: Whose `state` folder holds the stack; `PREFECT_API_URL` goes before it.
        follow: Wait for the end, telling states and logs on the way.
        progress: Told of them; without, they are not read.
        pause: Sleeps for some seconds.

    Raises:
        ConfigError: No API is known, there is no such deployment, or a parameter does not fit.
        Unreachable: The API does not answer.
    """
    address = os.environ.get("PREFECT_API_URL") or stack.api_address(settings.state)
    if not address:
        raise ConfigError("no Prefect API is known", hint="watchkeeper up, or set PREFECT_API_URL")
    with Api(address, pause) as api:
        deployment = _deployment(api, flow, platform)
        wanted = _fitting(values, deployment)
        order = {"parameters": wanted, "idempotency_key": f"watchkeeper-{uuid.uuid4()}"}
        run = api.post(f"/deployments/{deployment['id']}/create_flow_run", order)
        url = f"{address.removesuffix('/api')}/runs/flow-run/{run['id']}"
        if progress is not None:
            progress(f"started {run['name']}: {url}")
        if follow:
            run = _follow(api, run, progress, pause)
        return _outcome(run, url, followed=follow)


class Api:
    """Prefect's REST API, its errors mapped in one place.

    A server that is busy for a moment (on SQLite: "database is locked") says 503; it is asked again. What is created
    carries an idempotency key, so that asking again never starts a second run.
    """

    def __init__(self, address: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._pause = pause
        auth = os.environ.get("PREFECT_API_AUTH_STRING")
        login = httpx.BasicAuth(*auth.split(":", 1)) if auth and ":" in auth else None
        self._client = httpx.Client(base_url=address.rstrip("/"), timeout=_TIMEOUT, auth=login)
        self._address = address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str) -> Any:
        """Return what is there, or None."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send a body and return the answer."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            answer = self._client.request(method, path, json=body)
            for seconds in _PATIENCE:
                if answer.status_code not in _BUSY:
                    break
                self._pause(seconds)
                answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise Unreachable(f"Prefect's API at {self._address} does not answer: {error}") from None
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code in _NOT_ALLOWED:
            raise Denied("Prefect's API refuses", hint="set PREFECT_API_AUTH_STRING")
        if answer.status_code in _UNFIT:
            raise ConfigError(f"Prefect refuses: {_detail(answer)}")
        if answer.status_code >= _REFUSED:
            raise PermanentError(f"Prefect's API answered {answer.status_code}: {_detail(answer)}")
        try:
            return answer.json()
        except ValueError:
            raise PermanentError(f"{self._address} is not Prefect's API", hint="it ends with /api") from None


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text
    return str(detail)[:500]


def _deployment(api: Api, flow: str, platform: str) -> dict[str, Any]:
    found: dict[str, Any] | None = api.get(f"/deployments/name/{flow}/{platform}")
    if found is not None:
        return found
    names = {entry["id"]: entry["name"] for entry in api.post("/flows/filter", {"limit": 200}) or ()}
    there = api.post("/deployments/filter", {"limit": 200}) or ()
    known = sorted(f"{names.get(entry['flow_id'], '?')}/{entry['name']}" for entry in there)
    close = difflib.get_close_matches(f"{flow}/{platform}", known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known) or 'none'}"
    raise ConfigError(f"there is no deployment {flow}/{platform}", hint=hint)


def _fitting(values: dict[str, Any], deployment: dict[str, Any]) -> dict[str, Any]:
    """Make a list of one value where the parameter is a list; refuse names that the flow does not have."""
    properties = (deployment.get("parameter_openapi_schema") or {}).get("properties", {})
    fitting = {}
    for name, value in values.items():
        if name not in properties:
            close = difflib.get_close_matches(name, properties, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(properties)}"
            raise ConfigError(f"the flow has no parameter {name!r}", hint=hint)
        a_list = properties[name].get("type") == "array"
        fitting[name] = [value] if a_list and not isinstance(value, list) else value
    return {**deployment.get("parameters", {}), **fitting}


def _follow(api: Api, run: dict[str, Any], progress: Progress | None, pause: Callable[[float], None]) -> dict[str, Any]:
    told = None if progress is None else _Teller(api, progress)
    while True:
        current: dict[str, Any] = api.get(f"/flow_runs/{run['id']}") or run
        if told is not None:
            told.tell(current)
        if (current["state"] or {}).get("type") in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            return current
        pause(_POLL_SECONDS)


class _Teller:
    """Tells what is new of a run: its state, its logs, and that nobody takes it."""

    def __init__(self, api: Api, progress: Progress) -> None:
        self._api, self._progress = api, progress
        self._seen, self._shown, self._waited = 0, "", 0.0

    def tell(self, run: dict[str, Any]) -> None:
        """Tell what is new."""
        state = run["state"] or {}
        if (name := state.get("name", "")) != self._shown:
            self._shown = name
            self._progress(f"{run['name']} is {name}")
        self._seen += _show_logs(self._api, run["id"], self._seen, self._progress)
        if state.get("type") == "SCHEDULED":
            self._waited += _POLL_SECONDS
            if self._waited == _WAITING_SECONDS:
                self._progress("no worker has taken it for a minute: is one up? (watchkeeper status)")


def _show_logs(api: Api, run: str, seen: int, progress: Progress) -> int:
    asked = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "offset": seen, "limit": _LOGS_AT_ONCE}
    lines = api.post("/logs/filter", asked) or ()
    for line in lines:
        progress(f"{line['timestamp'][11:19]} {line['message'].removesuffix(_NO_TRACEBACK)}")
    return len(lines)


def _outcome(run: dict[str, Any], url: str, *, followed: bool) -> Outcome:
    state = run["state"] or {}
    name, message = state.get("name", "Scheduled"), state.get("message") or ""
    code = _exit_code(state.get("type", ""), name) if followed else 0
    return Outcome(run["id"], run["name"], name, message, url, code)


def _exit_code(kind: str, name: str) -> int:
    """Return 0 for fine, 1 for findings, 2 where the run itself did not come to an end."""
    if kind == "COMPLETED":
        return 1 if name == "Warned" else 0
    return 1 if kind == "FAILED" else 2
