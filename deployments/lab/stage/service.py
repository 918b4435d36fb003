"""One played service: its routes, its own metrics, and the answers that FastAPI would give to what it has not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from deployments.lab.loopback import Answer, Handler, Request
from deployments.lab.stage.stores import Condition, Stores

Routes = dict[tuple[str, str], Handler]
"""Handlers by method and path."""

_SEED = {"200": 48_213, "404": 87, "500": 3}
"""Requests that a service has already answered when the stage rises, so that its counters look lived in."""


class Service:
    """A service that counts what it answers.

    Args:
        name: What it calls itself.
        prefix: Begins the names of its metrics: `stylesync_` or nothing.
        started: The monotonic clock at its start.
    """

    def __init__(self, name: str, *, prefix: str = "http_", clock: Callable[[], float] = perf_counter) -> None:
        self.name = name
        self.registry = CollectorRegistry()
        self.routes: Routes = {}
        self._clock, self._began = clock, clock()
        self._requests = Counter(
            f"{prefix}requests", "Requests answered.", ["method", "path", "status"], registry=self.registry
        )
        self._seconds = Histogram(f"{prefix}request_duration_seconds", "Time to answer.", registry=self.registry)
        for status, count in _SEED.items():
            self._requests.labels("GET", "/", status).inc(count)

    @property
    def uptime(self) -> float:
        """Seconds since the service rose."""
        return round(self._clock() - self._began, 1)

    def on(self, method: str, path: str, handler: Handler) -> None:
        """Answer a method on a path."""
        self.routes[method, path] = handler

    def __call__(self, request: Request) -> Answer:
        """Answer a request, and count it."""
        began = self._clock()
        answer = self._answer(request)
        self._seconds.observe(self._clock() - began)
        self._requests.labels(request.method, request.path[:80], str(answer.status)).inc()
        return answer

    def _answer(self, request: Request) -> Answer:
        method = "GET" if request.method == "HEAD" else request.method
        handler = self.routes.get((method, request.path))
        if handler is not None:
            return handler(request)
        if any(path == request.path for _, path in self.routes):
            return Answer.of({"detail": "Method Not Allowed"}, 405)
        return Answer.of({"detail": "Not Found"}, 404)

    def metrics(self, _request: Request) -> Answer:
        """Answer with the metrics in Prometheus' text format."""
        return Answer(200, generate_latest(self.registry), "text/plain; version=0.0.4; charset=utf-8")

    def alive(self, _request: Request) -> Answer:
        """Answer that the process runs; it asks nobody."""
        return Answer.of({"status": "healthy", "service": self.name, "uptime_seconds": self.uptime})


def health(
    service: Service, conditions: Mapping[str, Condition], *, optional: Iterable[str] = (), word: str = "healthy"
) -> Answer:
    """Answer with how the dependencies are: 503 if one is down that is not optional.

    Args:
        service: Whose health it is.
        conditions: How the dependencies answered.
        optional: Those without which the service is only degraded.
        word: What the service says when all is well.
    """
    down = [name for name, condition in conditions.items() if not condition.ok]
    fatal = [name for name in down if name not in set(optional)]
    status = "unhealthy" if fatal else "degraded" if down else word
    body = {
        "status": status,
        "service": service.name,
        "checks": {name: condition.document() for name, condition in conditions.items()},
    }
    return Answer.of(body, 503 if fatal else 200)


def ready(service: Service, stores: Stores, names: Iterable[str], **how: object) -> Handler:
    """Make a handler that asks the stores at each request."""
    wanted = tuple(names)
    return lambda _request: health(service, stores.check(wanted), **how)  # type: ignore[arg-type]


def plain_service(name: str, stores: Stores) -> Service:
    """Play a service of which nothing more is known than that it relies on its platform's stores."""
    service = Service(name)
    check = ready(service, stores, ("database", "cache"))
    for path in ("/health", "/healthz"):
        service.on("GET", path, check)
    for path in ("/ready", "/readyz"):
        service.on("GET", path, ready(service, stores, ("database", "cache", "storage")))
    service.on("GET", "/", service.alive)
    service.on("GET", "/metrics", service.metrics)
    return service


def bearer(request: Request) -> str:
    """Return the token of an `Authorization: Bearer` header, or nothing."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
