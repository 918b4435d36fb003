"""Steps: one thing that is done or asked at a system, as a spec spells it, and what came of it. Pure."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field, JsonValue, model_validator

from tasks.core.model import Model
from tasks.core.references import Address, SecretReference

KINDS = ("http", "postgres", "mongodb", "redis", "queue", "opensearch", "s3", "logs", "prometheus")
"""The kinds of systems at which a step can be taken."""
_MONTH = timedelta(days=31)
_Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]
_HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]


class Step(Model):
    """One thing that is done or asked: at a system of the platform, or by a program."""

    system: str = Field("", description="Where: a system of a kind that takes steps.")
    call: str = Field(
        "",
        description="What, in the system's own words: SQL, a command of Redis, `POST /path` (http, opensearch), "
        "`insert|delete|count|find COLLECTION` (mongodb, with a document or filter as body), `put|delete|look KEY` "
        "(s3), `look` (queue, logs), PromQL (prometheus). `{canary}`, `{uuid}`, `{number}`, `{today}`, `{month_ago}` "
        "stand for values.",
    )
    body: JsonValue = Field(None, description="What is sent: text as it is, anything else as JSON.")
    command: tuple[str, ...] = Field(
        (), description="A program and its arguments instead of a system; no shell reads it."
    )
    file: Address | None = Field(None, description="A file of JSON, lines of JSON or CSV that is read instead.")
    environment: dict[_Variable, SecretReference] = Field(
        default_factory=dict, description="What the program is given beside PATH."
    )
    headers: dict[_HeaderName, SecretReference] = Field(
        default_factory=dict, description="Headers with credentials, where the system is of kind `http`."
    )
    address: Address | None = Field(
        None, description="An address with the rights to do it (dsn, uri, url); the system's own by default."
    )
    access_key: SecretReference | None = Field(None, description="Access key with the rights to do it, for `s3`.")
    secret_key: SecretReference | None = Field(None, description="Secret key with the rights to do it, for `s3`.")

    @model_validator(mode="after")
    def _one_place(self) -> Step:
        if sum(map(bool, (self.system, self.command, self.file))) != 1 or bool(self.system) != bool(self.call):
            raise ValueError("name a system with a call, a command, or a file")
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("an access key and a secret key belong together")
        return self

    def filled(self, values: Mapping[str, str]) -> Step:
        """Return the step with `{name}` replaced by each value, wherever it stands."""
        update = {
            "call": _filled(self.call, values),
            "body": _filled(self.body, values),
            "command": tuple(_filled(word, values) for word in self.command),
        }
        return self.model_copy(update=update)


@dataclass(frozen=True)
class Taken:
    """What came of a step.

    Attributes:
        count: How many there are: rows that were changed, what a count answered, places where the canary stands.
        rows: What was answered, where it is rows, documents or a list of JSON.
        body: What was answered, where it is bytes.
    """

    count: int
    rows: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace("{" + name + "}", text)
        return value
    if isinstance(value, Mapping):
        return {_filled(key, values): _filled(item, values) for key, item in value.items()}
    return [_filled(item, values) for item in value] if isinstance(value, list | tuple) else value


def rows_of(body: bytes) -> tuple[Mapping[str, Any], ...]:
    """Return the objects that JSON holds: one, a list of them, or one a line; else the rows of a CSV with a head."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ()
    document: Any = []
    for read in (json.loads, _lines_of_json, _table):
        try:
            document = read(text)
            break
        except (ValueError, RecursionError, csv.Error):
            continue
    rows = document if isinstance(document, list) else [document]
    return tuple(row for row in rows if isinstance(row, dict))


def _lines_of_json(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _table(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text), strict=True)) if "," in text.partition("\n")[0] else []


def filling(canary: str, now: datetime) -> dict[str, str]:
    """Return what is filled into steps; nothing of it holds a quote, so that it is safe within SQL and JSON."""
    digest = hashlib.sha256(canary.encode()).digest()
    return {
        "canary": canary,
        "uuid": str(uuid.UUID(bytes=digest[:16], version=4)),
        "number": f"{int.from_bytes(digest[16:24]) % 10**9:09}",
        "today": f"{now:%Y-%m-%d}",
        "month_ago": f"{now - _MONTH:%Y-%m-%d}",
    }


def holding(canary: str, values: object) -> int:
    """Count the entries of a list, or the places in a text, that hold a canary."""
    if isinstance(values, bytes):
        return values.count(canary.encode())
    if isinstance(values, list | tuple):
        return sum(holding(canary, one) > 0 for one in values)
    return int(canary in str(values))
