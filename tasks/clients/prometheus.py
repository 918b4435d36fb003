"""The query API of Prometheus, for every kind that reads metrics; the answers are checked and bounded."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from tasks.clients.http import Answer, fetch, too_long
from tasks.core.errors import Denied, Garbled, NotOffered, PermanentError, Unreachable
from tasks.core.results import Sample

MAX_SERIES = 50
_MAX_BODY = 8 << 20
_POINTS = 60  # in the time that a breach must hold, so that "since when" is known to about two percent of it
_LATE = timedelta(seconds=60)  # servers answer without the newest samples, VictoriaMetrics without the last 30 s
_SHOWN = 200

Labels = frozenset[tuple[str, str]]


class _Envelope(BaseModel):
    """What every answer is wrapped in."""

    status: str
    data: Any = None
    error_type: str = Field("", alias="errorType")
    error: str = ""
    warnings: tuple[str, ...] = ()


class _Series(BaseModel):
    metric: dict[str, str] = Field(default_factory=dict)
    value: tuple[float, str] | None = None
    values: tuple[tuple[float, str], ...] | None = None


class Alert(BaseModel):
    """One alert that is pending or fires."""

    labels: dict[str, str]
    state: str
    annotations: dict[str, str] = Field(default_factory=dict)
    active_at: AwareDatetime | None = Field(None, alias="activeAt")

    @property
    def name(self) -> str:
        """What its rule is called."""
        return self.labels.get("alertname", "without a name")


class AlertRule(BaseModel):
    """One alerting rule that the server evaluates."""

    name: str
    state: str = "inactive"
    labels: dict[str, str] = Field(default_factory=dict)
    health: str = "unknown"
    last_error: str = Field("", alias="lastError")


@dataclass(frozen=True)
class Answered:
    """The values of an instant query by labels, and what the server warns of."""

    values: Mapping[Labels, float]
    warnings: tuple[str, ...]


class Api:
    """Asks one server within what is left of the check's time.

    Args:
        client: From `tasks.clients.http.session`.
        end: When the event loop's clock says that the time is over.
        patience: How many seconds one answer may take; as long as there is time where None.

    Attributes:
        date: The header `Date` of the answer to `greet`.
    """

    def __init__(self, client: httpx.AsyncClient, end: float, *, patience: float | None = None) -> None:
        self._client, self._end, self._patience = client, end, patience
        self.date = ""

    async def greet(self) -> float:
        """Make the first contact with a trivial query; return how many seconds it took, and keep the answer's date.

        Raises:
            WatchkeeperError: There is no query API that lets us in at this address.
        """
        answer = await self._get("query", {"query": "1"})
        _opened(answer)
        self.date = answer.date
        return answer.seconds

    async def query(self, promql: str, at: datetime, *, most: int = MAX_SERIES) -> Answered:
        """Answer a query with one number for each of at most so many series.

        Raises:
            PermanentError: The server refuses the query, or it answers no numbers; the message says why.
            Unreachable: It did not answer in time.
        """
        envelope = _opened(await self._get("query", {"query": promql, "time": _stamp(at)}))
        kind, result = _result(envelope)
        match kind:
            case "scalar":
                return Answered({frozenset(): _number(result)}, envelope.warnings)
            case "vector":
                return Answered(
                    {_labels(series): _number(series.value) for series in _listed(result, most)}, envelope.warnings
                )
            case "matrix":
                raise PermanentError("it answers a range of samples: wrap it in a function such as avg_over_time()")
            case _:
                raise PermanentError(f"it answers a {kind}, not numbers")

    async def history(self, promql: str, until: datetime, window: timedelta) -> Mapping[Labels, tuple[Sample, ...]]:
        """Return each series' samples over twice a window, as far back as they are without a gap.

        A series that has already ended is left out: what it was says nothing of what is.

        Raises:
            PermanentError: The server refuses the query.
            Unreachable: It did not answer in time.
        """
        step = timedelta(seconds=max(1, math.ceil(window.total_seconds() / _POINTS)))
        parameters = {"query": promql, "start": _stamp(until - 2 * window), "end": _stamp(until)}
        answer = await self._get("query_range", parameters | {"step": f"{step.total_seconds():g}"})
        _, result = _result(_opened(answer))
        histories = {_labels(series): _unbroken(series.values or (), step) for series in _listed(result)}
        late = until - max(_LATE, 2 * step)
        return {labels: samples for labels, samples in histories.items() if samples and samples[-1].at >= late}

    async def window(
        self, promql: str, since: datetime, until: datetime, step: timedelta, *, most: int = MAX_SERIES
    ) -> Mapping[Labels, tuple[tuple[float, float], ...]]:
        """Return the samples of each of at most so many series between two times, both included.

        A sample is the seconds since 1970, and the value.

        Raises:
            PermanentError: The server refuses the query, or so many points.
            Unreachable: It did not answer in time.
        """
        parameters = {"query": promql, "start": _stamp(since), "end": _stamp(until)}
        answer = await self._get("query_range", parameters | {"step": f"{step.total_seconds():g}"})
        _, result = _result(_opened(answer))
        return {
            _labels(series): tuple((stamp, _number((stamp, text))) for stamp, text in series.values or ())
            for series in _listed(result, most)
        }

    async def alerts(self) -> list[Alert]:
        """Return the alerts that are pending or fire.

        Raises:
            NotOffered: This server evaluates no alerts.
            Garbled: The answer is not of the documented form.
        """
        data = _opened(await self._offered("alerts", {})).data
        try:
            return [Alert.model_validate(alert) for alert in data["alerts"] or ()]
        except (ValidationError, TypeError, KeyError):
            raise Garbled("its list of alerts is not of the form that Prometheus documents") from None

    async def alert_rules(self) -> list[AlertRule]:
        """Return the alerting rules that the server evaluates.

        Raises:
            NotOffered: This server evaluates no rules.
            Garbled: The answer is not of the documented form.
        """
        data = _opened(await self._offered("rules", {"type": "alert"})).data
        try:
            rules = [rule for group in data["groups"] or () for rule in group["rules"] or ()]
            return [AlertRule.model_validate(rule) for rule in rules if rule.get("type", "alerting") == "alerting"]
        except (ValidationError, TypeError, KeyError, AttributeError):
            raise Garbled("its list of rules is not of the form that Prometheus documents") from None

    async def _offered(self, endpoint: str, parameters: Mapping[str, str]) -> Answer:
        answer = await self._get(endpoint, parameters)
        if answer.status in (400, 404, 405, 501):
            raise NotOffered(f"this server has no /api/v1/{endpoint}", hint="ask the server that evaluates the rules")
        return answer

    async def _get(self, endpoint: str, parameters: Mapping[str, str]) -> Answer:
        left = max(self._end - asyncio.get_running_loop().time(), 0)
        seconds = left if self._patience is None else min(left, self._patience)
        bound = {} if endpoint in ("alerts", "rules") else {"timeout": f"{max(math.floor(seconds * 1000), 1)}ms"}
        return await fetch(
            self._client,
            "GET",
            f"/api/v1/{endpoint}",
            params=dict(parameters) | bound,
            seconds=seconds,
            limit=_MAX_BODY,
        )


def _opened(answer: Answer) -> _Envelope:
    """Open an answer's envelope.

    Raises:
        PermanentError: The server refuses, with its own words; or it is no Prometheus.
        Unreachable: The server, or what stands before it, is broken.
    """
    if answer.status in (401, 403):
        raise Denied(f"status {answer.status} {answer.reason}".rstrip(), hint="check the token behind the reference")
    if answer.broken:
        raise Unreachable(answer.broken)
    if answer.cut:
        raise Garbled(f"its answer is refused: {too_long(_MAX_BODY)}", hint="aggregate in the query")
    try:
        envelope = _Envelope.model_validate(json.loads(answer.body))
    except (ValueError, RecursionError):
        raise _no_prometheus(answer) from None
    if envelope.status != "success":
        raise PermanentError(f"{envelope.error_type or 'error'}: {envelope.error}"[:_SHOWN])
    return envelope


def _no_prometheus(answer: Answer) -> Unreachable | Garbled:
    said = f"status {answer.status} {answer.reason}".rstrip()
    if answer.status >= 500:  # noqa: PLR2004
        return Unreachable(said)
    if answer.status == 404:  # noqa: PLR2004
        return Garbled(f"{said}: there is no query API at this address", hint="give the address before /api/v1")
    where = f", which leads to {answer.location}"[:_SHOWN] if answer.location else ""
    return Garbled(f"{said}{where}: the answer is not the JSON of a Prometheus")


def _result(envelope: _Envelope) -> tuple[str, Any]:
    data = envelope.data
    if not isinstance(data, dict) or not isinstance(data.get("resultType"), str):
        raise Garbled("its answer has no result")
    return data["resultType"], data.get("result")


def _listed(result: Any, most: int = MAX_SERIES) -> list[_Series]:
    if not isinstance(result, list):
        raise Garbled("its result is no list of series")
    if len(result) > most:
        raise PermanentError(
            f"it answers {len(result):,} series, more than {most}", hint="aggregate, or ask for topk(20, ...)"
        )
    try:
        return [_Series.model_validate(series) for series in result]
    except ValidationError:
        raise Garbled("its series are not of the form that Prometheus documents") from None


def _labels(series: _Series) -> Labels:
    return frozenset(series.metric.items()) - {("__name__", series.metric.get("__name__", ""))}


def _number(pair: Iterable[Any] | None) -> float:
    if pair is None:
        raise PermanentError("it answers a histogram: wrap it in a function such as histogram_quantile()")
    try:
        _, text = pair
        return float(text)
    except (ValueError, TypeError):
        raise Garbled("its value is no number") from None


def _unbroken(values: Iterable[tuple[float, str]], step: timedelta) -> tuple[Sample, ...]:
    samples: list[Sample] = []
    for stamp, text in values:
        sample = Sample(datetime.fromtimestamp(stamp, UTC), _number((stamp, text)))
        if not math.isfinite(sample.value) or (samples and sample.at - samples[-1].at > 1.5 * step):
            samples.clear()
        if math.isfinite(sample.value):
            samples.append(sample)
    return tuple(samples)


def _stamp(at: datetime) -> str:
    return f"{at.timestamp():.3f}"
