"""Asking the lab's real stores, as the platforms' services do before they call themselves ready."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any

_SECONDS = 1.5
_PATIENCE = 2.5
"""libpq counts its time-out in whole seconds, at least two."""

_REASONS = (
    (r"refused", "connection refused"),
    (r"reset|closed the connection|closed by|server closed|EOF", "connection lost"),
    (r"time.?out|timed out", "no answer in time"),
    (r"auth|password|WRONGPASS|NOAUTH|denied|403|401", "access denied"),
    (r"too many connections|remaining connection slots", "no connection left"),
    (r"OOM|READONLY|MISCONF", "it refuses writes"),
)


class Unhappy(Exception):
    """A store answered, and not as a healthy one does."""


@dataclass(frozen=True)
class Condition:
    """How a store answered."""

    ok: bool
    seconds: float
    error: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as a health document shows it."""
        shown: dict[str, Any] = {"status": "up" if self.ok else "down", "latency_ms": round(self.seconds * 1000, 1)}
        return shown if self.ok else shown | {"error": self.error}


class Stores:
    """The stores of one platform, found in the environment that its spec's references name.

    Connections are kept, as a service keeps its pool; one that went bad is replaced before a store is called down.

    Args:
        platform: The platform's name; its variables begin with it.
        environment: Names and values, `APEX_DATABASE_URL` and so on. `APEX_APP_DATABASE_URL`, where it is given, is
            what the platform's own services connect with; Watchkeeper's own user may do less.
    """

    def __init__(self, platform: str, environment: Mapping[str, str]) -> None:
        self._prefix = platform.upper().replace("-", "_") + "_"
        self._environment = environment
        self._postgres = _Postgres(self._own("DATABASE_URL"))
        questions = {
            "database": ("DATABASE_URL", self._ask_database),
            "cache": ("REDIS_URL", lambda: self.redis().ping()),
            "storage": ("S3_URL", self._ask_s3),
            "metrics": ("PROMETHEUS_URL", lambda: fetch(f"{self.value('PROMETHEUS_URL')}/api/v1/query?query=1")),
            "search": ("SEARCH_URL", lambda: fetch(f"{self.value('SEARCH_URL')}/_cluster/health")),
            "messages": ("NATS_URL", lambda: fetch(f"{self.value('NATS_URL')}/healthz")),
        }
        self._ask: dict[str, Callable[[], object]] = {
            name: ask for name, (variable, ask) in questions.items() if self.value(variable)
        }

    def _own(self, name: str) -> str:
        return self.value(f"APP_{name}") or self.value(name) or ""

    def value(self, name: str) -> str | None:
        """Return the platform's own variable: `REDIS_URL` for `APEX_REDIS_URL`."""
        return self._environment.get(self._prefix + name)

    def close(self) -> None:
        """Close what is kept open."""
        self._postgres.close()
        for name in ("_mongodb", "_redis"):
            if name in self.__dict__:
                self.__dict__[name].close()

    def check(self, names: Iterable[str]) -> dict[str, Condition]:
        """Ask those of the named stores that the platform has, at the same time, and say how they are."""
        return self.ask({name: self._ask[name] for name in names if name in self._ask})

    def ask(self, questions: Mapping[str, Callable[[], object]]) -> dict[str, Condition]:
        """Put questions at the same time; what raises is down, and so is what does not answer in time."""
        pool = ThreadPoolExecutor(max_workers=max(1, len(questions)))
        pending = {name: pool.submit(_condition, question) for name, question in questions.items()}
        wait(pending.values(), timeout=_PATIENCE)
        pool.shutdown(wait=False)
        late = Condition(ok=False, seconds=_PATIENCE, error="no answer in time")
        return {name: future.result() if future.done() else late for name, future in pending.items()}

    def query(self, statement: str, values: tuple[object, ...] = ()) -> tuple[Any, ...]:
        """Return the first row of a query on the platform's PostgreSQL."""
        return self._postgres.query(statement, values)

    def _ask_database(self) -> object:
        if self._own("DATABASE_URL").startswith("mongodb"):
            return self._mongodb.admin.command("ping")
        return self.query("SELECT 1")

    @cached_property
    def _mongodb(self) -> Any:
        import pymongo  # noqa: PLC0415 - drivers are loaded after the ports are open

        limit = int(_SECONDS * 1000)
        return pymongo.MongoClient(
            self._own("DATABASE_URL"), serverSelectionTimeoutMS=limit, connectTimeoutMS=limit, socketTimeoutMS=limit
        )

    def redis(self) -> Any:
        """Return the client of the platform's Redis, with short time-outs."""
        return self._redis

    @cached_property
    def _redis(self) -> Any:
        import redis  # noqa: PLC0415

        return redis.Redis.from_url(
            self._own("REDIS_URL"),
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            retry=None,
            decode_responses=True,
        )

    def _ask_s3(self) -> None:
        """List the buckets with the platform's own key: it shows that the store answers and knows us."""
        self._signed("GET", "/")

    def delete_object(self, bucket: str, key: str) -> None:
        """Delete an object with the platform's own key.

        Raises:
            Unhappy: The store refuses.
            OSError: There is no answer within the time-out.
        """
        self._signed("DELETE", f"/{bucket}/{key}")

    def _signed(self, method: str, path: str) -> None:
        from botocore.auth import S3SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.credentials import Credentials  # noqa: PLC0415

        request = AWSRequest(method, (self.value("S3_URL") or "").rstrip("/") + path)
        credentials = Credentials(self.value("S3_ACCESS_KEY") or "", self.value("S3_SECRET_KEY") or "")
        S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
        fetch(str(request.url), dict(request.headers.items()), method)


def fetch(url: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> bytes:
    """Return the body behind an address.

    Raises:
        Unhappy: The status is not 200, or 204.
        OSError: There is no answer within the time-out.
    """
    import urllib3  # noqa: PLC0415

    try:
        answer = urllib3.request(method, url, headers=headers, timeout=_SECONDS, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise OSError(str(error)) from error
    if answer.status not in (200, 204):
        raise Unhappy(f"status {answer.status}")
    return answer.data


def warm_up() -> None:
    """Load the drivers, so that the first question is as quick as the others."""
    for driver in ("urllib3", "redis", "psycopg", "botocore.auth", "botocore.awsrequest", "pymongo"):
        importlib.import_module(driver)


def _condition(question: Callable[[], object]) -> Condition:
    began = perf_counter()
    try:
        question()
    except Exception as error:  # noqa: BLE001 - whatever a driver raises means that the store is down
        return Condition(ok=False, seconds=perf_counter() - began, error=_reason(error))
    return Condition(ok=True, seconds=perf_counter() - began)


def _reason(error: Exception) -> str:
    """Say why in words that hold no address and no password."""
    if isinstance(error, Unhappy):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    return next((reason for pattern, reason in _REASONS if re.search(pattern, text, re.IGNORECASE)), "no usable answer")


class _Postgres:
    """Connections that are kept between queries. One that is stuck in a query is never used again."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._idle: list[Any] = []

    def query(self, statement: str, values: tuple[object, ...] = ()) -> tuple[Any, ...]:
        import psycopg  # noqa: PLC0415

        while self._idle:
            with contextlib.suppress(psycopg.OperationalError, IndexError):
                return self._on(self._idle.pop(), statement, values)
        options = "-c statement_timeout=1500"
        connection = psycopg.connect(self._address, connect_timeout=2, options=options, autocommit=True)
        return self._on(connection, statement, values)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _on(self, connection: Any, statement: str, values: tuple[object, ...]) -> tuple[Any, ...]:
        try:
            row = connection.execute(statement, values).fetchone()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return row or ()
