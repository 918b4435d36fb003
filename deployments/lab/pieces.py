"""What the lab knows of each system that it plays, and where that is written down."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tasks.core.errors import ConfigError

FILE = "lab.json"
SOCKET = "agent"
EVERYONE = "#all-platforms"
"""The channel in which reports over all platforms are told."""


@dataclass(frozen=True)
class Piece:
    """One system of one platform.

    Attributes:
        target: `platform/system`.
        kind: The system's kind.
        front: The port of its door, which clients use; None where the lab plays nothing for this kind.
        back: The port behind the door.
        address: What reaches the server behind the door as its administrator; empty where there is none.
        process: The name of the process that plays it; empty where there is none.
        note: What a person should know: why it is not played.
        details: What its kind needs beyond that: a bucket, the path of a certificate.
    """

    target: str
    kind: str
    front: int | None = None
    back: int | None = None
    address: str = field(default="", repr=False)
    process: str = ""
    note: str = ""
    details: dict[str, str] = field(default_factory=dict)

    @property
    def platform(self) -> str:
        """The platform's name."""
        return self.target.partition("/")[0]

    @property
    def owner(self) -> str:
        """What reaches a PostgreSQL as the user of the platform's own services, who owns its database."""
        database, password = self.details["database"], self.details["owner_password"]
        return f"postgresql://{database}:{password}@127.0.0.1:{self.back}/{database}"


@dataclass(frozen=True)
class Lab:
    """All that is up, and what it takes to reach and to break it; `slack` and `stage` are addresses."""

    platforms: tuple[str, ...]
    pieces: tuple[Piece, ...]
    slack: str = ""
    stage: str = ""

    def write(self, state: Path) -> None:
        """Write it into the lab's state folder, for this user only."""
        path = state / FILE
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, state: Path) -> Lab:
        """Read it back.

        Raises:
            ConfigError: There is no lab in the folder.
        """
        try:
            data = json.loads((state / FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"the lab is not up in {state}", hint="watchkeeper lab up") from None
        pieces = tuple(Piece(**piece) for piece in data["pieces"])
        return cls(tuple(data["platforms"]), pieces, data["slack"], data["stage"])
