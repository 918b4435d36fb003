"""One Compose project: its containers, and what is broken in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from deployments.lab import log_lines

FAULTS = ("exited", "unhealthy", "restarting", "missing")
_AGE = timedelta(hours=30)
_MOST_LINES = 5000
_LIMIT = 2 << 30
_PROCESSORS = 4
_SECOND = 1_000_000_000
_NEVER = "0001-01-01T00:00:00Z"


def stamp(at: datetime) -> str:
    """Write a time as the engine does, to the nanosecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"


@dataclass
class Project:
    """The containers of one project, as an engine would know them.

    Attributes:
        name: The project's name, the value of the label.
        services: How many containers each service has.
        now: The clock.
        broken: The faults that hold, on the first service.
        logged: What the first service's log tells of.
    """

    name: str
    services: dict[str, int]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    broken: set[str] = field(default_factory=set)
    logged: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._began = self.now() - _AGE

    def containers(self) -> list[Container]:
        """Return every container, those that have ended among them."""
        first = next(iter(self.services))
        return [
            Container(self, service, number, sick=service == first)
            for service, count in self.services.items()
            for number in range(1, count + 1)
            if not (service == first and "missing" in self.broken)
        ]

    @property
    def began(self) -> datetime:
        """When it was brought up."""
        return self._began


@dataclass(frozen=True)
class Container:
    """One container, and whether the project's faults are its own."""

    project: Project
    service: str
    number: int
    sick: bool

    @property
    def id(self) -> str:
        """Sixty-four hexadecimal digits."""
        return hashlib.sha256(f"{self.project.name}/{self.service}/{self.number}".encode()).hexdigest()

    @property
    def name(self) -> str:
        """The name that Compose gives."""
        return f"{self.project.name}-{self.service}-{self.number}"

    @property
    def labels(self) -> dict[str, str]:
        """The labels that Compose gives."""
        return {
            "com.docker.compose.project": self.project.name,
            "com.docker.compose.service": self.service,
            "com.docker.compose.container-number": str(self.number),
            "com.docker.compose.oneoff": "False",
        }

    def _has(self, fault: str) -> bool:
        return self.sick and fault in self.project.broken

    @property
    def status(self) -> str:
        """The state in a word."""
        return "exited" if self._has("exited") else "restarting" if self._has("restarting") else "running"

    def summary(self) -> dict[str, Any]:
        """Answer as in `GET /containers/json`."""
        words = {"exited": "Exited (137) 2 minutes ago", "restarting": "Restarting (1) 5 seconds ago"}
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": f"{self.project.name}/{self.service}:1",
            "ImageID": f"sha256:{self.id}",
            "Command": f"/bin/{self.service}",
            "Created": int(self.project.began.timestamp()),
            "Ports": [],
            "Labels": self.labels,
            "State": self.status,
            "Status": words.get(self.status, "Up 30 hours (healthy)"),
            "Mounts": [],
        }

    def inspection(self) -> dict[str, Any]:
        """Answer as in `GET /containers/{id}/json`."""
        return {
            "Id": self.id,
            "Created": stamp(self.project.began),
            "Path": f"/bin/{self.service}",
            "Args": [],
            "State": self._state(),
            "Image": f"sha256:{self.id}",
            "Name": f"/{self.name}",
            "RestartCount": 7 if self._has("restarting") else 0,
            "Driver": "overlay2",
            "Platform": "linux",
            "HostConfig": {"Memory": _LIMIT, "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}},
            "Config": {"Image": f"{self.project.name}/{self.service}:1", "Labels": self.labels, "Tty": False},
        }

    def _state(self) -> dict[str, Any]:
        now, status = self.project.now(), self.status
        began = now - timedelta(seconds=10) if status == "restarting" else self.project.began
        ended = {"exited": now - timedelta(minutes=2), "restarting": now - timedelta(seconds=5)}.get(status)
        state: dict[str, Any] = {
            "Status": status,
            "Running": status != "exited",
            "Paused": False,
            "Restarting": status == "restarting",
            "OOMKilled": status == "exited",
            "Dead": False,
            "Pid": 0 if status == "exited" else 4000 + self.number,
            "ExitCode": {"exited": 137, "restarting": 1}.get(status, 0),
            "Error": "",
            "StartedAt": stamp(began),
            "FinishedAt": stamp(ended) if ended else _NEVER,
        }
        if status == "running":
            state["Health"] = self._health(now)
        return state

    def _health(self, now: datetime) -> dict[str, Any]:
        sick = self._has("unhealthy")
        output = "curl: (7) Failed to connect to localhost port 8000: Connection refused" if sick else "ok"
        check = {"Start": stamp(now), "End": stamp(now), "ExitCode": int(sick), "Output": output}
        return {"Status": "unhealthy" if sick else "healthy", "FailingStreak": 5 if sick else 0, "Log": [check]}

    def stats(self) -> dict[str, Any]:
        """Answer as in `GET /containers/{id}/stats?stream=false`."""
        now = self.project.now()

        def look(at: datetime) -> dict[str, Any]:
            seconds = (at - self.project.began).total_seconds()
            return {
                "cpu_usage": {"total_usage": int(seconds * 0.2 * _SECOND), "usage_in_kernelmode": 0},
                "system_cpu_usage": int(seconds * _PROCESSORS * _SECOND),
                "online_cpus": _PROCESSORS,
            }

        memory = {"usage": _LIMIT // 2, "limit": _LIMIT, "stats": {"inactive_file": _LIMIT // 8}}
        before = now - timedelta(seconds=1)
        return {
            "id": self.id,
            "name": f"/{self.name}",
            "read": stamp(now),
            "preread": stamp(before),
            "cpu_stats": look(now),
            "precpu_stats": look(before),
            "memory_stats": memory,
        }

    def log(self) -> list[tuple[datetime, str]]:
        """Return its newest lines, oldest first."""
        now = self.project.now()
        lines = log_lines.ordinary(max(self.project.began, now - log_lines.EVERY * _MOST_LINES), now)
        if self.sick and self.project.logged:
            lines = sorted([*lines, *log_lines.written(self.project.logged, now)])
        return lines
