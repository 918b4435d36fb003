"""The manifest of a backup: what makes it exist, and all that is needed to check and read it. Pure.

Names of parts may be anything that a system calls its things; `stored_path` makes them fit for every store.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field, ValidationError

from tasks.core.backup import Taken
from tasks.core.errors import ConfigError, Garbled
from tasks.core.model import Model

FORMAT = 1
_PLAIN = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_NAME = 150
_LONGEST_PATH = 700
_IDENTIFIER = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{8}")
_TIME = "%Y%m%dT%H%M%SZ"


class Part(Model):
    """One stream of data in a backup."""

    name: str = Field(description="As the kind calls it.")
    path: str = Field(description="Below the backup's folder, as it is stored.")
    plain_bytes: int = Field(ge=0, description="Size of what the kind wrote.")
    plain_hash: str = Field(description="Of what the kind wrote: `blake3:` or `blake2b:`, and 64 hexadecimal digits.")
    stored_bytes: int = Field(ge=0, description="Size of what is stored.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of what is stored, as `sha256sum` tells it.")
    compression: Literal["zstd", "none"] = Field(description="What was done first.")
    encryption: Literal["age", "none"] = Field(description="What was done then.")


class Manifest(Taken):
    """Everything about one complete backup. It is written last, and never again."""

    format: int = Field(FORMAT, description="Version of the format; a newer one is refused.")
    id: str = Field(description="Unique in its system; begins with the time at which it was begun.")
    restore_point: str = Field(description="The same in all systems of a platform that were copied together.")
    platform: str
    system: str
    kind: str = Field(description="Kind of the system.")
    started: AwareDatetime
    ended: AwareDatetime
    parts: tuple[Part, ...] = ()
    recipients: tuple[str, ...] = Field((), description="Public keys that it is encrypted for; none: not encrypted.")
    recovery_sha256: str = Field(description="Of `RECOVERY.md`.")
    tags: tuple[str, ...] = Field((), description="What people call it.")
    watchkeeper: str = Field("", description="Version that wrote it.")
    checksum: str = Field("", description="sha256 of all the other fields, as canonical JSON.")

    @property
    def folder(self) -> str:
        """Where it lies in its vault."""
        return f"{self.platform}/{self.system}/{self.id}"

    @property
    def plain_bytes(self) -> int:
        """Size of all parts as the kind wrote them."""
        return sum(part.plain_bytes for part in self.parts)

    @property
    def stored_bytes(self) -> int:
        """Size of all parts as they are stored."""
        return sum(part.stored_bytes for part in self.parts)

    def part(self, name: str) -> Part:
        """Return a part by name.

        Raises:
            ConfigError: There is no such part.
        """
        for part in self.parts:
            if part.name == name:
                return part
        raise ConfigError(f"{self.id} has no part {name!r}", hint="watchkeeper backups show lists its parts")

    def sealed(self) -> Manifest:
        """Return it with its checksum."""
        return self.model_copy(update={"checksum": _checksum(self.model_dump(mode="json"))})

    def to_bytes(self) -> bytes:
        """Return it as a file: JSON that a person can read."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False)
        return f"{text}\n".encode("utf-8", "backslashreplace")


def read_manifest(data: bytes, where: str) -> Manifest:
    """Read a manifest.

    Args:
        data: The file's bytes.
        where: What messages call it.

    Raises:
        ConfigError: Its format is newer than this version knows.
        Garbled: It is damaged, or none.
    """
    try:
        found = json.loads(data)
        version = found["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Garbled("it is no manifest", operation=f"read {where}") from None
    if isinstance(version, int) and version > FORMAT:
        raise ConfigError(
            f"its format is {version}, and this version knows {FORMAT}",
            operation=f"read {where}",
            hint="use a newer watchkeeper, or RECOVERY.md beside it",
        )
    if found.get("checksum") != _checksum(found):
        raise Garbled("its checksum is wrong: it was changed or damaged", operation=f"read {where}")
    try:
        return Manifest.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise Garbled(f"{place}: {first['msg']}", operation=f"read {where}") from None


def _checksum(fields: dict[str, Any]) -> str:
    rest = {name: value for name, value in fields.items() if name != "checksum"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def new_id(started: datetime, random: str) -> str:
    """Return a backup's id.

    Args:
        started: When it was begun; aware, UTC.
        random: Eight hexadecimal digits that make it unique.
    """
    return f"{started:{_TIME}}-{random}"


def parse_id(text: str) -> datetime | None:
    """Return the time in an id, or None where it is none."""
    match = _IDENTIFIER.fullmatch(text)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match[1])
    except ValueError:
        return None


def stored_path(name: str, *, compressed: bool, encrypted: bool) -> str:
    """Return where a part is stored below the backup's folder.

    Whatever is not a letter, a digit, dot, dash or underscore becomes `=` and its bytes in hexadecimal; a long name is
    cut and ends with a hash of the whole.

    Raises:
        ConfigError: The name is empty, begins or ends with a slash, or climbs with `..`.
    """
    pieces = name.split("/")
    if any(piece in ("", ".", "..") for piece in pieces):
        raise ConfigError(f"{name[:80]!r} is no name of a part", hint="write pieces joined by /, without . and ..")
    path = "/".join(_escaped(piece) for piece in pieces)
    if len(path) > _LONGEST_PATH:
        path = f"long/{_cut(path)}"
    return f"data/{path}{'.zst' if compressed else ''}{'.age' if encrypted else ''}"


def _escaped(piece: str) -> str:
    raw = piece.encode("utf-8", "surrogateescape")
    text = _PLAIN.sub(lambda match: f"={ord(match[0]):02X}", raw.decode("latin-1"))
    if text.startswith("."):
        text = f"=2E{text[1:]}"
    return text if len(text) <= _LONGEST_NAME else _cut(text)


def _cut(text: str) -> str:
    return f"{text[: _LONGEST_NAME - 20].replace('/', '_')}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
