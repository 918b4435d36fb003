"""What is written beside a manifest after the backup was taken: verifications, and holds of those who read it."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, ValidationError

from tasks.core.errors import Garbled, WatchkeeperError
from tasks.core.manifest import Manifest, new_id
from tasks.core.model import Model
from tasks.core.restore import Assertion
from tasks.core.results import Outcome
from tasks.core.verification import RESTORED, Verification
from tasks.vault.layout import HELD, VERIFIED, patiently

if TYPE_CHECKING:
    from tasks.vault.vault import Vault

_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")
_LONGEST_WHO = 60
_RENEWALS = 3
_LOOKED_AT = 24


class Hold(Model):
    """That somebody reads a backup just now. It ends by itself, so that one who died does not hold it for ever."""

    who: str
    why: str
    at: AwareDatetime
    until: AwareDatetime


def record(
    vault: Vault,
    backup: str,
    *,
    level: int,
    outcome: Outcome,
    assertions: Sequence[Assertion] = (),
    seconds: float = 0.0,
    into: str = "",
) -> Verification:
    """Append what a verification saw; the manifest is not touched, and no record is ever written over.

    Args:
        vault: Where the backup is.
        backup: Its folder, `platform/system/id`.
        level: How far it went, 0 to 4.
        outcome: What it came to.
        assertions: One by one.
        seconds: How long it took.
        into: What it was restored into, for a person.

    Raises:
        ConfigError: There is no such backup.
        Garbled: The store does not have what was written.
    """
    vault.get(backup)
    now = vault.now()
    found = Verification(
        id=new_id(now, secrets.token_hex(4)),
        backup=backup,
        at=now,
        level=level,
        outcome=outcome,
        seconds=seconds,
        into=into,
        assertions=tuple(assertions),
        watchkeeper=vault.version,
    )
    key, data = f"{backup}/{VERIFIED}{found.id}.json", _bytes(found)
    patiently(lambda: vault.store.put(key, data))
    if patiently(lambda: vault.store.get(key)) != data:
        raise Garbled("the store does not have the record as it was written", operation=f"verify {backup}")
    return found


def verifications(vault: Vault, backup: str) -> list[Verification]:
    """Read all that was recorded of a backup, oldest first.

    Raises:
        Garbled: A record is damaged.
    """
    names = vault.store.list(f"{backup}/{VERIFIED}")
    return sorted((read_verification(vault, key) for key in names), key=lambda found: (found.at, found.id))


def past_restores(vault: Vault, platform: str, system: str, method: str) -> Iterator[tuple[Verification, Manifest]]:
    """Yield the newest records of a system's backups that were restored in whole, each with its backup.

    Args:
        vault: Where they are.
        platform: By name.
        system: By name.
        method: Only backups that were taken in this way.

    Raises:
        Garbled: A record or a manifest is damaged.
    """
    entries = [entry for entry in vault.entries(platform, system) if entry.state == "complete"]
    keys = [(name, entry.folder) for entry in entries for name in entry.verified]
    for name, folder in sorted(keys, reverse=True)[:_LOOKED_AT]:
        found = read_verification(vault, f"{folder}/{name}")
        if found.level >= RESTORED and (manifest := vault.get(folder)).method == method:
            yield found, manifest


def read_verification(vault: Vault, key: str) -> Verification:
    """Read one record.

    Raises:
        Garbled: It is damaged, or none.
    """
    try:
        found = Verification.model_validate_json(vault.store.get(key) or b"")
    except ValidationError:
        raise Garbled("it is no record of a verification", operation=f"read {key}") from None
    if not key.startswith(f"{found.backup}/"):
        raise Garbled(f"it is a record of {found.backup}", operation=f"read {key}")
    return found


@contextmanager
def held(
    vault: Vault, backups: Iterable[str], *, who: str, why: str, lasting: timedelta = timedelta(hours=1)
) -> Iterator[None]:
    """Hold backups while a block reads them, so that nobody removes them; renewed as long as the block lasts.

    Args:
        vault: Where they are.
        backups: Their folders: of the one that is read, and of all that it is made from.
        who: Who reads, such as `restore` or `drill`.
        why: For a person.
        lasting: How long one that died still holds.

    Raises:
        ConfigError: One is not there, or is being removed.
        Garbled: The store does not have what was written.
    """
    holding = _Holding(vault, tuple(backups), who, why, lasting)
    holding.begin()
    try:
        yield
    finally:
        holding.end()


def holds(vault: Vault, backup: str) -> list[Hold]:
    """Return who reads a backup just now; what has run out is not among it.

    Raises:
        Garbled: A hold is damaged: nobody can tell whether it still counts.
    """
    found = [read_hold(vault, key) for key in vault.store.list(f"{backup}/{HELD}")]
    return [hold for hold in found if hold is not None and hold.until > vault.now()]


def read_hold(vault: Vault, key: str) -> Hold | None:
    """Read one hold; None where it has been given up meanwhile.

    Raises:
        Garbled: It is damaged.
    """
    data = vault.store.get(key)
    if data is None:
        return None
    try:
        return Hold.model_validate_json(data)
    except ValidationError:
        raise Garbled("it is no hold", operation=f"read {key}") from None


class _Holding:
    def __init__(self, vault: Vault, backups: tuple[str, ...], who: str, why: str, lasting: timedelta) -> None:
        self._vault, self._who, self._why, self._lasting = vault, who, why, lasting
        name = f"{_UNSAFE.sub('-', who)[:_LONGEST_WHO]}-{secrets.token_hex(4)}.json"
        self._keys = {backup: f"{backup}/{HELD}{name}" for backup in backups}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"hold for {who}", daemon=True)

    def begin(self) -> None:
        """Write the holds first and look for the backups then: whoever removes looks in the other order."""
        try:
            data = self._write()
            for backup, key in self._keys.items():
                self._see(key, data)
                self._vault.get(backup)
        except BaseException:
            self._remove()
            raise
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self._remove()

    def _renew(self) -> None:
        while not self._ended.wait(self._lasting.total_seconds() / _RENEWALS):
            with suppress(WatchkeeperError):  # the next renewal comes before it runs out
                self._write()

    def _see(self, key: str, data: bytes) -> None:
        if patiently(lambda: self._vault.store.get(key)) != data:
            raise Garbled("the store does not have the hold as it was written", operation=f"write {key}")

    def _write(self) -> bytes:
        now: datetime = self._vault.now()
        data = _bytes(Hold(who=self._who, why=self._why, at=now, until=now + self._lasting))
        for key in self._keys.values():
            patiently(lambda key=key: self._vault.store.put(key, data))  # type: ignore[misc]
        return data

    def _remove(self) -> None:
        for key in self._keys.values():
            with suppress(WatchkeeperError):  # it runs out by itself
                patiently(lambda key=key: self._vault.store.delete(key))  # type: ignore[misc]


def _bytes(model: Model) -> bytes:
    text = json.dumps(model.model_dump(mode="json"), indent=2, ensure_ascii=False)
    return f"{text}\n".encode("utf-8", "backslashreplace")
