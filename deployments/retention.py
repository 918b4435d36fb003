"""`watchkeeper retention plan`: the policy that restic's option names say, and the list of backups in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from tasks.core.errors import ConfigError
from tasks.core.retention import Copy, Plan, Policy


class _Listed(BaseModel):
    """One entry of the file; what else it says is not looked at."""

    model_config = ConfigDict(extra="ignore", strict=False)

    id: str
    time: AwareDatetime
    group: str = ""
    tags: tuple[str, ...] = ()
    complete: bool = True
    verified: bool = False
    pinned: bool = False
    locked_until: AwareDatetime | None = None
    held: str = ""
    parents: tuple[str, ...] = ()


def policy(given: Mapping[str, str | None], tags: Sequence[str]) -> Policy:
    """Make a policy from the options that were given.

    Args:
        given: Texts by the policy's field; None where the option was not given.
        tags: Each a list with commas: all of its tags together.

    Raises:
        ConfigError: One is not right; the message names the option.
    """
    rules: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    sets = tuple(frozenset(tag.strip() for tag in text.split(",")) for text in tags)
    try:
        return Policy.model_validate({**rules, "tags": sets})
    except ValidationError as error:
        first = error.errors()[0]
        option = f"--keep-{str(first['loc'][0]).replace('_', '-')}"
        raise ConfigError(f"{option}: {_words(first)}") from None


def zone(name: str | None) -> ZoneInfo | None:
    """Return a time zone by its name.

    Raises:
        ConfigError: There is none of this name.
    """
    try:
        return None if name is None else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(f"--timezone: {name!r} is no time zone", hint="write one such as Europe/Berlin") from None


def read_backups(path: Path) -> list[Copy]:
    """Read the list of backups.

    Raises:
        ConfigError: It is none; the message names file, entry and field.
    """
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is no JSON: {error}") from None
    if not isinstance(listed, list):
        raise ConfigError(f"{path} holds no list", hint='write [{"id": "a", "time": "2026-11-25T02:00:00Z"}]')
    return [_copy(path, place, entry) for place, entry in enumerate(listed)]


def _copy(path: Path, place: int, entry: object) -> Copy:
    try:
        found = _Listed.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        where = f"{path}: entry {place}" + (f": {field}" if field else "")
        raise ConfigError(f"{where}: {_words(first)}") from None
    return Copy(**{**dict(found), "tags": frozenset(found.tags)})


def _words(error: Any) -> str:
    match error["type"]:
        case "missing":
            return "is required"
        case "timezone_aware":
            return "needs an offset, such as 2026-11-25T02:00:00Z"
        case "model_type" | "model_attributes_type":
            return "must be an object with id and time"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")


def as_dict(plan: Plan) -> dict[str, Any]:
    """Return the plan as `--json` prints it."""
    return {
        "keep": [{"id": one.id, "reasons": list(one.reasons)} for one in plan.keep],
        "remove": [{"id": one.id, "reasons": list(one.reasons)} for one in plan.remove],
        "beyond": {group: round(share, 4) for group, share in plan.beyond.items()},
    }
