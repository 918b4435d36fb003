"""What people state: kept beside the reports, and evidence itself. Without Prefect: forms and commands share it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from tasks import evidence, platforms
from tasks.clients.blobs import BlobStore
from tasks.controls import listed
from tasks.core.errors import ConfigError
from tasks.core.manifest import new_id
from tasks.core.model import Model
from tasks.core.settings import Settings
from tasks.core.statements import Downtime, Request, Statement
from tasks.inspections import store_beside_reports

AnyModel = TypeVar("AnyModel", bound=Model)
_FILE = "sha256:"


class Statements:
    """All that people stated of a platform.

    Args:
        platform: Its name.
        settings: Where it is kept.
    """

    def __init__(self, platform: str, settings: Settings) -> None:
        self._platform, self._settings = platform, settings
        self.unread: list[str] = []

    def given(self) -> list[Statement]:
        """Return the attestations and waivers, oldest first; what cannot be read is named in `unread`.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        return sorted(self._all("statements", Statement), key=lambda one: (one.at, one.id))

    def requests(self) -> list[Request]:
        """Return when people were asked, oldest first.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        return sorted(self._all("requests", Request), key=lambda one: (one.at, one.id))

    def downtimes(self) -> list[Downtime]:
        """Return the times in which nothing could run, oldest first.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        return sorted(self._all("downtimes", Downtime), key=lambda one: (one.begin, one.id))

    def ask(self, request: Request) -> Request:
        """Keep that people are asked; return the request that is kept under its id, which may be there already.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        store, key = self._store("requests"), f"{self._platform}/{request.id}.json"
        if store.put_if_absent(key, _written(request)):
            return request
        return Request.model_validate_json(store.get(key) or b"")

    def once(self, what: str, name: str) -> bool:
        """Return True the first time that something is asked for, and never again: a reminder, a closing.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        return self._store(what).put_if_absent(f"{self._platform}/{name}.json", b"{}")

    def happened(self, what: str, name: str) -> bool:
        """Tell whether `once` was asked for it.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        return self._store(what).get(f"{self._platform}/{name}.json") is not None

    def _all(self, what: str, model: type[AnyModel]) -> list[AnyModel]:
        store = self._store(what)
        found = []
        for key in store.list(f"{self._platform}/"):
            try:
                found.append(model.model_validate_json(store.get(key) or b""))
            except ValidationError:
                self.unread.append(f"{store.where(key)} cannot be read: whoever wrote it should state it again")
        return found

    def _store(self, what: str) -> BlobStore:
        return store_beside_reports(self._settings, what)


def state(
    kind: Literal["attestation", "waiver"],
    platform: str,
    control: str,
    settings: Settings,
    *,
    name: str = "",
    now: datetime | None = None,
    **given: Any,
) -> Statement:
    """Keep what a person states, and add it to the ledger.

    Args:
        kind: An attestation or a waiver.
        platform: The platform's name.
        control: The control's.
        settings: Where things are kept.
        name: Its id, where the same may be stated twice and counts once.
        now: Aware time; the clock's by default.
        given: The other fields of `Statement`: by, approver, text, evidence, until.

    Raises:
        ConfigError: There is no such platform or control, a machine checks it, or a field is wrong; it names the field.
        WatchkeeperError: The store refuses or does not answer.
    """
    spec = platforms.load(platform, settings)
    now = now or datetime.now(UTC)
    known = {one.id: one for one in listed()}
    if control not in known:
        raise ConfigError(f"{control!r} is no control of a platform", hint=f"there are {', '.join(known)}")
    if kind == "attestation" and not known[control].attestable:
        hint = "mend what it finds, or waive it"
        raise ConfigError(f"a machine checks {control}: it cannot be attested", hint=hint)
    fields = {"id": name or new_id(now, secrets.token_hex(4)), "kind": kind, "platform": spec.platform, "at": now}
    made = _made(Statement, fields | {"control": control} | given)
    if (
        made.evidence.startswith(_FILE)
        and evidence.open_ledger(settings).file(made.evidence.removeprefix(_FILE)) is None
    ):
        raise ConfigError(f"evidence: there is no file {made.evidence}", hint="add it by `watchkeeper evidence attach`")
    store = store_beside_reports(settings, "statements")
    if store.put_if_absent(f"{made.platform}/{made.id}.json", _written(made)):
        evidence.record_statement(made.kind, made, spec, platforms.access(settings), settings)
    return made


def note_downtime(platform: str, settings: Settings, *, now: datetime | None = None, **given: Any) -> Downtime:
    """Keep that nothing could run for a while, with the reason, and add it to the ledger.

    Raises:
        ConfigError: There is no such platform, or a field is wrong; it names the field.
        WatchkeeperError: The store refuses or does not answer.
    """
    spec = platforms.load(platform, settings)
    now = now or datetime.now(UTC)
    made = _made(Downtime, {"id": new_id(now, secrets.token_hex(4)), "platform": spec.platform, "at": now, **given})
    if made.begin > now + timedelta(days=1):
        raise ConfigError("from: it has not begun", hint="announce work to come under `maintenance` in the spec")
    store_beside_reports(settings, "downtimes").put_if_absent(f"{made.platform}/{made.id}.json", _written(made))
    evidence.record_statement("downtime", made, spec, platforms.access(settings), settings)
    return made


def _made(model: type[AnyModel], fields: dict[str, Any]) -> AnyModel:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] == "string_pattern_mismatch":
            what = f"{first['input']!r} is neither an address (https://...) nor a file of the ledger (sha256:...)"
        raise ConfigError(f"{where}: {what}" if where else what, hint=_CURES.get(where)) from None


_CURES = {
    "evidence": "give an address, or add the file by `watchkeeper evidence attach FILE` and give what it prints",
    "approver": "name who accepted it",
}


def _written(made: Model) -> bytes:
    return made.model_dump_json(indent=2).encode()
