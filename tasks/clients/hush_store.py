"""Where acknowledgements and snoozes are kept: one blob each, beside the reports."""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError

from tasks.clients.blobs import BlobStore
from tasks.core.errors import PermanentError
from tasks.core.hushes import Hush


class HushStore:
    """Hushes as JSON under `<platform>/<id>.json`; ids sort by time."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def add(self, hush: Hush) -> None:
        """Keep a hush.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        self._store.put(_key(hush.platform, hush.id), hush.model_dump_json(indent=2).encode())

    def active(self, platform: str, now: datetime) -> list[Hush]:
        """Return a platform's hushes that have not ended, oldest first.

        Raises:
            WatchkeeperError: The store refuses or does not answer, or holds one that cannot be read.
        """
        hushes = [self._read(key) for key in self._store.list(f"{platform}/") if key.endswith(".json")]
        return [hush for hush in hushes if hush is not None and now < hush.until]

    def end(self, platform: str, name: str) -> bool:
        """Take a hush back; False where there is none of that id.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        key = _key(platform, name)
        if key not in self._store.list(f"{platform}/"):
            return False
        self._store.delete(key)
        return True

    def _read(self, key: str) -> Hush | None:
        data = self._store.get(key)
        try:
            return Hush.model_validate_json(data) if data is not None else None
        except ValidationError:
            raise PermanentError(
                f"{self._store.where(key)} is no acknowledgement that this version can read", hint="remove it"
            ) from None


def _key(platform: str, name: str) -> str:
    return f"{platform}/{name}.json"
